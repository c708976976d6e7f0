package calibrate

import (
	"math"
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
	JustMoved   Reason = "just_moved"       // to where no episode has stood yet: the next step waits for one
	NoLevels    Reason = "no_levels"        // no episode has a firing level
	NoThreshold Reason = "no_threshold"     // none is in force
)

// Suggestion is a better threshold, or why there is none.
type Suggestion struct {
	Reason Reason
	Side   Side
	// Current is the threshold in force, Threshold the suggested one: 0 unless Reason is Stands.
	Current, Threshold float64
	// Capped says that MaxStep kept it from going farther: to Goal, which otherwise is the suggested one.
	Capped bool
	Goal   float64
	// Before, After and AtGoal are what the three would have made of the recorded episodes.
	Before, After, AtGoal Counts
	// Labelled, People and Span are what the limits are held against.
	Labelled, People int
	Span             time.Duration
	Limits           Limits
}

// Suggest looks for the threshold with the fewest episodes that loses no incident which must be kept: verified ones, and
// those that somebody took on and nobody judged. current is in force; scale is what MaxStep is a part of: the threshold's
// magnitude, or the width of a band. A scale of 0 (a threshold of 0) is replaced by the spread of the levels.
//
// The threshold lies between the most extreme level that goes and the least extreme incident, nearer to the former, and is
// the roundest number there: a real incident that comes next may be a little less extreme than all that have been seen.
// Where that is farther than MaxStep, the suggestion is the step towards it, though nothing may go by it yet. As long as
// no incident is known nothing says where to go: the threshold lies at the median of the levels beyond the current one, or
// before, and only as far as pages go within the step. A threshold that has just been moved is moved on when an episode has
// shown how it does; back it goes at once.
//
// The order of the alarms is of no account.
func Suggest(side Side, current, scale float64, alarms []Alarm, limits Limits) Suggestion {
	s := Suggestion{Side: side, Current: current, Limits: limits}
	if math.IsNaN(current) || math.IsInf(current, 0) {
		s.Reason = NoThreshold
		return s
	}
	kept := incidents(side, alarms)
	s.Before = whatIf(side, alarms, kept, current)
	s.weigh(alarms)
	o := outward{current: side.out(current), incidents: kept}
	o.look(side, alarms)
	switch {
	case !o.levels:
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
	before := "" // most often it is the one before
	for i := range alarms {
		a := &alarms[i]
		if !a.labelled() || a.Silent {
			continue
		}
		if s.Labelled == 0 || a.Person != before {
			people[a.Person] = struct{}{}
			before = a.Person
		}
		if s.Labelled == 0 || a.At.Before(first) {
			first = a.At
		}
		if s.Labelled == 0 || a.At.After(last) {
			last = a.At
		}
		s.Labelled++
	}
	s.People, s.Span = len(people), last.Sub(first)
}

// choose finds the threshold and says what it would change.
func (s *Suggestion) choose(o *outward, scale float64, alarms []Alarm) {
	if scale = math.Abs(scale); scale == 0 || math.IsNaN(scale) || math.IsInf(scale, 0) {
		scale = o.spread()
	}
	found, ok := o.search(s.Limits.MaxStep * scale)
	if !ok {
		s.Reason = NothingGone
		return
	}
	threshold, goal := s.Side.out(found.threshold), s.Side.out(found.goal)
	after := whatIf(s.Side, alarms, o.incidents, threshold)
	atGoal := after
	if found.capped {
		atGoal = whatIf(s.Side, alarms, o.incidents, goal)
	}
	if threshold == s.Current || math.IsInf(goal, 0) || atGoal.Episodes == s.Before.Episodes && atGoal.Incidents == s.Before.Incidents {
		s.Reason = NothingGone
		return
	}
	if !o.seen && s.Side.beyond(threshold, s.Current) {
		s.Reason = JustMoved
		return
	}
	s.Reason, s.Threshold, s.Goal, s.Capped, s.After, s.AtGoal = Stands, threshold, goal, found.capped, after, atGoal
}
