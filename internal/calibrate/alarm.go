package calibrate

import (
	"math"
	"time"

	"github.com/otelcol-escalation/otelcol-escalation/internal/ledger"
)

// Side says on which side of its threshold a value is bad. A band has one threshold on each side; they are calibrated
// one by one.
type Side int8

// The sides.
const (
	Above Side = 1  // above, at_least, the upper bound of outside
	Below Side = -1 // below, at_most, the lower bound of outside
)

// SideOf tells the side from an episode: its firing level lies at its threshold or beyond. ok is false where both are
// equal, which does not say, and where one is no number.
func SideOf(threshold, level float64) (_ Side, ok bool) {
	switch {
	case level > threshold:
		return Above, true
	case level < threshold:
		return Below, true
	}
	return 0, false
}

// beyond reports whether a lies farther out than b.
func (s Side) beyond(a, b float64) bool { return s.out(a) > s.out(b) }

// out is how far out a value lies: greater is more extreme. It is its own inverse.
func (s Side) out(v float64) float64 { return float64(s) * v }

// Alarm is an episode as far as one threshold is concerned: that of one tier of one rule, on one side.
type Alarm struct {
	ID string
	// Series is the alert that it is an episode of.
	Series string
	At     time.Time // when it opened
	// Threshold was in force then, Level is the firing level: the most extreme threshold at which the tier would still
	// have fired. Bound says that the level is only known to be at least as extreme.
	Threshold, Level float64
	Bound            bool
	Verdict          ledger.Verdict
	// Person is who gave the verdict, as Person returns it.
	Person string
	// Incident is what the episode was part of, where it is one that must be kept: see Link. Of each incident at least one
	// episode is kept; "" is an incident of its own.
	Incident string
	// Acknowledged says that somebody took it on.
	Acknowledged bool
	// Silent is an episode of the rule's silent track, of which nobody was told. It counts for laxer thresholds, and as
	// verified where a reported miss met it.
	Silent bool
	// End and Labels of a silent one tell whether a reported miss met it.
	End    time.Time
	Labels map[string]string
}

// reach says in outward numbers at which thresholds an episode fires: at all that its level lies beyond, and at its own.
type reach struct {
	level, own float64
	// bound says that it may reach farther.
	bound bool
}

func (r reach) fires(out float64) bool { return out < r.level || out <= r.own }

// end is the threshold from which on it fires no more.
func (r reach) end() float64 { return max(r.level, r.own) }

// reach tells how far the episode reaches. ok is false where there is no number to tell it by. A level that is none (or
// infinite on the harmless side) leaves the threshold at which it fired as all that is known.
func (a *Alarm) reach(s Side) (r reach, ok bool) {
	r = reach{level: s.out(a.Level), own: s.out(a.Threshold), bound: a.Bound}
	if a.Silent || math.IsNaN(r.own) || math.IsInf(r.own, 0) {
		r.own = math.Inf(-1)
	}
	if math.IsNaN(r.level) || math.IsInf(r.level, -1) {
		r.level, r.bound = math.Inf(-1), true
	}
	return r, r.end() > math.Inf(-1)
}

// kept reports whether no suggestion may lose the episode: it was real, or somebody took it on and nobody has said that
// it was not.
func (a *Alarm) kept() bool {
	return a.Verdict == ledger.TruePositive || a.Verdict == "" && a.Acknowledged && !a.Silent
}

// labelled reports whether the verdict says something about the threshold. Expected and duplicate ones do not.
func (a *Alarm) labelled() bool {
	return a.Verdict == ledger.TruePositive || a.Verdict == ledger.FalsePositive
}

// Link finds the incidents: episodes of one alert that must be kept and begin within a time of the first of them are one.
// So a threshold may rise past the harmless begin of an incident, and pages at most so much later. What happens to another
// series at the same time may be something else. Alarms must be in order of time; those that have an incident keep it.
func Link(alarms []Alarm, within time.Duration) {
	firsts := map[string]*Alarm{}
	for i := range alarms {
		a := &alarms[i]
		if !a.kept() {
			continue
		}
		if a.Incident != "" {
			if a.Incident == a.ID {
				firsts[a.Series] = a
			}
			continue
		}
		first := firsts[a.Series]
		if first == nil || a.At.Sub(first.At) > within {
			first = a
			firsts[a.Series] = a
		}
		a.Incident = first.ID
	}
}

// incidents tells of each incident how far the episodes reach that must be kept, in no order: one of them has to fire so that
// the incident is kept.
func incidents(side Side, alarms []Alarm) []reach {
	var all []reach
	byName := map[string]int{}
	last, lastName := 0, "" // most often it is the one before
	for i := range alarms {
		a := &alarms[i]
		if !a.kept() {
			continue
		}
		r, ok := a.reach(side)
		if !ok {
			continue
		}
		name := a.incident()
		at, known := last, name == lastName
		if !known {
			at, known = byName[name]
		}
		if !known || name == "" {
			at = len(all)
			all = append(all, r)
			byName[name] = at
		} else {
			all[at].level, all[at].own = max(all[at].level, r.level), max(all[at].own, r.own)
		}
		last, lastName = at, name
	}
	return all
}

// incident is the name of the incident; an alarm without one is its own.
func (a *Alarm) incident() string {
	if a.Incident == "" {
		return a.ID
	}
	return a.Incident
}
