package rule

import (
	"slices"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql/parser"
)

// scale is what is known about how large a signal's values can be.
type scale struct {
	// of says whether they lie between 0 and factor; last, where it is not 0, that they are never more than last × factor, as
	// quantiles of a histogram.
	of   fact
	last float64
	// factor is what the values have been multiplied by.
	factor float64
	// what they are, for a message.
	what string
}

// scaleOf looks through what leaves values on their scale, or multiplies them by a number.
func scaleOf(expr parser.Expr) scale {
	switch e := unwrap(expr).(type) {
	case *parser.VectorSelector:
		name := (&Selector{Matchers: e.LabelMatchers}).Name()
		return scale{of: factOf(name), factor: 1, what: name}
	case *parser.MatrixSelector:
		return scaleOf(e.VectorSelector)
	case *parser.SubqueryExpr:
		return scaleOf(e.Expr)
	case *parser.AggregateExpr:
		switch e.Op {
		case parser.MAX, parser.MIN, parser.AVG, parser.QUANTILE, parser.TOPK, parser.BOTTOMK:
			return scaleOf(e.Expr)
		}
	case *parser.BinaryExpr:
		return scaleOfBinary(e)
	case *parser.Call:
		switch e.Func.Name {
		case "avg_over_time", "max_over_time", "min_over_time", "last_over_time", "label_replace", "label_join", "sort", "sort_desc":
			return scaleOf(e.Args[0])
		case "quantile_over_time":
			return scaleOf(e.Args[1])
		case "histogram_quantile":
			return scaleOfQuantile(e)
		}
	}
	return scale{}
}

func scaleOfBinary(e *parser.BinaryExpr) scale {
	switch e.Op {
	case parser.LAND, parser.LUNLESS:
		return scaleOf(e.LHS)
	case parser.MUL:
		if factor, ok := constant(e.RHS); ok {
			return scaleOf(e.LHS).times(factor)
		}
		if factor, ok := constant(e.LHS); ok {
			return scaleOf(e.RHS).times(factor)
		}
	case parser.DIV:
		if divisor, ok := constant(e.RHS); ok {
			return scaleOf(e.LHS).times(1 / divisor)
		}
		if name, ok := shareOf(e); ok {
			return scale{of: fact{fraction: true}, factor: 1, what: "a share of " + name}
		}
	}
	if e.Op.IsComparisonOperator() && !e.ReturnBool {
		if _, ok := constant(e.RHS); ok {
			return scaleOf(e.LHS)
		}
	}
	return scale{}
}

func (s scale) times(factor float64) scale {
	if !(factor > 0) {
		return scale{}
	}
	s.factor *= factor
	return s
}

// shareOf recognises `sum(rate(m{code="500"}[5m])) / sum(rate(m[5m]))`: a part of a counter divided by all of it.
func shareOf(e *parser.BinaryExpr) (string, bool) {
	part, total := summed(e.LHS), summed(e.RHS)
	if part == nil || total == nil || (&Selector{Matchers: total.LabelMatchers}).Name() == "" {
		return "", false
	}
	for _, m := range total.LabelMatchers {
		if !slices.ContainsFunc(part.LabelMatchers, func(o *labels.Matcher) bool { return o.String() == m.String() }) {
			return "", false
		}
	}
	return total.Name, true
}

// summed is the one selector under a sum of rates; nil where there is anything else.
func summed(expr parser.Expr) *parser.VectorSelector {
	sum, ok := unwrap(expr).(*parser.AggregateExpr)
	if !ok || sum.Op != parser.SUM {
		return nil
	}
	call, ok := unwrap(sum.Expr).(*parser.Call)
	if !ok || (call.Func.Name != "rate" && call.Func.Name != "increase") {
		return nil
	}
	matrix, ok := call.Args[0].(*parser.MatrixSelector)
	if !ok {
		return nil
	}
	selector, _ := matrix.VectorSelector.(*parser.VectorSelector)
	return selector
}

// scaleOfQuantile knows the last finite bucket of a histogram whose buckets are documented.
func scaleOfQuantile(call *parser.Call) scale {
	names := namesIn(call.Args[1])
	if len(names) != 1 {
		return scale{}
	}
	base, part := histogramOf(names[0])
	if f := factOf(base); part && f.kind == histogramKind && f.last > 0 {
		return scale{last: f.last, factor: 1, what: base}
	}
	return scale{}
}
