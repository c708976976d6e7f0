package rule

import (
	"slices"
	"strconv"
	"time"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
)

// Query is the compiled PromQL of an `expr` rule, alert or recording rule.
type Query struct {
	// Signal is the PromQL that is evaluated: the expression without its last comparison where that became the rule's
	// threshold (Split), the whole expression otherwise.
	Signal string
	// Split says that the expression's comparison with a number became the rule's one tier.
	Split bool
	// Unsplit says why a plain rule could not be split, "" where it was, or where there was nothing to split.
	Unsplit string
	// Plain says that the rule has no tiers of ours: it behaves as Prometheus has it, whatever is absent from the result
	// has recovered.
	Plain bool
	// Filters says that the form of the expression drops series that are fine (comparison without bool, and, unless
	// above the aggregation), so that absence is recovery. Always true where Plain is.
	Filters bool
	// Pointwise says that each value of the signal comes from the newest sample of one series, or of one on each side of an
	// operator: whatever else the window holds does not change it.
	Pointwise bool
	// Absent says that the expression looks for what is not there: absent, absent_over_time.
	Absent bool
	// Shown is what templates see as the value where the expression gives a constant (a truth value compared with a
	// number); nil: the signal's own.
	Shown *float64
	// Selectors are all vector selectors of the expression and of `query` calls in the rule's templates.
	Selectors []Selector
}

// Selector is what one vector selector reads.
type Selector struct {
	// Matchers select the series; a name stands among them as __name__.
	Matchers []*labels.Matcher
	// Before and After say which samples are read: from Before before the evaluation to After after it. Range, offset,
	// @, subqueries and look-back are counted; After is not 0 only with a negative offset.
	Before, After time.Duration
	// Fixed says that the selector reads at a fixed time (@ with a timestamp), so that Before is only a lower bound.
	Fixed bool
}

// Source is the name of the metric that the query reads first, which is what it is about: the numerator of a ratio, what
// stands left of a guard. It is "" where no selector asks for a name.
func (q *Query) Source() string {
	for i := range q.Selectors {
		if name := q.Selectors[i].Name(); name != "" {
			return name
		}
	}
	return ""
}

// Name is the one metric name that the selector asks for, "" where it does not ask for one.
func (s *Selector) Name() string {
	for _, m := range s.Matchers {
		if m.Name == model.MetricNameLabel && m.Type == labels.MatchEqual {
			return m.Value
		}
	}
	return ""
}

// twins gives rules in PromQL of the same group, name and labels, which Prometheus runs side by side, something to be
// told apart by: the expression, and a number where that is the same, too. The first has none.
type twins map[string]int

func (t twins) of(r *Rule) string {
	if r.Query == nil || r.Record != "" {
		return ""
	}
	name, key := r.naming(), r.identity()
	t[key]++
	if t[name]++; t[name] == 1 {
		return ""
	}
	if n := t[key]; n > 1 {
		return r.Expr + " #" + strconv.Itoa(n)
	}
	return r.Expr
}

// withTwin returns the group with one of its rules marked as another's twin. Rules are immutable: they may be in use.
func (g *Group) withTwin(i int, twin string) *Group {
	marked := *g
	marked.Rules = slices.Clone(g.Rules)
	r := *g.Rules[i]
	r.Twin = twin
	r.hash = r.stateHash()
	marked.Rules[i] = &r
	return &marked
}
