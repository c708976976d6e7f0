package unittest

import (
	"cmp"
	"context"
	"fmt"
	"math"
	"time"

	"github.com/prometheus/prometheus/storage"

	"github.com/otelcol-escalation/otelcol-escalation/internal/alert"
	"github.com/otelcol-escalation/otelcol-escalation/internal/evaluate"
	"github.com/otelcol-escalation/otelcol-escalation/internal/rule"
)

// queryable is what a test's queries read.
type queryable = storage.Queryable

// play is one test on its way through time.
type play struct {
	test   *Test
	series []*inputSeries
	// exprs judges the rules in PromQL, step by step. points judges the `metric` rules point by point; it is an evaluator
	// of its own, so that the points do not come into the window of the other a second time.
	exprs, points *evaluate.Evaluator
	sources       []*pointSource
	rules         map[ruleKey]*rule.Rule
	// active are the alerts as they stand, by evaluator and id.
	active map[activeKey]alert.Alert
}

type ruleKey struct{ group, name string }

type activeKey struct {
	evaluator *evaluate.Evaluator
	id        string
}

func newPlay(set *rule.Set, step time.Duration, t *Test, series []*inputSeries) *play {
	opts := evaluate.Options{
		Tagging:            evaluate.TagNone,
		ExternalLabels:     t.ExternalLabels,
		ExternalLabelsKept: true,
		ResendInterval:     0, // every Tick says every alert with its annotations as they are then
		HoldFor:            0, // nothing was before the test: no recovery has to be announced
		NeverMatched:       time.Duration(math.MaxInt64),
		MaxAge:             time.Hour,
		MaxFuture:          5 * time.Minute,
		SeriesPerRule:      math.MaxInt32,
		Series:             math.MaxInt32,

		TranslationStrategy: "UnderscoreEscapingWithSuffixes",
		Lookback:            lookback,
		EvaluationInterval:  step,
	}
	isMetric := func(r *rule.Rule) bool { return r.Metric != "" }
	metrics := map[string]bool{}
	p := &play{test: t, series: series, rules: map[ruleKey]*rule.Rule{}, active: map[activeKey]alert.Alert{}}
	for _, r := range set.Rules() {
		p.rules[ruleKey{r.Group, cmp.Or(r.Name, r.Record)}] = r
		if isMetric(r) {
			metrics[r.Metric] = true
		}
	}
	start := moment(t.Start)
	p.points = evaluate.New(only(set, isMetric), opts, start)
	opts.WholeHistory = true
	p.exprs = evaluate.New(only(set, func(r *rule.Rule) bool { return !isMetric(r) }), opts, start)
	p.sources = pointSources(series, metrics)
	return p
}

// moment is a time as the evaluator is told it. Tests begin at the epoch, and 0 is how the evaluator says "never": a
// nanosecond more is nothing to PromQL, which counts milliseconds.
func moment(t time.Time) time.Time { return t.Add(1) }

func (p *play) window() queryable { return p.exprs.Window() }

// step feeds the window up to ts and evaluates every group.
func (p *play) step(ctx context.Context, ts time.Time) []Failure {
	now := moment(ts)
	if err := p.feed(ts); err != nil {
		return []Failure{{Position: p.test.Position, Msg: err.Error()}}
	}
	for _, g := range p.exprs.Groups() {
		p.exprs.EvaluateGroup(ctx, g.Key, now, now)
	}
	if err := ctx.Err(); err != nil {
		return []Failure{{Position: p.test.Position, Msg: fmt.Sprintf("stopped at %s: %v", formatDuration(ts.Sub(p.test.Start)), err)}}
	}
	var failures []Failure
	for _, problem := range p.exprs.Problems(now) {
		if problem.Kind == evaluate.ProblemEvaluation {
			failures = append(failures, Failure{
				Position: p.position(problem),
				Msg:      fmt.Sprintf("cannot be evaluated at %s: %s", formatDuration(ts.Sub(p.test.Start)), problem.Detail),
			})
		}
	}
	p.exprs.Tick(now)
	p.follow(p.exprs)
	p.pointsUntil(ts)
	return failures
}

// position is that of the rule that has a problem.
func (p *play) position(problem evaluate.Problem) rule.Position {
	if r := p.rules[ruleKey{problem.Group, problem.Rule}]; r != nil {
		return r.Position
	}
	return rule.Position{Path: fmt.Sprintf("group %q, rule %q", problem.Group, problem.Rule)}
}

// feed puts the input series into the window, up to and including ts.
func (p *play) feed(ts time.Time) error {
	until := ts.UnixMilli()
	for _, s := range p.series {
		for _, sample := range s.until(until) {
			if err := p.exprs.Window().Append(s.labels, 0, sample.t, sample.v, nil, sample.h, until); err != nil {
				return fmt.Errorf("the series %s cannot be taken at %dms: %w", s.labels, sample.t, err)
			}
		}
	}
	return nil
}

// pointsUntil judges the points of `metric` rules up to and including ts, each at its own time, and what time alone brings.
func (p *play) pointsUntil(ts time.Time) {
	until := ts.UnixMilli()
	for _, at := range moments(p.sources, until) {
		now := moment(time.UnixMilli(at).UTC())
		p.points.Judge(points(p.sources, at, now), now)
		p.points.Tick(now)
		p.follow(p.points)
	}
	p.points.Tick(moment(ts))
	p.follow(p.points)
}

// follow takes over what an evaluator says about its alerts.
func (p *play) follow(e *evaluate.Evaluator) {
	for _, said := range e.Take().Emissions {
		key := activeKey{e, said.ID}
		switch {
		case said.Silent || said.Stale:
		case said.State == alert.Inactive:
			delete(p.active, key)
		default:
			p.active[key] = said.Alert
		}
	}
}
