package e2e

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/pdata/plog"
	"go.opentelemetry.io/collector/pdata/plog/plogotlp"
	"go.opentelemetry.io/collector/pdata/pmetric"
	"go.opentelemetry.io/collector/pdata/pmetric/pmetricotlp"
)

// patience is how long a condition may take to come true; it bounds a hung test, it is no measurement.
const patience = 40 * time.Second

// binary returns the collector, or says loudly that it is missing; in continuous integration that is a failure.
func binary(t testing.TB) string {
	path := os.Getenv("OTELCOL_BIN")
	if path == "" {
		path = filepath.Join("..", "bin", "otelcol-escalation")
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

// settings are what configurations of these tests are made of.
type settings struct {
	dir                            string
	health, grpc, http, page, self string
	sink, pager                    string
	rules                          string
	scrape                         []string
	tiers, owners                  string
}

func newSettings(t testing.TB) *settings {
	p := freePorts(t, 5)
	return &settings{
		dir: t.TempDir(), health: p[0], grpc: p[1], http: p[2], page: p[3], self: p[4],
		tiers:  `{critical: {window: 0s}, high: {window: 0s}, medium: {window: 1h}}`,
		owners: `{platform: {steps: [{receivers: [oncall]}, {after: 1h, receivers: [lead]}]}, unowned: {steps: [{receivers: [oncall]}]}}`,
	}
}

// freePorts returns addresses that nobody listened on a moment ago.
func freePorts(t testing.TB, n int) []string {
	var addresses []string
	for range n {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		require.NoError(t, err)
		defer func() { _ = l.Close() }()
		addresses = append(addresses, l.Addr().String())
	}
	return addresses
}

// whole is the configuration of one collector that does everything.
func (s *settings) whole() string {
	var b strings.Builder
	fmt.Fprintf(&b, `
extensions:
  health_check: {endpoint: %s}
  file_storage: {directory: %q, fsync: true}
  alert_ledger: {datasource: %q}
receivers:
  otlp: {protocols: {grpc: {endpoint: %s}, http: {endpoint: %s}}}
  calibration:
    ledger: alert_ledger
    http: {endpoint: %s}
    collection_interval: 1s
`, s.health, s.dir, filepath.Join(s.dir, "alerts.db"), s.grpc, s.http, s.page)
	receivers := "[otlp]"
	if len(s.scrape) > 0 {
		receivers = "[otlp, prometheus]"
		b.WriteString("  prometheus:\n    config:\n      scrape_configs:\n")
		for i, target := range s.scrape {
			fmt.Fprintf(&b, "        - {job_name: server-%d, scrape_interval: 500ms, scrape_timeout: 400ms, static_configs: [{targets: [%q]}]}\n", i, target)
		}
	}
	fmt.Fprintf(&b, `
processors:
  threshold:
    rule_files: [%q]
    storage: file_storage
    resend_interval: 2s
exporters:
  otlp_http/sink: {endpoint: %s, compression: none, sending_queue: {enabled: false}, retry_on_failure: {enabled: false}}
  escalation:
    ledger: alert_ledger
    external_url: http://%s
    tiers: %s
    group_by: [owner, alertname]
    group_interval: 1s
    owners: %s
    receivers:
      - name: oncall
        webhook_configs: [{url: %s/oncall}]
      - name: lead
        webhook_configs: [{url: %s/lead}]
service:
  extensions: [health_check, file_storage, alert_ledger]
  telemetry: {metrics: {readers: [{pull: {exporter: {prometheus: {host: %s, port: %s}}}}]}}
  pipelines:
    metrics: {receivers: %s, processors: [threshold], exporters: [otlp_http/sink, escalation]}
    metrics/calibration: {receivers: [calibration], exporters: [otlp_http/sink]}
    logs: {receivers: [calibration], exporters: [otlp_http/sink]}
`, s.rules, s.sink, s.page, s.tiers, s.owners, s.pager, s.pager, host(s.self), port(s.self), receivers)
	return b.String()
}

// launch writes a configuration and starts the collector with it.
func launch(t testing.TB, dir, health, config string) *collector {
	t.Helper()
	file := filepath.Join(dir, "config.yaml")
	require.NoError(t, os.WriteFile(file, []byte(config), 0o600))
	c := &collector{t: t, config: file, health: health, log: &syncBuffer{}}
	c.start()
	t.Cleanup(func() {
		c.kill()
		if t.Failed() {
			t.Logf("collector's log:\n%s", tail(c.log.String(), 60))
		}
	})
	return c
}

func (c *collector) start() {
	c.t.Helper()
	c.cmd = exec.Command(binary(c.t), "--config", c.config)
	c.cmd.Stdout, c.cmd.Stderr = c.log, c.log
	require.NoError(c.t, c.cmd.Start())
	exited := make(chan struct{})
	c.exited = exited
	cmd := c.cmd
	go func() {
		c.err = cmd.Wait()
		close(exited)
	}()
	eventually(c.t, "the collector is ready", func() bool {
		select {
		case <-exited:
			c.t.Fatalf("the collector ended: %v\n%s", c.err, tail(c.log.String(), 30))
		default:
		}
		resp, err := http.Get("http://" + c.health)
		if err != nil {
			return false
		}
		_ = resp.Body.Close()
		return resp.StatusCode == http.StatusOK
	})
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

// sink takes OTLP over HTTP.
type sink struct {
	*httptest.Server
	mu      sync.Mutex
	metrics []pmetric.Metrics
	logs    []plog.Logs
}

func newSink(t testing.TB) *sink {
	s := &sink{}
	s.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		s.mu.Lock()
		defer s.mu.Unlock()
		w.Header().Set("Content-Type", "application/x-protobuf")
		switch r.URL.Path {
		case "/v1/metrics":
			req := pmetricotlp.NewExportRequest()
			if req.UnmarshalProto(body) == nil {
				s.metrics = append(s.metrics, req.Metrics())
			}
		case "/v1/logs":
			req := plogotlp.NewExportRequest()
			if req.UnmarshalProto(body) == nil {
				s.logs = append(s.logs, req.Logs())
			}
		}
	}))
	t.Cleanup(s.Close)
	return s
}

// each calls fn for every metric that has come, with its resource.
func (s *sink) each(fn func(pmetric.ResourceMetrics, pmetric.Metric)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, md := range s.metrics {
		for _, rm := range md.ResourceMetrics().All() {
			for _, sm := range rm.ScopeMetrics().All() {
				for _, m := range sm.Metrics().All() {
					fn(rm, m)
				}
			}
		}
	}
}

// events counts alert events by name.
func (s *sink) events() map[string]int {
	s.mu.Lock()
	defer s.mu.Unlock()
	counts := map[string]int{}
	for _, ld := range s.logs {
		for _, rl := range ld.ResourceLogs().All() {
			for _, sl := range rl.ScopeLogs().All() {
				for _, lr := range sl.LogRecords().All() {
					counts[lr.EventName()]++
				}
			}
		}
	}
	return counts
}

// latest is the newest value of a number metric by one of its attributes, summed over the others.
func (s *sink) latest(name, attr string) map[string]float64 {
	type key struct{ attr, all string }
	newest := map[key]float64{}
	s.each(func(_ pmetric.ResourceMetrics, m pmetric.Metric) {
		if m.Name() != name {
			return
		}
		var points pmetric.NumberDataPointSlice
		switch m.Type() {
		case pmetric.MetricTypeGauge:
			points = m.Gauge().DataPoints()
		case pmetric.MetricTypeSum:
			points = m.Sum().DataPoints()
		default:
			return
		}
		for _, p := range points.All() {
			v := p.DoubleValue()
			if p.ValueType() == pmetric.NumberDataPointValueTypeInt {
				v = float64(p.IntValue())
			}
			a, _ := p.Attributes().Get(attr)
			newest[key{a.AsString(), fmt.Sprint(p.Attributes().AsRaw())}] = v
		}
	})
	sums := map[string]float64{}
	for k, v := range newest {
		sums[k.attr] += v
	}
	return sums
}

// page is what Alertmanager's webhook sends.
type page struct {
	Receiver string `json:"receiver"`
	Status   string `json:"status"`
	GroupKey string `json:"groupKey"`
	Alerts   []struct {
		Status      string            `json:"status"`
		Labels      map[string]string `json:"labels"`
		Annotations map[string]string `json:"annotations"`
		StartsAt    time.Time         `json:"startsAt"`
		EndsAt      time.Time         `json:"endsAt"`
	} `json:"alerts"`
	path string
	at   time.Time
}

// pager takes webhooks. While it is down it answers 503.
type pager struct {
	*httptest.Server
	mu    sync.Mutex
	pages []page
	down  bool
}

func newPager(t testing.TB) *pager {
	p := &pager{}
	p.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		at := time.Now()
		body, _ := io.ReadAll(r.Body)
		p.mu.Lock()
		defer p.mu.Unlock()
		if p.down {
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		got := page{path: r.URL.Path, at: at}
		if err := json.Unmarshal(body, &got); err != nil {
			w.WriteHeader(http.StatusBadRequest)
			return
		}
		p.pages = append(p.pages, got)
	}))
	t.Cleanup(p.Close)
	return p
}

func (p *pager) all() []page {
	p.mu.Lock()
	defer p.mu.Unlock()
	return append([]page(nil), p.pages...)
}

// told counts the messages in which an alert with a name has a status.
func (p *pager) told(alertname, status string) int {
	n := 0
	for _, one := range p.all() {
		for _, a := range one.Alerts {
			if a.Labels["alertname"] == alertname && a.Status == status {
				n++
			}
		}
	}
	return n
}

// paged returns the ids of the alerts with a name that pages have told of as firing.
func (p *pager) paged(alertname string) map[string]bool {
	ids := map[string]bool{}
	for _, one := range p.all() {
		for _, a := range one.Alerts {
			if a.Labels["alertname"] == alertname && a.Status == "firing" {
				ids[a.Labels["alert_id"]] = true
			}
		}
	}
	return ids
}

// episode is what the API says of an alert.
type episode struct {
	ID, Rule, Severity, Owner, State, Verdict, Outcome string
	Labels                                             map[string]string
	Acknowledgement                                    *struct{ By string }
	AcknowledgedBy                                     string    `json:"acknowledged_by"`
	NotifiedAt                                         time.Time `json:"notified_at"`
	Value, Threshold                                   float64
}

func (s *settings) alerts(t testing.TB, query string) []episode {
	t.Helper()
	resp, err := http.Get("http://" + s.page + "/api/v1/alerts" + query)
	require.NoError(t, err)
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	require.Equal(t, http.StatusOK, resp.StatusCode, string(body))
	var list struct{ Alerts []episode }
	require.NoError(t, json.Unmarshal(body, &list), string(body))
	return list.Alerts
}

// post does a deed and returns the status.
func (s *settings) post(t testing.TB, path, body string) int {
	t.Helper()
	resp, err := http.Post("http://"+s.page+path, "application/json", strings.NewReader(body))
	require.NoError(t, err)
	defer func() { _ = resp.Body.Close() }()
	answer, _ := io.ReadAll(resp.Body)
	if resp.StatusCode/100 != 2 {
		t.Logf("POST %s: %s: %s", path, resp.Status, answer)
	}
	return resp.StatusCode
}

// write puts a file into the test's directory.
func (s *settings) write(t testing.TB, name, content string) string {
	t.Helper()
	path := filepath.Join(s.dir, name)
	require.NoError(t, os.WriteFile(path, []byte(content), 0o600))
	return path
}
