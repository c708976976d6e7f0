package calibrate

import (
	"slices"
	"time"
)

// Effect is what there was before and after a threshold was moved.
type Effect struct {
	Move
	Before, After Stretch
}

// Stretch counts the pages in [From, Until), in which a threshold stood still.
type Stretch struct {
	From, Until time.Time
	Counts
}

// Days is how long it is.
func (s Stretch) Days() float64 { return max(s.Until.Sub(s.From), 0).Hours() / 24 }

// leastStretch is how long a stretch must be to say how many pages came per day: one page within a minute is no 1,440 a day.
const leastStretch = time.Hour

// PerDay is how many pages came per day; ok is false where the stretch is too short to say.
func (s Stretch) PerDay() (perDay float64, ok bool) {
	if s.Until.Sub(s.From) < leastStretch {
		return 0, false
	}
	return float64(s.Episodes) / s.Days(), true
}

// FalseShare is the share of false alarms among the pages that are judged to be real or false; ok is false where none is.
func (s Stretch) FalseShare() (Proportion, bool) {
	return NewProportion(int64(s.False), int64(s.Verified+s.False))
}

// Effects says of the newest changes of a threshold, oldest first, what they did: each is held against the time since the change
// before it, from the first known page on, and up to the change after it, or now. The alarms and moves are in order of time.
// The silent track does not count, since nobody was told of it.
func Effects(alarms []Alarm, moves []Move, now time.Time, most int) []Effect {
	told := make([]*Alarm, 0, len(alarms))
	for i := range alarms {
		if !alarms[i].Silent {
			told = append(told, &alarms[i])
		}
	}
	if len(moves) == 0 {
		return nil
	}
	from := moves[0].At
	if len(told) > 0 && told[0].At.Before(from) {
		from = told[0].At
	}
	turns := []time.Time{from} // a stretch lies between each two of them
	for _, m := range moves {
		turns = append(turns, m.At)
	}
	turns = append(turns, now)
	first := max(len(moves)-most, 0)
	stretches := make([]Stretch, 0, len(moves)-first+1)
	for i := first; i <= len(moves); i++ {
		s := Stretch{From: turns[i], Until: turns[i+1]}
		begin, _ := slices.BinarySearchFunc(told, s.From, func(a *Alarm, t time.Time) int { return a.At.Compare(t) })
		for _, a := range told[begin:] {
			// What comes at the very moment of the last turn is of the last stretch.
			if !a.At.Before(s.Until) && i < len(moves) || a.At.After(s.Until) {
				break
			}
			s.add(a)
		}
		stretches = append(stretches, s)
	}
	effects := make([]Effect, 0, len(stretches)-1)
	for i := first; i < len(moves); i++ {
		effects = append(effects, Effect{Move: moves[i], Before: stretches[i-first], After: stretches[i-first+1]})
	}
	return effects
}
