package unittest

import (
	"cmp"
	"errors"
	"slices"

	"github.com/otelcol-escalation/otelcol-escalation/internal/rule"
)

// Result is what came of one file.
type Result struct {
	Path string
	// Err says why no test of the file was run: it could not be read.
	Err error
	// Warnings are what promtool passes over, and what probably was not meant.
	Warnings []rule.Warning
	Tests    []TestResult
	// Skipped counts the tests that were not asked for.
	Skipped int

	// listed are the errors of rule files that a test has shown already.
	listed string
}

// Failed reports whether the file could not be read, or a test failed.
func (r *Result) Failed() bool {
	return r.Err != nil || slices.ContainsFunc(r.Tests, func(t TestResult) bool { return len(t.Failures) > 0 })
}

// warn adds what was not said yet.
func (r *Result) warn(warnings []rule.Warning) {
	for _, w := range warnings {
		if !slices.Contains(r.Warnings, w) {
			r.Warnings = append(r.Warnings, w)
		}
	}
}

// TestResult is what came of one test.
type TestResult struct {
	Title    string
	Position rule.Position
	// Failures are in the order of the file; none: the test passed.
	Failures []Failure
	// Dump is everything in the window at the end, where it was asked for.
	Dump string
}

// Failure is one thing that was not as expected. Its message may have several lines.
type Failure struct {
	Position rule.Position
	Msg      string
}

// Error has the form of rule.Error.
func (f Failure) Error() string { return (&rule.Error{Position: f.Position, Msg: f.Msg}).Error() }

func sortFailures(failures []Failure) {
	slices.SortStableFunc(failures, func(a, b Failure) int {
		return cmp.Or(cmp.Compare(a.Position.Line, b.Position.Line), cmp.Compare(a.Position.Column, b.Position.Column))
	})
}

// unloaded are the failures of a test whose rule files are wrong. The errors are listed once, not with every test.
func (r *Result) unloaded(err error, at rule.Position) []Failure {
	var errs rule.Errors
	if !errors.As(err, &errs) {
		errs = rule.Errors{{Position: at, Msg: err.Error()}}
	}
	if r.listed == errs.Error() {
		return []Failure{{Position: at, Msg: "its rule files cannot be read: see the test before"}}
	}
	r.listed = errs.Error()
	all := make([]Failure, len(errs))
	for i, e := range errs {
		all[i] = Failure{Position: e.Position, Msg: e.Msg}
	}
	return all
}
