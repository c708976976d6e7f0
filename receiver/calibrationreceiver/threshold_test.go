package calibrationreceiver

import (
	"encoding/json"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/pdata/pmetric"

	"github.com/otelcol-escalation/otelcol-escalation/internal/alert"
	"github.com/otelcol-escalation/otelcol-escalation/internal/escalate"
	"github.com/otelcol-escalation/otelcol-escalation/internal/ledger"
	"github.com/otelcol-escalation/otelcol-escalation/internal/ledger/ledgertest"
)

// gauges returns the values of all gauges of one point, and the attributes of those points.
func gauges(md pmetric.Metrics) (values map[string]float64, attrs map[string]map[string]any) {
	values, attrs = map[string]float64{}, map[string]map[string]any{}
	for _, m := range md.ResourceMetrics().At(0).ScopeMetrics().At(0).Metrics().All() {
		if m.Type() != pmetric.MetricTypeGauge || m.Gauge().DataPoints().Len() != 1 {
			continue
		}
		p := m.Gauge().DataPoints().At(0)
		values[m.Name()], attrs[m.Name()] = p.DoubleValue()+float64(p.IntValue()), p.Attributes().AsRaw()
	}
	return values, attrs
}

// Thresholds are told once an alert has been paged; a suggestion, and what it would have done, once it stands.
func TestThresholdMetrics(t *testing.T) {
	l := ledgertest.New(t)
	judged := func(i int, level float64, v ledger.Verdict) {
		at, threshold := ledgertest.Epoch.Add(time.Duration(i)*12*time.Hour), 0.9
		id := fire(t, l, at, alert.Alert{
			ID: fmt.Sprint(i), Rule: "Full", Severity: alert.High, Threshold: &threshold, FiringLevel: &level, SourceUnit: "1",
		})
		update(t, l, at, func(tx ledger.Tx) error { return ledger.Notify(tx, id, "oncall", ledger.DeliverPage, 1) })
		update(t, l, at, func(tx ledger.Tx) error { return ledger.Resolve(tx, id, "anna", "") })
		if v != "" {
			update(t, l, at, func(tx ledger.Tx) error { return ledger.Judge(tx, id, v, "anna", "") })
		}
	}
	judged(0, 0.92, "")
	now := ledgertest.Epoch.Add(13 * 24 * time.Hour)
	values, attrs := gauges(collected(t, l, now, 30*24*time.Hour))
	assert.Equal(t, 0.9, values[alert.MetricThresholdCurrent])
	assert.Equal(t, map[string]any{
		"alert.rule.name": "Full", "alert.severity": "high", "alert.owner.name": "inference-platform", "alert.source.metric": "vllm:kv_cache_usage_perc", "alert.source.unit": "1",
	}, attrs[alert.MetricThresholdCurrent])
	assert.NotContains(t, values, alert.MetricThresholdSuggested)

	for i := range 20 {
		judged(1+i, 0.905+float64(i)/1000, ledger.FalsePositive)
	}
	for i := range 4 {
		judged(21+i, 0.98, ledger.TruePositive)
	}
	update(t, l, now, func(tx ledger.Tx) error {
		_, err := ledger.Report(tx, &ledger.Miss{Rule: "Full", At: now.Add(-time.Hour), By: "anna"})
		return err
	})
	values, _ = gauges(collected(t, l, now, 30*24*time.Hour))
	assert.Greater(t, values[alert.MetricThresholdSuggested], 0.924)
	assert.Less(t, values[alert.MetricThresholdSuggested], 0.98)
	assert.Equal(t, 4.0, values[alert.MetricSuggestionEpisodes])
	assert.Equal(t, 1.0, values[alert.MetricSuggestionPrecision])
	assert.Equal(t, 1.0, values[alert.MetricSuggestionRecall])
	assert.InDelta(t, 0.8, values[alert.MetricRecall], 1e-9)
}

func TestBudgetMetrics(t *testing.T) {
	l := ledgertest.New(t)
	now := ledgertest.Epoch.Add(24 * time.Hour)
	text, err := json.Marshal(map[string]escalate.Budget{"inference": {Pages: 2, Within: 12 * time.Hour}})
	require.NoError(t, err)
	update(t, l, now, func(tx ledger.Tx) error {
		for i, paged := range []time.Duration{-13 * time.Hour, -11 * time.Hour, -time.Hour, 0} {
			if err := tx.PutGroup(&ledger.Group{ID: fmt.Sprint(i), Key: fmt.Sprint(i), Owner: "inference", PagedAt: now.Add(paged)}); err != nil {
				return err
			}
		}
		return tx.PutSetting(ledger.SettingBudgets, string(text))
	})
	values, attrs := gauges(collected(t, l, now, time.Hour))
	assert.Equal(t, 1.5, values[alert.MetricBudgetUsed])
	assert.Equal(t, map[string]any{"alert.owner.name": "inference"}, attrs[alert.MetricBudgetUsed])
}
