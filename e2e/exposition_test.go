package e2e

import (
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"regexp"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
)

// exposition serves a real server's metrics over HTTP, with some values moved.
type exposition struct {
	*httptest.Server
	text string
	mu   sync.Mutex
	move map[string]string // series as it stands in the text, without its value -> value
}

func serve(t testing.TB, text string) *exposition {
	e := &exposition{text: text, move: map[string]string{}}
	e.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/plain; version=0.0.4")
		_, _ = io.WriteString(w, e.render())
	}))
	t.Cleanup(e.Close)
	return e
}

func (e *exposition) address() string { return strings.TrimPrefix(e.URL, "http://") }

func (e *exposition) set(series, value string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.move[series] = value
}

func (e *exposition) render() string {
	e.mu.Lock()
	defer e.mu.Unlock()
	var out strings.Builder
	moved := map[string]bool{}
	for line := range strings.Lines(e.text) {
		series, _, ok := cutLast(strings.TrimRight(line, "\n"))
		if v, move := e.move[series]; ok && move {
			moved[series] = true
			line = series + " " + v + "\n"
		}
		out.WriteString(line)
	}
	for series := range e.move {
		if !moved[series] {
			panic("the exposition has no series " + series)
		}
	}
	return out.String()
}

func cutLast(line string) (before, after string, ok bool) {
	i := strings.LastIndex(line, " ")
	if i < 0 || strings.HasPrefix(line, "#") {
		return "", "", false
	}
	return line[:i], line[i+1:], true
}

// read reads a sample; from a readme only the lines that are metrics are taken, each series once.
func read(t testing.TB, parts ...string) string {
	content, err := os.ReadFile(shared(t, append([]string{"metrics-text"}, parts...)...))
	require.NoError(t, err)
	line := regexp.MustCompile(`^(# (TYPE|HELP) .*|[a-zA-Z_:][a-zA-Z0-9_:]*(\{.*\})? [-+0-9.eE]+(nan|inf|NaN|Inf)?)$`)
	var out strings.Builder
	seen := map[string]bool{}
	for l := range strings.Lines(string(content)) {
		l = strings.TrimRight(l, "\n")
		key := l
		if series, _, ok := cutLast(l); ok {
			key = series
		}
		// A label without a value is none: the readme has the same series with and without.
		if line.MatchString(l) && !seen[key] && !strings.Contains(l, `=""`) {
			seen[key] = true
			out.WriteString(l + "\n")
		}
	}
	return out.String()
}
