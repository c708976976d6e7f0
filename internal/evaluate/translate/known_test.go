package translate

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/pmetric"
	"pgregory.net/rapid"
)

// next makes a batch what the same program could send a while later: other values, times and flags, now and then other
// bounds, a sum that is not there, a resource that has another attribute.
func next(r *rapid.T, md pmetric.Metrics, by time.Duration) {
	flags := func() pmetric.DataPointFlags {
		return pmetric.DefaultDataPointFlags.WithNoRecordedValue(rapid.IntRange(0, 5).Draw(r, "stale") == 0)
	}
	later := func(p interface {
		Timestamp() pcommon.Timestamp
		SetTimestamp(pcommon.Timestamp)
		SetStartTimestamp(pcommon.Timestamp)
		SetFlags(pmetric.DataPointFlags)
	}) {
		p.SetTimestamp(p.Timestamp() + pcommon.Timestamp(by))
		p.SetStartTimestamp(stamp(noon.Add(-time.Duration(rapid.IntRange(0, 5).Draw(r, "start")) * time.Hour)))
		p.SetFlags(flags())
	}
	number := func(p pmetric.NumberDataPoint) {
		later(p)
		if rapid.Bool().Draw(r, "int") {
			p.SetIntValue(rapid.Int64Range(-1e15, 1e15).Draw(r, "value"))
		} else {
			p.SetDoubleValue(doubles.Draw(r, "value"))
		}
	}
	for _, rm := range md.ResourceMetrics().All() {
		if rapid.IntRange(0, 9).Draw(r, "resource") == 0 {
			rm.Resource().Attributes().PutStr("service.version", fmt.Sprint(by))
		}
		for _, sm := range rm.ScopeMetrics().All() {
			for _, m := range sm.Metrics().All() {
				switch m.Type() {
				case pmetric.MetricTypeGauge:
					for _, p := range m.Gauge().DataPoints().All() {
						number(p)
					}
				case pmetric.MetricTypeSum:
					for _, p := range m.Sum().DataPoints().All() {
						number(p)
					}
				case pmetric.MetricTypeHistogram:
					for _, p := range m.Histogram().DataPoints().All() {
						later(p)
						if rapid.IntRange(0, 3).Draw(r, "bounds") == 0 {
							p.ExplicitBounds().FromRaw([]float64{1, 2, 3}[:rapid.IntRange(0, 3).Draw(r, "bounds")])
							p.BucketCounts().FromRaw([]uint64{1, 2, 3, 4}[:rapid.IntRange(0, 4).Draw(r, "counts")])
						}
						p.RemoveSum()
						if rapid.Bool().Draw(r, "sum") {
							p.SetSum(doubles.Draw(r, "value"))
						}
						p.SetCount(rapid.Uint64().Draw(r, "count"))
					}
				case pmetric.MetricTypeExponentialHistogram:
					for _, p := range m.ExponentialHistogram().DataPoints().All() {
						later(p)
					}
				case pmetric.MetricTypeSummary:
					for _, p := range m.Summary().DataPoints().All() {
						later(p)
					}
				}
			}
		}
	}
}

// Streams that are known become what Prometheus' endpoint makes of them, too, whatever changes about them, and whichever
// of their parts are wanted meanwhile.
func TestKnownStreamsAreWhatPrometheusMakesOfThem(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		opts := rapid.SampledFrom(configurations()).Draw(r, "options")
		// Some runs have room for all labels, some for few.
		opts.Series = rapid.SampledFrom([]int{1000, 1000, 5}).Draw(r, "series")
		want, got := &recorder{}, &recorder{}
		not := map[string]bool{}
		got.wants = func(name string) bool { return !not[name] }
		theirs, ours := newEndpoint(opts, want, false), New(opts, got)
		md := (&draws{T: r}).metrics()
		for i := range rapid.IntRange(2, 4).Draw(r, "batches") {
			md = copyOf(md)
			if i > 0 {
				next(r, md, 15*time.Second)
				sent, err := (&pmetric.ProtoUnmarshaler{}).UnmarshalMetrics([]byte(wire(r, md)))
				require.NoError(r, err)
				md = sent
			}
			if rapid.IntRange(0, 2).Draw(r, "select") == 0 {
				for _, name := range got.names() {
					not[name] = rapid.Bool().Draw(r, "not")
				}
				ours.Reselect()
			}
			want.samples, got.samples = nil, nil
			theirs.send(r, md)
			require.Empty(r, theirs.said)
			counts := ours.Consume(context.Background(), md, noon)
			wanted := func(sample string) bool { return !not[nameOf(sample)] }
			require.Equal(r, only(want.sorted(), wanted), only(got.sorted(), everySample))
			require.Equal(r, Counts{Appended: len(got.samples)}, counts)
		}
	})
}

// Points of one stream stay in the order in which they are in a batch, known or not.
func TestPointsOfAStreamStayInOrder(t *testing.T) {
	got := &recorder{}
	tr := New(Options{}, got)
	for batch := range 3 {
		var want []string
		var points []func(pmetric.NumberDataPoint)
		for i := range 5 {
			at := batch*100 + i
			want = append(want, fmt.Sprintf(`{__name__="x"} st=0 t=%d 1 3ff0000000000000`, noon.UnixMilli()+int64(at)*1000))
			points = append(points, func(p pmetric.NumberDataPoint) { p.SetIntValue(1); p.SetTimestamp(after(at)) })
		}
		got.samples = nil
		tr.Consume(context.Background(), gauges("x", points...), noon)
		assert.Equal(t, want, got.samples)
	}
}

// Known labels are the very ones the sink was given first, so that they take no room twice.
func TestKnownLabelsAreShared(t *testing.T) {
	sink := &values{}
	tr := New(Options{}, sink)
	tr.Consume(context.Background(), gauges("x", integer(1)), noon)
	tr.Consume(context.Background(), gauges("x", integer(2)), noon)
	require.Len(t, sink.of, 2)
	assert.Zero(t, testing.AllocsPerRun(10, func() {
		if !labels.Equal(sink.of[0].ls, sink.of[1].ls) {
			t.Fail()
		}
	}))
	points := make([]func(pmetric.NumberDataPoint), 1000)
	for i := range points {
		points[i] = func(p pmetric.NumberDataPoint) { p.SetIntValue(3); p.Attributes().PutInt("i", int64(i)) }
	}
	md := gauges("x", points...)
	counting := New(Options{}, discarding{wants: true})
	counting.Consume(context.Background(), md, noon)
	// Seven for a batch; the race detector makes pools forget, and then a session is made anew.
	assert.Less(t, testing.AllocsPerRun(20, func() { counting.Consume(context.Background(), md, noon) }), 50.0, "per batch of 1,000 points")
}

func TestKnownStreamsAreForgottenAndBounded(t *testing.T) {
	tr := New(Options{Series: 100}, discarding{wants: true})
	points := make([]func(pmetric.NumberDataPoint), 1000)
	for i := range points {
		points[i] = func(p pmetric.NumberDataPoint) { p.SetIntValue(1); p.Attributes().PutInt("i", int64(i)) }
	}
	assert.Equal(t, 1000, tr.Consume(context.Background(), gauges("x", points...), noon).Appended)
	assert.EqualValues(t, 100, tr.known.count.Load())
	// All of one batch are old by now, and make room as others come.
	for i := range 3 {
		tr.Consume(context.Background(), gauges(fmt.Sprint("y", i), points...), noon.Add(remembered+time.Minute))
	}
	kept := 0
	for i := range tr.known.shards {
		for _, st := range tr.known.shards[i].byKey {
			assert.Equal(t, noon.Add(remembered+time.Minute).Unix(), st.seen)
			kept++
		}
	}
	assert.Equal(t, 100, kept)
	assert.EqualValues(t, 100, tr.known.count.Load())
}
