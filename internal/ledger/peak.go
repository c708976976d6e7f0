package ledger

import "math"

// ExtendPeak takes a value observed while the alert fires into Peak: the value farthest past the threshold. The side on
// which that is was settled by the first value, which stood past its threshold: above it, or on it, the peak is a
// maximum, below it a minimum. Later values do not settle it again, since between `clear` and the threshold an alert
// goes on firing with a value on the other side. NaN is no peak.
func (e *Episode) ExtendPeak(v float64) {
	if math.IsNaN(v) {
		return
	}
	if e.Peak == nil {
		e.Peak = &v
		return
	}
	peak := *e.Peak
	if e.Threshold != nil && peak < *e.Threshold {
		peak = min(peak, v)
	} else {
		peak = max(peak, v)
	}
	e.Peak = &peak
}
