package rule

import (
	"math"

	"github.com/prometheus/prometheus/promql/parser"
)

const (
	// maxExpr bounds one PromQL expression, in bytes; the longest that are published take a tenth of it.
	maxExpr = 16 << 10
	// maxTokens bounds how much there is to be parsed in it: the parser's time grows with the square of how deep operators
	// nest, which is a millisecond for a thousand and a second for sixteen thousand.
	maxTokens = 2_000
	// maxExprs and maxAllTokens bound all expressions of one file, at some hundred rules of that kind and thousands as they
	// are written.
	maxExprs     = 512 << 10
	maxAllTokens = 100_000
)

// newParser returns a PromQL parser as Prometheus' server has it by default: without experimental functions.
func newParser() parser.Parser { return parser.NewParser(parser.Options{}) }

// exprSignal reads the PromQL of an alert.
func (d *decoder) exprSignal(m mapping, expr field, r *Rule) {
	if _, ok := m.lookup("where"); ok {
		m.key("where").errorf("belongs to metric rules: put the condition into expr")
	}
	_, tiered := m.lookup("tiers")
	if held, ok := m.get("for"); ok {
		r.For, _ = held.duration()
		if tiered {
			m.key("for").errorf("in a rule with tiers it stands with each threshold: write tiers: {high: {above: …, for: …}}")
		}
	}
	if !tiered {
		r.Severity = d.severity(r.Labels)
	}
	parsed := d.parseExpr(expr, r)
	if parsed == nil {
		return
	}
	d.templateSelectors(m, r)
	r.Query.Pointwise = pointwise(parsed)
	if tiered {
		r.Query.Filters = filters(parsed)
		return
	}
	r.Query.Plain, r.Query.Filters = true, true
	d.split(parsed, r)
}

// split makes the rule's one tier: of the threshold that can be split off, or of Always.
func (d *decoder) split(expr parser.Expr, r *Rule) {
	divided := divide(expr)
	t := divided.threshold
	if t != nil {
		// What is evaluated is text again. No expression is known whose text does not read as it was; should one turn up,
		// then the rule runs as it stands.
		text := divided.signal.String()
		if again, err := d.promql.ParseExpr(text); err == nil && again.String() == text {
			d.parsedSignal = again
			r.Query.Signal, r.Query.Split, r.Query.Shown = text, true, divided.shown
		} else {
			t, divided.reason = nil, "the expression without its comparison cannot be written down"
		}
	}
	if t == nil {
		r.Query.Unsplit = divided.reason
		t = &Threshold{Op: Always, Low: math.Inf(-1), High: math.Inf(1), ClearLow: math.Inf(-1), ClearHigh: math.Inf(1)}
	}
	t.For = r.For
	r.Tiers = []Tier{{Severity: r.Severity, Threshold: *t}}
}

// parseExpr reads PromQL; nil where it is wrong.
func (d *decoder) parseExpr(f field, r *Rule) parser.Expr {
	text, ok := f.nonEmpty(maxExpr)
	if !ok || !d.checkRegexes(f, text) || !d.checkExprs(f, text) {
		return nil
	}
	expr, err := d.promql.ParseExpr(text)
	if err != nil {
		f.errorf("cannot be read as PromQL: %v", err)
		return nil
	}
	switch expr.Type() {
	case parser.ValueTypeVector, parser.ValueTypeScalar:
	default:
		f.errorf("must give an instant vector or a number (got a %s)", parser.DocumentedType(expr.Type()))
		return nil
	}
	r.Expr, d.parsed, d.parsedSignal = text, expr, expr
	r.Query = &Query{Signal: text, Absent: asksForAbsence(expr), Selectors: selectorsOf(expr, d.defaults.Lookback)}
	return expr
}

// checkExprs counts the PromQL of an expression, and of the file, before anything parses it.
func (d *decoder) checkExprs(f field, text string) bool {
	n := tokens(text)
	d.exprSize, d.exprTokens = d.exprSize+len(text), d.exprTokens+n
	switch {
	case n > maxTokens:
		f.errorf("must not have more than %d operators, names and brackets: record parts of it (got more)", maxTokens)
	case d.exprSize > maxExprs:
		f.errorf("the PromQL of one file must not be longer than %d bytes: split the file (got %d up to here)", maxExprs, d.exprSize)
	case d.exprTokens > maxAllTokens:
		f.errorf("the PromQL of one file must not have more than %d operators, names and brackets: split the file (got %d up to here)", maxAllTokens, d.exprTokens)
	default:
		return true
	}
	return false
}

// tokens counts what the parser would get, up to one more than it may.
func tokens(text string) int {
	lexer := parser.Lex(text)
	for n := range maxTokens + 1 {
		var item parser.Item
		lexer.NextItem(&item)
		if item.Typ == parser.EOF || item.Typ == parser.ERROR {
			return n
		}
	}
	return maxTokens + 1
}

// templateSelectors adds what `query` in the rule's templates selects. What is asked is known only where it is a
// constant.
func (d *decoder) templateSelectors(m mapping, r *Rule) {
	look := func(kind string, texts map[string]string) {
		for _, name := range sortedKeys(texts) {
			asked, unknown := templateQueries(texts[name])
			f := m.at(kind, name)
			for _, text := range asked {
				if !d.checkRegexes(f, text) || !d.checkExprs(f, text) {
					continue
				}
				expr, err := d.promql.ParseExpr(text)
				if err != nil {
					d.warnf(f, "its query cannot be read as PromQL, so the text will say so: %v", err)
					continue
				}
				r.Query.Selectors = append(r.Query.Selectors, selectorsOf(expr, d.defaults.Lookback)...)
			}
			if unknown {
				d.warnf(f, "what its query asks is put together only when the alert goes out: it finds what some rule's expr selects, and nothing else, for nothing else is kept")
			}
		}
	}
	look("labels", r.Labels)
	look("annotations", r.Annotations)
}
