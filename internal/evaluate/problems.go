package evaluate

import (
	"fmt"
	"time"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/promql/parser"

	"github.com/otelcol-escalation/otelcol-escalation/internal/evaluate/window"
	"github.com/otelcol-escalation/otelcol-escalation/internal/rule"
)

// The kinds of problems that only data can show.
const (
	ProblemEvaluation ProblemKind = "evaluation_error"
	ProblemSlow       ProblemKind = "slow_evaluation"
	ProblemBucket     ProblemKind = "beyond_last_bucket"
	ProblemPercent    ProblemKind = "percent_of_fraction"
	ProblemGaugeRate  ProblemKind = "rate_of_gauge"
)

// claims are what an expression takes for granted about the metrics that it reads. Whether it is so only data can show.
type claims struct {
	// counters are the names under rate, increase and irate.
	counters []string
	// buckets are the names of classic buckets under a histogram_quantile that gives the signal.
	buckets []string
	// plain are the names whose values are the signal, as they are or aggregated without being changed in scale.
	plain []string
}

// claimsOf reads a signal. One that does not parse claims nothing: its evaluation says why.
func claimsOf(signal string) claims {
	var c claims
	expr, err := parser.NewParser(parser.Options{}).ParseExpr(signal)
	if err != nil {
		return c
	}
	parser.Inspect(expr, func(node parser.Node, _ []parser.Node) error {
		if call, ok := node.(*parser.Call); ok {
			switch call.Func.Name {
			case "rate", "increase", "irate":
				c.counters = append(c.counters, namesIn(call.Args[0])...)
			}
		}
		return nil
	})
	switch top := unscaled(expr).(type) {
	case *parser.Call:
		if top.Func.Name == "histogram_quantile" {
			c.buckets = namesIn(top.Args[1])
		}
	case *parser.VectorSelector:
		c.plain = namesIn(top)
	}
	return c
}

// unitOf is the name of the series whose unit the signal has, "" where there is none.
func (c *claims) unitOf() string {
	for _, names := range [][]string{c.plain, c.buckets} {
		if len(names) > 0 {
			return names[0]
		}
	}
	return ""
}

// unscaled takes off what leaves values on their scale: parentheses, aggregations that pick or average, the like over
// time, and guards.
func unscaled(expr parser.Expr) parser.Expr {
	switch e := expr.(type) {
	case *parser.ParenExpr:
		return unscaled(e.Expr)
	case *parser.StepInvariantExpr:
		return unscaled(e.Expr)
	case *parser.MatrixSelector:
		return unscaled(e.VectorSelector)
	case *parser.SubqueryExpr:
		return unscaled(e.Expr)
	case *parser.AggregateExpr:
		switch e.Op {
		case parser.MAX, parser.MIN, parser.AVG, parser.QUANTILE, parser.TOPK, parser.BOTTOMK:
			return unscaled(e.Expr)
		}
	case *parser.BinaryExpr:
		if e.Op == parser.LAND || e.Op == parser.LUNLESS {
			return unscaled(e.LHS)
		}
	case *parser.Call:
		switch e.Func.Name {
		case "avg_over_time", "max_over_time", "min_over_time", "last_over_time":
			return unscaled(e.Args[0])
		case "quantile_over_time":
			return unscaled(e.Args[1])
		}
	}
	return expr
}

// namesIn are the metric names that the selectors in an expression ask for.
func namesIn(expr parser.Expr) []string {
	var names []string
	parser.Inspect(expr, func(node parser.Node, _ []parser.Node) error {
		if s, ok := node.(*parser.VectorSelector); ok {
			for _, m := range s.LabelMatchers {
				if m.Name == model.MetricNameLabel && m.Type == labels.MatchEqual {
					names = append(names, m.Value)
				}
			}
		}
		return nil
	})
	return names
}

// exprProblems are those of one rule in PromQL.
func (e *Evaluator) exprProblems(g *groupState, r *exprRule, elapsed int64, now time.Time) []Problem {
	var found []Problem
	name := r.rule.Name
	if name == "" {
		name = r.rule.Record
	}
	add := func(kind ProblemKind, format string, args ...any) {
		found = append(found, Problem{g.Name, name, kind, fmt.Sprintf(format, args...)})
	}
	if f := r.failure.Load(); f != nil {
		add(ProblemEvaluation, "%s", f.text)
	}
	if took := time.Duration(g.took.Load()); took > g.Interval {
		add(ProblemSlow, "the group took %s, which is longer than its interval of %s", took.Round(time.Millisecond), g.Interval)
	}
	if r.metric != nil {
		if n := r.metric.rules[0].count(UnjudgedLimit); n > 0 {
			add(ProblemLimit, "new alerts were not taken because limits are reached")
		}
	}
	if unmatched := e.neverMatched(r, elapsed, now); unmatched != "" {
		add(ProblemNeverMatched, "%s", unmatched)
	}
	e.checkClaims(r, add)
	return found
}

// neverMatched says which selector of a rule selects nothing, "" where all do. One that asks for what is absent is no
// problem while all is well. It looks through all series that the rule selects, and so does that once in probeInterval.
func (e *Evaluator) neverMatched(r *exprRule, elapsed int64, now time.Time) string {
	if r.rule.Query.Absent || elapsed-r.came < int64(e.opts.NeverMatched) {
		return ""
	}
	r.unmatched.mu.Lock()
	defer r.unmatched.mu.Unlock()
	if last := r.unmatched.checked; last != 0 && elapsed-last < probeInterval {
		return r.unmatched.text
	}
	r.unmatched.checked, r.unmatched.text = elapsed, ""
	for _, s := range r.rule.Query.Selectors {
		last, ever := e.window.Newest(window.Selector(s))
		silent := now.Sub(time.UnixMilli(last))
		switch {
		case !ever:
			r.unmatched.text = "no sample for " + selectorText(s)
		case silent > e.opts.NeverMatched:
			r.unmatched.text = fmt.Sprintf("no sample for %s in %s", selectorText(s), silent.Round(time.Second))
		default:
			continue
		}
		break // one is enough to know where to look
	}
	return r.unmatched.text
}

func selectorText(s rule.Selector) string {
	return (&parser.VectorSelector{LabelMatchers: s.Matchers}).String()
}

// checkClaims holds what a rule takes for granted against the metrics that came.
func (e *Evaluator) checkClaims(r *exprRule, add func(ProblemKind, string, ...any)) {
	for _, name := range r.claims.counters {
		if kind, _, ok := e.translator.TypeOf(name); ok && kind == "gauge" {
			add(ProblemGaugeRate, "takes the rate of %s, which is a gauge: its increases are not a count", name)
			break
		}
	}
	for _, name := range r.claims.buckets {
		bound, ok := e.translator.LastBound(name)
		if !ok {
			continue
		}
		if t := beyond(r.rule.Tiers, bound); t != nil {
			add(ProblemBucket, "%s: the last finite bucket of %s ends at %g, and a quantile is never more than that", t, name, bound)
			break
		}
	}
	for _, name := range r.claims.plain {
		if _, unit, ok := e.translator.TypeOf(name); !ok || unit != "1" {
			continue
		}
		if high, is := r.observed.fraction(); is {
			if t := percent(r.rule.Tiers); t != nil {
				add(ProblemPercent, "%s: %s is a fraction between 0 and 1 (unit 1, at most %g so far)", t, name, high)
				break
			}
		}
	}
}

// beyond returns a threshold that no value up to bound can breach.
func beyond(tiers []rule.Tier, bound float64) *rule.Threshold {
	for i := range tiers {
		t := &tiers[i].Threshold
		if t.Op == rule.Above && t.High >= bound || t.Op == rule.AtLeast && t.High > bound {
			return t
		}
	}
	return nil
}

// percent returns a threshold that looks like a percentage.
func percent(tiers []rule.Tier) *rule.Threshold {
	for i := range tiers {
		t := &tiers[i].Threshold
		if (t.Op == rule.Above || t.Op == rule.AtLeast) && t.High > 1 && t.High <= 100 {
			return t
		}
	}
	return nil
}

// lookAt notes the values of a result.
func (o *observed) lookAt(vector promql.Vector) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for i := range vector {
		if vector[i].H == nil {
			o.note(vector[i].F)
		}
	}
}

// note widens the range to a value; the caller holds mu.
func (o *observed) note(v float64) {
	o.low, o.high = min(o.low, v), max(o.high, v)
	o.parts = o.parts || v > 0 && v < 1
}

// fraction reports whether all values lay between 0 and 1, and not all at the ends, and the highest of them. Counts
// that happen to be 0 and 1 are no fractions.
func (o *observed) fraction() (high float64, is bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.high, o.parts && o.low >= 0 && o.high <= 1
}
