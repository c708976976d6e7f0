package ledger

import (
	"errors"
	"time"

	"github.com/otelcol-escalation/otelcol-escalation/internal/alert"
)

// Explored is an episode of a rule's silent track, of which nobody is told: what would have fired at a laxer threshold.
type Explored struct {
	ID string
	// AlertID is that of the alert whose rule has the track. At most one per AlertID is open.
	AlertID         string
	RuleGroup, Rule string
	Owner           string
	SourceMetric    string
	SourceUnit      string
	Highest         alert.Severity
	Labels          map[string]string
	StartedAt       time.Time // when the breach began, event time, as the evaluator sent it
	OpenedAt        time.Time
	EndedAt         time.Time
	JudgedAt        time.Time // the evaluator's clock at the last judgement taken
	// Levels has the track's own, laxer thresholds. Until the end its firing levels are bounds.
	Levels Levels
}

// Explore takes a judgement of a silent track. These come at an episode's start and at its end; what is not newer than
// the last one changes nothing, and an end without a start is none.
func Explore(tx Tx, a *alert.Alert) error {
	last, err := tx.LastExplored(a.ID)
	if errors.Is(err, ErrNotFound) {
		last, err = nil, nil
	}
	if err != nil || last != nil && !a.Time.After(last.JudgedAt) {
		return err
	}
	open := last != nil && last.EndedAt.IsZero()
	switch {
	case a.State == alert.Inactive && open:
		last.JudgedAt, last.EndedAt = a.Time, tx.Now()
		last.Levels = last.Levels.Merge(LevelsOf(a))
		return tx.PutExplored(last)
	case a.State != alert.Firing:
		return nil
	case open && !a.Start.After(last.StartedAt): // the same breach, told of again after a restart
		last.JudgedAt = a.Time
		return tx.PutExplored(last)
	case open: // its end was never heard of
		last.EndedAt = tx.Now()
		if err := tx.PutExplored(last); err != nil {
			return err
		}
	}
	return tx.PutExplored(&Explored{
		ID: newID(tx.Now()), AlertID: a.ID, RuleGroup: a.Group, Rule: a.Rule, Owner: a.Owner,
		SourceMetric: a.SourceMetric, SourceUnit: a.SourceUnit, Highest: a.Severity, Labels: a.Labels,
		StartedAt: a.Start, OpenedAt: tx.Now(), JudgedAt: a.Time, Levels: LevelsOf(a).bounds(),
	})
}

// bounds marks every firing level as one that may grow yet.
func (ls Levels) bounds() Levels {
	for tier, l := range ls {
		l.Bound = l.Firing != nil
		ls[tier] = l
	}
	return ls
}
