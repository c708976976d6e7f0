package escalationexporter

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/component/componenttest"

	"github.com/otelcol-escalation/otelcol-escalation/internal/alert"
	"github.com/otelcol-escalation/otelcol-escalation/internal/ledger"
	"github.com/otelcol-escalation/otelcol-escalation/internal/ledger/ledgertest"
	"github.com/otelcol-escalation/otelcol-escalation/internal/notify"
)

// webhook is a real receiver that reports when each page arrived.
func webhook(tb testing.TB) (notify.Document, <-chan time.Time) {
	arrived := make(chan time.Time, 100_000)
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		arrived <- time.Now()
	}))
	tb.Cleanup(server.Close)
	document, err := notify.ParseDocument(fmt.Appendf(nil,
		"receivers:\n- name: everyone\n  webhook_configs:\n  - url: %s\n", server.URL))
	require.NoError(tb, err)
	return document, arrived
}

// real starts an exporter on a real ledger and real receivers.
func real(tb testing.TB, l ledger.Ledger, document notify.Document, change ...func(*Config)) *escalation {
	config := createDefaultConfig().(*Config)
	config.Owners = testSpec().Owners
	delete(config.Owners, "inference")
	config.Document = document
	for _, c := range change {
		c(config)
	}
	policy, actions, receivers, err := config.build(slog.New(slog.DiscardHandler))
	require.NoError(tb, err)
	x, err := newEscalation(component.MustNewID("escalation"), componenttest.NewNopTelemetrySettings(), config, policy, actions, receivers)
	require.NoError(tb, err)
	require.NoError(tb, x.start(context.Background(), &host{Host: componenttest.NewNopHost(), provider: provider{l}}))
	return x
}

func realAlert(id string, severity alert.Severity) alert.Alert {
	value, threshold := 0.97, 0.9
	return alert.Alert{
		ID: id, Group: "vllm", Rule: "KVCacheNearlyFull", Severity: severity, Owner: "inference",
		Labels: map[string]string{"instance": id, "job": "vllm", "model_name": "meta-llama/Llama-3.1-8B-Instruct", "service": "chat"},
		State:  alert.Firing, Start: time.Now().Add(-time.Minute), Time: time.Now(), Value: &value, ObservedAt: time.Now(),
		Threshold: &threshold, FiringLevel: &value, ValidFor: 3 * time.Minute, Reason: alert.ReasonThreshold,
		SourceMetric: "vllm:kv_cache_usage_perc", Response: "Drain the replica, then add one.",
		Annotations: map[string]string{"summary": "KV cache 97% full on " + id, "runbook_url": "https://runbooks.example.com/kv"},
	}
}

// BenchmarkPage measures from ConsumeMetrics to the accepted webhook, of a critical alert, commit to disk included.
func BenchmarkPage(b *testing.B) {
	document, arrived := webhook(b)
	x := real(b, ledgertest.New(b), document)
	defer func() { require.NoError(b, x.shutdown(context.Background())) }()
	var took []time.Duration
	for i := 0; b.Loop(); i++ {
		a := realAlert(fmt.Sprint("alert-", i), alert.Critical)
		a.Rule = a.ID // a group of its own
		md := batch(a)
		began := time.Now()
		require.NoError(b, x.consume(context.Background(), md))
		took = append(took, (<-arrived).Sub(began))
	}
	slices.Sort(took)
	b.ReportMetric(float64(took[len(took)/2].Microseconds())/1000, "p50-ms")
	b.ReportMetric(float64(took[len(took)*99/100].Microseconds())/1000, "p99-ms")
}

// BenchmarkFlood gives the exporter 10,000 alerts in one batch, one in ten critical.
func BenchmarkFlood(b *testing.B) {
	for name, groups := range map[string]int{"1 group": 1, "100 groups": 100, "10000 groups": 10_000} {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				document, arrived := webhook(b)
				x := real(b, ledgertest.New(b), document)
				var alerts []alert.Alert
				for i := range 10_000 {
					a := realAlert(fmt.Sprint("alert-", i), alert.High)
					if i%10 == 9 {
						a.Severity = alert.Critical
					}
					a.Rule = fmt.Sprint("rule-", i%groups)
					alerts = append(alerts, a)
				}
				md := batch(alerts...)
				began := time.Now()
				require.NoError(b, x.consume(context.Background(), md))
				durable := time.Since(began)
				require.Zero(b, x.journal.size())
				first := (<-arrived).Sub(began)
				b.ReportMetric(durable.Seconds(), "durable-s")
				b.ReportMetric(first.Seconds(), "first-page-s")
				for i := range alerts {
					alerts[i].State, alerts[i].Time = alert.Inactive, time.Now()
				}
				md = batch(alerts...)
				began = time.Now()
				require.NoError(b, x.consume(context.Background(), md))
				b.ReportMetric(time.Since(began).Seconds(), "ended-s")
				b.StopTimer()
				require.NoError(b, x.shutdown(context.Background()))
				b.StartTimer()
			}
		})
	}
}

// BenchmarkStep takes the next step of a group of 10,000 alerts.
func BenchmarkStep(b *testing.B) {
	document, arrived := webhook(b)
	l := ledgertest.New(b)
	x := real(b, l, document, func(c *Config) { c.Tiers.Critical.RepeatInterval = time.Hour })
	defer func() { require.NoError(b, x.shutdown(context.Background())) }()
	var alerts []alert.Alert
	for i := range 10_000 {
		alerts = append(alerts, realAlert(fmt.Sprint("alert-", i), alert.Critical))
	}
	require.NoError(b, x.consume(context.Background(), batch(alerts...)))
	<-arrived
	for b.Loop() {
		began := time.Now()
		require.NoError(b, l.Update(context.Background(), began, func(tx ledger.Tx) error {
			e, err := tx.LastEpisode("alert-0")
			if err != nil {
				return err
			}
			g, err := tx.Group(e.GroupID)
			if err != nil {
				return err
			}
			g.Step, g.DueAt, g.TierSince = 0, began, began.Add(-time.Hour) // as after a rise
			return tx.PutGroup(g)
		}))
		<-arrived
	}
}

// BenchmarkRestart starts on a ledger with 50,000 open alerts in 100 groups.
func BenchmarkRestart(b *testing.B) {
	document, _ := webhook(b)
	l := ledgertest.New(b)
	x := real(b, l, document)
	for i := range 200 {
		var alerts []alert.Alert
		for j := range 250 {
			a := realAlert(fmt.Sprint("alert-", i*250+j), alert.High)
			a.Rule = fmt.Sprint("rule-", i%100)
			alerts = append(alerts, a)
		}
		require.NoError(b, x.consume(context.Background(), batch(alerts...)))
	}
	require.NoError(b, x.shutdown(context.Background()))
	for b.Loop() {
		began := time.Now()
		x := real(b, l, document)
		b.ReportMetric(time.Since(began).Seconds(), "ready-s")
		require.Equal(b, 50_000, x.view.open)
		b.StopTimer()
		require.NoError(b, x.shutdown(context.Background()))
		b.StartTimer()
	}
}

// BenchmarkRepetition is the cost of an alert that goes on, per point.
func BenchmarkRepetition(b *testing.B) {
	document, _ := webhook(b)
	x := real(b, ledgertest.New(b), document)
	defer func() { require.NoError(b, x.shutdown(context.Background())) }()
	var alerts []alert.Alert
	for i := range 1000 {
		alerts = append(alerts, realAlert(fmt.Sprint("alert-", i), alert.High))
	}
	require.NoError(b, x.consume(context.Background(), batch(alerts...)))
	b.ReportAllocs()
	for b.Loop() {
		b.StopTimer()
		for i := range alerts {
			alerts[i].Time = alerts[i].Time.Add(time.Nanosecond)
		}
		md := batch(alerts...)
		b.StartTimer()
		require.NoError(b, x.consume(context.Background(), md))
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/1000, "ns/point")
}
