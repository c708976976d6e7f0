package rule

import (
	"slices"
	"strings"
	"time"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql/parser"
)

// reviewExpr says what can be seen to be wrong with PromQL without any data. expr is the rule's expression.
func (d *decoder) reviewExpr(m mapping, g *Group, r *Rule, expr parser.Expr) {
	at := m.at("expr")
	d.reviewNames(at, expr)
	d.reviewCounters(at, expr)
	d.reviewQuantiles(at, expr)
	d.reviewDenominators(at, expr)
	d.reviewAbsent(at, expr)
	d.reviewRanges(at, g, expr)
	if r.Record != "" {
		return
	}
	d.reviewFor(m, g, r)
	d.reviewComparison(at, r, expr)
	d.reviewScale(m, r)
}

// reviewNames finds metrics that are called otherwise now.
func (d *decoder) reviewNames(at field, expr parser.Expr) {
	names := namesIn(expr)
	for _, name := range names {
		f := factOf(name)
		base, _ := histogramOf(name)
		switch suffix := strings.TrimPrefix(name, base); {
		case f.now == "":
			continue
		case suffix != "" && !strings.Contains(f.now, " "):
			f.now += suffix
		}
		if slices.ContainsFunc(names, func(other string) bool {
			other, _ = histogramOf(strings.TrimSuffix(other, "_total"))
			return strings.Contains(f.now, other)
		}) {
			continue // the expression reads both, for servers old and new
		}
		d.warnf(at, "reads %s, which current versions do not expose: what there is now is %s", name, f.now)
	}
}

// reviewCounters looks at what is under rate and the like.
func (d *decoder) reviewCounters(at field, expr parser.Expr) {
	seen := map[string]bool{}
	all := namesIn(expr)
	eachCall(expr, func(call *parser.Call, _ []parser.Node) {
		switch call.Func.Name {
		case "rate", "increase", "irate":
		default:
			return
		}
		for _, name := range namesIn(call.Args[0]) {
			f := factOf(name)
			_, part := histogramOf(name)
			switch {
			case seen[name]:
			case f.latched:
				d.warnf(at, "takes %s() of %s, which keeps the code of the last error: a second error of the same kind changes nothing, and a lower code looks like a restart; write changes(%s[…]) > 0 or %s > 0",
					call.Func.Name, name, name, name)
			case f.kind == gauge, f.kind == unknownKind && strings.HasSuffix(name, "_usage_perc"):
				d.warnf(at, "takes %s() of %s, which is a gauge: whenever it falls that counts as a restart; use its value, or deriv() or delta()", call.Func.Name, name)
			case f.kind == counter && !strings.HasSuffix(name, "_total") && !slices.Contains(all, name+"_total"):
				d.warnf(at, "reads %s, which is a counter: Prometheus' translation of OTLP gives those _total, unless translation_strategy leaves suffixes out; write %s_total", name, name)
			case f.kind == histogramKind && !part && f.last > 0:
				d.warnf(at, "takes %s() of %s, which is a histogram: as a classic one it has the series %s_count, %s_sum and %s_bucket", call.Func.Name, name, name, name, name)
			default:
				continue
			}
			seen[name] = true
		}
	})
}

// reviewQuantiles looks at how quantiles of classic histograms come about.
func (d *decoder) reviewQuantiles(at field, expr parser.Expr) {
	eachCall(expr, func(call *parser.Call, _ []parser.Node) {
		if call.Func.Name != "histogram_quantile" {
			return
		}
		parser.Inspect(call.Args[1], func(node parser.Node, path []parser.Node) error {
			s, ok := node.(*parser.VectorSelector)
			if !ok || !strings.HasSuffix((&Selector{Matchers: s.LabelMatchers}).Name(), "_bucket") {
				return nil
			}
			counted := false
			for _, n := range path {
				switch n := n.(type) {
				case *parser.MatrixSelector, *parser.SubqueryExpr:
					counted = true
				case *parser.AggregateExpr:
					if slices.Contains(n.Grouping, labels.BucketLabel) == n.Without {
						d.warnf(at, "takes a quantile of what %s has left without le, so that there is never a result: write %s by (le, …)", n.Op, n.Op)
						return nil
					}
				}
			}
			if !counted {
				d.warnf(at, "takes a quantile of all that %s has counted since its start, which new observations move less and less: write rate(%s[5m])", s.Name, s.Name)
			}
			return nil
		})
	})
}

// reviewDenominators finds ratios whose denominator is replaced by a number when it is small or missing: with little
// traffic they read too low.
func (d *decoder) reviewDenominators(at field, expr parser.Expr) {
	parser.Inspect(expr, func(node parser.Node, _ []parser.Node) error {
		ratio, ok := node.(*parser.BinaryExpr)
		if !ok || ratio.Op != parser.DIV {
			return nil
		}
		switch below := unwrap(ratio.RHS).(type) {
		case *parser.Call:
			if below.Func.Name != "clamp_min" || !ratesIn(below.Args[0]) {
				return nil
			}
			// A number that no traffic falls below, such as 1e-9, only keeps 0 / 0 away.
			if floor, ok := constant(below.Args[1]); ok && floor > 0.001 {
				d.warnf(at, "divides by at least %s a second: with less traffic than that it reads too low, so that a total failure of few requests stays hidden; divide by the rate itself, and ask for traffic with and … > 0",
					formatFloat(floor))
			}
		case *parser.BinaryExpr:
			if below.Op != parser.LOR || !ratesIn(below.LHS) {
				return nil
			}
			if instead, ok := constantVector(below.RHS); ok && instead > 0.001 {
				d.warnf(at, "divides by %s where its denominator is missing, so that a total failure stays hidden: divide by the rate itself", formatFloat(instead))
			}
		}
		return nil
	})
}

// reviewAbsent looks at what is asked of what is not there.
func (d *decoder) reviewAbsent(at field, expr parser.Expr) {
	eachCall(expr, func(call *parser.Call, _ []parser.Node) {
		if call.Func.Name != "absent" {
			return
		}
		aggregation, ok := unwrap(call.Args[0]).(*parser.AggregateExpr)
		if !ok || picks(aggregation) {
			return
		}
		lost := false
		parser.Inspect(aggregation, func(node parser.Node, _ []parser.Node) error {
			if s, ok := node.(*parser.VectorSelector); ok {
				lost = lost || slices.ContainsFunc(s.LabelMatchers, func(m *labels.Matcher) bool {
					return m.Type == labels.MatchEqual && m.Name != model.MetricNameLabel
				})
			}
			return nil
		})
		if lost {
			d.warnf(at, "gives an alert without labels: absent() takes them from a selector that stands in it alone; leave %s out", aggregation.Op)
		}
	})
}

// reviewRanges finds ranges that are too short for the samples that they need.
func (d *decoder) reviewRanges(at field, g *Group, expr parser.Expr) {
	if g.Interval <= 0 {
		return
	}
	shortest := 2 * g.Interval
	eachCall(expr, func(call *parser.Call, _ []parser.Node) {
		switch call.Func.Name {
		case "rate", "increase", "irate", "delta", "idelta", "deriv", "predict_linear", "changes", "resets":
		default:
			return
		}
		if matrix, ok := call.Args[0].(*parser.MatrixSelector); ok && matrix.Range < shortest {
			d.warnf(at, "%s() needs two samples, and a range of %s holds two only where they come more often than the group's interval of %s: write at least [%s]",
				call.Func.Name, duration(matrix.Range), duration(g.Interval), duration(shortest))
		}
	})
}

// reviewFor finds a `for` that the clock of the group cannot tell from one interval.
func (d *decoder) reviewFor(m mapping, g *Group, r *Rule) {
	short := func(held time.Duration) bool { return held > 0 && held < g.Interval }
	const text = "is shorter than the group's interval of %s, which it takes in any case: write for: %s"
	if r.Query.Plain {
		if short(r.For) {
			d.warnf(m.at("for"), text, duration(g.Interval), duration(g.Interval))
		}
		return
	}
	for i := range r.Tiers {
		if short(r.Tiers[i].For) {
			d.warnf(m.at("tiers", r.Tiers[i].Severity.String(), "for"), text, duration(g.Interval), duration(g.Interval))
		}
	}
}

// reviewComparison looks at the comparison that an alert's expression ends in, or should not end in.
func (d *decoder) reviewComparison(at field, r *Rule, expr parser.Expr) {
	divided := divide(expr)
	if r.Query.Plain && divided.truth {
		d.warnf(at, "%s: leave bool out", divided.reason)
	}
	if !r.Query.Plain && divided.threshold != nil && !r.Query.Absent {
		d.warnf(at, "compares already (%s), and so do the tiers: a value that it drops counts as recovered, whatever clear says; leave the comparison to the tiers", divided.threshold)
	}
	if !r.Query.Plain {
		d.reviewAggregated(at, expr)
	}
	d.reviewCount(at, r, expr)
}

// reviewAggregated finds sums and counts of what a comparison leaves, in rules with tiers: where it leaves nothing, there
// is no value instead of 0, and that counts as missing data.
func (d *decoder) reviewAggregated(at field, expr parser.Expr) {
	aggregation, ok := unwrap(expr).(*parser.AggregateExpr)
	if !ok || (aggregation.Op != parser.COUNT && aggregation.Op != parser.SUM) || !filters(aggregation.Expr) {
		return
	}
	d.warnf(at, "has no value where nothing meets the comparison within %s, which counts as missing data and not as 0: write sum(… > bool …), or add or vector(0)", aggregation.Op)
}

// reviewCount finds counts that are to be small: of nothing there is no count.
func (d *decoder) reviewCount(at field, r *Rule, expr parser.Expr) {
	compared, ok := unwrap(expr).(*parser.BinaryExpr)
	signal := unwrap(expr)
	if ok && compared.Op.IsComparisonOperator() {
		signal = unwrap(compared.LHS)
	}
	count, ok := signal.(*parser.AggregateExpr)
	if !ok || count.Op != parser.COUNT {
		return
	}
	small := slices.ContainsFunc(r.Tiers, func(t Tier) bool { return t.Op == Below || t.Op == AtMost || t.Op == Outside && t.Low > 0 })
	if compared != nil && compared.Op == parser.EQLC {
		number, isNumber := constant(compared.RHS)
		small = isNumber && number == 0
	}
	if !small {
		return
	}
	if len(count.Grouping) == 0 && filters(count.Expr) {
		d.warnf(at, "counts what meets a comparison, and where nothing does there is no count and no alert: write sum(… == bool …)")
		return
	}
	zero := func(t Tier) bool { return t.Op == Below && t.Low <= 1 || t.Op == AtMost && t.Low < 1 }
	if compared != nil && compared.Op == parser.EQLC || slices.ContainsFunc(r.Tiers, zero) {
		d.warnf(at, "can never be met: of nothing there is no count, not a count of 0; use absent()")
	}
}

// reviewScale holds the thresholds against what the signal can be.
func (d *decoder) reviewScale(m mapping, r *Rule) {
	s := scaleOf(d.parsedSignal)
	for i := range r.Tiers {
		t := &r.Tiers[i]
		at := m.at("tiers", t.Severity.String(), t.Op.String())
		if r.Query.Plain {
			at = m.at("expr")
		}
		bound := t.Bound(maxOf(t.Threshold))
		switch {
		case s.of.percentage(bound, s.factor):
			d.warnf(at, "%s looks like a percentage, and %s is a fraction between 0 and %s: write %s", t.bare(), s.what, formatFloat(s.factor), formatFloat(bound/100))
		case s.last > 0 && (t.Op == Above || t.Op == Outside) && bound >= s.last*s.factor, s.last > 0 && t.Op == AtLeast && bound > s.last*s.factor:
			d.warnf(at, "%s can never be met: a quantile of %s is never more than its last finite bucket, which is %s", t.bare(), s.what, formatFloat(s.last*s.factor))
		}
	}
}

// bare is the condition without its `for`.
func (t *Threshold) bare() string {
	copied := *t
	copied.For = 0
	return copied.String()
}

func maxOf(t Threshold) float64 {
	if t.Op == Outside {
		return t.High + 1
	}
	return 0
}

func eachCall(expr parser.Expr, visit func(call *parser.Call, path []parser.Node)) {
	parser.Inspect(expr, func(node parser.Node, path []parser.Node) error {
		if call, ok := node.(*parser.Call); ok {
			visit(call, path)
		}
		return nil
	})
}

// ratesIn reports whether an expression counts events over time, so that it depends on how much traffic there is.
func ratesIn(expr parser.Expr) bool {
	found := false
	eachCall(expr, func(call *parser.Call, _ []parser.Node) {
		switch call.Func.Name {
		case "rate", "irate":
			found = true
		}
	})
	return found
}

// namesIn are the metric names that an expression's selectors ask for, each once.
func namesIn(expr parser.Node) []string {
	var names []string
	parser.Inspect(expr, func(node parser.Node, _ []parser.Node) error {
		if s, ok := node.(*parser.VectorSelector); ok {
			if name := (&Selector{Matchers: s.LabelMatchers}).Name(); name != "" && !slices.Contains(names, name) {
				names = append(names, name)
			}
		}
		return nil
	})
	return names
}

// constantVector is the value of `vector(1)`.
func constantVector(expr parser.Expr) (float64, bool) {
	call, ok := unwrap(expr).(*parser.Call)
	if !ok || call.Func.Name != "vector" {
		return 0, false
	}
	return constant(call.Args[0])
}
