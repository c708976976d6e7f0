package translate

import (
	"math"

	"github.com/prometheus/prometheus/model/histogram"
	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/pmetric"
)

// mergedBuckets is how many buckets a side of an added-up exponential histogram has at most; the resolution is halved
// until they fit. 160 is the default of OpenTelemetry's SDKs.
const mergedBuckets = 160

// maxIndex bounds bucket indexes, so that sums of them do not overflow. At the finest scale that an SDK uses, 20, the
// largest double has index 2^30.
const maxIndex = 1 << 30

// maxScale is the finest scale that is accepted.
const maxScale = 20

// exponentialTotal is the sum of the points of an exponential histogram.
type exponentialTotal struct {
	count, zero        uint64
	sum                float64
	hasSum             bool
	scale              int32
	threshold          float64
	positive, negative buckets
}

// buckets hold counts from index offset on, without zeros at their ends.
type buckets struct {
	offset int32
	counts []uint64
}

// exponential adds a point to its stream and makes it the total.
func (a *accumulator) exponential(key uint64, p pmetric.ExponentialHistogramDataPoint, now int64) outcome {
	positive, ok1 := bucketsOf(p.Positive())
	negative, ok2 := bucketsOf(p.Negative())
	threshold := p.ZeroThreshold()
	if !ok1 || !ok2 || p.Scale() > maxScale || !(threshold >= 0) || math.IsInf(threshold, 1) {
		return unmergeable
	}
	next := &exponentialTotal{
		count: p.Count(), zero: p.ZeroCount(), sum: p.Sum(), hasSum: p.HasSum(), scale: p.Scale(), threshold: threshold,
		positive: positive, negative: negative,
	}
	return a.in(key, uint64(p.StartTimestamp()), uint64(p.Timestamp()), now, func(t *total, fresh bool) outcome {
		if fresh || t.exponential == nil || !t.exponential.add(next) {
			t.exponential = next
			t.start = uint64(p.StartTimestamp())
			return added
		}
		t.exponential.put(p)
		p.SetStartTimestamp(pcommon.Timestamp(t.start))
		return added
	})
}

// bucketsOf takes a point's buckets, and reports false where they are more than maxBuckets, or beyond all that a double
// can reach.
func bucketsOf(b pmetric.ExponentialHistogramDataPointBuckets) (buckets, bool) {
	counts := b.BucketCounts().AsRaw()
	if len(counts) > maxBuckets || b.Offset() > maxIndex || b.Offset() < -maxIndex-1 {
		return buckets{}, len(counts) == 0
	}
	return buckets{offset: b.Offset(), counts: counts}.trimmed(), true
}

func (b buckets) trimmed() buckets {
	for len(b.counts) > 0 && b.counts[0] == 0 {
		b.counts = b.counts[1:]
		b.offset++
	}
	for len(b.counts) > 0 && b.counts[len(b.counts)-1] == 0 {
		b.counts = b.counts[:len(b.counts)-1]
	}
	if len(b.counts) == 0 {
		return buckets{}
	}
	return b
}

// end is one more than the index of the last bucket.
func (b buckets) end() int32 { return b.offset + int32(len(b.counts)) }

// coarser merges each 2^by buckets into one: bucket i becomes i >> by.
func (b buckets) coarser(by int32) buckets {
	if by == 0 || len(b.counts) == 0 {
		return b
	}
	first := b.offset >> by
	merged := make([]uint64, (b.end()-1)>>by-first+1)
	for i, n := range b.counts {
		merged[(b.offset+int32(i))>>by-first] += n
	}
	return buckets{offset: first, counts: merged}
}

// plus adds buckets of the same scale.
func (b buckets) plus(c buckets) buckets {
	switch {
	case len(c.counts) == 0:
		return b
	case len(b.counts) == 0:
		return c
	}
	first, end := span(b, c)
	if first != b.offset || end != b.end() {
		counts := make([]uint64, end-first)
		copy(counts[b.offset-first:], b.counts)
		b = buckets{offset: first, counts: counts}
	}
	for i, n := range c.counts {
		b.counts[c.offset-first+int32(i)] += n
	}
	return b
}

// span is where the buckets of both begin and end.
func span(b, c buckets) (first, end int32) {
	switch {
	case len(c.counts) == 0:
		return b.offset, b.end()
	case len(b.counts) == 0:
		return c.offset, c.end()
	}
	return min(b.offset, c.offset), max(b.end(), c.end())
}

// coarsening is by how many halvings of the resolution two sets of buckets fit into mergedBuckets together.
func coarsening(b, c buckets) int32 {
	first, end := span(b, c)
	if first == end {
		return 0
	}
	by := int32(0)
	for last := end - 1; last>>by-first>>by+1 > mergedBuckets; by++ {
	}
	return by
}

// add adds n, which it may take apart, and reports false where both do not fit into one histogram that Prometheus can
// hold.
func (t *exponentialTotal) add(n *exponentialTotal) bool {
	scale := min(t.scale, n.scale)
	tp, tn := t.positive.coarser(t.scale-scale), t.negative.coarser(t.scale-scale)
	np, nn := n.positive.coarser(n.scale-scale), n.negative.coarser(n.scale-scale)
	by := max(coarsening(tp, np), coarsening(tn, nn))
	if scale-by < histogram.ExponentialSchemaMin {
		return false
	}
	t.scale = scale - by
	tp, tn, np, nn = tp.coarser(by), tn.coarser(by), np.coarser(by), nn.coarser(by)
	switch {
	case t.threshold < n.threshold:
		last := indexOf(n.threshold, t.scale)
		t.zero += tp.through(last) + tn.through(last)
		t.threshold = upperBound(last, t.scale)
	case n.threshold < t.threshold:
		last := indexOf(t.threshold, t.scale)
		t.zero += np.through(last) + nn.through(last)
	}
	t.positive, t.negative = tp.plus(np), tn.plus(nn)
	t.zero += n.zero
	t.count += n.count
	t.hasSum = t.hasSum && n.hasSum
	t.sum += n.sum
	return true
}

// through takes out the buckets up to index last, for the zero bucket, and returns how much was in them.
func (b *buckets) through(last int32) (n uint64) {
	for len(b.counts) > 0 && b.offset <= last {
		n += b.counts[0]
		b.counts = b.counts[1:]
		b.offset++
	}
	*b = b.trimmed()
	return n
}

// indexOf is the index of the bucket that holds v > 0: bucket i goes from base^i, exclusive, to base^(i+1), inclusive,
// where base is 2^(2^-scale). What a bound comes out as in floating point is taken for that bound: otherwise a zero
// threshold that was widened to one would take in the next bucket with the next point.
func indexOf(v float64, scale int32) int32 {
	const nearly = 1e-6 // of a bucket; a logarithm's error is below 1e-7 of one at the finest scale
	return int32(math.Ceil(math.Ldexp(math.Log2(v), int(scale))-nearly)) - 1
}

func upperBound(index, scale int32) float64 {
	return min(math.Exp2(math.Ldexp(float64(index)+1, -int(scale))), math.MaxFloat64)
}

// put writes the total to a point.
func (t *exponentialTotal) put(p pmetric.ExponentialHistogramDataPoint) {
	p.SetScale(t.scale)
	p.SetCount(t.count)
	p.SetZeroCount(t.zero)
	p.SetZeroThreshold(t.threshold)
	if t.hasSum {
		p.SetSum(t.sum)
	} else {
		p.RemoveSum()
	}
	p.Positive().SetOffset(t.positive.offset)
	p.Positive().BucketCounts().FromRaw(t.positive.counts)
	p.Negative().SetOffset(t.negative.offset)
	p.Negative().BucketCounts().FromRaw(t.negative.counts)
}
