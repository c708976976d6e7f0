package chart

import (
	"math"
	"strconv"
)

// Scale maps the values from Low to High on the pixels from From to To. Low is less than High, and their distance is more than
// rounding makes: see Domain.
type Scale struct{ Low, High, From, To float64 }

// At is where a value lies. Halves, since the distance between two numbers may be none.
func (s Scale) At(v float64) float64 {
	return s.From + (s.To-s.From)*((v/2-s.Low/2)/(s.High/2-s.Low/2))
}

// Holds reports whether a value lies on the scale.
func (s Scale) Holds(v float64) bool { return s.Low <= v && v <= s.High }

func finite(v float64) bool { return !math.IsNaN(v) && !math.IsInf(v, 0) }

// extent is the smallest and the greatest of the numbers that it has seen.
type extent struct {
	low, high float64
	any       bool
}

func (e *extent) see(v float64) {
	switch {
	case !finite(v):
	case !e.any:
		e.low, e.high, e.any = v, v, true
	default:
		e.low, e.high = min(e.low, v), max(e.high, v)
	}
}

// margin is the room beside the outermost values, as a part of their distance.
const margin = 0.05

// Domain returns the ends of an axis that shows values from low to high: with room beside them if roomy, but not past 0, and
// apart from each other also where low and high are not.
func Domain(low, high float64, roomy bool) (from, to float64) {
	size := max(math.Abs(low), math.Abs(high))
	room := high*margin - low*margin
	if room <= size*1e-9 { // one value, or as good as: differences that small are rounding
		room, roomy = max(size*margin, 1e-9), true
		if size == 0 {
			return 0, 1
		}
	}
	if !roomy {
		return low, high
	}
	from, to = low-room, high+room
	if low >= 0 && from < 0 {
		from = 0
	}
	if high <= 0 && to > 0 {
		to = 0
	}
	return max(from, -math.MaxFloat64), min(to, math.MaxFloat64)
}

// Ticks returns the round numbers from low to high, evenly spaced by 1, 2 or 5 times a power of ten, and the space. There are at
// least two, and at most one more than most, or five.
func Ticks(low, high float64, most int) (ticks []float64, step float64) {
	if !(low < high) || !finite(low) || !finite(high) {
		return nil, 0
	}
	most = max(most, 2)
	step = roundUp(high/float64(most) - low/float64(most))
	for range 3 { // a step as long as the axis may find no place on it
		if !finite(step) || step <= max(math.Abs(low), math.Abs(high))*1e-14 {
			return nil, 0
		}
		if ticks = multiples(step, low, high); len(ticks) > 1 {
			break
		}
		step = roundUp(step * 0.4)
	}
	return ticks, step
}

// multiples are those of a step that lie from low to high.
func multiples(step, low, high float64) (all []float64) {
	last := math.Floor(high/step + 1e-9)
	for i := math.Ceil(low/step - 1e-9); i <= last; i++ {
		v := i * step
		if step < 1 {
			v = i / math.Round(1/step) // a power of ten below 1 is not exact, the one above is
			if !finite(v) {
				v = i * step
			}
		}
		if v == 0 {
			v = 0 // not -0
		}
		if low <= v && v <= high {
			all = append(all, v)
		}
	}
	return all
}

// roundUp is the least of 1, 2 and 5 times a power of ten that is not less than v; v is positive.
func roundUp(v float64) float64 {
	power := math.Pow(10, math.Floor(math.Log10(v)))
	for _, factor := range []float64{1, 2, 5} {
		if v <= factor*power*(1+1e-9) {
			return factor * power
		}
	}
	return 10 * power
}

// tickLabel writes a tick with as many digits as tell it from its neighbours.
func tickLabel(v, step float64) string {
	size := max(math.Abs(v), step)
	for _, unit := range []struct {
		least float64
		sign  string
	}{{1e12, "T"}, {1e9, "G"}, {1e6, "M"}, {1e4, "k"}} {
		part := unit.least
		if unit.sign == "k" {
			part = 1e3
		}
		if size >= unit.least && size < 1e15 && v != 0 {
			return strconv.FormatFloat(v/part, 'f', decimals(step/part), 64) + unit.sign
		}
	}
	if size >= 1e15 || size < 1e-4 {
		return strconv.FormatFloat(v, 'g', 4, 64)
	}
	return strconv.FormatFloat(v, 'f', decimals(step), 64)
}

// decimals is how many digits behind the point a multiple of step has.
func decimals(step float64) int {
	if step <= 0 {
		return 0
	}
	return max(0, min(int(-math.Floor(math.Log10(step)+1e-9)), 12))
}
