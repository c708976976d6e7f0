package escalationexporter

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/component/componenttest"
	"go.opentelemetry.io/collector/confmap"
	"go.opentelemetry.io/collector/exporter"
	"go.opentelemetry.io/collector/exporter/exportertest"
	"go.opentelemetry.io/collector/extension"
	"go.opentelemetry.io/collector/extension/extensiontest"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	"go.opentelemetry.io/otel/sdk/metric/metricdata/metricdatatest"

	"github.com/otelcol-escalation/otelcol-escalation/exporter/escalationexporter/internal/metadatatest"
	"github.com/otelcol-escalation/otelcol-escalation/extension/alertledgerextension"
	"github.com/otelcol-escalation/otelcol-escalation/internal/alert"
)

// extensions is a host with a real ledger.
type extensions struct {
	component.Host
	all map[component.ID]component.Component
}

func (e extensions) GetExtensions() map[component.ID]component.Component { return e.all }

func ledgerExtension(t *testing.T) extension.Extension {
	t.Helper()
	factory := alertledgerextension.NewFactory()
	config := factory.CreateDefaultConfig().(*alertledgerextension.Config)
	config.DataSource = alertledgerextension.DataSource(filepath.Join(t.TempDir(), "alerts.db"))
	x, err := factory.Create(t.Context(), extensiontest.NewNopSettings(factory.Type()), config)
	require.NoError(t, err)
	return x
}

// configure reads a configuration that pages everyone at a URL.
func configure(t *testing.T, url string) *Config {
	t.Helper()
	conf := confmap.NewFromStringMap(map[string]any{
		"external_url": "https://alerts.example.com",
		"owners":       map[string]any{"unowned": map[string]any{"steps": []any{map[string]any{"receivers": []any{"everyone"}}}}},
		"receivers": []any{map[string]any{
			"name": "everyone", "webhook_configs": []any{map[string]any{"url": url}},
		}},
	})
	config := NewFactory().CreateDefaultConfig().(*Config)
	require.NoError(t, conf.Unmarshal(config))
	require.NoError(t, confmap.Validate(config))
	return config
}

// The exporter as the Collector runs it, with the ledger's extension and Alertmanager's webhook integration.
func TestThroughTheFactory(t *testing.T) {
	bodies := make(chan map[string]any, 10)
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		text, err := io.ReadAll(r.Body)
		var body map[string]any
		if err = errors.Join(err, json.Unmarshal(text, &body)); err != nil {
			t.Error(err)
		}
		bodies <- body
	}))
	t.Cleanup(server.Close)
	telemetry := componenttest.NewTelemetry()
	t.Cleanup(func() { require.NoError(t, telemetry.Shutdown(context.Background())) })

	ledger := ledgerExtension(t)
	host := extensions{componenttest.NewNopHost(), map[component.ID]component.Component{component.MustNewID("alert_ledger"): ledger}}
	require.NoError(t, ledger.Start(t.Context(), host))
	settings := exporter.Settings{ID: component.NewID(typ), TelemetrySettings: telemetry.NewTelemetrySettings(), BuildInfo: component.NewDefaultBuildInfo()}
	x, err := NewFactory().CreateMetrics(t.Context(), settings, configure(t, server.URL))
	require.NoError(t, err)
	require.False(t, x.Capabilities().MutatesData)
	require.NoError(t, x.Start(t.Context(), host))

	a := realAlert("alert-1", alert.Critical)
	require.NoError(t, x.ConsumeMetrics(t.Context(), batch(a)))
	page := <-bodies
	require.Equal(t, "firing", page["status"])
	require.Equal(t, "everyone", page["receiver"])
	require.Equal(t, "https://alerts.example.com", page["externalURL"])
	one := page["alerts"].([]any)[0].(map[string]any)
	require.Subset(t, one["labels"], map[string]any{"alertname": a.Rule, "severity": "critical", "owner": "inference", "alert_id": "alert-1"})
	require.Subset(t, one["annotations"], map[string]any{"value": "0.97", "threshold": "0.9", "response": a.Response, "step": "1"})

	a.Time = a.Time.Add(time.Second)
	require.NoError(t, x.ConsumeMetrics(t.Context(), batch(a)))
	a.State, a.Time = alert.Inactive, a.Time.Add(time.Second)
	require.NoError(t, x.ConsumeMetrics(t.Context(), batch(a)))
	end := <-bodies
	require.Equal(t, "resolved", end["status"])
	require.Equal(t, page["groupKey"], end["groupKey"])
	a.Time = a.Time.Add(time.Second)
	require.NoError(t, x.ConsumeMetrics(t.Context(), batch(a)))

	metadatatest.AssertEqualExporterEscalationTransitions(t, telemetry, []metricdata.DataPoint[int64]{
		{Attributes: set("kind", "opened"), Value: 1}, {Attributes: set("kind", "ended"), Value: 1},
	}, metricdatatest.IgnoreTimestamp())
	metadatatest.AssertEqualExporterEscalationPointsRepeated(t, telemetry, []metricdata.DataPoint[int64]{{Value: 1}}, metricdatatest.IgnoreTimestamp())
	metadatatest.AssertEqualExporterEscalationPointsIgnored(t, telemetry, []metricdata.DataPoint[int64]{
		{Attributes: set("reason", "no_episode"), Value: 1},
	}, metricdatatest.IgnoreTimestamp())
	metadatatest.AssertEqualExporterEscalationOpenAlerts(t, telemetry, []metricdata.DataPoint[int64]{{Value: 0}}, metricdatatest.IgnoreTimestamp())
	metadatatest.AssertEqualExporterEscalationOrders(t, telemetry, []metricdata.DataPoint[int64]{
		{Attributes: set("kind", "page", "reason", "window_passed"), Value: 1}, {Attributes: set("kind", "end", "reason", "ended"), Value: 1},
	}, metricdatatest.IgnoreTimestamp())

	require.NoError(t, x.Shutdown(context.Background()))
	require.NoError(t, ledger.Shutdown(context.Background()))
}

func TestStartNeedsALedger(t *testing.T) {
	for want, all := range map[string]map[component.ID]component.Component{
		`ledger: there is no extension "alert_ledger": configure it, and list it under service.extensions`: nil,
		`ledger: the extension "alert_ledger" keeps no alerts: name one of the type alert_ledger`:          {component.MustNewID("alert_ledger"): componentOfAnotherKind{}},
		`ledger: the extension "alert_ledger" has not been started`:                                        {component.MustNewID("alert_ledger"): ledgerExtension(t)},
	} {
		x, err := NewFactory().CreateMetrics(t.Context(), exportertest.NewNopSettings(typ), configure(t, "http://localhost:9/"))
		require.NoError(t, err)
		require.EqualError(t, x.Start(t.Context(), extensions{componenttest.NewNopHost(), all}), want)
		require.NoError(t, x.Shutdown(t.Context()))
	}
}

type componentOfAnotherKind struct{}

func (componentOfAnotherKind) Start(context.Context, component.Host) error { return nil }
func (componentOfAnotherKind) Shutdown(context.Context) error              { return nil }
