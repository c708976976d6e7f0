package translate

import (
	"context"
	"maps"
	"math"
	"testing"

	"github.com/prometheus/prometheus/model/histogram"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/pdata/pmetric"
	"pgregory.net/rapid"
)

func TestIndexOfBounds(t *testing.T) {
	for scale := int32(-4); scale <= maxScale; scale++ {
		for _, index := range []int32{-1000, -33, -2, -1, 0, 1, 2, 31, 900} {
			if bound := upperBound(index, scale); bound < math.MaxFloat64 && bound > 0x1p-1000 {
				assert.Equal(t, index, indexOf(bound, scale), "a bound belongs to the bucket below it: %g at scale %d", bound, scale)
			}
		}
	}
	assert.EqualValues(t, 0, indexOf(1.5, 0))
	assert.EqualValues(t, 0, indexOf(2, 0))
	assert.EqualValues(t, 1, indexOf(2.1, 0))
	assert.EqualValues(t, -1, indexOf(1, 0))
	assert.EqualValues(t, -1, indexOf(0.6, 0))
	assert.EqualValues(t, 10<<20>>4, indexOf(math.Exp2(10+1e-5), 16))
}

// observed is a slow and obvious exponential histogram: counts by the index of a bucket.
type observed map[int32]uint64

func (o observed) coarser() observed {
	c := observed{}
	for i, n := range o {
		c[int32(math.Floor(float64(i)/2))] += n
	}
	return c
}

func (o observed) width() int32 {
	if len(o) == 0 {
		return 0
	}
	first, last := int32(math.MaxInt32), int32(math.MinInt32)
	for i := range o {
		first, last = min(first, i), max(last, i)
	}
	return last - first + 1
}

func observedIn(b buckets) observed {
	o := observed{}
	for i, n := range b.counts {
		if n > 0 {
			o[b.offset+int32(i)] += n
		}
	}
	return o
}

func (o observed) plus(p observed) observed {
	sum := maps.Clone(o)
	for i, n := range p {
		sum[i] += n
	}
	return sum
}

// Buckets of any two scales and places are added as counting by index does it, at the finest resolution at which each
// side fits, or not at all.
func TestAddingExponentialHistograms(t *testing.T) {
	draw := func(r *rapid.T) *exponentialTotal {
		side := func() buckets {
			b := buckets{offset: rapid.Int32Range(-2000, 2000).Draw(r, "offset")}
			for range rapid.IntRange(0, 200).Draw(r, "buckets") {
				b.counts = append(b.counts, rapid.Uint64Range(0, 3).Draw(r, "count"))
			}
			return b.trimmed()
		}
		return &exponentialTotal{scale: rapid.Int32Range(histogram.ExponentialSchemaMin, maxScale).Draw(r, "scale"), positive: side(), negative: side(), count: 1, zero: 2, sum: 3, hasSum: true}
	}
	rapid.Check(t, func(r *rapid.T) {
		a, b := draw(r), draw(r)
		ap, an, bp, bn := observedIn(a.positive), observedIn(a.negative), observedIn(b.positive), observedIn(b.negative)
		scale := min(a.scale, b.scale)
		for range a.scale - scale {
			ap, an = ap.coarser(), an.coarser()
		}
		for range b.scale - scale {
			bp, bn = bp.coarser(), bn.coarser()
		}
		positive, negative := ap.plus(bp), an.plus(bn)
		for positive.width() > mergedBuckets || negative.width() > mergedBuckets {
			positive, negative = positive.coarser(), negative.coarser()
			scale--
		}
		ok := a.add(b)
		require.Equal(r, scale >= histogram.ExponentialSchemaMin, ok)
		if ok {
			assert.Equal(r, scale, a.scale)
			assert.Equal(r, positive, observedIn(a.positive))
			assert.Equal(r, negative, observedIn(a.negative))
			assert.EqualValues(r, 2, a.count)
			assert.EqualValues(r, 4, a.zero)
			assert.Equal(r, 6.0, a.sum)
		}
	})
}

// With a wider zero bucket on one side, the other side's buckets within it go into it, once.
func TestAddingWithDifferentZeroThresholds(t *testing.T) {
	of := func(threshold float64) *exponentialTotal {
		return &exponentialTotal{scale: 3, threshold: threshold, positive: buckets{offset: 2, counts: []uint64{1, 1, 1}}, negative: buckets{offset: 3, counts: []uint64{1}}}
	}
	// 1.3 is in bucket 3, which ends at 2^(4/8).
	a := of(0)
	require.True(t, a.add(of(1.3)))
	assert.EqualValues(t, 3, a.zero, "two of a's positive buckets, one negative")
	assert.Equal(t, buckets{offset: 2, counts: []uint64{1, 1, 2}}, a.positive)
	assert.InDelta(t, math.Sqrt2, a.threshold, 1e-12)
	for range 3 {
		zero := a.zero
		require.True(t, a.add(of(0)))
		assert.Equal(t, zero+3, a.zero, "the threshold does not grow by itself")
	}
	assert.Equal(t, buckets{offset: 2, counts: []uint64{1, 1, 5}}, a.positive)
}

// A delta stream that can no longer be added up, because its values lie too far apart, begins anew and does not stop.
func TestExponentialDeltasTooFarApartBeginAnew(t *testing.T) {
	point := func(at int, scale, offset int32) pmetric.Metrics {
		md := pmetric.NewMetrics()
		m := md.ResourceMetrics().AppendEmpty().ScopeMetrics().AppendEmpty().Metrics().AppendEmpty()
		m.SetName("e")
		h := m.SetEmptyExponentialHistogram()
		h.SetAggregationTemporality(pmetric.AggregationTemporalityDelta)
		p := h.DataPoints().AppendEmpty()
		p.SetTimestamp(after(at))
		p.SetStartTimestamp(after(at - 10))
		p.SetScale(scale)
		p.SetCount(1)
		p.Positive().SetOffset(offset)
		p.Positive().BucketCounts().Append(1)
		return md
	}
	sink := &histograms{}
	tr := New(Options{}, sink)
	for _, md := range []pmetric.Metrics{point(10, 8, 5), point(20, 8, 5), point(30, -4, 1<<20), point(40, -4, 1<<20)} {
		tr.Consume(context.Background(), md, noon)
	}
	require.Len(t, sink.of, 4)
	for i, want := range []struct {
		schema int32
		count  uint64
	}{{8, 1}, {8, 2}, {-4, 1}, {-4, 2}} {
		assert.Equal(t, want.schema, sink.of[i].Schema, i)
		assert.Equal(t, want.count, sink.of[i].Count, i)
	}
	for name, change := range map[string]func(pmetric.ExponentialHistogramDataPoint){
		"too many buckets": func(p pmetric.ExponentialHistogramDataPoint) {
			p.Positive().BucketCounts().FromRaw(make([]uint64, maxBuckets+1))
		},
		"too far":   func(p pmetric.ExponentialHistogramDataPoint) { p.Positive().SetOffset(math.MaxInt32) },
		"too fine":  func(p pmetric.ExponentialHistogramDataPoint) { p.SetScale(math.MaxInt32) },
		"too wide":  func(p pmetric.ExponentialHistogramDataPoint) { p.SetScale(-5) },
		"threshold": func(p pmetric.ExponentialHistogramDataPoint) { p.SetZeroThreshold(math.NaN()) },
	} {
		md := point(50, 0, 0)
		change(md.ResourceMetrics().At(0).ScopeMetrics().At(0).Metrics().At(0).ExponentialHistogram().DataPoints().At(0))
		assert.Equal(t, Counts{Untranslatable: 1}, tr.Consume(context.Background(), md, noon), name)
	}
}

type histograms struct{ of []*histogram.Histogram }

func (*histograms) Wants(string) bool { return true }
func (s *histograms) Append(_ labels.Labels, _, _ int64, _ float64, h *histogram.Histogram, _ *histogram.FloatHistogram, _ int64) error {
	s.of = append(s.of, h)
	return nil
}
