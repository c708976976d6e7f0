package main

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/prometheus/prometheus/util/junitxml"

	"github.com/otelcol-escalation/otelcol-escalation/internal/rule"
	"github.com/otelcol-escalation/otelcol-escalation/internal/unittest"
)

// testReport is what `test` says, file by file as they are done.
type testReport struct {
	out, errs io.Writer
	started   time.Time
	results   []*unittest.Result
	// unread says that an argument names no file.
	unread bool
	// err is why the report could not be written.
	err error
}

// refused reports what is wrong with the arguments.
func (r *testReport) refused(err error) {
	if err != nil {
		r.unread = true
		r.printf(r.errs, "%v\n", err)
	}
}

// add reports the results of one file.
func (r *testReport) add(result *unittest.Result) {
	r.results = append(r.results, result)
	for _, w := range result.Warnings {
		r.printf(r.errs, "%s\n", rule.Warning{Position: w.Position, Msg: "warning: " + w.Msg})
	}
	if result.Err != nil {
		r.printf(r.errs, "%v\n", result.Err)
		return
	}
	r.printf(r.out, "%s\n", result.Path)
	for i := range result.Tests {
		t := &result.Tests[i]
		if len(t.Failures) == 0 {
			r.printf(r.out, "  ok    %s\n", t.Title)
		} else {
			r.printf(r.out, "  FAIL  %s\n", t.Title)
		}
		for _, f := range t.Failures {
			r.printf(r.out, "%s\n", indent(f.Error(), "        "))
		}
		if t.Dump != "" {
			r.printf(r.errs, "%s: every sample of %q:\n%s\n", result.Path, t.Title, indent(t.Dump, "  "))
		}
	}
}

func (r *testReport) summarize() {
	tests, failed, skipped, unread := 0, 0, 0, 0
	for _, result := range r.results {
		tests += len(result.Tests)
		skipped += result.Skipped
		if result.Err != nil {
			unread++
		}
		for i := range result.Tests {
			if len(result.Tests[i].Failures) > 0 {
				failed++
			}
		}
	}
	line := fmt.Sprintf("%s, %s: %d failed", count(len(r.results), "file"), count(tests, "test"), failed)
	if skipped > 0 {
		line += fmt.Sprintf(", %d not selected", skipped)
	}
	if unread > 0 {
		line += fmt.Sprintf(", %s cannot be read", count(unread, "file"))
	}
	r.printf(r.out, "%s\n", line)
}

func (r *testReport) failed() bool {
	for _, result := range r.results {
		if result.Failed() {
			return true
		}
	}
	return r.unread
}

// junit is the report as CI servers read it: a suite per file, a case per test.
func (r *testReport) junit() *junitxml.JUnitXML {
	x := &junitxml.JUnitXML{}
	for _, result := range r.results {
		suite := x.Suite(result.Path)
		suite.Settime(r.started.Format("2006-01-02T15:04:05"))
		suite.SkippedCount = result.Skipped
		if result.Err != nil {
			suite.Abort(result.Err)
			continue
		}
		for i := range result.Tests {
			suite.Case(result.Tests[i].Title)
			for _, f := range result.Tests[i].Failures {
				suite.Fail(f.Error())
			}
		}
	}
	return x
}

func (r *testReport) printf(w io.Writer, format string, args ...any) {
	_, err := fmt.Fprintf(w, format, args...)
	r.err = errors.Join(r.err, err)
}

func indent(text, by string) string {
	return by + strings.ReplaceAll(text, "\n", "\n"+by)
}
