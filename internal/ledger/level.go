package ledger

import (
	"maps"
	"math"
	"time"

	"github.com/otelcol-escalation/otelcol-escalation/internal/alert"
)

// Level is what an episode tells about the threshold of one tier, in the unit of the source metric.
type Level struct {
	// Threshold was in force when the alert last stood at the tier; nil where it never did, but passed it by.
	Threshold *float64 `json:"t,omitempty"`
	// Firing is the most extreme threshold at which the tier would still have fired; Bound says that it may be more extreme
	// in truth.
	Firing *float64 `json:"f,omitempty"`
	Bound  bool     `json:"b,omitempty"`
}

// Levels are those of the tiers that were active. They are replaced, never changed.
type Levels map[alert.Severity]Level

// LevelsOf returns what a judgement tells.
func LevelsOf(a *alert.Alert) Levels {
	if a.State != alert.Firing && len(a.FiringLevels) == 0 {
		return nil
	}
	ls := make(Levels, len(a.FiringLevels)+1)
	for tier, level := range a.FiringLevels {
		if finite(level.Value) {
			ls[tier] = Level{Firing: &level.Value, Bound: level.Bound}
		}
	}
	if a.State == alert.Firing && a.Threshold != nil && finite(*a.Threshold) {
		l := ls[a.Severity]
		l.Threshold = a.Threshold
		if l.Firing == nil && a.FiringLevel != nil && finite(*a.FiringLevel) {
			l.Firing, l.Bound = a.FiringLevel, a.FiringLevelBound
		}
		ls[a.Severity] = l
	}
	return ls
}

// Merge returns levels with newer ones over them.
func (ls Levels) Merge(newer Levels) Levels {
	if len(newer) == 0 {
		return ls
	}
	all := maps.Clone(ls)
	if all == nil {
		all = make(Levels, len(newer))
	}
	for tier, n := range newer {
		l := all[tier]
		if n.Threshold != nil {
			l.Threshold = n.Threshold
		}
		if n.Firing != nil {
			l.Firing, l.Bound = n.Firing, n.Bound
		}
		all[tier] = l
	}
	return all
}

func finite(v float64) bool { return !math.IsNaN(v) && !math.IsInf(v, 0) }

// Sample is what calibration asks of an episode.
type Sample struct {
	ID, AlertID, RuleGroup, Rule, Owner, SourceMetric, SourceUnit string
	Highest                                                       alert.Severity
	OpenedAt, EndedAt, NotifiedAt, AcknowledgedAt                 time.Time
	Outcome                                                       Outcome
	Verdict                                                       Verdict
	VerdictBy                                                     string
	Levels                                                        Levels
}

// Told reports whether anybody had to do with the episode: it was paged or went into a digest, or somebody answered it.
func (s *Sample) Told() bool {
	return !s.NotifiedAt.IsZero() || s.Outcome == OutcomeBatched || s.Verdict != "" || !s.AcknowledgedAt.IsZero()
}

// Tally is the episode counted.
func (s *Sample) Tally() Tally {
	t := Tally{
		Rule: s.Rule, Owner: s.Owner, SourceMetric: s.SourceMetric, Severity: s.Highest, Episodes: 1, Verdicts: map[Verdict]int64{},
	}
	if s.EndedAt.IsZero() {
		t.Open, t.OldestOpen = 1, s.OpenedAt
	}
	if !s.NotifiedAt.IsZero() {
		t.Notified = 1
	}
	if s.Verdict != "" {
		t.Verdicts[s.Verdict] = 1
		t.NotifiedJudged = t.Notified
	} else if !s.EndedAt.IsZero() && (t.Notified > 0 || s.Highest == alert.Low) {
		t.Unjudged = 1
	}
	return t
}

// Miss is an incident that no alert caught, as somebody has reported it.
type Miss struct {
	ID string
	// Rule should have caught it.
	Rule string
	// At is when it began.
	At     time.Time
	Labels map[string]string
	// By is as Episode.VerdictBy.
	By, Note   string
	ReportedAt time.Time
}

// Report records a missed incident. The same again, of one rule, moment and person, changes nothing.
func Report(tx Tx, m *Miss) (*Miss, error) {
	before, err := tx.Misses(m.Rule, m.At)
	if err != nil {
		return nil, err
	}
	for _, b := range before {
		if b.At.Equal(m.At) && b.By == m.By && maps.Equal(b.Labels, m.Labels) {
			return b, nil
		}
	}
	m.ID, m.ReportedAt = newID(tx.Now()), tx.Now()
	return m, tx.PutMiss(m)
}
