package e2e

import (
	"math"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/pmetric"

	"github.com/otelcol-escalation/otelcol-escalation/internal/alert"
)

// What cannot be judged passes through byte for byte and is counted by its reason, what pretends to be an alert's state and
// is none is counted too, nothing fires of either, and a breach behind them pages as ever.
func TestWhatCannotBeJudgedPassesThrough(t *testing.T) {
	s, people, out := prepare(t, kvRule)
	launch(t, s.dir, s.health, s.whole())
	now := time.Now()
	points := map[string]func(pmetric.NumberDataPoint){
		"NaN":      func(p pmetric.NumberDataPoint) { p.SetDoubleValue(math.NaN()) },
		"stale":    func(p pmetric.NumberDataPoint) { p.SetFlags(pmetric.DefaultDataPointFlags.WithNoRecordedValue(true)) },
		"no value": func(pmetric.NumberDataPoint) {},
		"old": func(p pmetric.NumberDataPoint) {
			p.SetDoubleValue(1)
			p.SetTimestamp(pcommon.NewTimestampFromTime(now.Add(-2 * time.Hour)))
		},
		"future": func(p pmetric.NumberDataPoint) {
			p.SetDoubleValue(1)
			p.SetTimestamp(pcommon.NewTimestampFromTime(now.Add(time.Hour)))
		},
		"no time": func(p pmetric.NumberDataPoint) {
			p.SetDoubleValue(1)
			p.SetTimestamp(0)
		},
	}
	kinds := map[string]func(pmetric.Metric){
		"counter": func(m pmetric.Metric) {
			sum := m.SetEmptySum()
			sum.SetIsMonotonic(true)
			sum.SetAggregationTemporality(pmetric.AggregationTemporalityCumulative)
			sum.DataPoints().AppendEmpty().SetDoubleValue(1)
		},
		"histogram":             func(m pmetric.Metric) { m.SetEmptyHistogram().DataPoints().AppendEmpty().SetSum(1) },
		"exponential histogram": func(m pmetric.Metric) { m.SetEmptyExponentialHistogram().DataPoints().AppendEmpty().SetSum(1) },
		"summary":               func(m pmetric.Metric) { m.SetEmptySummary().DataPoints().AppendEmpty().SetSum(1) },
	}
	md := pmetric.NewMetrics()
	metrics := md.ResourceMetrics().AppendEmpty().ScopeMetrics().AppendEmpty().Metrics()
	add := func() pmetric.Metric {
		m := metrics.AppendEmpty()
		m.SetName("kv")
		return m
	}
	for name, spoil := range points {
		p := add().SetEmptyGauge().DataPoints().AppendEmpty()
		p.Attributes().PutStr("model_name", name)
		p.SetTimestamp(pcommon.NewTimestampFromTime(now))
		spoil(p)
	}
	for _, kind := range kinds {
		kind(add())
	}
	impostors := map[string]func(pmetric.Metric){
		"no id":       func(m pmetric.Metric) { m.SetEmptyGauge().DataPoints().AppendEmpty().SetIntValue(2) },
		"not a gauge": func(m pmetric.Metric) { m.SetEmptySum().DataPoints().AppendEmpty().SetIntValue(2) },
		"no state": func(m pmetric.Metric) {
			p := m.SetEmptyGauge().DataPoints().AppendEmpty()
			p.SetIntValue(math.MaxInt64)
			p.SetTimestamp(pcommon.NewTimestampFromTime(now))
			p.Attributes().PutStr(alert.AttrID, "an id")
			p.Attributes().PutStr(alert.AttrRule, "A")
		},
	}
	states := pmetric.NewMetrics()
	for _, impostor := range impostors {
		m := states.ResourceMetrics().AppendEmpty().ScopeMetrics().AppendEmpty().Metrics().AppendEmpty()
		m.SetName(alert.MetricState)
		impostor(m)
	}
	want := canonical(t, md)
	s.sendHTTP(t, md)
	s.sendGRPC(t, states)

	got, tagged := passed(t, out)
	assert.Equal(t, map[string]int{want: 1}, got)
	assert.Zero(t, tagged)
	for reason, n := range map[string]float64{"missing_value": 3, "too_old": 1, "too_far_ahead": 1, "no_timestamp": 1, "unsupported_type": 4} {
		assert.InDelta(t, n, s.own(t, "otelcol_processor_threshold_points_unjudged", `reason="`+reason+`"`), 0, reason)
	}
	assert.InDelta(t, float64(len(impostors)), s.own(t, "otelcol_exporter_escalation_points_rejected"), 0)
	require.Empty(t, s.alerts(t, ""))

	s.sendHTTP(t, gauge("kv", "llama", math.Inf(1)))
	eventually(t, "an infinite value is a breach", func() bool { return people.told("KVCacheNearlyFull", "firing") == 1 })
}
