package replay

import (
	"bufio"
	"fmt"
	"io"
	"math"
	"os"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/pmetric"

	"github.com/otelcol-escalation/otelcol-escalation/internal/rule"
)

var epoch = time.Date(2026, 3, 1, 8, 0, 0, 0, time.UTC)

// rulesOf compiles rules.
func rulesOf(tb testing.TB, text string) *rule.Set {
	tb.Helper()
	groups, err := rule.LoadFile("rules.yaml", []byte(text), rule.Defaults{})
	require.NoError(tb, err)
	set, err := rule.Combine(groups)
	require.NoError(tb, err)
	return set
}

// defaults are alertctl's.
func defaults(set *rule.Set, files ...string) Options {
	return Options{
		Rules: set, Files: files, Format: Auto, Start: epoch, Interval: time.Minute, Window: time.Minute,
		Lookback: 5 * time.Minute, EvaluationInterval: time.Minute,
		TranslationStrategy: "UnderscoreEscapingWithSuffixes", SeriesPerRule: 10_000, Series: 1_000_000, Plots: 20,
	}
}

// write makes a file in a directory of the test's own.
func write(tb testing.TB, name, content string) string {
	tb.Helper()
	path := tb.TempDir() + "/" + name
	require.NoError(tb, os.WriteFile(path, []byte(content), 0o600))
	return path
}

// cacheAt is the made-up utilization of a series: usually low, and now and then beyond 0.9, each series at its own time.
func cacheAt(series, step int) float64 {
	return 0.5 + 0.45*math.Sin(float64(step)/97+float64(series)*1.7) + 0.06*math.Sin(float64(step*7919+series*104729))
}

// recorded is one export of a made-up model server: series gauges, and a counter each.
func recorded(step, series int) pmetric.Metrics {
	md := pmetric.NewMetrics()
	rm := md.ResourceMetrics().AppendEmpty()
	rm.Resource().Attributes().PutStr("service.name", "vllm")
	rm.Resource().Attributes().PutStr("service.instance.id", fmt.Sprintf("gpu-%d", step%4))
	metrics := rm.ScopeMetrics().AppendEmpty().Metrics()
	cache := metrics.AppendEmpty()
	cache.SetName("vllm:kv_cache_usage_perc")
	requests := metrics.AppendEmpty()
	requests.SetName("vllm:request_success")
	sum := requests.SetEmptySum()
	sum.SetIsMonotonic(true)
	sum.SetAggregationTemporality(pmetric.AggregationTemporalityCumulative)
	points := cache.SetEmptyGauge().DataPoints()
	at := pcommon.NewTimestampFromTime(epoch.Add(time.Duration(step/4) * 15 * time.Second))
	for i := range series {
		p := points.AppendEmpty()
		p.SetTimestamp(at)
		p.SetDoubleValue(cacheAt(i+series*(step%4), step/4))
		p.Attributes().PutStr("model_name", fmt.Sprintf("model-%d", i))
		c := sum.DataPoints().AppendEmpty()
		c.SetTimestamp(at)
		c.SetIntValue(int64(step/4) * int64(10+i))
		c.Attributes().PutStr("model_name", fmt.Sprintf("model-%d", i))
	}
	return md
}

const modelRules = `
groups:
  - name: vllm
    interval: 15s
    rules:
      - alert: CacheFull
        metric: vllm:kv_cache_usage_perc
        tiers:
          critical: {above: 0.98, for: 1m, clear: 0.95}
          high: {above: 0.9, for: 2m}
        owner: inference
      - alert: Stalled
        expr: sum by (instance) (rate(vllm:request_success_total[1m])) < 1
        for: 1m
        labels: {severity: warning, owner: inference}
      - alert: MeanCache
        expr: avg by (instance) (vllm:kv_cache_usage_perc) > 0.55
        for: 1m
        labels: {severity: info, owner: inference}
`

// record writes exports as JSON lines until the file has that many bytes.
func record(tb testing.TB, to io.Writer, bytes int64, series int) (points int64) {
	w := bufio.NewWriterSize(to, 1<<20)
	marshaler := pmetric.JSONMarshaler{}
	var written int64
	for step := 0; written < bytes; step++ {
		md := recorded(step, series)
		line, err := marshaler.MarshalMetrics(md)
		require.NoError(tb, err)
		_, err = w.Write(append(line, '\n'))
		require.NoError(tb, err)
		written += int64(len(line)) + 1
		points += int64(md.DataPointCount())
	}
	require.NoError(tb, w.Flush())
	return points
}
