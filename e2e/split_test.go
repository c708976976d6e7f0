package e2e

import (
	"fmt"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// The processor alone beside the model server, exporter and receiver in a gateway: state travels as telemetry. When the
// sidecar dies, its alert is without data, not over; when it is back, the alert goes on.
func TestSidecarAndGateway(t *testing.T) {
	out, people := newSink(t), newPager(t)
	side, gate := newSettings(t), newSettings(t)
	rules := side.write(t, "rules.yaml", kvRule)
	launch(t, gate.dir, gate.health, fmt.Sprintf(`
extensions:
  health_check: {endpoint: %s}
  alert_ledger: {datasource: %q}
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
	sidecar := launch(t, side.dir, side.health, fmt.Sprintf(`
extensions:
  health_check: {endpoint: %s}
  file_storage: {directory: %q, fsync: true}
receivers:
  otlp: {protocols: {http: {endpoint: %s}}}
processors:
  threshold: {rule_files: [%q], storage: file_storage, resend_interval: 1s}
exporters:
  otlp_grpc: {endpoint: %s, tls: {insecure: true}}
service:
  extensions: [health_check, file_storage]
  telemetry: {metrics: {level: none}}
  pipelines:
    metrics: {receivers: [otlp], processors: [threshold], exporters: [otlp_grpc]}
`, side.health, side.dir, side.http, rules, gate.grpc))

	side.sendHTTP(t, gauge("kv", "llama", 0.99))
	eventually(t, "the page", func() bool { return people.told("KVCacheNearlyFull", "firing") == 1 })
	open := gate.alerts(t, "?open=true")
	require.Len(t, open, 1)
	require.Equal(t, "critical", open[0].Severity)
	require.Equal(t, "platform", open[0].Owner)
	require.InDelta(t, 0.99, open[0].Value, 1e-9)
	require.InDelta(t, 0.98, open[0].Threshold, 1e-9)
	state := func() string { return gate.alerts(t, "?open=true")[0].State }

	sidecar.kill()
	eventually(t, "three times its resend_interval later it has no data", func() bool { return state() == "no_data" })
	sidecar.start()
	eventually(t, "it fires again", func() bool { return state() == "firing" })
	assert.Zero(t, people.told("KVCacheNearlyFull", "resolved"))
	require.Len(t, gate.alerts(t, ""), 1, "the same episode")

	side.sendHTTP(t, gauge("kv", "llama", 0.5))
	eventually(t, "the end", func() bool { return people.told("KVCacheNearlyFull", "resolved") == 1 })
	eventually(t, "nothing is open", func() bool { return len(gate.alerts(t, "?open=true")) == 0 })
}
