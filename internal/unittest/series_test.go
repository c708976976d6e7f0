package unittest

import (
	"math"
	"testing"
	"time"

	"github.com/prometheus/prometheus/promql/parser"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/pdata/pmetric"
)

func input(t *testing.T, interval time.Duration, start time.Time, series ...string) []*inputSeries {
	t.Helper()
	test := Test{Interval: interval, Start: start}
	for i := 0; i < len(series); i += 2 {
		test.Series = append(test.Series, Series{Name: Text{Value: series[i]}, Values: Text{Value: series[i+1]}})
	}
	all, failures := test.input(parser.NewParser(parser.Options{}))
	require.Empty(t, failures)
	return all
}

func TestSeriesComeOnce(t *testing.T) {
	s := input(t, 10*time.Second, time.Unix(100, 0), `m{a="1"}`, "1 _ 3x1 5")[0]
	assert.Empty(t, s.until(99_999))
	assert.Equal(t, []sample{{t: 100_000, v: 1}}, s.until(110_000))
	assert.Equal(t, []sample{{t: 120_000, v: 3}, {t: 130_000, v: 3}}, s.until(139_999))
	assert.Equal(t, []sample{{t: 140_000, v: 5}}, s.until(math.MaxInt64))
	assert.Empty(t, s.until(math.MaxInt64))
}

func TestSeriesBeyondAllTime(t *testing.T) {
	s := inputSeries{values: make([]parser.SequenceValue, 10), start: math.MaxInt64 - 25, step: 10}
	assert.Equal(t, int64(math.MaxInt64-5), s.time(2))
	assert.Equal(t, int64(math.MaxInt64), s.time(3))
	assert.Equal(t, int64(math.MaxInt64), s.time(9))
	assert.Len(t, s.until(math.MaxInt64-1), 3, "no time of a test is later than that")
}

func TestPoints(t *testing.T) {
	series := input(t, time.Minute, time.Unix(0, 0),
		`{"queue.length", job="vllm", instance="gpu-1", "model.name"="llama"}`, "1 stale _ 4",
		`{"queue.length", job="vllm", instance="gpu-2"}`, "_ _ 3",
		"h", "{{schema:0 sum:3 count:2 buckets:[1 1]}}",
		"other", "1 1 1 1")
	sources := pointSources(series, map[string]bool{"queue.length": true, "h": true})
	assert.Len(t, sources, 3)
	assert.Equal(t, []int64{0, 60_000, 120_000}, moments(sources, 179_999), "in order, each once")

	at := moment(time.UnixMilli(0))
	md := points(sources, 0, at)
	require.Equal(t, 1, md.DataPointCount(), "a histogram has no number")
	rm := md.ResourceMetrics().At(0)
	assert.Equal(t, map[string]any{"service.name": "vllm", "service.instance.id": "gpu-1"}, rm.Resource().Attributes().AsRaw())
	metric := rm.ScopeMetrics().At(0).Metrics().At(0)
	assert.Equal(t, "queue.length", metric.Name())
	require.Equal(t, pmetric.MetricTypeGauge, metric.Type())
	point := metric.Gauge().DataPoints().At(0)
	assert.Equal(t, map[string]any{"model.name": "llama"}, point.Attributes().AsRaw())
	assert.InDelta(t, 1, point.DoubleValue(), 0)
	assert.Equal(t, at.UnixNano(), int64(point.Timestamp()))

	md = points(sources, 60_000, time.UnixMilli(60_000))
	require.Equal(t, 1, md.DataPointCount())
	assert.True(t, md.ResourceMetrics().At(0).ScopeMetrics().At(0).Metrics().At(0).Gauge().DataPoints().At(0).Flags().NoRecordedValue())

	assert.Equal(t, []int64{120_000, 180_000}, moments(sources, math.MaxInt64))
	series[0].until(math.MaxInt64)
	assert.Equal(t, []int64{120_000, 180_000}, moments(sources, math.MaxInt64), "the window's feed goes its own way")
}
