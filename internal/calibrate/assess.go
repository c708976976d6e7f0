package calibrate

import (
	"cmp"
	"math"
	"slices"
	"time"

	"github.com/otelcol-escalation/otelcol-escalation/internal/alert"
	"github.com/otelcol-escalation/otelcol-escalation/internal/ledger"
)

// oneIncident is within what time alarms that must be kept are taken for one incident.
const oneIncident = time.Hour

// met is how near to a reported miss an episode must be to have caught it after all: people round the time.
const met = 15 * time.Minute

// Assessment is what the recorded episodes say about one threshold: that of a tier of a rule, on one side.
type Assessment struct {
	Tier alert.Severity
	Side Side
	// Band says that the tier has a threshold on the other side, too.
	Band bool
	// Group, Owner, SourceMetric and Unit are those of the newest episode.
	Group, Owner, SourceMetric, Unit string
	// Alarms are in order of time, and linked. Missed are the misses that none of them met.
	Alarms []Alarm
	Missed []*ledger.Miss
	// Caught are the verified incidents.
	Caught int
	// Moved are the changes of the threshold, as the episodes show them: the first episode with the new one.
	Moved []Move
	Suggestion
}

// Bound names a band's threshold: low or high; "" where there is but one.
func (a *Assessment) Bound() string {
	switch {
	case !a.Band:
		return ""
	case a.Side == Below:
		return "low"
	}
	return "high"
}

// Move is a change of a threshold.
type Move struct {
	At       time.Time
	From, To float64
}

// Recall is the share of verified incidents that were caught, among those and the reported misses. ok is false where nobody
// has reported a miss: nobody may have looked.
func (a *Assessment) Recall() (Proportion, bool) {
	if len(a.Missed) == 0 {
		return Proportion{}, false
	}
	return NewProportion(int64(a.Caught), int64(a.Caught+len(a.Missed)))
}

// Assess says what the episodes of one rule, oldest first, tell about its thresholds: the most urgent tier first. Episodes that
// nobody was told of say nothing about pages and are left out.
func Assess(samples []*ledger.Sample, misses []*ledger.Miss, limits Limits) []*Assessment {
	var all []*Assessment
	for _, tier := range alert.Severities {
		sides := map[Side]*Assessment{}
		var undecided []*ledger.Sample // of which threshold and level are equal
		for _, s := range samples {
			level, ok := s.Levels[tier]
			if !ok || level.Firing == nil || level.Threshold == nil || !s.Told() {
				continue
			}
			side, ok := SideOf(*level.Threshold, *level.Firing)
			if !ok {
				undecided = append(undecided, s)
				continue
			}
			if sides[side] == nil {
				sides[side] = &Assessment{Tier: tier, Side: side}
			}
			sides[side].add(s, level)
		}
		if len(sides) == 0 && len(undecided) > 0 {
			sides[Above] = &Assessment{Tier: tier, Side: Above}
		}
		for _, s := range undecided {
			for _, a := range sides {
				if len(sides) == 1 || a.has(*s.Levels[tier].Threshold) {
					a.add(s, s.Levels[tier])
				}
			}
		}
		for _, a := range sides {
			a.jumped(samples)
		}
		for _, side := range []Side{Above, Below} {
			a := sides[side]
			if a == nil {
				continue
			}
			scale := math.NaN()
			if other := sides[-side]; other != nil {
				a.Band = true
				scale = other.current() - a.current()
			}
			a.conclude(misses, scale, limits)
			all = append(all, a)
		}
	}
	return all
}

func (a *Assessment) add(s *ledger.Sample, level ledger.Level) {
	a.Alarms = append(a.Alarms, Alarm{
		ID: s.ID, At: s.OpenedAt, Threshold: *level.Threshold, Level: *level.Firing, Bound: level.Bound,
		Verdict: s.Verdict, Person: Person(s.VerdictBy), Acknowledged: !s.AcknowledgedAt.IsZero(),
	})
	a.Group, a.Owner, a.SourceMetric, a.Unit = s.RuleGroup, s.Owner, s.SourceMetric, s.SourceUnit
}

// jumped adds the episodes that passed the tier on their way to a more urgent one without standing at it: they do not say what
// its threshold was, but the others do.
func (a *Assessment) jumped(samples []*ledger.Sample) {
	known := slices.Clone(a.Alarms)
	slices.SortFunc(known, func(x, y Alarm) int { return x.At.Compare(y.At) })
	for _, s := range samples {
		level, ok := s.Levels[a.Tier]
		if !ok || level.Firing == nil || level.Threshold != nil || !s.Told() {
			continue
		}
		at, _ := slices.BinarySearchFunc(known, s.OpenedAt, func(x Alarm, t time.Time) int { return x.At.Compare(t) })
		threshold := known[max(at-1, 0)].Threshold
		if a.Side.beyond(threshold, *level.Firing) {
			continue // of the other side
		}
		level.Threshold = &threshold
		a.add(s, level)
	}
	slices.SortStableFunc(a.Alarms, func(x, y Alarm) int { return cmp.Or(x.At.Compare(y.At), cmp.Compare(x.ID, y.ID)) })
}

func (a *Assessment) has(threshold float64) bool {
	return slices.ContainsFunc(a.Alarms, func(x Alarm) bool { return x.Threshold == threshold })
}

// current is the threshold in force: that of the newest episode.
func (a *Assessment) current() float64 { return a.Alarms[len(a.Alarms)-1].Threshold }

func (a *Assessment) conclude(misses []*ledger.Miss, scale float64, limits Limits) {
	for i := 1; i < len(a.Alarms); i++ {
		if from, to := a.Alarms[i-1].Threshold, a.Alarms[i].Threshold; from != to {
			a.Moved = append(a.Moved, Move{At: a.Alarms[i].At, From: from, To: to})
		}
	}
	for _, m := range misses {
		caught := slices.ContainsFunc(a.Alarms, func(x Alarm) bool {
			d := x.At.Sub(m.At)
			return x.kept() && -met <= d && d <= met
		})
		if !caught {
			a.Missed = append(a.Missed, m)
		}
	}
	Link(a.Alarms, oneIncident)
	seen := map[string]bool{}
	for i := range a.Alarms {
		if one := &a.Alarms[i]; one.Verdict == ledger.TruePositive {
			seen[one.incident()] = true
		}
	}
	a.Caught = len(seen)
	current := a.current()
	if math.IsNaN(scale) {
		scale = current
	}
	a.Suggestion = Suggest(a.Side, current, scale, a.Alarms, limits)
}
