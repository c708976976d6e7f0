package evaluate

import (
	"fmt"
	"time"
)

// The kinds of problems that only rules in PromQL have.
const (
	ProblemEvaluation ProblemKind = "evaluation_error"
	ProblemSlow       ProblemKind = "slow_evaluation"
	ProblemBucket     ProblemKind = "beyond_last_bucket"
	ProblemPercent    ProblemKind = "percent_of_fraction"
	ProblemGaugeRate  ProblemKind = "rate_of_gauge"
	ProblemNeverWrote ProblemKind = "never_recorded"
)

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
	return found
}
