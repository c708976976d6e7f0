package quality

import (
	"maps"
	"math"
	"slices"

	"github.com/otelcol-escalation/otelcol-escalation/internal/ledger"
)

// Merge adds up distributions, in the coarsest resolution of them. Without any it is empty.
func Merge(all []ledger.Histogram) (sum ledger.Histogram) {
	for i := range all {
		h := &all[i]
		if h.Count == 0 {
			continue
		}
		if sum.Count == 0 {
			sum.Scale, sum.Min, sum.Max, sum.Buckets = h.Scale, h.Min, h.Max, map[int32]uint64{}
		}
		sum.Min, sum.Max = min(sum.Min, h.Min), max(sum.Max, h.Max)
		sum.Zero += h.Zero
		sum.Count += h.Count
		sum.Sum += h.Sum
		if h.Scale < sum.Scale {
			sum.Scale, sum.Buckets = h.Scale, coarser(sum.Buckets, sum.Scale-h.Scale)
		}
		for i, n := range coarser(h.Buckets, h.Scale-sum.Scale) {
			sum.Buckets[i] += n
		}
	}
	return sum
}

// coarser merges buckets so that each is as wide as 2^by were: an arithmetic shift of their indexes, as OTLP's data model has it.
func coarser(buckets map[int32]uint64, by int32) map[int32]uint64 {
	if by == 0 {
		return buckets
	}
	merged := make(map[int32]uint64, len(buckets))
	for i, n := range buckets {
		merged[i>>by] += n
	}
	return merged
}

// Quantile returns the value below which a part q of the distribution lies, as near as its buckets tell: within the bucket
// it is taken to grow evenly on the logarithmic scale. ok is false where there is nothing.
func Quantile(h ledger.Histogram, q float64) (value float64, ok bool) {
	if h.Count == 0 || !(0 <= q && q <= 1) {
		return 0, false
	}
	rank := q * float64(h.Count)
	below := float64(h.Zero)
	if rank <= below {
		return min(max(0, h.Min), h.Max), true
	}
	for _, i := range slices.Sorted(maps.Keys(h.Buckets)) {
		in := float64(h.Buckets[i])
		if rank <= below+in {
			width := math.Exp2(-float64(h.Scale)) // of a bucket, in powers of two
			value = math.Exp2(width * (float64(i) + (rank-below)/in))
			return min(max(value, h.Min), h.Max), true
		}
		below += in
	}
	return h.Max, true
}
