package calibrate

import (
	"math"
	"slices"
	"strconv"
)

// outward is the search, in numbers that are greater the farther out they lie.
type outward struct {
	current float64
	// incidents are those that must be kept, ends where the episodes fire no more, firing those of the ones that fire now.
	incidents    []reach
	ends, firing []float64
	// levels says that an episode has one, seen that one has stood at the current threshold.
	levels, seen bool
}

func (o *outward) look(side Side, alarms []Alarm) {
	o.ends = make([]float64, 0, len(alarms))
	for i := range alarms {
		if r, ok := alarms[i].reach(side); ok {
			o.ends = append(o.ends, r.end())
			if r.fires(o.current) {
				o.firing = append(o.firing, r.end())
			}
			o.levels = o.levels || !math.IsInf(r.level, -1)
			o.seen = o.seen || r.own == o.current
		}
	}
}

// spread is the distance between the least and the most extreme end that is a number.
func (o *outward) spread() float64 {
	low, high := math.Inf(1), math.Inf(-1)
	for _, end := range o.ends {
		if !math.IsInf(end, 0) {
			low, high = min(low, end), max(high, end)
		}
	}
	return max(high-low, 0)
}

// below is the most extreme end that a threshold just below a limit lets go, -Inf for none.
func (o *outward) below(limit float64) float64 {
	most := math.Inf(-1)
	for _, end := range o.ends {
		if end < limit {
			most = max(most, end)
		}
	}
	return most
}

// from is the least extreme end at a limit or beyond it, +Inf for none.
func (o *outward) from(limit float64) float64 {
	least := math.Inf(1)
	for _, end := range o.ends {
		if end >= limit {
			least = min(least, end)
		}
	}
	return least
}

// found is what a search ends with: the threshold, and the goal that it is a step towards where it is capped.
type found struct {
	threshold, goal float64
	capped          bool
}

// search looks for the threshold, no farther than a step from the current one. ok is false where there is none.
func (o *outward) search(step float64) (_ found, ok bool) {
	farthest := math.Inf(1) // the threshold has to stay below it
	for _, r := range o.incidents {
		farthest = min(farthest, r.end())
	}
	switch {
	case len(o.incidents) == 0:
		return o.half(step)
	case slices.ContainsFunc(o.incidents, func(r reach) bool { return !r.fires(o.current) }):
		return o.laxer(farthest, step), true
	default:
		return o.stricter(farthest, step)
	}
}

// stricter goes to where all goes that lies below the least extreme incident.
func (o *outward) stricter(farthest, step float64) (_ found, ok bool) {
	gone := o.below(farthest)
	if gone < o.current {
		return found{}, false
	}
	goal := roundest(gone, between(gone, farthest, step))
	limit := tidy(o.current+step, step)
	if goal <= limit {
		return found{threshold: goal, goal: goal}, true
	}
	return found{threshold: roundest(max(o.below(limit), tidy(limit-step/10, step/10)), limit), goal: goal, capped: true}, true
}

// half is the search while nobody knows how an incident looks: half of what fires now may go at a time, within the step.
func (o *outward) half(step float64) (_ found, ok bool) {
	if len(o.firing) == 0 {
		return found{}, false
	}
	slices.Sort(o.firing)
	median, limit := o.firing[len(o.firing)/2], tidy(o.current+step, step)
	ceiling := min(median, limit)
	gone := o.below(ceiling)
	if gone < o.current {
		return found{}, false
	}
	at := roundest(gone, min(between(gone, o.from(ceiling), step), limit))
	return found{threshold: at, goal: at, capped: limit < median}, true
}

// laxer goes back to where the least extreme incident would have fired, and lets in as little as possible besides. Only the
// silent track knows of it, or a time when the threshold was laxer.
func (o *outward) laxer(farthest, step float64) found {
	lower := max(o.below(farthest), tidy(farthest-step/10, step/10))
	goal := roundest(lower, between(lower, farthest, step))
	limit := tidy(o.current-step, step)
	if goal >= limit {
		return found{threshold: goal, goal: goal}
	}
	return found{threshold: roundest(limit, tidy(limit+step/10, step/10)), goal: goal, capped: true}
}

// between is half-way from a number to a greater one, and below that. Where that is infinite it is no farther than needed.
func between(low, high, step float64) float64 {
	if math.IsInf(high, 1) {
		return tidy(low+step/10, step/10)
	}
	return min(tidy(low/2+high/2, high/2-low/2), math.Nextafter(high, math.Inf(-1)))
}

// tidy undoes the rounding of a sum, so that 0.9 + 0.18 is 1.08 and not a little less: as long as that is nothing beside the
// distance that was added.
func tidy(v, distance float64) float64 {
	rounded, err := strconv.ParseFloat(strconv.FormatFloat(v, 'g', 14, 64), 64)
	if err != nil || !(math.Abs(rounded-v) <= distance*1e-9) {
		return v
	}
	return rounded
}

// roundest returns the number in (low, high] that has the fewest digits, the least of them; low < high. Where there is no
// number between them it returns high.
func roundest(low, high float64) float64 {
	if !(low < high) {
		return high
	}
	for e := math.Ceil(math.Log10(high - low)); e > -324; e-- {
		// A power of ten is exact as long as it is 1 or more; below, dividing by one is.
		var v float64
		if e >= 0 {
			unit := math.Pow(10, e)
			v = (math.Floor(low/unit) + 1) * unit
		} else {
			part := math.Pow(10, -e)
			n := math.Floor(low*part) + 1
			if math.IsInf(part, 0) || math.Abs(n) > 1<<53 {
				return high
			}
			if v = n / part; v <= low { // low is this number, and the product was rounded
				v = (n + 1) / part
			}
		}
		if low < v && v <= high {
			return v
		}
	}
	return high
}
