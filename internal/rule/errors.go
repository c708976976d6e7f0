package rule

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// Error is one thing that is wrong with the rules.
type Error struct {
	Position
	// Msg says what is wrong, what was expected, and last the offending value.
	Msg string
}

// Error gives position, path and message: "rules.yaml:12:15: groups[0].rules[1].for: must not be negative (got -5s)".
func (e *Error) Error() string { return e.Position.prefix() + e.Msg }

// Errors is everything that is wrong, in the order of files and lines.
type Errors []*Error

// Error gives one line per error.
func (e Errors) Error() string {
	lines := make([]string, len(e))
	for i, one := range e {
		lines[i] = one.Error()
	}
	return strings.Join(lines, "\n")
}

// Unwrap makes errors.Is and errors.As look at every one.
func (e Errors) Unwrap() []error {
	all := make([]error, len(e))
	for i, one := range e {
		all[i] = one
	}
	return all
}

// err returns e as an error that is nil when there is none.
func (e Errors) err() error {
	if len(e) == 0 {
		return nil
	}
	return e
}

// Warning is something that works and that a reviewer would remark on.
type Warning struct {
	Position
	Msg string
}

// String has the form of Error.Error.
func (w Warning) String() string { return w.Position.prefix() + w.Msg }

// prefix is "file:line:column: path: ", without the parts that are unknown.
func (p Position) prefix() string {
	var b strings.Builder
	if p.File != "" {
		b.WriteString(p.place())
		b.WriteString(": ")
	}
	if p.Path != "" {
		b.WriteString(p.Path)
		b.WriteString(": ")
	}
	return b.String()
}

// place names the position for a person who looks for it: file and line, or the path where there is no file.
func (p Position) place() string {
	switch {
	case p.File == "":
		return p.Path
	case p.Line == 0:
		return p.File
	default:
		return p.File + ":" + strconv.Itoa(p.Line) + ":" + strconv.Itoa(p.Column)
	}
}

func (p Position) compare(o Position) int {
	return cmp.Or(
		cmp.Compare(p.File, o.File),
		cmp.Compare(p.Line, o.Line),
		cmp.Compare(p.Column, o.Column),
	)
}

func sortByPosition(errs Errors) {
	slices.SortStableFunc(errs, func(a, b *Error) int { return a.compare(b.Position) })
}

func fileError(path, format string, args ...any) *Error {
	return &Error{Position: Position{File: path}, Msg: fmt.Sprintf(format, args...)}
}
