package calibrate

import (
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
	// Moved are the changes of the threshold, oldest first: those that were told of, and those that only the episodes show.
	Moved []Move
	Suggestion

	other *Assessment // of a band's other side
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

// Move is a change of a threshold: when it was told of, or the first episode with the new one.
type Move struct {
	At       time.Time
	From, To float64
	// By and Note are of who told of it; empty where nobody did.
	By, Note string
}

// Recall is the share of verified incidents that were caught, among those and the reported misses. ok is false where nobody
// has reported a miss: nobody may have looked.
func (a *Assessment) Recall() (Proportion, bool) {
	if len(a.Missed) == 0 {
		return Proportion{}, false
	}
	return NewProportion(int64(a.Caught), int64(a.Caught+len(a.Missed)))
}

// F1 weighs false alarms and misses alike. ok is false where nobody has judged, or nobody has reported a miss.
func (a *Assessment) F1() (f float64, ok bool) {
	precision, judged := a.Before.Precision()
	recall, looked := a.Recall()
	return FScore(precision.Ratio, recall.Ratio, 1), judged && looked
}

// Evidence is what is recorded about one rule: its episodes and those of its silent track, both oldest first, what people say was missed,
// and the changes of its thresholds that are known.
type Evidence struct {
	Samples  []*ledger.Sample
	Explored []*ledger.Explored
	Misses   []*ledger.Miss
	Changes  []*ledger.Change
}

// Assess says what is known about the thresholds of one rule: the most urgent tier first. Episodes that nobody was told of
// say nothing about pages and are left out.
func Assess(e Evidence, limits Limits) []*Assessment {
	var all []*Assessment
	samples := e.Samples
	for _, tier := range alert.Severities {
		n := 0 // episodes of the tier
		for _, s := range samples {
			if _, ok := s.Levels[tier]; ok {
				n++
			}
		}
		if n == 0 {
			continue
		}
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
				sides[side] = &Assessment{Tier: tier, Side: side, Alarms: make([]Alarm, 0, n)}
			}
			sides[side].add(s, level)
		}
		if len(sides) == 0 && len(undecided) > 0 {
			sides[Above] = &Assessment{Tier: tier, Side: Above}
		}
		for _, a := range sides {
			if len(undecided) > 0 {
				a.decide(undecided, len(sides) == 1)
			}
			a.jumped(samples)
		}
		for _, side := range []Side{Above, Below} {
			a := sides[side]
			if a == nil {
				continue
			}
			a.other = sides[-side]
			a.Band = a.other != nil
			all = append(all, a)
		}
	}
	for _, a := range all {
		a.explored(e.Explored)
		a.miss(e.Misses, a.Tier == all[len(all)-1].Tier)
		a.moves(e.Changes)
	}
	for _, a := range all {
		a.conclude(limits)
	}
	return all
}

func (a *Assessment) add(s *ledger.Sample, level ledger.Level) {
	a.Alarms = append(a.Alarms, Alarm{
		ID: s.ID, Series: s.AlertID, At: s.OpenedAt, Threshold: *level.Threshold, Level: *level.Firing, Bound: level.Bound,
		Verdict: s.Verdict, Person: Person(s.VerdictBy), Acknowledged: !s.AcknowledgedAt.IsZero(),
	})
	a.Group, a.Owner, a.SourceMetric, a.Unit = s.RuleGroup, s.Owner, s.SourceMetric, s.SourceUnit
}

// decide adds those of the episodes at whose level their threshold lay that are of this side: all, or those at a threshold
// that is known.
func (a *Assessment) decide(undecided []*ledger.Sample, all bool) {
	known, n := a.thresholds(), len(a.Alarms)
	for _, s := range undecided {
		if level := s.Levels[a.Tier]; all || known[*level.Threshold] {
			a.add(s, level)
		}
	}
	a.merge(n)
}

// jumped adds the episodes that passed the tier on their way to a more urgent one without standing at it: they do not say what
// its threshold was, but the others do.
func (a *Assessment) jumped(samples []*ledger.Sample) {
	n := len(a.Alarms)
	a.merge(n)
	known := a.stood()
	for _, s := range samples {
		level, ok := s.Levels[a.Tier]
		if !ok || level.Firing == nil || level.Threshold != nil || !s.Told() {
			continue
		}
		threshold := inForce(known, s.OpenedAt)
		if a.Side.beyond(threshold, *level.Firing) {
			continue // of the other side
		}
		level.Threshold = &threshold
		a.add(s, level)
	}
	a.merge(n)
}

// thresholds are those at which alarms stood.
func (a *Assessment) thresholds() map[float64]bool {
	all := map[float64]bool{}
	for i := range a.Alarms {
		all[a.Alarms[i].Threshold] = true
	}
	return all
}

// current is the threshold in force: that of the newest episode, or what it has been moved to since.
func (a *Assessment) current() float64 {
	threshold, at := math.NaN(), time.Time{}
	for i := len(a.Alarms) - 1; i >= 0 && at.IsZero(); i-- {
		if !a.Alarms[i].Silent {
			threshold, at = a.Alarms[i].Threshold, a.Alarms[i].At
		}
	}
	if n := len(a.Moved); n > 0 && a.Moved[n-1].At.After(at) {
		return a.Moved[n-1].To
	}
	return threshold
}

// explored adds the episodes of the silent track that did not reach the threshold that was in force. Those that did are among
// the others.
func (a *Assessment) explored(all []*ledger.Explored) {
	if len(all) == 0 {
		return
	}
	known, n := a.stood(), len(a.Alarms)
	for _, x := range all {
		level, ok := x.Levels[a.Tier]
		if !ok || level.Firing == nil {
			continue
		}
		own := *level.Firing
		if level.Threshold != nil {
			own = *level.Threshold
		}
		if side, ok := SideOf(own, *level.Firing); ok && side != a.Side || !ok && a.Band {
			continue
		}
		if !a.Side.beyond(inForce(known, x.OpenedAt), *level.Firing) {
			continue
		}
		a.Alarms = append(a.Alarms, Alarm{
			ID: x.ID, Series: x.AlertID, At: x.OpenedAt, End: x.EndedAt, Labels: x.Labels, Threshold: own, Level: *level.Firing, Bound: level.Bound, Silent: true,
		})
	}
	a.merge(n)
}

// miss finds the misses that no alert met. At the laxest tier the episodes of the silent track that met one are what should have
// fired: a threshold that lets one of them through would have caught it.
func (a *Assessment) miss(misses []*ledger.Miss, laxest bool) {
	if len(misses) == 0 {
		return
	}
	var kept []time.Time // in order, as the alarms are
	silent := explorations{}
	for i := range a.Alarms {
		switch x := &a.Alarms[i]; {
		case x.kept():
			kept = append(kept, x.At)
		case laxest && x.Silent && x.Verdict == "":
			silent.add(x)
		}
	}
	for _, m := range misses {
		at, _ := slices.BinarySearchFunc(kept, m.At.Add(-met), time.Time.Compare)
		if at < len(kept) && !kept[at].After(m.At.Add(met)) {
			continue
		}
		a.Missed = append(a.Missed, m)
		for x := range silent.around(m.At) {
			if x.Verdict == "" && x.meets(m) {
				x.Verdict, x.Person, x.Incident = ledger.TruePositive, Person(m.By), "miss/"+m.ID
			}
		}
	}
}

// ended is when the alarm was last known to be there.
func (a *Alarm) ended() time.Time {
	if a.End.Before(a.At) {
		return a.At
	}
	return a.End
}

// meets reports whether a silent alarm was there when something was missed, and is of the labels that were reported.
func (a *Alarm) meets(m *ledger.Miss) bool {
	if m.At.Before(a.At.Add(-met)) || m.At.After(a.ended().Add(met)) {
		return false
	}
	for name, value := range m.Labels {
		if a.Labels[name] != value {
			return false
		}
	}
	return true
}

// moves lists the changes of the threshold. What the episodes show after somebody has told of it is the same change.
func (a *Assessment) moves(changes []*ledger.Change) {
	thresholds := map[float64]bool{}
	if len(changes) > 0 {
		thresholds = a.thresholds()
	}
	for _, c := range changes {
		if c.Tier == a.Tier && (c.Bound == a.Bound() || c.Bound == "" && thresholds[c.To]) {
			a.Moved = append(a.Moved, Move{At: c.At, From: c.From, To: c.To, By: Name(c.By), Note: c.Note})
		}
	}
	told := map[float64]bool{}
	for _, m := range a.Moved {
		told[m.To] = true
	}
	last := math.NaN()
	for i := range a.Alarms {
		x := &a.Alarms[i]
		if x.Silent {
			continue
		}
		if x.Threshold != last && !math.IsNaN(last) && !told[x.Threshold] {
			a.Moved = append(a.Moved, Move{At: x.At, From: last, To: x.Threshold})
		}
		last = x.Threshold
	}
	slices.SortStableFunc(a.Moved, func(x, y Move) int { return x.At.Compare(y.At) })
}

func (a *Assessment) conclude(limits Limits) {
	Link(a.Alarms, oneIncident)
	seen := map[string]bool{}
	for i := range a.Alarms {
		if one := &a.Alarms[i]; one.Verdict == ledger.TruePositive && !one.Silent {
			seen[one.incident()] = true
		}
	}
	a.Caught = len(seen)
	current := a.current()
	scale := current
	if a.other != nil {
		scale = a.other.current() - current
	}
	a.Suggestion = Suggest(a.Side, current, scale, a.Alarms, limits)
}
