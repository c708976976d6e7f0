//go:build unix

package e2e

import (
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// demo is what `make run` starts, on ports of its own.
type demo struct {
	cmd    *exec.Cmd
	screen *syncBuffer
	began  time.Time
	exited chan struct{}
	err    error
	ports  []string
	// metrics is where the metrics come out.
	metrics string
}

func startDemo(t *testing.T, env ...string) *demo {
	t.Helper()
	bin := binary(t)
	program := filepath.Join(t.TempDir(), "demo")
	root, err := filepath.Abs("..")
	require.NoError(t, err)
	build := exec.Command("go", "build", "-o", program, "./examples/demo/run")
	build.Dir = root
	output, err := build.CombinedOutput()
	require.NoError(t, err, string(output))

	p := freePorts(t, 5)
	d := &demo{screen: &syncBuffer{}, exited: make(chan struct{}), ports: p, metrics: p[2]}
	d.cmd = exec.Command(program, bin)
	d.cmd.Dir = root
	d.cmd.Env = append(append(os.Environ(), "NO_COLOR=1",
		"DEMO_PAGE="+p[0], "DEMO_PAGER="+p[1], "DEMO_METRICS="+p[2], "DEMO_TARGET="+p[3], "DEMO_SELF_PORT="+port(p[4])), env...)
	d.cmd.Stdout, d.cmd.Stderr = d.screen, d.screen
	d.began = time.Now()
	require.NoError(t, d.cmd.Start())
	go func() {
		d.err = d.cmd.Wait()
		close(d.exited)
	}()
	t.Cleanup(func() {
		d.end(t, syscall.SIGTERM)
		if t.Failed() {
			t.Logf("the terminal:\n%s", tail(d.screen.String(), 60))
		}
		if log := d.find(`the collector's log: (\S+)`); log != nil {
			assert.NoError(t, os.RemoveAll(filepath.Dir(log[1])))
		}
	})
	return d
}

// find looks for a pattern on the terminal.
func (d *demo) find(pattern string) []string {
	return regexp.MustCompile(pattern).FindStringSubmatch(d.screen.String())
}

// await waits for a pattern on the terminal, and ends at once when the demo does.
func (d *demo) await(t *testing.T, pattern string) []string {
	t.Helper()
	var found []string
	within(t, 2*time.Minute, pattern+" on the terminal", func() bool { // an incident begins after 15 s, and takes its time
		found = d.find(pattern)
		select {
		case <-d.exited:
			require.NotNil(t, found, "the demo has ended: %v", d.err)
		default:
		}
		return found != nil
	})
	return found
}

func (d *demo) end(t *testing.T, signal syscall.Signal) {
	t.Helper()
	_ = d.cmd.Process.Signal(signal)
	select {
	case <-d.exited:
	case <-time.After(patience):
		_ = d.cmd.Process.Kill()
		<-d.exited
		t.Errorf("the demo did not end on %s", signal)
	}
}

// gone reports whether nothing listens any more.
func (d *demo) gone() bool {
	for _, address := range d.ports {
		l, err := net.Listen("tcp", address)
		if err != nil {
			return false
		}
		_ = l.Close()
	}
	return true
}

func (d *demo) scrape() string {
	resp, err := http.Get("http://" + d.metrics + "/metrics")
	if err != nil {
		return ""
	}
	defer func() { _ = resp.Body.Close() }()
	body, _ := io.ReadAll(resp.Body)
	return string(body)
}

// Within a minute of its start the demo shows an alert with its tier, its owner and the address of its page; the metrics
// that come out are tagged; Ctrl-C ends all of it.
func TestTheDemo(t *testing.T) {
	t.Parallel()
	d := startDemo(t)
	d.await(t, `FIRING CRITICAL  KVCacheNearlyFull  owner inference-platform`)
	page := d.await(t, `page +(http://\S+/alerts/\S+)`)
	took := time.Since(d.began)
	assert.Less(t, took, time.Minute)
	figures("the demo: start to first page on the terminal %.0f s", took.Seconds())
	resp, err := http.Get(page[1])
	require.NoError(t, err)
	_ = resp.Body.Close()
	assert.Equal(t, http.StatusOK, resp.StatusCode)
	eventually(t, "the gauge is tagged", func() bool {
		return regexp.MustCompile(`(?m)^vllm:kv_cache_usage_perc\{.*alert_severity="critical"`).MatchString(d.scrape())
	})
	d.end(t, os.Interrupt.(syscall.Signal))
	assert.NoError(t, d.err, "to be asked to end is no failure")
	assert.True(t, d.gone(), "nothing is left behind")
}

// MODEL_SERVER has the demo scrape somebody else's server: a real SGLang's exposition, which then goes away. However
// the demo itself ends, nothing of it stays.
func TestTheDemoOnAnotherServer(t *testing.T) {
	t.Parallel()
	server := serve(t, read(t, "sglang-0.4-docs.prom"))
	d := startDemo(t, "MODEL_SERVER="+server.address())
	eventually(t, "the server's metrics come out", func() bool { return strings.Contains(d.scrape(), "sglang:token_usage") })
	server.Close()
	d.await(t, `FIRING CRITICAL  ServerGone  owner inference-platform`)
	if runtime.GOOS != "linux" {
		return // only there does the kernel end the children of who was killed
	}
	d.end(t, syscall.SIGKILL)
	eventually(t, "nothing is left behind", d.gone)
}
