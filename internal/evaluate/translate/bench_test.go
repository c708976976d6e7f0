package translate

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/histogram"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/storage/remote/otlptranslator/prometheusremotewrite"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/pmetric"

	"github.com/otelcol-escalation/otelcol-escalation/internal/evaluate/window"
)

var _ Sink = (*window.Window)(nil)

// load is a batch of gauges and counters of 10 resources, each point with 5 attributes.
func load(metrics, pointsEach int) pmetric.Metrics {
	md := pmetric.NewMetrics()
	for r := range 10 {
		rm := md.ResourceMetrics().AppendEmpty()
		rm.Resource().Attributes().PutStr("service.name", "checkout")
		rm.Resource().Attributes().PutStr("service.namespace", "shop")
		rm.Resource().Attributes().PutStr("service.instance.id", fmt.Sprint("pod-", r))
		rm.Resource().Attributes().PutStr("host.name", fmt.Sprint("host-", r))
		ms := rm.ScopeMetrics().AppendEmpty().Metrics()
		for i := range metrics / 10 {
			m := ms.AppendEmpty()
			m.SetName(fmt.Sprintf("http.server.requests.kind%d", i))
			m.SetUnit("s")
			var points pmetric.NumberDataPointSlice
			if i%2 == 0 {
				points = m.SetEmptyGauge().DataPoints()
			} else {
				s := m.SetEmptySum()
				s.SetIsMonotonic(true)
				s.SetAggregationTemporality(pmetric.AggregationTemporalityCumulative)
				points = s.DataPoints()
			}
			for j := range pointsEach {
				p := points.AppendEmpty()
				p.SetDoubleValue(float64(j))
				p.Attributes().PutStr("http.request.method", "GET")
				p.Attributes().PutStr("http.route", fmt.Sprintf("/api/v1/items/%d", j))
				p.Attributes().PutInt("http.response.status_code", 200)
				p.Attributes().PutStr("network.protocol.version", "1.1")
				p.Attributes().PutStr("url.scheme", "https")
			}
		}
	}
	return md
}

// at moves all points of a load to a time.
func at(md pmetric.Metrics, when pcommon.Timestamp) {
	for _, rm := range md.ResourceMetrics().All() {
		for _, sm := range rm.ScopeMetrics().All() {
			for _, m := range sm.Metrics().All() {
				points := m.Gauge().DataPoints
				if m.Type() == pmetric.MetricTypeSum {
					points = m.Sum().DataPoints
				}
				for _, p := range points().All() {
					p.SetTimestamp(when)
				}
			}
		}
	}
}

type discarding struct{ wants bool }

func (d discarding) Wants(name string) bool { return d.wants && name != targetInfo }
func (discarding) Append(labels.Labels, int64, int64, float64, *histogram.Histogram, *histogram.FloatHistogram, int64) error {
	return nil
}

// Most batches hold nothing that is wanted: that must cost next to nothing, however many points there are.
func BenchmarkNothingWanted(b *testing.B) {
	for _, size := range []struct{ metrics, points int }{{1000, 1}, {1000, 10}, {100, 100}} {
		b.Run(fmt.Sprintf("metrics=%d/points=%d", size.metrics, size.metrics*size.points), func(b *testing.B) {
			md := load(size.metrics, size.points)
			tr := New(Options{}, discarding{})
			tr.Consume(context.Background(), md, noon)
			b.ReportAllocs()
			for b.Loop() {
				tr.Consume(context.Background(), md, noon)
			}
			per := float64(b.Elapsed().Nanoseconds()) / float64(b.N)
			b.ReportMetric(per/float64(size.metrics), "ns/metric")
			b.ReportMetric(per/float64(size.metrics*size.points), "ns/point")
		})
	}
}

func TestNothingWantedAllocatesNothing(t *testing.T) {
	md := load(100, 10)
	tr := New(Options{}, discarding{})
	tr.Consume(context.Background(), md, noon)
	assert.Zero(t, testing.AllocsPerRun(100, func() { tr.Consume(context.Background(), md, noon) }))
}

// What is wanted and new costs what Prometheus' translation costs, plus a copy; what is known, a fraction of that.
func BenchmarkEverythingWanted(b *testing.B) {
	const points = 10_000
	measure := func(b *testing.B, consume func(pmetric.Metrics, time.Time)) {
		md := load(100, 100)
		now := noon
		b.ReportAllocs()
		for b.Loop() {
			b.StopTimer()
			now = now.Add(10 * time.Second)
			at(md, stamp(now))
			b.StartTimer()
			consume(md, now)
		}
		b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/points, "ns/point")
	}
	b.Run("streams that are new", func(b *testing.B) {
		tr := New(Options{Series: 1}, discarding{wants: true})
		measure(b, func(md pmetric.Metrics, now time.Time) { tr.Consume(context.Background(), md, now) })
	})
	b.Run("streams that are known", func(b *testing.B) {
		tr := New(Options{}, discarding{wants: true})
		measure(b, func(md pmetric.Metrics, now time.Time) { tr.Consume(context.Background(), md, now) })
	})
	b.Run("known, into Prometheus' head", func(b *testing.B) {
		sink := &stored{to: storageOf(b)}
		tr := New(Options{}, sink)
		measure(b, func(md pmetric.Metrics, now time.Time) {
			tr.Consume(context.Background(), md, now)
			sink.commit(b)
		})
	})
	b.Run("known, into the window", func(b *testing.B) {
		matcher := labels.MustNewMatcher(labels.MatchRegexp, model.MetricNameLabel, "http_server_requests.*")
		w := window.New(window.Options{})
		w.Keep([]window.Selector{{Matchers: []*labels.Matcher{matcher}, Before: 5 * time.Minute}}, false)
		tr := New(Options{}, w)
		measure(b, func(md pmetric.Metrics, now time.Time) {
			if c := tr.Consume(context.Background(), md, now); c.Appended != points {
				b.Fatalf("%+v", c)
			}
		})
	})
	b.Run("Prometheus, into its head", func(b *testing.B) {
		to := storageOf(b)
		measure(b, func(md pmetric.Metrics, _ time.Time) {
			app := to.AppenderV2(context.Background())
			_, err := prometheusremotewrite.NewPrometheusConverter(app).FromMetrics(context.Background(), md, New(Options{}, discarding{}).settings)
			require.NoError(b, err)
			require.NoError(b, app.Commit())
		})
	})
}
