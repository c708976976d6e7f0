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

// fires reports whether the episode would have been one at another threshold. At its own it was.
func (a *Alarm) fires(s Side, threshold float64) bool {
	if s.beyond(a.Level, threshold) {
		return true
	}
	return !a.Silent && !s.beyond(threshold, a.Threshold)
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

// usable reports whether numbers can be compared.
func (a *Alarm) usable() bool {
	return !math.IsNaN(a.Level) && !math.IsInf(a.Level, 0) && !math.IsNaN(a.Threshold) && !math.IsInf(a.Threshold, 0)
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

// incident is the name of the incident; an alarm without one is its own.
func (a *Alarm) incident() string {
	if a.Incident == "" {
		return a.ID
	}
	return a.Incident
}

// incidents are the most extreme episodes of each incident, by its name: what has to fire so that the incident is kept.
func incidents(side Side, alarms []Alarm) map[string]*Alarm {
	most := map[string]*Alarm{}
	for i := range alarms {
		a := &alarms[i]
		if !a.usable() || !a.kept() {
			continue
		}
		name := a.incident()
		if before := most[name]; before == nil || side.beyond(a.Level, before.Level) {
			most[name] = a
		}
	}
	return most
}
