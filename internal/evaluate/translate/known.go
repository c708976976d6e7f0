package translate

import (
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/prometheus/model/labels"
	"go.opentelemetry.io/collector/pdata/pmetric"
)

// Most points are of streams that were there before. The labels that the library once made of a stream are kept by the
// stream's key, so that its next point costs a hash and neither a copy nor the library. They share their memory with the
// sink's, as long as it keeps them.

// remembered is how long a stream's labels are kept without a point.
const remembered = 10 * time.Minute

// stream is what the library made of an OTLP stream's identity.
type stream struct {
	// labels are a number's.
	labels labels.Labels
	// parts are a histogram's.
	parts *partLabels
	// seen is when there was a point last, in seconds of the clock.
	seen int64
	// wanted is what was wanted of the metric then: when that changes, the labels are made anew.
	wanted parts
}

// partLabels are the labels of a histogram's series. They are not changed once they are kept.
type partLabels struct {
	sum, count labels.Labels
	bounds     []float64
	// buckets are one more than bounds: the last is +Inf's.
	buckets []labels.Labels
}

func (s stream) sets() int64 {
	if s.parts == nil {
		return 1
	}
	return 2 + int64(len(s.parts.buckets))
}

const knownShards = 64

// streams remembers streams, up to a limit on sets of labels.
type streams struct {
	limit  int64
	count  atomic.Int64
	shards [knownShards]struct {
		mu     sync.Mutex
		byKey  map[uint64]stream
		pruned int64
	}
}

func newStreams(limit int) *streams {
	k := &streams{limit: int64(limit)}
	for i := range k.shards {
		k.shards[i].byKey = map[uint64]stream{}
	}
	return k
}

// get returns a stream if what was wanted of it is what is wanted now. now is in seconds.
func (k *streams) get(key uint64, wanted parts, now int64) (stream, bool) {
	s := &k.shards[key%knownShards]
	s.mu.Lock()
	defer s.mu.Unlock()
	st, ok := s.byKey[key]
	if !ok || st.wanted != wanted {
		return stream{}, false
	}
	if now-st.seen > int64(remembered/time.Second)/10 {
		st.seen = now
		s.byKey[key] = st
	}
	return st, true
}

func (k *streams) put(key uint64, st stream) {
	s := &k.shards[key%knownShards]
	s.mu.Lock()
	defer s.mu.Unlock()
	const age = int64(remembered / time.Second)
	if st.seen-s.pruned > age/4 {
		s.pruned = st.seen
		for key, old := range s.byKey {
			if st.seen-old.seen > age {
				delete(s.byKey, key)
				k.count.Add(-old.sets())
			}
		}
	}
	more := st.sets()
	if old, ok := s.byKey[key]; ok {
		more -= old.sets()
	}
	if k.count.Add(more) > k.limit && more > 0 {
		k.count.Add(-more)
		return
	}
	s.byKey[key] = st
}

// complete says whether all is there that a point of the histogram can give, apart from a sum where it had none. The
// library makes the sum first, then the count, then the buckets in their order.
func (p *partLabels) complete(wanted parts) bool {
	switch {
	case wanted&partBucket != 0:
		return len(p.buckets) == len(p.bounds)+1
	case wanted&partCount != 0:
		return !p.count.IsEmpty()
	default:
		return !p.sum.IsEmpty()
	}
}

// fit says whether they are the labels of all that a point gives.
func (p *partLabels) fit(h pmetric.HistogramDataPoint, wanted parts) bool {
	if wanted&partSum != 0 && h.HasSum() && p.sum.IsEmpty() {
		return false
	}
	if wanted&partBucket == 0 {
		return true
	}
	bounds := h.ExplicitBounds()
	n := boundsOf(h)
	if n != len(p.bounds) {
		return false
	}
	for i := range n {
		if bounds.At(i) != p.bounds[i] {
			return false
		}
	}
	return true
}

// boundsOf is how many bounds the library makes buckets of: not those without a count.
func boundsOf(h pmetric.HistogramDataPoint) int {
	return min(h.ExplicitBounds().Len(), h.BucketCounts().Len())
}
