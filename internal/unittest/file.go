// Package unittest runs unit tests of rules: files in the format of promtool's, with a few keys of our own, against the
// evaluator that the threshold processor runs.
//
// A test gives series, and says which alerts and which query results there must be at which time. What promtool passes
// passes here, what it fails fails here.
package unittest

import (
	"time"

	"github.com/otelcol-escalation/otelcol-escalation/internal/alert"
	"github.com/otelcol-escalation/otelcol-escalation/internal/rule"
)

// File is one unit-test file.
type File struct {
	Path string
	// RuleFiles are globs, relative to the file's directory.
	RuleFiles []Text
	// EvaluationInterval is the step at which all groups are evaluated, whatever their own interval.
	EvaluationInterval time.Duration
	// GroupOrder are names of groups in the order in which they are evaluated. Those that are not named are evaluated with
	// the first of them, in the order of the files.
	GroupOrder []Text
	// Fuzzy lets numbers match that are neighbours among the floating point numbers.
	Fuzzy bool
	Tests []*Test
}

// Text is a string with its place in the file.
type Text struct {
	Value    string
	Position rule.Position
}

// Test is one element of `tests`.
type Test struct {
	Position rule.Position
	// Name is "" where the test has none; Title is what it is called then.
	Name, Title string
	// Interval is the distance of the values of Series.
	Interval time.Duration
	// Start is the time of the first value and of the first evaluation; every eval_time counts from it.
	Start          time.Time
	Series         []Series
	Alerts         []AlertTest
	Exprs          []ExprTest
	ExternalLabels map[string]string
	ExternalURL    string
}

// Series is one input series, in promtool's notation.
type Series struct {
	Position     rule.Position
	Name, Values Text
}

// AlertTest says which alerts of one name there must be at a time.
type AlertTest struct {
	Position  rule.Position
	At        time.Duration
	Alertname string
	Expected  []ExpectedAlert
}

// ExpectedAlert is one alert that there must be. What is ours is compared only where it is written.
type ExpectedAlert struct {
	Position            rule.Position
	Labels, Annotations map[string]string

	Tier  alert.Severity // NoSeverity: not compared
	Owner string         // "": not compared
	State alert.State    // Firing where nothing is written
	// Actions are sorted; HasActions says that they are compared.
	Actions    []alert.Action
	HasActions bool
}

// ExprTest says what a query must give at a time.
type ExprTest struct {
	Position rule.Position
	Expr     string
	At       time.Duration
	Expected []ExpectedSample
}

// ExpectedSample is one sample of a query's result.
type ExpectedSample struct {
	Position rule.Position
	Labels   string
	Value    float64
	// Histogram is in promtool's notation; where it is not "", Value does not count.
	Histogram string
}

// last is the latest eval_time of the test.
func (t *Test) last() time.Duration {
	var last time.Duration
	for i := range t.Alerts {
		last = max(last, t.Alerts[i].At)
	}
	for i := range t.Exprs {
		last = max(last, t.Exprs[i].At)
	}
	return last
}
