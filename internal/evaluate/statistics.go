package evaluate

import (
	"cmp"
	"fmt"
	"slices"
	"sync/atomic"
	"time"

	"github.com/otelcol-escalation/otelcol-escalation/internal/alert"
	"github.com/otelcol-escalation/otelcol-escalation/internal/evaluate/translate"
)

// Unjudged is why a point was not judged.
type Unjudged string

// The reasons.
const (
	UnjudgedType     Unjudged = "unsupported_type"
	UnjudgedMissing  Unjudged = "missing_value" // NaN, "no recorded value", or a blank of the device library
	UnjudgedFuture   Unjudged = "too_far_ahead"
	UnjudgedOld      Unjudged = "too_old"
	UnjudgedNoTime   Unjudged = "no_timestamp"
	UnjudgedRepeated Unjudged = "late_or_repeated"
	UnjudgedWhere    Unjudged = "where_error"
	UnjudgedLimit    Unjudged = "series_limit"
	UnjudgedWarmUp   Unjudged = "warm_up"
)

var unjudgedReasons = [...]Unjudged{
	UnjudgedType, UnjudgedMissing, UnjudgedFuture, UnjudgedOld, UnjudgedNoTime,
	UnjudgedRepeated, UnjudgedWhere, UnjudgedLimit, UnjudgedWarmUp,
}

// unjudge counts n points for every rule of the metric.
func (m *metricState) unjudge(reason Unjudged, n int) {
	for _, r := range m.rules {
		r.unjudge(reason, n)
	}
}

func (r *ruleState) unjudge(reason Unjudged, n int) {
	r.unjudged[slices.Index(unjudgedReasons[:], reason)].Add(int64(n))
}

// Statistics are the evaluator's counts since its start, for self-metrics.
type Statistics struct {
	// Unjudged counts points that passed through unjudged, by reason and rule; only counts above 0.
	Unjudged []UnjudgedCount
	// Judged counts the points that were compared, Tagged those that got attributes.
	Judged, Tagged int64
	// Series is the number of series whose state is kept.
	Series int64
	// Rules has one entry per rule, in the order of the files.
	Rules []RuleStatistics
	// Groups has one entry per group that is evaluated on the clock.
	Groups []GroupStatistics
	// Untranslated counts points that rules in PromQL select and that did not reach the window, by reason; only counts
	// above 0. What the window itself does not take it counts.
	Untranslated map[Unjudged]int64
}

// GroupStatistics describes one group that is evaluated on the clock.
type GroupStatistics struct {
	Group, File string
	// Evaluations counts those of the group, Failures those of its rules that failed, Missed the intervals without one.
	Evaluations, Failures, Missed int64
	// Took is how long the last evaluation took, from the time that it was due.
	Took time.Duration
}

// The reasons that only rules in PromQL have.
const (
	UnjudgedStreams Unjudged = "delta_stream_limit"
	UnjudgedName    Unjudged = "untranslatable"
)

// untranslated adds up what the translator did not pass on.
type untranslated struct {
	missing, future, old, noTime, repeated, overflow, name atomic.Int64
}

func (u *untranslated) add(c translate.Counts) {
	if c.Dropped() == c.Refused {
		return
	}
	u.missing.Add(int64(c.Missing))
	u.future.Add(int64(c.Future))
	u.old.Add(int64(c.Old))
	u.noTime.Add(int64(c.NoTime))
	u.repeated.Add(int64(c.Repeated))
	u.overflow.Add(int64(c.Overflow))
	u.name.Add(int64(c.Untranslatable))
}

func (u *untranslated) counts() map[Unjudged]int64 {
	all := map[Unjudged]int64{}
	for reason, n := range map[Unjudged]*atomic.Int64{
		UnjudgedMissing: &u.missing, UnjudgedFuture: &u.future, UnjudgedOld: &u.old, UnjudgedNoTime: &u.noTime,
		UnjudgedRepeated: &u.repeated, UnjudgedStreams: &u.overflow, UnjudgedName: &u.name,
	} {
		if v := n.Load(); v > 0 {
			all[reason] = v
		}
	}
	return all
}

// UnjudgedCount counts points of one rule that could not be judged.
type UnjudgedCount struct {
	Group, Rule string
	Reason      Unjudged
	Count       int64
}

// RuleStatistics describes one rule now.
type RuleStatistics struct {
	Group, Rule string
	// Series is the number of series whose state is kept; Pending and Firing count alerts.
	Series, Pending, Firing int
	// Transitions counts changes to each state.
	Transitions map[alert.State]int64
	// CollidingSeries counts alerts that several streams share now.
	CollidingSeries int
}

// Statistics returns the counts.
func (e *Evaluator) Statistics() Statistics {
	e.mu.RLock()
	defer e.mu.RUnlock()
	s := Statistics{Judged: e.judged.Load(), Tagged: e.tagged.Load(), Series: e.series.Load(), Untranslated: e.untranslated.counts()}
	for _, key := range e.order {
		s.Groups = append(s.Groups, e.groups[key].statistics())
	}
	for _, r := range e.rules {
		if r.rule.Silent {
			continue
		}
		s.Rules = append(s.Rules, r.statistics())
		for i, reason := range unjudgedReasons {
			if n := r.unjudged[i].Load(); n > 0 {
				s.Unjudged = append(s.Unjudged, UnjudgedCount{r.rule.Group, r.rule.Name, reason, n})
			}
		}
	}
	return s
}

// statistics returns the counts of one group.
func (g *groupState) statistics() GroupStatistics {
	return GroupStatistics{
		Group: g.Name, File: g.File,
		Evaluations: g.evaluations.Load(), Failures: g.failures.Load(), Missed: g.missed.Load(),
		Took: time.Duration(g.took.Load()),
	}
}

func (r *ruleState) statistics() RuleStatistics {
	r.metric.mu.Lock()
	defer r.metric.mu.Unlock()
	s := RuleStatistics{Group: r.rule.Group, Rule: r.rule.Name, Series: r.series, Transitions: map[alert.State]int64{}}
	for state, n := range r.transitions {
		s.Transitions[alert.State(state)] = n
	}
	for _, a := range r.alerts {
		switch a.state {
		case alert.Pending:
			s.Pending++
		case alert.Firing:
			s.Firing++
		}
		if len(a.lives) > 1 {
			s.CollidingSeries++
		}
	}
	return s
}

// Problem is something that a rule's operator should know; each stands until it is mended.
type Problem struct {
	Group, Rule string
	Kind        ProblemKind
	Detail      string
}

// ProblemKind is the kind of a Problem.
type ProblemKind string

// The kinds.
const (
	ProblemNeverMatched    ProblemKind = "never_matched"
	ProblemUnsupportedType ProblemKind = "unsupported_type"
	ProblemColliding       ProblemKind = "colliding_series"
	ProblemLimit           ProblemKind = "series_limit"
	ProblemWhere           ProblemKind = "where_error"
)

// LastProblems returns what the last call of Problems returned, for readers without a clock.
func (e *Evaluator) LastProblems() []Problem {
	if p := e.problems.Load(); p != nil {
		return *p
	}
	return nil
}

// Problems returns the problems that stand now, ordered by group, rule and kind.
func (e *Evaluator) Problems(now time.Time) []Problem {
	e.mu.RLock()
	defer e.mu.RUnlock()
	elapsed := e.elapsed(now)
	var problems []Problem
	for _, r := range e.rules {
		if r.rule.Query == nil && !r.rule.Silent {
			problems = append(problems, r.problems(elapsed, int64(e.opts.NeverMatched))...)
		}
	}
	for _, g := range e.groups {
		for _, r := range g.rules {
			problems = append(problems, e.exprProblems(g, r, elapsed, now)...)
		}
	}
	slices.SortFunc(problems, func(a, b Problem) int {
		return cmp.Or(cmp.Compare(a.Group, b.Group), cmp.Compare(a.Rule, b.Rule), cmp.Compare(a.Kind, b.Kind))
	})
	e.problems.Store(&problems)
	return problems
}

func (r *ruleState) problems(elapsed, neverMatched int64) []Problem {
	var found []Problem
	add := func(kind ProblemKind, format string, args ...any) {
		found = append(found, Problem{r.rule.Group, r.rule.Name, kind, fmt.Sprintf(format, args...)})
	}
	if seen := r.metric.lastSeen.Load(); elapsed-seen > neverMatched {
		add(ProblemNeverMatched, "no point of metric %q for %s", r.rule.Metric, time.Duration(elapsed-seen).Round(time.Second))
	}
	if since := elapsed - r.matched.Load(); r.rule.Where != nil && since > neverMatched && len(found) == 0 {
		add(ProblemNeverMatched, "`where` accepted no point of metric %q for %s: %s", r.rule.Metric, time.Duration(since).Round(time.Second), r.rule.Where)
	}
	if n := r.count(UnjudgedType); n > 0 {
		add(ProblemUnsupportedType, "points of %q are of a type that has no value of its own at a moment: "+
			"a monotonic cumulative sum, a histogram or a summary", r.rule.Metric)
	}
	if t := percent(r.rule.Tiers); t != nil {
		r.metric.mu.Lock()
		unit := r.metric.unit
		r.metric.mu.Unlock()
		if high, is := r.metric.values.fraction(); is && unit == "1" {
			add(ProblemPercent, "%s: %s is a fraction between 0 and 1 (unit 1, at most %g so far)", t, r.rule.Metric, high)
		}
	}
	if n := r.count(UnjudgedLimit); n > 0 {
		add(ProblemLimit, "new series passed unjudged because limits are reached")
	}
	if n := r.count(UnjudgedWhere); n > 0 {
		add(ProblemWhere, "`where` failed on points: they are not seen by the rule")
	}
	if n := r.statistics().CollidingSeries; n > 0 {
		add(ProblemColliding, "alerts that several streams share: give the streams service.instance.id or promote an attribute that tells them apart")
	}
	return found
}

func (r *ruleState) count(reason Unjudged) int64 {
	return r.unjudged[slices.Index(unjudgedReasons[:], reason)].Load()
}
