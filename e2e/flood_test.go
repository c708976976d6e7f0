package e2e

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/pmetric"

	"github.com/otelcol-escalation/otelcol-escalation/internal/ledger/ledgertest/pgtest"
)

const floodRules = `
groups:
  - name: vllm
    rules:
      - alert: KVCacheNearlyFull
        metric: kv
        tiers: {critical: {above: 0.98}, high: {above: 0.9}}
        owner: platform
        annotations: {summary: "KV cache {{ $value | humanizePercentage }} full on {{ $labels.model_name }}"}
`

// gauges is one batch of many series; value says what each has.
func gauges(metric string, first, n int, value func(i int) float64) pmetric.Metrics {
	md := pmetric.NewMetrics()
	rm := md.ResourceMetrics().AppendEmpty()
	rm.Resource().Attributes().PutStr("service.name", "vllm")
	m := rm.ScopeMetrics().AppendEmpty().Metrics().AppendEmpty()
	m.SetName(metric)
	points := m.SetEmptyGauge().DataPoints()
	points.EnsureCapacity(n)
	now := pcommon.NewTimestampFromTime(time.Now())
	for i := range n {
		p := points.AppendEmpty()
		p.SetTimestamp(now)
		p.SetDoubleValue(value(first + i))
		p.Attributes().PutStr("model_name", fmt.Sprint("model-", first+i))
	}
	return md
}

// onBoth runs a test with the ledger on either database. ledger is the configuration of alert_ledger, for an empty
// one at each call.
func onBoth(t *testing.T, test func(t *testing.T, ledger func() string)) {
	t.Run("SQLite", func(t *testing.T) { test(t, func() string { return "" }) })
	t.Run("PostgreSQL", func(t *testing.T) {
		server := pgtest.Start(t, "fsync=on")
		test(t, func() string { return onPostgres(server) })
	})
}

// database is the last part of a test's name.
func database(t *testing.T) string { return t.Name()[strings.LastIndexByte(t.Name(), '/')+1:] }

func TestFaultFloodOfAlerts(t *testing.T) { onBoth(t, floodOfAlerts) }

func TestFaultRestartWithManyAlerts(t *testing.T) { onBoth(t, restartWithManyAlerts) }

// Ten thousand alerts at once, one in ten critical: how long until all are durable, and until the first critical page;
// critical ones are told before any other.
func floodOfAlerts(t *testing.T, ledger func() string) {
	alerts := length(2000, 10_000)
	for _, test := range []struct{ groups, high string }{
		{"[owner, alertname]", "15m"}, {"[owner, alertname, model_name]", "15m"}, {"[owner, alertname, model_name]", "0s"},
	} {
		s, people, _ := prepare(t, floodRules)
		s.ledger = ledger()
		s.owners = `{platform: {steps: [{receivers: [oncall]}]}, unowned: {steps: [{receivers: [oncall]}]}}`
		s.tiers = "{critical: {window: 0s}, high: {window: " + test.high + "}, medium: {window: 1h}}"
		config := replace(s.whole(), "group_by: [owner, alertname]", "group_by: "+test.groups)
		// As in production, the next exporter has a queue: without one the far side's time would be measured, too.
		config = replace(config, "sending_queue: {enabled: false}", "sending_queue: {enabled: true}")
		pages := alerts
		if test.high != "0s" && test.groups != "[owner, alertname]" {
			pages = alerts / 10 // the others' windows are open
		}
		c := launch(t, s.dir, s.health, config)
		md := gauges("kv", 0, alerts, func(i int) float64 {
			if i%10 == 9 {
				return 0.99
			}
			return 0.95
		})
		began := time.Now()
		s.sendHTTP(t, md)
		durable := time.Since(began)
		assert.Zero(t, s.own(t, "otelcol_exporter_escalation_journal_size"), "what was accepted is in the ledger, not in the journal")
		c.kill() // what was accepted is durable, or this shows that it is not
		c.start()
		assert.EqualValues(t, alerts, s.own(t, "otelcol_exporter_escalation_open_alerts"))
		var told map[string]bool
		eventually(t, "everybody is told of", func() bool {
			told = people.paged("KVCacheNearlyFull")
			return len(told) == pages
		})
		var first, last time.Duration
		critical, early := 0, 0
		seen := map[string]bool{}
		all := people.all()
		pace := all[len(all)-1].at.Sub(all[0].at)
		for _, p := range all {
			for _, a := range p.Alerts {
				if id := a.Labels["alert_id"]; !seen[id] {
					seen[id] = true
					switch {
					case a.Labels["severity"] == "critical":
						if critical++; critical == 1 {
							first = p.at.Sub(began)
						}
						last = p.at.Sub(began)
					case critical < alerts/10:
						early++
					}
				}
			}
		}
		figures("fault flood of %d alerts on %s by group_by %s, window of high %s: all durable after %.2f s (target 2), first critical page after %.2f s (target 1), the last critical one after %.2f s, killed in between; %d less urgent alerts were told of before it; %.0f pages/s",
			alerts, database(t), test.groups, test.high, durable.Seconds(), first.Seconds(), last.Seconds(), early, float64(pages)/pace.Seconds())
		c.stop()
	}
}

// Restarted by kill -9 with 50,000 open alerts: seconds until it is ready.
func restartWithManyAlerts(t *testing.T, ledger func() string) {
	alerts := length(5000, 50_000)
	s, people, _ := prepare(t, floodRules)
	s.ledger = ledger()
	s.owners = `{platform: {steps: [{receivers: [oncall]}]}, unowned: {steps: [{receivers: [oncall]}]}}`
	s.tiers = `{critical: {window: 0s}, high: {window: 1h}, medium: {window: 1h}}`
	config := replace(s.whole(), "group_by: [owner, alertname]", "group_by: [owner, alertname, model_name]")
	c := launch(t, s.dir, s.health, replace(config, "resend_interval: 2s", "limits: {series_per_rule: 100000}"))
	began := time.Now()
	for first := 0; first < alerts; first += 2500 {
		s.sendHTTP(t, gauges("kv", first, min(2500, alerts-first), func(int) float64 { return 0.95 }))
	}
	took := time.Since(began)
	eventually(t, "all are in the ledger", func() bool {
		return s.own(t, "otelcol_exporter_escalation_journal_size") == 0 && s.own(t, "otelcol_exporter_escalation_open_alerts") == float64(alerts)
	})
	c.kill()
	began = time.Now()
	c.start()
	ready := time.Since(began)
	require.EqualValues(t, alerts, s.own(t, "otelcol_exporter_escalation_open_alerts"))
	s.sendHTTP(t, gauges("kv", alerts, 1, func(int) float64 { return 0.99 }))
	eventually(t, "a new critical alert is paged", func() bool { return people.told("KVCacheNearlyFull", "firing") == 1 })
	figures("fault restart with %d open alerts on %s, each a group: ready after %.2f s (target 5), a new critical page %.2f s after the start (they came in within %.1f s)",
		alerts, database(t), ready.Seconds(), time.Since(began).Seconds(), took.Seconds())
}
