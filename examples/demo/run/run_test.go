//go:build unix

package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestMain is also the tiny processes that the tests start: the test binary with a part to play.
func TestMain(m *testing.M) {
	switch part := os.Getenv("DEMO_TEST_PART"); part {
	case "":
		os.Exit(m.Run())
	case "dies":
		fmt.Println("2026-11-23T12:00:00.000Z\tinfo\tservice.go:1\tall is well")
		fmt.Println("2026-11-23T12:00:00.000Z\twarn\tservice.go:1\tall is not well")
		fmt.Println("Error: the configuration is wrong")
		os.Exit(3)
	case "stubborn", "polite":
		signals := make(chan os.Signal, 1)
		signal.Notify(signals, syscall.SIGTERM)
		fmt.Println("ready", os.Getpid())
		for range signals {
			if part == "polite" {
				fmt.Println("goodbye")
				os.Exit(0)
			}
		}
	}
}

func part(t *testing.T, name, what string) process {
	self, err := os.Executable()
	require.NoError(t, err)
	return process{name: name, path: self, env: []string{"DEMO_TEST_PART=" + what}}
}

// shared is a buffer that many may write to, and that tells when a text has come.
type shared struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (s *shared) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.text.Write(p)
}

func (s *shared) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.text.String()
}

func (s *shared) await(t *testing.T, what string, times int) {
	t.Helper()
	require.Eventually(t, func() bool { return strings.Count(s.String(), what) >= times }, 20*time.Second, time.Millisecond, what)
}

func TestEndsInOrder(t *testing.T) {
	var out shared
	ctx, cancel := context.WithCancel(t.Context())
	result := make(chan error)
	go func() {
		result <- supervise(ctx, newScreen(&out, false), []process{part(t, "pager", "polite"), part(t, "server", "polite"), part(t, "collector", "polite")})
	}()
	out.await(t, "ready", 3)
	cancel()
	require.NoError(t, <-result)
	var farewells []string
	for line := range strings.Lines(out.String()) {
		if strings.Contains(line, "goodbye") {
			farewells = append(farewells, strings.Fields(line)[0])
		}
	}
	assert.Equal(t, []string{"collector", "server", "pager"}, farewells)
}

func TestStubbornIsKilled(t *testing.T) {
	var out shared
	ctx, cancel := context.WithCancel(t.Context())
	result := make(chan error)
	go func() { result <- supervise(ctx, newScreen(&out, false), []process{part(t, "server", "stubborn")}) }()
	out.await(t, "ready", 1)
	var pid int
	_, err := fmt.Sscanf(out.String(), "server    | ready %d", &pid)
	require.NoError(t, err)
	began := time.Now()
	cancel()
	require.NoError(t, <-result)
	assert.GreaterOrEqual(t, time.Since(began), patience)
	assert.Contains(t, out.String(), "the server does not end within 5s and is killed")
	assert.ErrorIs(t, syscall.Kill(pid, 0), syscall.ESRCH, "it is gone")
}

// The collector dies: the others end, the error says what it said last, and only its warning was on the screen.
func TestCollectorDies(t *testing.T) {
	var out, log shared
	collector := part(t, "collector", "dies")
	collector.log = &log
	err := supervise(t.Context(), newScreen(&out, false), []process{part(t, "pager", "polite"), collector})
	require.ErrorContains(t, err, "the collector ended by itself: exit status 3")
	require.ErrorContains(t, err, "Error: the configuration is wrong")
	assert.Contains(t, log.String(), "all is well")
	assert.Contains(t, out.String(), "collector | 2026-11-23T12:00:00.000Z\twarn\tservice.go:1\tall is not well")
	assert.NotContains(t, out.String(), "all is well")
}

func TestProgramThatIsNotThere(t *testing.T) {
	var out shared
	err := supervise(t.Context(), newScreen(&out, false), []process{part(t, "pager", "polite"), {name: "server", path: "/does/not/exist"}})
	require.ErrorContains(t, err, "starting the server")
}

func TestArguments(t *testing.T) {
	program := filepath.Join(t.TempDir(), "collector")
	require.NoError(t, os.WriteFile(program, nil, 0o755))
	plain := filepath.Join(t.TempDir(), "text")
	require.NoError(t, os.WriteFile(plain, nil, 0o644))
	with := func(pairs ...string) func(string) string {
		return func(name string) string {
			for i := 0; i < len(pairs); i += 2 {
				if pairs[i] == name {
					return pairs[i+1]
				}
			}
			return ""
		}
	}

	s, err := read([]string{program}, with())
	require.NoError(t, err)
	assert.False(t, s.foreign)
	assert.Equal(t, "localhost:8000", s.target)
	assert.Equal(t, filepath.Join("examples", "demo", "rules.yaml"), s.rules)
	env := s.collectorEnv("/scratch")
	assert.Contains(t, env, "DEMO_DIR=/scratch")
	assert.Contains(t, env, "DEMO_PAGE=localhost:9195")
	assert.Contains(t, env, "DEMO_SELF_PORT=9465")

	s, err = read([]string{program}, with("MODEL_SERVER", "gpu1:8000", "DEMO_PAGE", "localhost:1234"))
	require.NoError(t, err)
	assert.True(t, s.foreign)
	assert.Equal(t, "gpu1:8000", s.target)
	assert.Equal(t, "localhost:1234", s.page)
	assert.Equal(t, filepath.Join("examples", "demo", "servers.yaml"), s.rules)

	for name, c := range map[string]struct {
		args []string
		env  func(string) string
		want string
	}{
		"none":        {nil, with(), "usage"},
		"two":         {[]string{program, program}, with(), "usage"},
		"option":      {[]string{"-x"}, with(), "usage"},
		"missing":     {[]string{program + "x"}, with(), "make build"},
		"not program": {[]string{plain}, with(), "not a program"},
		"no port":     {[]string{program}, with("MODEL_SERVER", "gpu1"), `MODEL_SERVER: must be host:port (got "gpu1")`},
		"a URL":       {[]string{program}, with("MODEL_SERVER", "http://gpu1:8000"), "MODEL_SERVER"},
	} {
		_, err := read(c.args, c.env)
		assert.ErrorContains(t, err, c.want, name)
	}
}

func TestPortsThatAreTaken(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer taken.Close()
	s := &settings{
		page: taken.Addr().String(), pager: "127.0.0.1:0", metrics: "127.0.0.1:0", self: "127.0.0.1:0",
		target: taken.Addr().String(), foreign: true,
	}
	err = s.free(t.Context())
	require.ErrorContains(t, err, taken.Addr().String()+" is needed for the page")
	require.ErrorContains(t, err, "set DEMO_PAGE=host:port")
	s.page = "127.0.0.1:0"
	require.NoError(t, s.free(t.Context()), "somebody else's model server is expected to listen")
	s.foreign = false
	require.ErrorContains(t, s.free(t.Context()), "the model server")
}

func TestTroubling(t *testing.T) {
	for line, want := range map[string]bool{
		"2026-11-23T12:00:00.000Z\tinfo\ta.go:1\twarn": false,
		"2026-11-23T12:00:00.000Z\twarn\ta.go:1\tx":    true,
		"2026-11-23T12:00:00.000Z\terror\ta.go:1\tx":   true,
		"goroutine 1 [running]:":                       false,
		"":                                             false,
	} {
		assert.Equal(t, want, troubling(line), line)
	}
}

func TestLinesOfAnyLength(t *testing.T) {
	var got []string
	lines(io.MultiReader(strings.NewReader(strings.Repeat("x", maxLine+1)+"\nlast")), func(s string) { got = append(got, s) })
	require.Len(t, got, 3)
	assert.Equal(t, "last", got[2])
}

func TestTail(t *testing.T) {
	var last tail
	for i := range tailLines + 3 {
		last.add(fmt.Sprint(i))
	}
	assert.True(t, strings.HasPrefix(last.String(), "3\n"), last.String())
	assert.True(t, strings.HasSuffix(last.String(), "\n17"), last.String())
}
