package rule

import (
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/promql/parser"
)

// division is what became of a plain rule's expression.
type division struct {
	// signal and threshold are nil where it could not be split.
	signal    parser.Expr
	threshold *Threshold
	// shown is the constant that the whole expression gives, nil where it gives the signal's own value.
	shown *float64
	// reason says why it could not be split, "" where there was nothing to split.
	reason string
	// truth says that the expression gives a truth value for every series, so that it always or never fires.
	truth bool
}

// divide takes the comparison with a number off an expression, so that what is left is the signal, and the number its
// threshold. It does so only where signal and threshold together say exactly what the expression says: the same series
// fire, with the same value.
func divide(expr parser.Expr) division {
	d := undertake(expr)
	if d.signal != nil && ambiguous(d.signal) {
		// Prometheus takes the name away from what is left after the comparison; without it two series would be one.
		return division{reason: "its selector does not name one metric, so that series which differ in name only could not be told apart"}
	}
	return d
}

func undertake(expr parser.Expr) division {
	switch e := unwrap(expr).(type) {
	case *parser.BinaryExpr:
		switch {
		case e.Op.IsComparisonOperator():
			return divideComparison(e)
		case e.Op == parser.LAND || e.Op == parser.LUNLESS:
			return divideGuarded(e)
		case e.Op == parser.LOR && compares(e):
			return division{reason: "it joins conditions with or, which have no threshold in common"}
		}
	case *parser.AggregateExpr:
		if compares(e) {
			return division{reason: fmt.Sprintf("the comparison stands within %s, and what that gives is not what is compared", e.Op)}
		}
		return division{}
	case *parser.Call:
		if compares(e) {
			return division{reason: fmt.Sprintf("the comparison stands within %s(), and what that gives is not what is compared", e.Func.Name)}
		}
		return division{}
	}
	if compares(expr) {
		return division{reason: "the comparison is not the last thing that it does"}
	}
	return division{}
}

// divideGuarded splits `signal > 5 and guard`: the guard only says which of the series on its left count.
func divideGuarded(e *parser.BinaryExpr) division {
	d := undertake(e.LHS)
	if d.signal == nil {
		if d.reason == "" && compares(e.RHS) {
			d.reason = fmt.Sprintf("the comparison stands on the right of %s, which only says which series on its left count", e.Op)
		}
		d.truth = false // the guard decides
		return d
	}
	guarded := *e
	guarded.LHS = &parser.ParenExpr{Expr: unwrap(d.signal)}
	d.signal = &guarded
	return d
}

func divideComparison(e *parser.BinaryExpr) division {
	op, signal := e.Op, e.LHS
	number, ok := constant(e.RHS)
	if !ok {
		if number, ok = constant(e.LHS); ok {
			op, signal = mirrored(e.Op), e.RHS
		}
	}
	switch {
	case e.LHS.Type() == parser.ValueTypeScalar && e.RHS.Type() == parser.ValueTypeScalar:
		return division{reason: "it compares two numbers, which gives one number and no series", truth: true}
	case !ok:
		return division{reason: "it compares two expressions: neither side is a number", truth: e.ReturnBool}
	case math.IsNaN(number) || math.IsInf(number, 0):
		return division{reason: fmt.Sprintf("%v is no threshold", number), truth: e.ReturnBool}
	case e.ReturnBool:
		return division{reason: "with bool it gives 0 or 1 for every series and drops none, so that it fires for all of them", truth: true}
	}
	if d, ok := divideTruth(op, unwrap(signal), number); ok {
		return d
	}
	switch op {
	case parser.EQLC, parser.NEQ:
		return division{reason: fmt.Sprintf("%s has no side on which more values would meet it", op)}
	}
	return division{signal: unwrap(signal), threshold: compared(op, number)}
}

// divideTruth splits `(signal > bool 5) == 1`, whose value is 1 whatever the signal is.
func divideTruth(op parser.ItemType, signal parser.Expr, number float64) (division, bool) {
	inner, ok := signal.(*parser.BinaryExpr)
	if !ok || !inner.Op.IsComparisonOperator() || !inner.ReturnBool {
		return division{}, false
	}
	switch whenTrue, whenFalse := holds(op, 1, number), holds(op, 0, number); {
	case whenTrue && whenFalse:
		return division{reason: "0 and 1 both meet it, so that it fires for every series", truth: true}, true
	case !whenTrue && !whenFalse:
		return division{reason: "neither 0 nor 1 meets it, so that it never fires", truth: true}, true
	case whenFalse:
		return division{reason: "it fires where a comparison with bool is false, which it is for NaN, too"}, true
	}
	filtering := *inner
	filtering.ReturnBool = false
	d := divideComparison(&filtering)
	if d.signal == nil {
		return division{reason: d.reason}, true
	}
	one := 1.0
	d.shown = &one
	return d, true
}

func holds(op parser.ItemType, v, number float64) bool {
	switch op {
	case parser.EQLC:
		return v == number
	case parser.NEQ:
		return v != number
	}
	return compared(op, number).Breached(v)
}

// compared is the threshold of a comparison whose number stands on the right.
func compared(op parser.ItemType, number float64) *Threshold {
	t := &Threshold{Low: math.Inf(-1), High: math.Inf(1)}
	switch op {
	case parser.GTR:
		t.Op, t.High = Above, number
	case parser.GTE:
		t.Op, t.High = AtLeast, number
	case parser.LSS:
		t.Op, t.Low = Below, number
	default:
		t.Op, t.Low = AtMost, number
	}
	t.ClearLow, t.ClearHigh = t.Low, t.High
	return t
}

// mirrored is the comparison that says the same with its sides exchanged.
func mirrored(op parser.ItemType) parser.ItemType {
	switch op {
	case parser.GTR:
		return parser.LSS
	case parser.GTE:
		return parser.LTE
	case parser.LSS:
		return parser.GTR
	case parser.LTE:
		return parser.GTE
	}
	return op
}

// constant is the value of an expression of number literals: 5, -5, 0.9 * 100.
func constant(expr parser.Expr) (float64, bool) {
	switch e := unwrap(expr).(type) {
	case *parser.NumberLiteral:
		return e.Val, true
	case *parser.UnaryExpr:
		v, ok := constant(e.Expr)
		if e.Op == parser.SUB {
			v = -v
		}
		return v, ok
	case *parser.BinaryExpr:
		left, ok := constant(e.LHS)
		right, also := constant(e.RHS)
		if !ok || !also {
			return 0, false
		}
		switch e.Op {
		case parser.ADD:
			return left + right, true
		case parser.SUB:
			return left - right, true
		case parser.MUL:
			return left * right, true
		case parser.DIV:
			return left / right, true
		case parser.POW:
			return math.Pow(left, right), true
		case parser.MOD:
			return math.Mod(left, right), true
		}
	}
	return 0, false
}

// compares reports whether there is a comparison with a vector in an expression.
func compares(expr parser.Expr) bool {
	found := false
	parser.Inspect(expr, func(node parser.Node, _ []parser.Node) error {
		if e, ok := node.(*parser.BinaryExpr); ok && e.Op.IsComparisonOperator() {
			found = true
		}
		return nil
	})
	return found
}

// ambiguous reports whether series of an expression's result may have the same labels but for the metric's name.
func ambiguous(expr parser.Expr) bool {
	switch e := unwrap(expr).(type) {
	case *parser.VectorSelector:
		return (&Selector{Matchers: e.LabelMatchers}).Name() == ""
	case *parser.MatrixSelector:
		return ambiguous(e.VectorSelector)
	case *parser.SubqueryExpr:
		return ambiguous(e.Expr)
	case *parser.AggregateExpr:
		if !picks(e) {
			return !e.Without && slices.Contains(e.Grouping, model.MetricNameLabel)
		}
		return ambiguous(e.Expr)
	case *parser.BinaryExpr:
		switch {
		case e.Op == parser.LOR:
			return ambiguous(e.LHS) || ambiguous(e.RHS)
		case e.Op.IsSetOperator(), e.Op.IsComparisonOperator() && !e.ReturnBool:
			return ambiguous(e.LHS) || e.LHS.Type() == parser.ValueTypeScalar && ambiguous(e.RHS)
		}
	case *parser.Call:
		if strings.HasPrefix(e.Func.Name, "label_") {
			if to, ok := unwrap(e.Args[1]).(*parser.StringLiteral); ok && to.Val == model.MetricNameLabel {
				return true
			}
		}
		return slices.ContainsFunc(e.Args, ambiguous)
	}
	return false
}
