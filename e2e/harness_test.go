package e2e

import (
	"bytes"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// patience is how long a condition may take to come true; it bounds a hung test, it is no measurement.
const patience = 40 * time.Second

// binary returns the collector, or says loudly that it is missing; in continuous integration that is a failure.
func binary(t testing.TB) string {
	return built(t, "OTELCOL_BIN", "otelcol-escalation")
}

// built returns the absolute path of what make has built, or what a variable names instead of it.
func built(t testing.TB, variable, name string) string {
	path := os.Getenv(variable)
	if path == "" {
		path = filepath.Join("..", "bin", name)
	}
	path, err := filepath.Abs(path)
	require.NoError(t, err)
	if _, err := os.Stat(path); err != nil {
		lacking(t, "the collector is not built (%s): run make build", path)
	}
	return path
}

// lacking skips a test for want of something, loudly; in continuous integration nothing may be lacking.
func lacking(t testing.TB, format string, args ...any) {
	t.Helper()
	text := fmt.Sprintf(format, args...)
	if os.Getenv("CI") == "true" {
		t.Fatal(text)
	}
	fmt.Fprintf(os.Stderr, "\n*** SKIPPED %s: %s\n\n", t.Name(), text)
	t.Skip(text)
}

// figures prints what a test has measured; `make test` shows it where the test passes, too.
func figures(format string, args ...any) { fmt.Printf("==> "+format+"\n", args...) }

// shared returns a path below the directory of real samples that lies beside the checkout.
func shared(t testing.TB, parts ...string) string {
	path := filepath.Join(append([]string{"..", "..", "shared", "testdata"}, parts...)...)
	if _, err := os.Stat(path); err != nil {
		lacking(t, "the real samples are not there: %s", path)
	}
	return path
}

// collector is one running process.
type collector struct {
	t      testing.TB
	cmd    *exec.Cmd
	config string
	health string
	binary string   // "": the one for people
	env    []string // beside the test's own
	log    *syncBuffer
	exited chan struct{}
	err    error
}

type syncBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (s *syncBuffer) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}

func (s *syncBuffer) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}

// launch writes a configuration and starts the collector with it.
func launch(t testing.TB, dir, health, config string) *collector {
	t.Helper()
	file := filepath.Join(dir, "config.yaml")
	require.NoError(t, os.WriteFile(file, []byte(config), 0o600))
	return run(t, file, health)
}

// run starts the collector with a configuration file, and has it end with the test.
func run(t testing.TB, config, health string) *collector {
	t.Helper()
	c := &collector{t: t, config: config, health: health, log: &syncBuffer{}}
	t.Cleanup(func() {
		if c.exited == nil {
			return
		}
		c.stop()
		assert.NoError(t, c.err, "asked to end, it ends well")
		if t.Failed() {
			t.Logf("the log of the collector with %s:\n%s", config, tail(c.log.String(), 60))
		}
	})
	c.start()
	return c
}

func (c *collector) start() {
	c.t.Helper()
	exited := c.begin()
	eventually(c.t, "the collector is ready", func() bool {
		select {
		case <-exited:
			c.t.Fatalf("the collector ended: %v\n%s", c.err, tail(c.log.String(), 30))
		default:
		}
		return healthy(c.health)
	})
}

// healthy asks the health check.
func healthy(address string) bool {
	resp, err := http.Get("http://" + address)
	if err != nil {
		return false
	}
	_ = resp.Body.Close()
	return resp.StatusCode == http.StatusOK
}

// begin starts the process and does not wait for anything.
func (c *collector) begin() (exited <-chan struct{}) {
	c.t.Helper()
	if c.binary == "" {
		c.binary = binary(c.t)
	}
	c.cmd = exec.Command(c.binary, "--config", c.config)
	c.cmd.Env = append(os.Environ(), c.env...)
	c.cmd.Stdout, c.cmd.Stderr = c.log, c.log
	require.NoError(c.t, c.cmd.Start())
	ended := make(chan struct{})
	c.exited = ended
	cmd := c.cmd
	go func() {
		c.err = cmd.Wait()
		close(ended)
	}()
	return ended
}

// kill is kill -9.
func (c *collector) kill() { c.end(syscall.SIGKILL) }

// stop asks the collector to shut down and waits.
func (c *collector) stop() { c.end(syscall.SIGTERM) }

func (c *collector) end(signal syscall.Signal) {
	select {
	case <-c.exited:
		return
	default:
	}
	_ = c.cmd.Process.Signal(signal)
	select {
	case <-c.exited:
	case <-time.After(patience):
		_ = c.cmd.Process.Kill()
		<-c.exited
		c.t.Errorf("the collector did not end on %s", signal)
	}
}

func tail(text string, lines int) string {
	all := strings.Split(text, "\n")
	return strings.Join(all[max(0, len(all)-lines):], "\n")
}

// eventually polls a condition.
func eventually(t testing.TB, what string, condition func() bool) {
	t.Helper()
	within(t, patience, what, condition)
}

func within(t testing.TB, limit time.Duration, what string, condition func() bool) {
	t.Helper()
	for deadline := time.Now().Add(limit); ; time.Sleep(10 * time.Millisecond) {
		if condition() {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("not within %s: %s", limit, what)
		}
	}
}

// steadily watches a condition stay true for a while.
func steadily(t testing.TB, what string, d time.Duration, condition func() bool) {
	t.Helper()
	for deadline := time.Now().Add(d); time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
		if !condition() {
			t.Fatalf("no longer: %s", what)
		}
	}
}
