package sqlstore

import (
	"math"
	"sort"
)

// bucketScale fixes the histograms' resolution: 16 buckets for each doubling, a relative error of at most 2.2 %.
const bucketScale = 4

// shortest and longest bound what buckets tell apart: a nanosecond, and the 292 years of a time.Duration. What is
// shorter is zero; count, sum, min and max are exact in any case.
const (
	shortest = 1e-9
	longest  = float64(math.MaxInt64) / 1e9
)

// bounds are the buckets' lower bounds within [0.5, 1): 2^(i/16 - 1).
var bounds = func() (b [1 << bucketScale]float64) {
	for i := range b {
		b[i] = math.Exp2(float64(i)/(1<<bucketScale) - 1)
	}
	return b
}()

// bucketOf returns the index of the base-2 exponential bucket (base^i, base^(i+1)] that holds v, as the data model of
// OTLP's exponential histograms defines it, or zero. Comparing the fraction with the bounds is monotonic and exact for
// powers of two, where a logarithm may round to the wrong side.
func bucketOf(v float64) (index int32, zero bool) {
	if v < shortest {
		return 0, true
	}
	fraction, exponent := math.Frexp(min(v, longest)) // v = fraction * 2^exponent, fraction in [0.5, 1)
	below := sort.SearchFloat64s(bounds[:], fraction) // how many bounds are less than the fraction
	return int32((exponent-1)<<bucketScale + below - 1), false
}
