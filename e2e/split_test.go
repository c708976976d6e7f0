package e2e

import (
	"fmt"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

// The processor alone beside the model server, exporter and receiver in a gateway: state travels as telemetry.
func TestSidecarAndGateway(t *testing.T) {
	out, people := newSink(t), newPager(t)
	side, gate := newSettings(t), newSettings(t)
	rules := side.write(t, "rules.yaml", kvRule)
	launch(t, gate.dir, gate.health, fmt.Sprintf(`
extensions:
  health_check: {endpoint: %s}
  alert_ledger: {datasource: %s}
receivers:
  otlp: {protocols: {grpc: {endpoint: %s}}}
  calibration: {ledger: alert_ledger, http: {endpoint: %s}, collection_interval: 1s}
exporters:
  otlp_http/sink: {endpoint: %s, compression: none}
  escalation:
    ledger: alert_ledger
    owners: {platform: {steps: [{receivers: [oncall]}]}, unowned: {steps: [{receivers: [oncall]}]}}
    receivers: [{name: oncall, webhook_configs: [{url: %s}]}]
service:
  extensions: [health_check, alert_ledger]
  telemetry: {metrics: {level: none}}
  pipelines:
    metrics: {receivers: [otlp], exporters: [escalation, otlp_http/sink]}
    metrics/calibration: {receivers: [calibration], exporters: [otlp_http/sink]}
`, gate.health, filepath.Join(gate.dir, "alerts.db"), gate.grpc, gate.page, out.URL, people.URL))
	launch(t, side.dir, side.health, fmt.Sprintf(`
extensions:
  health_check: {endpoint: %s}
receivers:
  otlp: {protocols: {http: {endpoint: %s}}}
processors:
  threshold: {rule_files: [%s]}
exporters:
  otlp_grpc: {endpoint: %s, tls: {insecure: true}}
service:
  extensions: [health_check]
  telemetry: {metrics: {level: none}}
  pipelines:
    metrics: {receivers: [otlp], processors: [threshold], exporters: [otlp_grpc]}
`, side.health, side.http, rules, gate.grpc))

	side.sendHTTP(t, gauge("kv", "llama", 0.99))
	eventually(t, "the page", func() bool { return people.told("KVCacheNearlyFull", "firing") == 1 })
	open := gate.alerts(t, "?open=true")
	require.Len(t, open, 1)
	require.Equal(t, "critical", open[0].Severity)
	require.Equal(t, "platform", open[0].Owner)
	require.InDelta(t, 0.99, open[0].Value, 1e-9)
	require.InDelta(t, 0.98, open[0].Threshold, 1e-9)
	side.sendHTTP(t, gauge("kv", "llama", 0.5))
	eventually(t, "the end", func() bool { return people.told("KVCacheNearlyFull", "resolved") == 1 })
	eventually(t, "nothing is open", func() bool { return len(gate.alerts(t, "?open=true")) == 0 })
}
