package ledger

import (
	"errors"
	"strconv"
	"time"

	"github.com/otelcol-escalation/otelcol-escalation/internal/alert"
)

// Change is a threshold of a rule that was moved: somebody told of it, or an alert was the first to stand at another
// threshold than before.
type Change struct {
	ID              string
	RuleGroup, Rule string
	Tier            alert.Severity
	// Bound is low or high of a band's thresholds, "" where there is but one, or nobody knows.
	Bound    string
	From, To float64
	// At is when it was told of or noticed.
	At time.Time
	// By is the person as Episode.VerdictBy has people; "" where it was noticed.
	By, Note string
}

// Retune records a change that somebody tells of, and its event. The threshold that the rule is known to have been moved
// to last is no change: the same again changes nothing.
func Retune(tx Tx, c *Change) (*Change, error) {
	last, err := lastChange(tx, c)
	if err != nil || last != nil && last.To == c.To {
		return last, err
	}
	c.ID, c.At = newID(tx.Now()), tx.Now()
	if err := tx.PutChange(c); err != nil {
		return nil, err
	}
	return c, tx.AppendEvent(&Event{
		Name: alert.EventThreshold, By: c.By, Severity: c.Tier, Rule: c.Rule, Receiver: c.Bound, Note: c.Note,
		From: strconv.FormatFloat(c.From, 'g', -1, 64), Reason: strconv.FormatFloat(c.To, 'g', -1, 64),
	})
}

func lastChange(tx Tx, c *Change) (*Change, error) {
	last, err := tx.LastChange(c.Rule, c.Tier, c.Bound)
	if errors.Is(err, ErrNotFound) {
		return nil, nil
	}
	return last, err
}

// noticeChange compares the threshold that an alert stands at with the one that it stood at before, on the same side of
// its tier. Without both there is nothing to compare.
func noticeChange(tx Tx, before Levels, e *Episode) error {
	was, is := before[e.Severity], e.Levels[e.Severity]
	if was.Threshold == nil || is.Threshold == nil || *was.Threshold == *is.Threshold {
		return nil
	}
	side := is.side()
	if side == 0 || side != was.side() {
		return nil
	}
	for _, bound := range []string{"", boundOf[side]} { // told of with its bound, or without
		last, err := lastChange(tx, &Change{Rule: e.Rule, Tier: e.Severity, Bound: bound})
		if err != nil || last != nil && last.To == *is.Threshold {
			return err
		}
	}
	_, err := Retune(tx, &Change{RuleGroup: e.RuleGroup, Rule: e.Rule, Tier: e.Severity, From: *was.Threshold, To: *is.Threshold})
	return err
}

var boundOf = map[int]string{1: "high", -1: "low"}

// side says on which side of its threshold a value is bad: 1 above, -1 below, 0 where it does not show.
func (l Level) side() int {
	switch {
	case l.Firing == nil || l.Threshold == nil || *l.Firing == *l.Threshold:
		return 0
	case *l.Firing > *l.Threshold:
		return 1
	}
	return -1
}
