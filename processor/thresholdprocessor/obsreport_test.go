package thresholdprocessor

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/component/componenttest"
	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"github.com/otelcol-escalation/otelcol-escalation/internal/evaluate"
	"github.com/otelcol-escalation/otelcol-escalation/processor/thresholdprocessor/internal/metadatatest"
)

// Everything that the processor says about itself, over the life of two alerts.
func TestSelfMetrics(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tel := componenttest.NewTelemetry()
		cfg := storedConfig()
		cfg.Groups = append(cfg.Groups, map[string]any{"name": "h", "rules": []any{
			map[string]any{"alert": "Full", "metric": "kv", "tiers": map[string]any{"low": map[string]any{"above": 0.5, "for": "5m"}}},
			map[string]any{"alert": "Never", "metric": "nothing", "tiers": map[string]any{"low": map[string]any{"above": 1}}},
		}})
		p := runWith(t, tel, cfg, &sink{}, newMemory().known(time.Now()))
		feed := func(values ...float64) {
			require.NoError(t, p.ConsumeMetrics(context.Background(), kv(time.Now(), values...)))
			time.Sleep(15 * time.Second)
			synctest.Wait()
		}
		feed(0.95, 0.6, 0.1)
		metadatatest.AssertEqualProcessorThresholdAlerts(t, tel, points(
			of(1, "group", "g", "rule", "Full", "state", "firing"), of(0, "group", "g", "rule", "Full", "state", "pending"),
			of(0, "group", "h", "rule", "Full", "state", "firing"), of(2, "group", "h", "rule", "Full", "state", "pending"),
			of(0, "group", "h", "rule", "Never", "state", "firing"), of(0, "group", "h", "rule", "Never", "state", "pending"),
		), ignoringTime)
		metadatatest.AssertEqualProcessorThresholdPointsTagged(t, tel, points(of(2)), ignoringTime)
		metadatatest.AssertEqualProcessorThresholdSeries(t, tel, points(of(3)), ignoringTime)
		metadatatest.AssertEqualProcessorThresholdOutboxPoints(t, tel, points(of(0)), ignoringTime)
		judged := value(t, tel, "otelcol_processor_threshold_points_judged")
		assert.Positive(t, judged)

		feed(0.1, 0.1, 0.1)
		assert.Greater(t, value(t, tel, "otelcol_processor_threshold_points_judged"), judged)
		metadatatest.AssertEqualProcessorThresholdTransitions(t, tel, points(
			of(1, "group", "g", "rule", "Full", "state", "firing"), of(1, "group", "g", "rule", "Full", "state", "inactive"),
			of(0, "group", "g", "rule", "Full", "state", "pending"),
			of(0, "group", "h", "rule", "Full", "state", "firing"), of(2, "group", "h", "rule", "Full", "state", "inactive"),
			of(2, "group", "h", "rule", "Full", "state", "pending"),
			of(0, "group", "h", "rule", "Never", "state", "firing"), of(0, "group", "h", "rule", "Never", "state", "inactive"),
			of(0, "group", "h", "rule", "Never", "state", "pending"),
		), ignoringTime)

		old := kv(time.Now().Add(-2*time.Hour), 0.95)
		require.NoError(t, p.ConsumeMetrics(context.Background(), old))
		counter := kv(time.Now(), 0.95)
		m := counter.ResourceMetrics().At(0).ScopeMetrics().At(0).Metrics().At(0)
		m.SetEmptySummary().DataPoints().AppendEmpty().SetTimestamp(pcommon.NewTimestampFromTime(time.Now()))
		require.NoError(t, p.ConsumeMetrics(context.Background(), counter))
		metadatatest.AssertEqualProcessorThresholdPointsUnjudged(t, tel, points(
			of(1, "group", "g", "rule", "Full", "reason", "too_old"), of(1, "group", "h", "rule", "Full", "reason", "too_old"),
			of(1, "group", "g", "rule", "Full", "reason", "unsupported_type"), of(1, "group", "h", "rule", "Full", "reason", "unsupported_type"),
		), ignoringTime)

		time.Sleep(61 * time.Minute)
		synctest.Wait()
		metadatatest.AssertEqualProcessorThresholdProblems(t, tel, points(
			of(1, "group", "g", "rule", "Full", "kind", "never_matched"), of(1, "group", "h", "rule", "Full", "kind", "never_matched"),
			of(1, "group", "h", "rule", "Never", "kind", "never_matched"),
			of(1, "group", "g", "rule", "Full", "kind", "unsupported_type"), of(1, "group", "h", "rule", "Full", "kind", "unsupported_type"),
		), ignoringTime)
		require.NoError(t, p.Shutdown(context.Background()))
		require.NoError(t, tel.Shutdown(context.Background()))
	})
}

// Rules of one name that differ in labels count as one: the last would hide the others.
func TestSelfMetricsOfRulesWithOneName(t *testing.T) {
	tel := componenttest.NewTelemetry()
	cfg := storedConfig()
	cfg.Groups = []any{map[string]any{"name": "g", "rules": []any{
		map[string]any{"alert": "Full", "metric": "kv", "labels": map[string]any{"a": "1"}, "tiers": map[string]any{"low": map[string]any{"above": 0.5}}},
		map[string]any{"alert": "Full", "metric": "kv", "labels": map[string]any{"a": "2"}, "tiers": map[string]any{"low": map[string]any{"above": 0.9}}},
	}}}
	p := runWith(t, tel, cfg, &sink{}, newMemory().known(time.Now()))
	require.NoError(t, p.ConsumeMetrics(context.Background(), kv(time.Now(), 0.95, 0.6)))
	metadatatest.AssertEqualProcessorThresholdAlerts(t, tel, points(
		of(3, "group", "g", "rule", "Full", "state", "firing"), of(0, "group", "g", "rule", "Full", "state", "pending"),
	), ignoringTime)
	require.NoError(t, p.Shutdown(context.Background()))
	require.NoError(t, tel.Shutdown(context.Background()))
}

// A problem is logged when it comes and when it goes, not in between.
func TestProblemsAreLoggedOnce(t *testing.T) {
	core, logs := observer.New(zap.InfoLevel)
	tell, err := newTelemetry(componenttest.NewNopTelemetrySettings())
	require.NoError(t, err)
	problem := func(detail string) []evaluate.Problem {
		return []evaluate.Problem{{Group: "g", Rule: "Full", Kind: evaluate.ProblemNeverMatched, Detail: detail}}
	}
	tell.problems(zap.New(core), problem("for 1h"))
	tell.problems(zap.New(core), problem("for 1h0m1s"))
	tell.problems(zap.New(core), nil)
	tell.problems(zap.New(core), nil)
	require.Equal(t, 2, logs.Len())
	assert.Equal(t, "A rule cannot work as it stands.", logs.All()[0].Message)
	assert.Equal(t, map[string]any{"group": "g", "rule": "Full", "problem": "never_matched", "detail": "for 1h"}, logs.All()[0].ContextMap())
	assert.Equal(t, "A rule's problem is over.", logs.All()[1].Message)
}

func points(all ...metricdata.DataPoint[int64]) []metricdata.DataPoint[int64] { return all }

// of is one point with attributes, given as names and values in turn.
func of(n int64, attributes ...string) metricdata.DataPoint[int64] {
	var set []attribute.KeyValue
	for i := 0; i < len(attributes); i += 2 {
		set = append(set, attribute.String(attributes[i], attributes[i+1]))
	}
	return metricdata.DataPoint[int64]{Attributes: attribute.NewSet(set...), Value: n}
}

// value is that of a counter with one point.
func value(t *testing.T, tel *componenttest.Telemetry, name string) int64 {
	m, err := tel.GetMetric(name)
	require.NoError(t, err)
	sum, ok := m.Data.(metricdata.Sum[int64])
	require.True(t, ok)
	require.Len(t, sum.DataPoints, 1)
	return sum.DataPoints[0].Value
}
