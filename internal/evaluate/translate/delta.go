package translate

import (
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/pmetric"
)

// Deltas are added up to running totals, because that is what Prometheus' functions expect. The rules for what counts
// are those of the Collector's deltatocumulative processor, which Prometheus' endpoint uses for it: a point must be
// newer than the last one, and must not begin before the stream did. It is not that processor, because its clock cannot
// be given to it, it forgets in a goroutine of its own, and "no recorded value" stays with a stream for good.

// outcome is what became of a delta point.
type outcome int

const (
	added outcome = iota
	repeated
	overflow
	unmergeable
)

// shards keep goroutines that add at once out of each other's way.
const shards = 16

// accumulator keeps the totals of delta streams.
type accumulator struct {
	limit  int64
	forget int64
	count  atomic.Int64
	shards [shards]shard
}

type shard struct {
	mu     sync.Mutex
	totals map[uint64]*total
	pruned int64
}

// total is what a stream adds up to. Times are nanoseconds.
type total struct {
	// seen is when a point was last added, by the clock and not by the point.
	seen        int64
	start, last uint64

	number      numberTotal
	histogram   *histogramTotal
	exponential *exponentialTotal
}

type numberTotal struct {
	integer int64
	double  float64
	// isDouble is set once a point was.
	isDouble bool
}

func (n numberTotal) value() float64 {
	if n.isDouble {
		return n.double
	}
	return float64(n.integer)
}

type histogramTotal struct {
	count  uint64
	sum    float64
	hasSum bool
	bounds []float64
	counts []uint64
}

func newAccumulator(limit int, forget time.Duration) *accumulator {
	a := &accumulator{limit: int64(limit), forget: int64(forget)}
	for i := range a.shards {
		a.shards[i].totals = map[uint64]*total{}
	}
	return a
}

// in finds a stream's total and calls add with it, where the point's times allow that; fresh says that there is nothing
// yet to add to.
func (a *accumulator) in(key uint64, start, at uint64, now int64, add func(t *total, fresh bool) outcome) outcome {
	s := &a.shards[key%shards]
	s.mu.Lock()
	defer s.mu.Unlock()
	a.prune(s, now)
	t := s.totals[key]
	switch {
	case t == nil:
		if a.count.Add(1) > a.limit {
			a.count.Add(-1)
			return overflow
		}
		t = &total{start: start}
		if o := add(t, true); o != added {
			a.count.Add(-1)
			return o
		}
		s.totals[key] = t
	case at <= t.last, start != 0 && start < t.start:
		return repeated
	default:
		if o := add(t, false); o != added {
			return o
		}
	}
	t.seen, t.last = now, at
	return added
}

// prune forgets, now and then, what has had no point for long.
func (a *accumulator) prune(s *shard, now int64) {
	if now-s.pruned < a.forget/4 {
		return
	}
	s.pruned = now
	for key, t := range s.totals {
		if now-t.seen > a.forget {
			delete(s.totals, key)
			a.count.Add(-1)
		}
	}
}

// number adds a value to its stream, and returns the total and when it began.
func (a *accumulator) number(key uint64, start, at pcommon.Timestamp, v numberTotal, now int64) (sum float64, since pcommon.Timestamp, o outcome) {
	o = a.in(key, uint64(start), uint64(at), now, func(t *total, _ bool) outcome {
		n := &t.number
		if v.isDouble && !n.isDouble {
			n.isDouble, n.double = true, float64(n.integer)
		}
		switch {
		case !n.isDouble:
			n.integer += v.integer
		case v.isDouble:
			n.double += v.double
		default:
			n.double += float64(v.integer)
		}
		sum, since = n.value(), pcommon.Timestamp(t.start)
		return added
	})
	return sum, since, o
}

// maxBuckets is the most buckets of an explicit histogram that is added up, so that the limit on streams is one on
// memory too.
const maxBuckets = 2048

// histogram adds a point to its stream and makes it the total. With other bounds it begins anew: no count can be moved between them.
func (a *accumulator) histogram(key uint64, p pmetric.HistogramDataPoint, now int64) outcome {
	bounds, counts := p.ExplicitBounds(), p.BucketCounts()
	if bounds.Len() > maxBuckets || counts.Len() > maxBuckets+1 {
		return unmergeable
	}
	return a.in(key, uint64(p.StartTimestamp()), uint64(p.Timestamp()), now, func(t *total, fresh bool) outcome {
		h := t.histogram
		if fresh || h == nil || counts.Len() != len(h.counts) || !slices.Equal(bounds.AsRaw(), h.bounds) {
			t.histogram = &histogramTotal{
				count: p.Count(), sum: p.Sum(), hasSum: p.HasSum(), bounds: bounds.AsRaw(), counts: counts.AsRaw(),
			}
			t.start = uint64(p.StartTimestamp())
			return added
		}
		h.count += p.Count()
		h.hasSum = h.hasSum && p.HasSum()
		h.sum += p.Sum()
		for i := range h.counts {
			h.counts[i] += counts.At(i)
			counts.SetAt(i, h.counts[i])
		}
		p.SetCount(h.count)
		if h.hasSum {
			p.SetSum(h.sum)
		} else {
			p.RemoveSum()
		}
		p.SetStartTimestamp(pcommon.Timestamp(t.start))
		return added
	})
}
