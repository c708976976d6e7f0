package rule

import (
	"fmt"
	"math"
	"time"
)

// Op is how a value is compared with a threshold.
type Op uint8

// The comparisons.
const (
	Above   Op = iota // value >  High
	AtLeast           // value >= High
	Below             // value <  Low
	AtMost            // value <= Low
	Outside           // value <  Low or value > High
	// Always is met by whatever value there is, NaN included: the expression itself decides. Plain Prometheus rules that
	// cannot be split have it; no key of a rule file gives it, and it has no bounds.
	Always
)

// opNames are the keys of a rule file; Always has none.
var opNames = [...]string{"above", "at_least", "below", "at_most", "outside"}

// String returns the key that the comparison has in a rule file.
func (o Op) String() string {
	if o == Always {
		return "always"
	}
	return opNames[o]
}

// Threshold is a condition on one value. Units are those of the metric.
type Threshold struct {
	Op Op
	// Low and High are the bounds; the one that Op does not use is -Inf or +Inf.
	Low, High float64
	// ClearLow and ClearHigh end the condition: it holds on until a value lies within them. They default to the
	// bounds themselves and never lie beyond them.
	ClearLow, ClearHigh float64
	// For is how long the condition must hold before it counts.
	For time.Duration
}

// Breached reports whether v meets the condition. NaN meets none.
func (t *Threshold) Breached(v float64) bool {
	switch t.Op {
	case Above:
		return v > t.High
	case AtLeast:
		return v >= t.High
	case Below:
		return v < t.Low
	case AtMost:
		return v <= t.Low
	case Always:
		return true
	default:
		return v < t.Low || v > t.High
	}
}

// Held reports whether v keeps an active condition active: it meets the condition, or has not come back past `clear`.
// The bound of `clear` itself is already past it for the strict comparisons (above, below, outside) and not yet for
// at_least and at_most, so that without `clear` Held and Breached are the same.
func (t *Threshold) Held(v float64) bool {
	switch t.Op {
	case Above:
		return v > t.ClearHigh
	case AtLeast:
		return v >= t.ClearHigh
	case Below:
		return v < t.ClearLow
	case AtMost:
		return v <= t.ClearLow
	case Always:
		return true
	default:
		return v < t.ClearLow || v > t.ClearHigh
	}
}

// Bound returns the threshold's number as a person would name it for v: the bound that v is compared with. For Outside
// it is the one on v's side of the band, for Always NaN: there is none.
func (t *Threshold) Bound(v float64) float64 {
	switch t.Op {
	case Above, AtLeast:
		return t.High
	case Below, AtMost:
		return t.Low
	case Always:
		return math.NaN()
	default:
		if v < (t.Low+t.High)/2 {
			return t.Low
		}
		return t.High
	}
}

// covers reports whether t is breached wherever o is.
func (t *Threshold) covers(o *Threshold) bool {
	lowSide := math.IsInf(o.Low, -1) || t.Low > o.Low || (t.Low == o.Low && (t.Op == AtMost || o.Op != AtMost))
	highSide := math.IsInf(o.High, 1) || t.High < o.High || (t.High == o.High && (t.Op == AtLeast || o.Op != AtLeast))
	return lowSide && highSide
}

// beyond reports whether t is breached only where o is, and not everywhere that it is.
func (t *Threshold) beyond(o *Threshold) bool { return o.covers(t) && !t.covers(o) }

// cleared is the condition that keeps t active.
func (t *Threshold) cleared() *Threshold {
	return &Threshold{Op: t.Op, Low: t.ClearLow, High: t.ClearHigh}
}

// String writes the condition as a rule file does.
func (t *Threshold) String() string {
	var s string
	switch t.Op {
	case Above, AtLeast:
		s = fmt.Sprintf("%s %s", t.Op, formatFloat(t.High))
	case Below, AtMost:
		s = fmt.Sprintf("%s %s", t.Op, formatFloat(t.Low))
	case Always:
		s = "always"
	default:
		s = fmt.Sprintf("%s [%s, %s]", t.Op, formatFloat(t.Low), formatFloat(t.High))
	}
	if t.For > 0 {
		s += " for " + duration(t.For)
	}
	return s
}
