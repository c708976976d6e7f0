package calibrationreceiver

import (
	"math"

	"github.com/otelcol-escalation/otelcol-escalation/internal/ledger"
)

// rest is what all series that are not told apart have together.
type rest struct {
	// counters are by metric and value, histograms by metric.
	counters   map[[2]string]int64
	histograms map[string]*ledger.Histogram
	// all and recent are nil where there is nothing.
	all, recent *ledger.Tally
}

// separate takes what is not kept out of a snapshot.
func (s *snapshot) separate(kept map[series]struct{}) *rest {
	r := &rest{counters: map[[2]string]int64{}, histograms: map[string]*ledger.Histogram{}}
	apart := func(k series) bool {
		_, ok := kept[k]
		return ok
	}
	counters := s.counters[:0]
	for _, c := range s.counters {
		if apart(seriesOf(c.CounterKey)) {
			counters = append(counters, c)
		} else {
			r.counters[[2]string{c.Metric, c.Value}] += c.N
		}
	}
	s.counters = counters
	histograms := s.histograms[:0]
	for i := range s.histograms {
		h := &s.histograms[i]
		switch into := r.histograms[h.Metric]; {
		case apart(seriesOf(h.CounterKey)):
			histograms = append(histograms, *h)
		case into == nil:
			r.histograms[h.Metric] = copyOf(h)
		default:
			add(into, h)
		}
	}
	s.histograms = histograms
	s.all, r.all = separateTallies(s.all, apart)
	s.recent, r.recent = separateTallies(s.recent, apart)
	return r
}

func separateTallies(all []ledger.Tally, apart func(series) bool) (kept []ledger.Tally, sum *ledger.Tally) {
	kept = make([]ledger.Tally, 0, len(all))
	for i := range all {
		switch {
		case apart(tallySeries(&all[i])):
			kept = append(kept, all[i])
		case sum == nil:
			sum = &ledger.Tally{}
			fallthrough
		default:
			sum.Add(&all[i])
		}
	}
	return kept, sum
}

// sums are a copy of what counts up.
func (r *rest) sums() *rest {
	out := &rest{counters: map[[2]string]int64{}, histograms: map[string]*ledger.Histogram{}}
	for k, n := range r.counters {
		out.counters[k] = n
	}
	for metric, h := range r.histograms {
		out.histograms[metric] = copyOf(h)
	}
	return out
}

// less takes away what had been counted at a time.
func (r *rest) less(base *rest) {
	for k, n := range base.counters {
		r.counters[k] -= n
	}
	for metric, h := range base.histograms {
		if into := r.histograms[metric]; into != nil {
			subtract(into, h)
		}
	}
}

func copyOf(h *ledger.Histogram) *ledger.Histogram {
	out := *h
	out.CounterKey = ledger.CounterKey{Metric: h.Metric}
	out.Buckets = make(map[int32]uint64, len(h.Buckets))
	for i, n := range h.Buckets {
		out.Buckets[i] = n
	}
	return &out
}

// add adds a distribution to another; the coarser of the two scales is that of the sum.
func add(into, h *ledger.Histogram) {
	scale := min(into.Scale, h.Scale)
	coarsen(into, scale)
	shift := h.Scale - scale
	for i, n := range h.Buckets {
		into.Buckets[i>>shift] += n
	}
	into.Count += h.Count
	into.Zero += h.Zero
	into.Sum += h.Sum
	into.Min, into.Max = min(into.Min, h.Min), max(into.Max, h.Max)
}

// subtract takes away what a distribution had before. Nobody knows what its least and greatest were since.
func subtract(from, h *ledger.Histogram) {
	scale := min(from.Scale, h.Scale)
	coarsen(from, scale)
	shift := h.Scale - scale
	for i, n := range h.Buckets {
		if from.Buckets[i>>shift] -= n; from.Buckets[i>>shift] == 0 {
			delete(from.Buckets, i>>shift)
		}
	}
	from.Count -= h.Count
	from.Zero -= h.Zero
	from.Sum = max(0, from.Sum-h.Sum)
	from.Min, from.Max = math.NaN(), math.NaN()
}

// coarsen tells a distribution at a lesser scale: halving it merges each two neighbouring buckets, exactly.
func coarsen(h *ledger.Histogram, scale int32) {
	shift := h.Scale - scale
	if shift == 0 {
		return
	}
	buckets := map[int32]uint64{}
	for i, n := range h.Buckets {
		buckets[i>>shift] += n
	}
	h.Scale, h.Buckets = scale, buckets
}
