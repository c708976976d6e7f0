package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"github.com/otelcol-escalation/otelcol-escalation/internal/rule"
)

const (
	outputText = "text"
	outputJSON = "json"
)

var outputs = []string{outputText, outputJSON}

// report is what `check --output json` prints.
type report struct {
	Files []string `json:"files"`
	// Rules counts the rules of the files that are right.
	Rules    int       `json:"rules"`
	Errors   []finding `json:"errors"`
	Warnings []finding `json:"warnings"`
}

// finding is one error or warning. Line and column are 1-based, and left out where there is none.
type finding struct {
	File    string `json:"file,omitempty"`
	Line    int    `json:"line,omitempty"`
	Column  int    `json:"column,omitempty"`
	Path    string `json:"path,omitempty"`
	Message string `json:"message"`
	// Severity is severityError or severityWarning, so that a finding says what it is wherever it is taken to.
	Severity string `json:"severity"`

	position rule.Position
}

const (
	severityError   = "error"
	severityWarning = "warning"
)

func newFinding(p rule.Position, message, severity string) finding {
	return finding{File: p.File, Line: p.Line, Column: p.Column, Path: p.Path, Message: message, Severity: severity, position: p}
}

// fail takes over what err consists of; nil is nothing.
func (r *report) fail(err error) {
	var many rule.Errors
	switch {
	case err == nil:
	case errors.As(err, &many):
		for _, e := range many {
			r.Errors = append(r.Errors, newFinding(e.Position, e.Msg, severityError))
		}
	default:
		r.Errors = append(r.Errors, newFinding(rule.Position{}, err.Error(), severityError))
	}
}

func (r *report) exitCode(strict bool) int {
	switch {
	case len(r.Errors) > 0:
		return exitErrors
	case strict && len(r.Warnings) > 0:
		return exitWarnings
	default:
		return exitOK
	}
}

func (r *report) write(output string, stdout, stderr io.Writer) error {
	if output == outputJSON {
		encoder := json.NewEncoder(stdout)
		encoder.SetIndent("", "  ")
		encoder.SetEscapeHTML(false)
		return encoder.Encode(r)
	}
	for _, f := range r.Errors {
		if _, err := fmt.Fprintln(stderr, &rule.Error{Position: f.position, Msg: f.Message}); err != nil {
			return err
		}
	}
	for _, f := range r.Warnings {
		if _, err := fmt.Fprintln(stderr, rule.Warning{Position: f.position, Msg: "warning: " + f.Message}); err != nil {
			return err
		}
	}
	_, err := fmt.Fprintf(stdout, "%s, %s: %s, %s\n",
		count(len(r.Files), "file"), count(r.Rules, "rule"), count(len(r.Errors), "error"), count(len(r.Warnings), "warning"))
	return err
}

func count(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}
