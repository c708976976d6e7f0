package ledger

import (
	"errors"
	"time"

	"github.com/otelcol-escalation/otelcol-escalation/internal/alert"
)

// Deeds are what happens to episodes: each changes the episode, appends its event, counts, and makes the group due
// (DueAt = Now), in the caller's transaction. Exporter and receiver both go through them, so that the rules of the
// record stand in one place: Record and Lose for what evaluators tell, End for every end, Acknowledge, Resolve, Snooze
// and Judge for people, Notify and Step for what was sent.

// Errors of deeds that a person asks for.
var (
	ErrEnded   = errors.New("the episode has ended")
	ErrVerdict = errors.New("unknown verdict")
	ErrPast    = errors.New("the time lies in the past")
)

// ReasonPerson is the reason of an end where a person resolved the episode. It never travels in alert.state.
const ReasonPerson alert.Reason = "person"

// Provider is what the extension gives to exporter and receiver.
type Provider interface {
	Ledger() Ledger
}

// event returns an event of an episode as it is now.
func (e *Episode) event(name string) *Event {
	return &Event{Name: name, EpisodeID: e.ID, Severity: e.Severity, Owner: e.Owner, Rule: e.Rule}
}

// counter returns the key under which an episode is counted: by the most urgent tier that it had.
func (e *Episode) counter(metric, value string) CounterKey {
	return CounterKey{
		Metric: metric, Rule: e.Rule, Owner: e.Owner, SourceMetric: e.SourceMetric, Severity: e.Highest, Value: value,
	}
}

// measure adds the time between two moments to a histogram. A clock that was set back measures 0.
func measure(tx Tx, e *Episode, metric string, from, to time.Time) error {
	return tx.Measure(e.counter(metric, ""), max(to.Sub(from), 0).Seconds())
}

// touch makes an episode's group due now, after change has been applied to it. A group that is due already and that
// change leaves as it was is not written: of ten thousand episodes of one group, one writes it.
func touch(tx Tx, e *Episode, change func(*Group) bool) error {
	if e.GroupID == "" {
		return nil
	}
	g, err := tx.Group(e.GroupID)
	if errors.Is(err, ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	changed := change != nil && change(g)
	if g.Open() && (g.DueAt.IsZero() || g.DueAt.After(tx.Now())) {
		g.DueAt, changed = tx.Now(), true
	}
	if !changed {
		return nil
	}
	return tx.PutGroup(g)
}

// owesUpdate marks a group whose members or tier changed.
func owesUpdate(g *Group) bool {
	changed := !g.Dirty
	g.Dirty = true
	return changed
}

// notBefore keeps times in order where the clock was set back.
func notBefore(t, earliest time.Time) time.Time {
	if t.Before(earliest) {
		return earliest
	}
	return t
}
