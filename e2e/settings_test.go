package e2e

import (
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
)

// settings are what configurations of these tests are made of.
type settings struct {
	dir                            string
	health, grpc, http, page, self string
	sink, pager                    string
	rules                          string
	scrape                         []string
	tiers, owners                  string
	// ledger is the configuration of alert_ledger; journal the exporter's key storage. Empty: the default, none.
	ledger, journal string
	// exporter and receiver are further keys of escalation and calibration, a line each.
	exporter, receiver []string
}

func newSettings(t testing.TB) *settings {
	p := freePorts(t, 5)
	return &settings{
		dir: t.TempDir(), health: p[0], grpc: p[1], http: p[2], page: p[3], self: p[4],
		tiers:  `{critical: {window: 0s}, high: {window: 0s}, medium: {window: 1h}}`,
		owners: `{platform: {steps: [{receivers: [oncall]}, {after: 1h, receivers: [lead]}]}, unowned: {steps: [{receivers: [oncall]}]}}`,
	}
}

// taken are the ports that this run of the tests has given out.
var taken sync.Map

// freePorts returns addresses that nobody listened on a moment ago. They lie below the range from which outgoing
// connections take theirs: one of those could hold the port of a collector that is down for a moment.
func freePorts(t testing.TB, n int) []string {
	var addresses []string
	for range 1000 {
		if len(addresses) == n {
			return addresses
		}
		address := fmt.Sprintf("127.0.0.1:%d", 12_000+rand.IntN(20_000))
		if _, before := taken.LoadOrStore(address, true); before {
			continue
		}
		l, err := net.Listen("tcp", address)
		if err != nil {
			continue
		}
		require.NoError(t, l.Close())
		addresses = append(addresses, address)
	}
	t.Fatal("no free ports")
	return nil
}

// whole is the configuration of one collector that does everything.
func (s *settings) whole() string {
	ledger, journal := s.ledger, ""
	if ledger == "" {
		ledger = fmt.Sprintf("{datasource: %q}", filepath.Join(s.dir, "alerts.db"))
	}
	if s.journal != "" {
		journal = "storage: " + s.journal
	}
	var b strings.Builder
	fmt.Fprintf(&b, `
extensions:
  health_check: {endpoint: %s}
  file_storage: {directory: %q, fsync: true}
  alert_ledger: %s
receivers:
  otlp: {protocols: {grpc: {endpoint: %s}, http: {endpoint: %s}}}
  calibration:
    ledger: alert_ledger
    http: {endpoint: %s}
    collection_interval: 1s
%s`, s.health, s.dir, ledger, s.grpc, s.http, s.page, lines(s.receiver))
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
    %s
    external_url: http://%s
    tiers: %s
    group_by: [owner, alertname]
    group_interval: 1s
%s    owners: %s
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
`, s.rules, s.sink, journal, s.page, s.tiers, lines(s.exporter), s.owners, s.pager, s.pager, host(s.self), port(s.self), receivers)
	return b.String()
}

// lines are further keys of a component.
func lines(keys []string) string {
	var b strings.Builder
	for _, key := range keys {
		b.WriteString("    " + key + "\n")
	}
	return b.String()
}

// write puts a file into the test's directory.
func (s *settings) write(t testing.TB, name, content string) string {
	t.Helper()
	path := filepath.Join(s.dir, name)
	require.NoError(t, os.WriteFile(path, []byte(content), 0o600))
	return path
}

// prepare makes the far sides of a collector: rules, a pager, a sink.
func prepare(t *testing.T, rules string) (*settings, *pager, *sink) {
	s := newSettings(t)
	out, people := newSink(t), newPager(t)
	s.sink, s.pager = out.URL, people.URL
	s.rules = s.write(t, "rules.yaml", rules)
	return s, people, out
}
