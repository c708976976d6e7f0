package main

import (
	"bufio"
	"fmt"
	"io"
	"strings"
	"sync"
)

// screen is the terminal, which several processes write to: whole lines, each with its writer's name.
type screen struct {
	out    io.Writer
	colour bool

	mu sync.Mutex
}

func newScreen(out io.Writer, colour bool) *screen { return &screen{out: out, colour: colour} }

// say writes a line of the demo's own.
func (s *screen) say(format string, args ...any) {
	s.line("demo", fmt.Sprintf(format, args...))
}

func (s *screen) line(name, text string) {
	prefix := fmt.Sprintf("%-9s | ", name)
	if s.colour {
		prefix = "\x1b[2m" + prefix + "\x1b[0m"
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	_, _ = fmt.Fprintf(s.out, "%s%s\n", prefix, text)
}

// maxLine is where a longer line is cut in pieces.
const maxLine = 64 << 10

// lines calls f with each line of r until it ends. However long one is, the writer is never held up.
func lines(r io.Reader, f func(string)) {
	in := bufio.NewReaderSize(r, maxLine)
	for {
		piece, _, err := in.ReadLine()
		if err != nil {
			return
		}
		f(string(piece))
	}
}

// tail keeps the last lines of a log.
type tail struct {
	mu   sync.Mutex
	last []string
}

const tailLines = 15

func (t *tail) add(line string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.last) == tailLines {
		t.last = append(t.last[:0], t.last[1:]...)
	}
	t.last = append(t.last, line)
}

func (t *tail) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return strings.Join(t.last, "\n")
}

// troubling reports whether a line of the collector's log is for people: a warning or worse. Its console form is
// time, level, source, message, separated by tabs.
func troubling(line string) bool {
	_, rest, ok := strings.Cut(line, "\t")
	if !ok {
		return false
	}
	level, _, _ := strings.Cut(rest, "\t")
	switch strings.ToLower(level) {
	case "warn", "error", "dpanic", "panic", "fatal":
		return true
	}
	return false
}
