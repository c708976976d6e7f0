package evaluate

import (
	"maps"
	"time"

	"github.com/otelcol-escalation/otelcol-escalation/internal/alert"
	"github.com/otelcol-escalation/otelcol-escalation/internal/evaluate/window"
	"github.com/otelcol-escalation/otelcol-escalation/internal/rule"
)

// Reload replaces the rules. A rule that judges the same series under the same identity keeps its state; where its
// thresholds changed, the next point of each series is judged by the new ones. The alerts of rules that went end as
// rule_removed.
func (e *Evaluator) Reload(set *rule.Set, now time.Time) {
	// The window keeps what either set reads while the one takes the other's place.
	next := selectors(set)
	e.keep(append(e.selectors(), next...))
	for _, gone := range e.replace(set, now) {
		w := writing{e: e, at: now.UnixMilli(), now: now.UnixMilli(), before: gone.written.get()}
		w.close()
	}
	e.keep(next)
}

// keep says what the window keeps, and so what is translated for it.
func (e *Evaluator) keep(s []window.Selector) {
	e.window.Keep(s, e.opts.WholeHistory)
	e.translator.Reselect()
}

// replace puts the new rules in the old ones' place and returns those that have written series and are no more.
func (e *Evaluator) replace(set *rule.Set, now time.Time) (gone []*exprRule) {
	e.mu.Lock()
	defer e.mu.Unlock()
	elapsed := e.elapsed(now)
	oldRules, oldMetrics, oldGroups := e.rules, e.metrics, e.groups
	e.index(set, elapsed)

	successors := map[*ruleState]*ruleState{}
	byKey := map[string]*ruleState{}
	for _, r := range e.rules {
		byKey[r.key] = r
	}
	for _, old := range oldRules {
		if next, ok := byKey[old.key]; ok {
			successors[old] = next
			next.inherit(old)
		}
	}
	// The ends of what is gone say what its series are like, so they come before the series move.
	for _, old := range oldRules {
		if successors[old] == nil {
			e.retire(old, now)
		}
	}
	inherited := map[*metricState]bool{}
	for _, old := range oldRules {
		if next := successors[old]; next != nil && old.rule.Query != nil && !inherited[next.metric] {
			inherited[next.metric] = true
			next.metric.inherit(old.metric, successors)
		}
	}
	for key, old := range oldGroups {
		gone = append(gone, e.groups[key].inherit(old)...)
	}
	for name, old := range oldMetrics {
		if next, ok := e.metrics[name]; ok {
			next.inherit(old, successors)
		}
	}
	e.series.Store(0)
	for _, r := range e.rules {
		e.series.Add(int64(r.series))
	}
	return gone
}

// selectors are what the rules in force read.
func (e *Evaluator) selectors() []window.Selector {
	e.mu.RLock()
	defer e.mu.RUnlock()
	var all []window.Selector
	for _, g := range e.groups {
		for _, r := range g.rules {
			all = appendSelectors(all, r.rule.Query, g.queryOffset)
		}
	}
	return all
}

// inherit takes the counts of a group, and what its rules have written: what they do not write any more gets a stale
// marker all the same. It returns the rules that are no more; g is nil where the whole group is gone.
func (g *groupState) inherit(old *groupState) (gone []*exprRule) {
	if g == nil {
		return old.rules
	}
	g.evaluations.Store(old.evaluations.Load())
	g.failures.Store(old.failures.Load())
	g.missed.Store(old.missed.Load())
	g.took.Store(old.took.Load())
	next := map[string]*exprRule{}
	for _, r := range g.rules {
		next[r.key()] = r
	}
	for _, was := range old.rules {
		r := next[was.key()]
		if r == nil {
			gone = append(gone, was)
			continue
		}
		r.failure.Store(was.failure.Load())
		r.written, r.came = was.written, was.came
	}
	return gone
}

// stateKey says when two rules judge the same series under the same identity, so that one can go on with the state of
// the other: group, name, metric and `where` or what PromQL is evaluated, and the labels as written. The threshold that
// was split off an expression is no part of it.
func stateKey(r *rule.Rule) string {
	signal := map[string]string{"metric": r.Metric}
	if r.Where != nil {
		signal["where"] = r.Where.String()
	}
	if r.Query != nil {
		signal["expr"] = r.Query.Signal
	}
	if r.Silent {
		signal["track"] = "silent"
	}
	if r.Twin != "" {
		signal["twin"] = r.Twin
	}
	return alert.Identity(r.Group, r.Name, signal, r.Labels, nil)
}

// ownLabels are the rule's own labels as far as they are part of its alerts' identity.
func ownLabels(r *rule.Rule) map[string]string {
	if r.Twin == "" {
		return r.Labels
	}
	own := maps.Clone(r.Labels)
	if own == nil {
		own = map[string]string{}
	}
	own[""] = r.Twin // no label is called that
	return own
}

// inherit takes what is a rule's own. Counters go on.
func (r *ruleState) inherit(old *ruleState) {
	for i := range r.unjudged {
		r.unjudged[i].Store(old.unjudged[i].Load())
	}
	r.matched.Store(old.matched.Load())
	r.since = old.since
	r.transitions = old.transitions
	r.marks = old.marks
	r.alerts = old.alerts
	for _, a := range r.alerts {
		a.rule = r
		a.past = a.past.carry(old.rule.Tiers, r.rule.Tiers)
	}
}

// inherit moves the streams of a metric to the slots that the rules have now.
func (m *metricState) inherit(old *metricState, successors map[*ruleState]*ruleState) {
	m.unit = old.unit
	m.lastSeen.Store(old.lastSeen.Load())
	for hash, st := range old.streams {
		before := st.series
		st.series = make([]series, len(m.rules))
		kept, alive := false, false
		for i := range before {
			next := successors[old.rules[i]]
			if next == nil || !before[i].seen() {
				continue
			}
			s := before[i]
			if s.live != nil {
				s.live.machine = s.live.carry(old.rules[i].rule.Tiers, next.rule.Tiers)
				s.live.levels = s.live.levels.carry(old.rules[i].rule.Tiers, next.rule.Tiers)
				s.live.triggers = s.live.triggers.carry(next.rule)
				s.live.rule = next
				alive = true
			}
			st.series[next.slot] = s
			next.series++
			kept = true
		}
		if kept {
			m.streams[hash] = st
			m.due.put(st, m.dueOf(st, m.due.start()), m.due.start())
		}
		if alive {
			m.live[st] = struct{}{}
		}
	}
	m.kept.Store(int64(len(m.streams)))
}

// carry moves a machine to another set of tiers, each to the one of the same severity. A firing alert whose tier is no
// more fires on, at the most urgent tier there is, until its next point is judged.
func (m *machine) carry(from, to []rule.Tier) machine {
	next := newMachine()
	next.firing, next.cleared, next.start = m.firing, m.cleared, m.start
	for i := range from {
		for j := range to {
			if from[i].Severity != to[j].Severity {
				continue
			}
			next.since[j] = m.since[i]
			if m.isActive(i) {
				next.active |= 1 << j
			}
			if int(m.kept) == i {
				next.kept = int8(j)
			}
		}
	}
	if next.firing && next.active == 0 && next.kept == noTier {
		next.active = 1
	}
	return next
}

// retire ends the alerts of a rule that is gone, and keeps them until that has been repeated.
func (e *Evaluator) retire(old *ruleState, now time.Time) {
	old.metric = newMetricState(e.elapsed(now))
	old.marks = nil
	for _, a := range old.alerts {
		var final *alert.Alert
		if len(a.lives) > 0 {
			final = e.ending(a, alert.ReasonRuleRemoved, now)
		} else {
			final = a.final
		}
		a.lives = nil
		e.refresh(a, final, now)
	}
	if len(old.alerts) > 0 {
		e.retired = append(e.retired, old)
	}
}
