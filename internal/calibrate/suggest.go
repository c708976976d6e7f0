package calibrate

import (
	"fmt"
	"math"
	"slices"
	"sort"
	"time"
)

// Limits say when a suggestion stands.
type Limits struct {
	// MinEpisodes is how many episodes people must have judged to be real or false, MinAge how long a time these must
	// span, MinPeople how many people must have judged.
	MinEpisodes int
	MinAge      time.Duration
	MinPeople   int
	// MaxStep is the most that a suggestion moves the threshold, as a part of the scale.
	MaxStep float64
}

// DefaultLimits are the receiver's defaults.
func DefaultLimits() Limits {
	return Limits{MinEpisodes: 20, MinAge: 7 * 24 * time.Hour, MinPeople: 1, MaxStep: 0.2}
}

// Reason names why a suggestion stands or not.
type Reason string

// The reasons.
const (
	Stands      Reason = "stands"
	FewEpisodes Reason = "too_few_episodes" // labelled ones
	FewDays     Reason = "too_few_days"
	FewPeople   Reason = "too_few_people"
	NothingGone Reason = "nothing_would_go" // no threshold would remove an episode and keep what must be kept
	NoLevels    Reason = "no_levels"        // no episode has a firing level
	NoThreshold Reason = "no_threshold"     // none is in force
)

// Suggestion is a better threshold, or why there is none.
type Suggestion struct {
	Reason Reason
	Side   Side
	// Current is the threshold in force, Threshold the suggested one: 0 unless Reason is Stands.
	Current, Threshold float64
	// Capped says that MaxStep kept it from going farther.
	Capped bool
	// Before and After are what the two would have made of the recorded episodes.
	Before, After Counts
	// Labelled, People and Span are what the limits are held against.
	Labelled, People int
	Span             time.Duration
	Limits           Limits
}

// Suggest looks for the threshold with the fewest episodes that loses no incident which must be kept: verified ones, and
// those that somebody took on and nobody judged. current is in force; scale is what MaxStep is a part of: the threshold's
// magnitude, or the width of a band. A scale of 0 (a threshold of 0) is replaced by the spread of the levels.
//
// The threshold lies between the most extreme level that goes and the least extreme one that stays, nearer to the
// former, and is the roundest number there: a real incident that comes next may be a little less extreme than all that
// have been seen. As long as no incident is known it lies at the median of the levels beyond the current one, or before.
func Suggest(side Side, current, scale float64, alarms []Alarm, limits Limits) Suggestion {
	s := Suggestion{Side: side, Current: current, Limits: limits}
	if math.IsNaN(current) || math.IsInf(current, 0) {
		s.Reason = NoThreshold
		return s
	}
	s.Before = WhatIf(side, alarms, current)
	s.weigh(alarms)
	o := outward{side: side, current: side.out(current), farthest: math.Inf(1)}
	o.look(alarms)
	switch {
	case !o.any:
		s.Reason = NoLevels
	case s.Labelled < limits.MinEpisodes:
		s.Reason = FewEpisodes
	case s.Span < limits.MinAge:
		s.Reason = FewDays
	case s.People < limits.MinPeople:
		s.Reason = FewPeople
	default:
		s.choose(&o, scale, alarms)
	}
	return s
}

// weigh counts what the limits are about.
func (s *Suggestion) weigh(alarms []Alarm) {
	people := map[string]struct{}{}
	var first, last time.Time
	for i := range alarms {
		a := &alarms[i]
		if !a.labelled() || a.Silent {
			continue
		}
		s.Labelled++
		people[a.Person] = struct{}{}
		if first.IsZero() || a.At.Before(first) {
			first = a.At
		}
		if a.At.After(last) {
			last = a.At
		}
	}
	s.People, s.Span = len(people), last.Sub(first)
}

// outward is the search, in numbers that are greater the farther out they lie.
type outward struct {
	side    Side
	current float64
	// farthest is the least extreme of the incidents' levels: the threshold has to stay below it.
	farthest float64
	// low and high bound the levels.
	low, high float64
	levels    []float64
	any       bool
}

func (o *outward) look(alarms []Alarm) {
	o.low, o.high = math.Inf(1), math.Inf(-1)
	for i := range alarms {
		a := &alarms[i]
		if !a.usable() {
			continue
		}
		o.any = true
		o.levels = append(o.levels, o.side.out(a.Level))
		level := o.side.out(a.Level)
		o.low, o.high = min(o.low, level), max(o.high, level)
	}
	for _, a := range incidents(o.side, alarms) {
		o.farthest = min(o.farthest, o.side.out(a.Level))
	}
}

// median is that of the levels beyond the threshold in force.
func (o *outward) median() float64 {
	slices.Sort(o.levels)
	beyond := o.levels[sort.SearchFloat64s(o.levels, o.current):]
	if len(beyond) == 0 {
		return o.current
	}
	return beyond[len(beyond)/2]
}

// choose finds the threshold and says what it would change.
func (s *Suggestion) choose(o *outward, scale float64, alarms []Alarm) {
	if scale = math.Abs(scale); scale == 0 || math.IsNaN(scale) || math.IsInf(scale, 0) {
		scale = o.high - o.low
	}
	step := s.Limits.MaxStep * scale
	ceiling := min(o.farthest, o.current+step)
	if o.farthest <= o.current { // what must be kept needs a laxer threshold: only the silent track can know of it
		s.laxer(o, step, alarms)
		return
	}
	if math.IsInf(o.farthest, 1) { // nobody knows yet how an incident looks: half of the pages may go at a time
		ceiling = min(ceiling, o.median())
	}
	// The most extreme level that goes, and the least extreme one that stays because of the limit.
	gone, stays := math.Inf(-1), o.farthest
	for i := range alarms {
		a := &alarms[i]
		if !a.usable() {
			continue
		}
		if level := o.side.out(a.Level); level < ceiling {
			gone = max(gone, level)
		} else {
			stays = min(stays, level)
		}
	}
	if gone < o.current {
		s.Reason = NothingGone
		return
	}
	s.Capped = stays < o.farthest && ceiling == o.current+step
	if math.IsInf(stays, 1) { // nothing stays: no farther than needed
		stays = gone + step/10
	}
	upper := min(gone+(stays-gone)/2, o.current+step)
	s.take(roundest(gone, upper), alarms)
}

// laxer goes back to where the least extreme missed incident would have fired.
func (s *Suggestion) laxer(o *outward, step float64, alarms []Alarm) {
	floor := o.current - step
	below := math.Inf(-1) // the most extreme level below it: not to be let in
	for i := range alarms {
		if a := &alarms[i]; a.usable() {
			if level := o.side.out(a.Level); level < o.farthest {
				below = max(below, level)
			}
		}
	}
	if o.farthest <= floor {
		s.Capped = true
		s.take(floor, alarms)
		return
	}
	lower := max(below, floor, o.farthest-step/10)
	s.take(roundest(lower, lower+(o.farthest-lower)/2), alarms)
}

func (s *Suggestion) take(out float64, alarms []Alarm) {
	threshold := s.Side.out(out)
	after := WhatIf(s.Side, alarms, threshold)
	if threshold == s.Current || after.Episodes == s.Before.Episodes && after.Incidents == s.Before.Incidents {
		s.Reason = NothingGone
		return
	}
	s.Reason, s.Threshold, s.After = Stands, threshold, after
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
			if math.IsInf(low*part, 0) || math.Abs(low*part) > 1<<53 {
				return high
			}
			v = (math.Floor(low*part) + 1) / part
		}
		if low < v && v <= high {
			return v
		}
	}
	return high
}

func many(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

// Sentence says in one what the suggestion would change, or why none stands. window is the time from which the alarms
// are.
func (s *Suggestion) Sentence(window time.Duration) string {
	days := int(math.Round(window.Hours() / 24))
	switch s.Reason {
	case Stands:
		gone := s.Before.Episodes - s.After.Episodes
		text := fmt.Sprintf("%d of %d pages in %d days would have gone, ", gone, s.Before.Episodes, days)
		if gone < 0 {
			text = fmt.Sprintf("%s more than the %d in %d days would have come, ", many(-gone, "page"), s.Before.Episodes, days)
		}
		switch missed := s.After.Incidents - s.Before.Incidents; {
		case s.After.Incidents == 0:
			text += "no incident has been verified yet, so that half may go at most"
		case missed > 0:
			text += fmt.Sprintf("%s caught that went unseen, all others kept", many(missed, "incident"))
		case s.After.Incidents == 1:
			text += "the one incident kept"
		default:
			text += fmt.Sprintf("all %d incidents kept", s.After.Incidents)
		}
		if n := s.Before.Unjudged - s.After.Unjudged; n > 0 {
			text += fmt.Sprintf("; nobody judged %d of those that would have gone", n)
		}
		if s.Capped {
			text += fmt.Sprintf("; it moves by %g %% at most", s.Limits.MaxStep*100)
		}
		return text
	case FewEpisodes:
		return fmt.Sprintf("%d of %d labelled episodes", s.Labelled, s.Limits.MinEpisodes)
	case FewDays:
		return fmt.Sprintf("the labelled episodes span %.1f of %.1f days", s.Span.Hours()/24, s.Limits.MinAge.Hours()/24)
	case FewPeople:
		return fmt.Sprintf("verdicts of %d of %d people", s.People, s.Limits.MinPeople)
	case NothingGone:
		return "no threshold would remove pages and keep what must be kept"
	case NoLevels:
		return "no episode has a firing level"
	default:
		return "no threshold is in force"
	}
}
