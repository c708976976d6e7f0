package translate

import (
	"context"
	"fmt"
	"math"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/pmetric"
	"pgregory.net/rapid"
)

// step is one point of a delta stream, times in seconds after noon.
type step struct {
	start, at int
	value     int64
}

func sumOf(steps ...step) pmetric.Metrics {
	md := pmetric.NewMetrics()
	m := md.ResourceMetrics().AppendEmpty().ScopeMetrics().AppendEmpty().Metrics().AppendEmpty()
	m.SetName("requests")
	sum := m.SetEmptySum()
	sum.SetIsMonotonic(true)
	sum.SetAggregationTemporality(pmetric.AggregationTemporalityDelta)
	for _, s := range steps {
		p := sum.DataPoints().AppendEmpty()
		p.SetIntValue(s.value)
		p.SetStartTimestamp(after(s.start))
		p.SetTimestamp(after(s.at))
	}
	return md
}

func after(seconds int) pcommon.Timestamp {
	return stamp(noon.Add(time.Duration(seconds) * time.Second))
}

func line(start, at int, value float64) string {
	ms := noon.UnixMilli()
	return fmt.Sprintf(`{__name__="requests_total"} st=%d t=%d %v %x`, ms+int64(start)*1000, ms+int64(at)*1000, value, math.Float64bits(value))
}

func TestDeltasAddUp(t *testing.T) {
	for _, c := range []struct {
		name  string
		steps []step
		want  []string
		left  Counts
	}{
		{
			name:  "one after the other",
			steps: []step{{0, 10, 5}, {10, 20, 3}, {20, 30, 0}, {30, 40, 2}},
			want:  []string{line(0, 10, 5), line(0, 20, 8), line(0, 30, 8), line(0, 40, 10)},
		}, {
			name:  "a point that is sent again does not count again",
			steps: []step{{0, 10, 5}, {10, 20, 3}, {10, 20, 3}, {0, 10, 5}, {20, 30, 1}},
			want:  []string{line(0, 10, 5), line(0, 20, 8), line(0, 30, 9)},
			left:  Counts{Repeated: 2},
		}, {
			name:  "a point that comes late does not count, because what came after it has been told",
			steps: []step{{0, 10, 5}, {20, 30, 3}, {10, 20, 4}, {30, 40, 1}},
			want:  []string{line(0, 10, 5), line(0, 30, 8), line(0, 40, 9)},
			left:  Counts{Repeated: 1},
		}, {
			name:  "a restart of the sender, and a gap, are no reset of the sum",
			steps: []step{{0, 10, 5}, {100, 110, 3}, {115, 120, 2}},
			want:  []string{line(0, 10, 5), line(0, 110, 8), line(0, 120, 10)},
		}, {
			name:  "a point that begins before the stream did is of an older one",
			steps: []step{{10, 20, 5}, {0, 30, 7}, {20, 40, 1}},
			want:  []string{line(10, 20, 5), line(10, 40, 6)},
			left:  Counts{Repeated: 1},
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			for _, together := range []bool{true, false} {
				got := &recorder{}
				tr := New(Options{}, got)
				var left Counts
				take := func(md pmetric.Metrics) {
					counts := tr.Consume(context.Background(), md, noon)
					left.Repeated += counts.Repeated
					assert.Equal(t, counts.Repeated, counts.Dropped())
				}
				if together {
					take(sumOf(c.steps...))
				} else {
					for _, s := range c.steps {
						take(sumOf(s))
					}
				}
				assert.Equal(t, c.want, got.samples)
				assert.Equal(t, c.left, left)
			}
		})
	}
}

func TestDeltaWithoutStartTimeGoesOn(t *testing.T) {
	got := &recorder{}
	tr := New(Options{}, got)
	for i, start := range []pcommon.Timestamp{after(0), 0, after(20), 0} {
		md := sumOf(step{at: 10 * (i + 1), value: 1})
		md.ResourceMetrics().At(0).ScopeMetrics().At(0).Metrics().At(0).Sum().DataPoints().At(0).SetStartTimestamp(start)
		tr.Consume(context.Background(), md, noon)
	}
	assert.Equal(t, []string{line(0, 10, 1), line(0, 20, 2), line(0, 30, 3), line(0, 40, 4)}, got.samples)
}

func TestIntegersAndDoublesInOneDeltaStream(t *testing.T) {
	got := &recorder{}
	tr := New(Options{}, got)
	half := sumOf(step{start: 10, at: 20})
	half.ResourceMetrics().At(0).ScopeMetrics().At(0).Metrics().At(0).Sum().DataPoints().At(0).SetDoubleValue(0.5)
	for _, md := range []pmetric.Metrics{sumOf(step{0, 10, 1}), half, sumOf(step{20, 30, 1})} {
		tr.Consume(context.Background(), md, noon)
	}
	assert.Equal(t, []string{line(0, 10, 1), line(0, 20, 1.5), line(0, 30, 2.5)}, got.samples)
}

// "No recorded value" is a stale marker of a delta stream, and the sum goes on after it.
func TestStaleDelta(t *testing.T) {
	got := &recorder{}
	tr := New(Options{}, got)
	gone := sumOf(step{start: 10, at: 20, value: 99})
	gone.ResourceMetrics().At(0).ScopeMetrics().At(0).Metrics().At(0).Sum().DataPoints().At(0).
		SetFlags(pmetric.DefaultDataPointFlags.WithNoRecordedValue(true))
	for _, md := range []pmetric.Metrics{sumOf(step{0, 10, 1}), gone, sumOf(step{20, 30, 1})} {
		tr.Consume(context.Background(), md, noon)
	}
	require.Len(t, got.samples, 3)
	assert.Equal(t, line(0, 10, 1), got.samples[0])
	assert.Contains(t, got.samples[1], "NaN 7ff0000000000002")
	assert.Equal(t, line(0, 30, 2), got.samples[2])
}

// A stream that was quiet for longer than Forget begins anew; one that was not goes on. What is forgotten makes room.
func TestDeltaStreamsAreForgottenAndBounded(t *testing.T) {
	got := &recorder{}
	tr := New(Options{Streams: 2, Forget: time.Minute}, got)
	point := func(host string, at int) Counts {
		md := sumOf(step{start: at - 10, at: at, value: 1})
		md.ResourceMetrics().At(0).Resource().Attributes().PutStr("host.name", host)
		return tr.Consume(context.Background(), md, noon.Add(time.Duration(at)*time.Second))
	}
	assert.Equal(t, Counts{Appended: 1}, point("a", 10))
	assert.Equal(t, Counts{Appended: 1}, point("b", 20))
	assert.Equal(t, Counts{Overflow: 1}, point("c", 30), "no room")
	assert.Equal(t, Counts{Appended: 1}, point("a", 60))
	assert.EqualValues(t, 2, tr.deltas.count.Load())
	assert.Equal(t, Counts{Appended: 1}, point("b", 200), "b begins anew")
	assert.Equal(t, Counts{Appended: 1}, point("a", 210))
	assert.Equal(t, []string{line(0, 10, 1), line(10, 20, 1), line(0, 60, 2), line(190, 200, 1), line(200, 210, 1)}, got.samples)
}

// Two streams that are of different resources, scopes, units, or attributes, are two sums.
func TestDeltaStreamsAreToldApart(t *testing.T) {
	change := []func(pmetric.ResourceMetrics, pmetric.Metric){
		func(pmetric.ResourceMetrics, pmetric.Metric) {},
		func(rm pmetric.ResourceMetrics, _ pmetric.Metric) { rm.Resource().Attributes().PutStr("a", "b") },
		func(rm pmetric.ResourceMetrics, _ pmetric.Metric) { rm.Resource().Attributes().PutStr("b", "a") },
		func(rm pmetric.ResourceMetrics, _ pmetric.Metric) { rm.Resource().Attributes().PutInt("a", 1) },
		func(rm pmetric.ResourceMetrics, _ pmetric.Metric) { rm.Resource().Attributes().PutBool("a", true) },
		func(rm pmetric.ResourceMetrics, _ pmetric.Metric) { rm.Resource().Attributes().PutDouble("a", 1) },
		func(rm pmetric.ResourceMetrics, _ pmetric.Metric) { rm.ScopeMetrics().At(0).Scope().SetName("x") },
		func(rm pmetric.ResourceMetrics, _ pmetric.Metric) { rm.ScopeMetrics().At(0).Scope().SetVersion("x") },
		func(rm pmetric.ResourceMetrics, _ pmetric.Metric) {
			rm.ScopeMetrics().At(0).Scope().Attributes().PutStr("x", "y")
		},
		func(_ pmetric.ResourceMetrics, m pmetric.Metric) { m.SetUnit("1") },
		func(_ pmetric.ResourceMetrics, m pmetric.Metric) { m.SetName("requests.") },
		func(_ pmetric.ResourceMetrics, m pmetric.Metric) {
			m.Sum().DataPoints().At(0).Attributes().PutStr("a", "b")
		},
		func(_ pmetric.ResourceMetrics, m pmetric.Metric) {
			m.Sum().DataPoints().At(0).Attributes().PutEmptySlice("a").AppendEmpty().SetStr("b")
		},
	}
	got := &recorder{}
	tr := New(Options{}, got)
	for round := range 2 {
		for _, c := range change {
			md := sumOf(step{start: round * 10, at: round*10 + 10, value: 1})
			rm := md.ResourceMetrics().At(0)
			c(rm, rm.ScopeMetrics().At(0).Metrics().At(0))
			assert.Equal(t, 1, tr.Consume(context.Background(), md, noon).Appended)
		}
	}
	assert.EqualValues(t, len(change), tr.deltas.count.Load())
}

// Random delta streams of all types, with repeats, late points, restarts and gaps, add up as in Prometheus' endpoint with
// its conversion of deltas, which is the Collector's deltatocumulative processor.
func TestRandomDeltasAddUpAsInPrometheus(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		want, got := &recorder{compact: true}, &recorder{compact: true}
		theirs, ours := newEndpoint(Options{}, want, true), New(Options{}, got)
		var sent []pmetric.Metrics
		clock := 0
		for range rapid.IntRange(1, 8).Draw(r, "batches") {
			if len(sent) > 0 && rapid.IntRange(0, 4).Draw(r, "again") == 0 {
				md := rapid.SampledFrom(sent).Draw(r, "sent")
				theirs.send(r, copyOf(md))
				ours.Consume(context.Background(), md, noon)
				continue
			}
			md := pmetric.NewMetrics()
			ms := md.ResourceMetrics().AppendEmpty().ScopeMetrics().AppendEmpty().Metrics()
			for range rapid.IntRange(1, 4).Draw(r, "points") {
				start := clock - rapid.SampledFrom([]int{0, 0, 0, 5, -5}).Draw(r, "overlap")
				clock += rapid.IntRange(0, 20).Draw(r, "passes")
				randomDelta(r, ms.AppendEmpty(), start, clock-rapid.SampledFrom([]int{0, 0, 0, 15}).Draw(r, "late"))
			}
			sent = append(sent, md)
			theirs.send(r, md)
			ours.Consume(context.Background(), md, noon)
		}
		require.Equal(r, only(want.sorted(), everySample), only(got.sorted(), everySample))
	})
}

func everySample(string) bool { return true }

func randomDelta(r *rapid.T, m pmetric.Metric, start, at int) {
	var timed interface {
		SetTimestamp(pcommon.Timestamp)
		SetStartTimestamp(pcommon.Timestamp)
		Attributes() pcommon.Map
	}
	switch rapid.IntRange(0, 2).Draw(r, "type") {
	case 0:
		m.SetName("s")
		s := m.SetEmptySum()
		s.SetAggregationTemporality(pmetric.AggregationTemporalityDelta)
		s.SetIsMonotonic(rapid.Bool().Draw(r, "monotonic"))
		p := s.DataPoints().AppendEmpty()
		p.SetDoubleValue(float64(rapid.IntRange(-5, 100).Draw(r, "value")) / 4)
		timed = p
	case 1:
		m.SetName("h")
		h := m.SetEmptyHistogram()
		h.SetAggregationTemporality(pmetric.AggregationTemporalityDelta)
		p := h.DataPoints().AppendEmpty()
		p.ExplicitBounds().FromRaw(rapid.SampledFrom([][]float64{{1, 2}, {1, 2}, {1, 2}, {1, 3}, {}}).Draw(r, "bounds"))
		count := uint64(0)
		for range p.ExplicitBounds().Len() + 1 {
			c := rapid.Uint64Range(0, 9).Draw(r, "count")
			p.BucketCounts().Append(c)
			count += c
		}
		p.SetCount(count)
		if rapid.IntRange(0, 5).Draw(r, "sum") > 0 {
			p.SetSum(float64(count) / 2)
		}
		timed = p
	case 2:
		m.SetName("e")
		h := m.SetEmptyExponentialHistogram()
		h.SetAggregationTemporality(pmetric.AggregationTemporalityDelta)
		p := h.DataPoints().AppendEmpty()
		p.SetScale(int32(rapid.IntRange(0, 8).Draw(r, "scale")))
		// Of other thresholds the Collector's processor takes in a bucket too many when rounding is against it.
		p.SetZeroThreshold(rapid.SampledFrom([]float64{0, 0, 0, 0.5, 1}).Draw(r, "threshold"))
		p.SetZeroCount(rapid.Uint64Range(0, 3).Draw(r, "zero"))
		count := p.ZeroCount()
		for _, side := range []pmetric.ExponentialHistogramDataPointBuckets{p.Positive(), p.Negative()} {
			side.SetOffset(rapid.Int32Range(-40, 40).Draw(r, "offset"))
			for range rapid.IntRange(0, 6).Draw(r, "buckets") {
				c := rapid.Uint64Range(0, 5).Draw(r, "count")
				side.BucketCounts().Append(c)
				count += c
			}
		}
		p.SetCount(count)
		p.SetSum(float64(count))
		timed = p
	}
	timed.SetTimestamp(after(at))
	timed.SetStartTimestamp(after(start))
	timed.Attributes().PutStr("path", rapid.SampledFrom([]string{"/", "/a"}).Draw(r, "path"))
}
