package calibrationreceiver

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/component/componenttest"
	"go.opentelemetry.io/collector/consumer/consumertest"
	"go.opentelemetry.io/collector/receiver"
	"go.opentelemetry.io/collector/receiver/receivertest"

	"github.com/otelcol-escalation/otelcol-escalation/internal/alert"
	"github.com/otelcol-escalation/otelcol-escalation/internal/ledger"
	"github.com/otelcol-escalation/otelcol-escalation/receiver/calibrationreceiver/internal/metadata"
)

// rig is a receiver in a metrics and a logs pipeline.
type rig struct {
	*instance
	metrics *consumertest.MetricsSink
	logs    *consumertest.LogsSink
	own     *componenttest.Telemetry
}

func settings(own *componenttest.Telemetry) receiver.Settings {
	set := receivertest.NewNopSettings(metadata.Type)
	set.TelemetrySettings = own.NewTelemetrySettings()
	set.ID = component.MustNewID("calibration")
	return set
}

// newRig starts a receiver; what yaml leaves out has its default, but the port is free.
func newRig(t testing.TB, host component.Host, yaml string) *rig {
	t.Helper()
	cfg, err := load(t, yaml)
	require.NoError(t, err)
	if cfg.HTTP.NetAddr.Endpoint == "localhost:9195" {
		cfg.HTTP.NetAddr.Endpoint = "localhost:0"
	}
	r := &rig{metrics: new(consumertest.MetricsSink), logs: new(consumertest.LogsSink), own: componenttest.NewTelemetry()}
	factory := NewFactory()
	ctx := context.Background()
	m, err := factory.CreateMetrics(ctx, settings(r.own), cfg, r.metrics)
	require.NoError(t, err)
	l, err := factory.CreateLogs(ctx, settings(r.own), cfg, r.logs)
	require.NoError(t, err)
	require.Same(t, m, l)
	require.NoError(t, m.Start(ctx, host))
	require.NoError(t, l.Start(ctx, host))
	t.Cleanup(func() {
		require.NoError(t, m.Shutdown(ctx))
		require.NoError(t, l.Shutdown(ctx))
		require.NoError(t, r.own.Shutdown(ctx))
	})
	r.instance = m.(*instance)
	return r
}

// url is an address of the page or the API.
func (r *rig) url(path string) string { return "http://" + r.listener.Addr().String() + path }

func update(t testing.TB, l ledger.Ledger, now time.Time, fn func(ledger.Tx) error) {
	t.Helper()
	require.NoError(t, l.Update(context.Background(), now, fn))
}

// fire opens an episode and returns its id.
func fire(t testing.TB, l ledger.Ledger, now time.Time, a alert.Alert) (id string) {
	t.Helper()
	if a.Rule == "" {
		a.Rule = "KVCacheNearlyFull"
	}
	if a.Severity == alert.NoSeverity {
		a.Severity = alert.Critical
	}
	v, threshold := 0.97, 0.9
	a.Group, a.Owner, a.State, a.Start, a.Time = "vllm", "inference-platform", alert.Firing, now.Add(-time.Minute), now
	a.Reason, a.Value, a.Threshold, a.SourceMetric = alert.ReasonThreshold, &v, &threshold, "vllm:kv_cache_usage_perc"
	update(t, l, now, func(tx ledger.Tx) error {
		_, e, err := ledger.Record(tx, &a)
		if err == nil {
			id = e.ID
		}
		return err
	})
	return id
}

var errLedger = errors.New("the disk is full")

// fragile is a ledger that can be made to fail.
type fragile struct {
	ledger.Ledger
	views, updates atomic.Bool
}

func (l *fragile) View(ctx context.Context, now time.Time, fn func(ledger.Tx) error) error {
	if l.views.Load() {
		return errLedger
	}
	return l.Ledger.View(ctx, now, fn)
}

func (l *fragile) Update(ctx context.Context, now time.Time, fn func(ledger.Tx) error) error {
	if l.updates.Load() {
		return errLedger
	}
	return l.Ledger.Update(ctx, now, fn)
}
