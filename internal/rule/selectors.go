package rule

import (
	"slices"
	"strings"
	"time"

	"github.com/prometheus/prometheus/promql/parser"
)

// selectorsOf are the vector selectors of an expression, each with the time that it reads around an evaluation. It is the
// engine's own reckoning (getTimeRangesForSelector), for an instant query whose time is not known yet.
func selectorsOf(expr parser.Expr, lookback time.Duration) []Selector {
	var all []Selector
	parser.Inspect(expr, func(node parser.Node, path []parser.Node) error {
		if s, ok := node.(*parser.VectorSelector); ok {
			all = append(all, selectorAt(s, path, lookback))
		}
		return nil
	})
	return all
}

// selectorAt places one selector. oldest and newest are relative to the evaluation: negative is before it.
func selectorAt(s *parser.VectorSelector, path []parser.Node, lookback time.Duration) Selector {
	var oldest, newest time.Duration
	fixed := false
	for _, node := range path {
		sub, ok := node.(*parser.SubqueryExpr)
		if !ok {
			continue
		}
		if sub.Timestamp != nil || sub.StartOrEnd != 0 { // @ takes the place of all that stands around it
			oldest, newest, fixed = 0, 0, sub.Timestamp != nil
		}
		oldest, newest = oldest-sub.OriginalOffset-sub.Range, newest-sub.OriginalOffset
	}
	if s.Timestamp != nil || s.StartOrEnd != 0 {
		oldest, newest, fixed = 0, 0, s.Timestamp != nil
	}
	length := lookback
	if len(path) > 0 {
		if matrix, ok := path[len(path)-1].(*parser.MatrixSelector); ok {
			length = matrix.Range
		}
	}
	oldest, newest = oldest-length-s.OriginalOffset, newest-s.OriginalOffset
	return Selector{
		Matchers: slices.Clone(s.LabelMatchers),
		Before:   max(-oldest, 0),
		After:    max(newest, 0),
		Fixed:    fixed,
	}
}

// asksForAbsence reports whether an expression looks for what is not there.
func asksForAbsence(expr parser.Expr) bool {
	found := false
	parser.Inspect(expr, func(node parser.Node, _ []parser.Node) error {
		if call, ok := node.(*parser.Call); ok && strings.HasPrefix(call.Func.Name, "absent") {
			found = true
		}
		return nil
	})
	return found
}

// filters reports whether the form of an expression drops series that are fine, so that what is absent from its result
// has recovered: a comparison without bool, and, unless, above any aggregation, or one that picks series. What other
// aggregations leave out is not seen in their result, and an aggregate that is missing had nothing to aggregate.
func filters(expr parser.Expr) bool {
	switch e := unwrap(expr).(type) {
	case *parser.UnaryExpr:
		return filters(e.Expr)
	case *parser.AggregateExpr:
		return picks(e)
	case *parser.BinaryExpr:
		if e.Type() == parser.ValueTypeVector && (e.Op == parser.LAND || e.Op == parser.LUNLESS || e.Op.IsComparisonOperator() && !e.ReturnBool) {
			return true
		}
		return filters(e.LHS) || filters(e.RHS)
	case *parser.SubqueryExpr:
		return filters(e.Expr)
	case *parser.Call:
		if strings.HasPrefix(e.Func.Name, "absent") || e.Func.Name == "scalar" {
			return false // they give something where their argument is empty
		}
		return slices.ContainsFunc(e.Args, filters)
	}
	return false
}

// picks reports whether an aggregation gives some of its series as they are, as topk does.
func picks(e *parser.AggregateExpr) bool {
	switch e.Op {
	case parser.TOPK, parser.BOTTOMK, parser.LIMITK, parser.LIMIT_RATIO:
		return true
	}
	return false
}

// unwrap takes off what does not change an expression's value: parentheses, and the mark of a constant sub-expression.
func unwrap(expr parser.Expr) parser.Expr {
	for {
		switch e := expr.(type) {
		case *parser.ParenExpr:
			expr = e.Expr
		case *parser.StepInvariantExpr:
			expr = e.Expr
		default:
			return expr
		}
	}
}

// pointwise reports whether each value of an expression comes from one sample of a series, or from one on each side of an
// operator. What takes many samples of a series, or many series, gives another value while some of them are missing.
func pointwise(expr parser.Expr) bool {
	switch e := unwrap(expr).(type) {
	case *parser.NumberLiteral, *parser.VectorSelector:
		return true
	case *parser.UnaryExpr:
		return pointwise(e.Expr)
	case *parser.BinaryExpr:
		return pointwise(e.LHS) && pointwise(e.RHS)
	case *parser.Call:
		switch e.Func.Name {
		case "abs", "ceil", "clamp", "clamp_max", "clamp_min", "exp", "floor", "label_join", "label_replace", "ln", "log10", "log2",
			"round", "sgn", "sqrt", "time", "timestamp":
			for _, arg := range e.Args {
				if arg.Type() != parser.ValueTypeString && !pointwise(arg) {
					return false
				}
			}
			return true
		}
	}
	return false
}
