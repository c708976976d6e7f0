// Package calibrate measures alerts: pure statistics over what the ledger holds. It reads no clock and no database.
package calibrate

import "math"

// z95 is the 97.5 % quantile of the standard normal distribution: two-sided 95 % confidence.
const z95 = 1.959963984540054

// Proportion is a ratio k/n with the bounds of its Wilson score interval.
type Proportion struct {
	// Ratio, Lower and Upper lie in [0, 1], and Lower ≤ Ratio ≤ Upper.
	Ratio, Lower, Upper float64
	// N is the number of trials; never 0.
	N int64
}

// NewProportion returns k/n with its 95 % bounds. Without a trial there is no proportion: ok is false for n ≤ 0, and for
// a k outside [0, n].
//
// The bounds are the score interval without continuity correction of E. B. Wilson, "Probable inference, the law of
// succession, and statistical inference", JASA 22 (1927), 209-212. It keeps close to its 95 % at the few verdicts that
// a rule gets, and has width where all of them agree, where the textbook's ±1.96·sqrt(p(1-p)/n) has none.
func NewProportion(k, n int64) (p Proportion, ok bool) {
	if n <= 0 || k < 0 || k > n {
		return Proportion{}, false
	}
	trials := float64(n)
	ratio := float64(k) / trials
	z2 := z95 * z95
	denominator := 1 + z2/trials
	center := (ratio + z2/(2*trials)) / denominator
	half := z95 / denominator * math.Sqrt(ratio*(1-ratio)/trials+z2/(4*trials*trials))
	// Rounding may put a bound past the ratio, or past 0 and 1, by one unit in the last place.
	return Proportion{
		Ratio: ratio,
		Lower: max(0, min(ratio, center-half)),
		Upper: min(1, max(ratio, center+half)),
		N:     n,
	}, true
}
