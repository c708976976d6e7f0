package ledger

import (
	"github.com/otelcol-escalation/otelcol-escalation/internal/alert"
)

// End ends an open episode, with its outcome: reason series_gone when its evaluator has stayed away. An episode that
// has ended stays as it is.
func End(tx Tx, episodeID string, reason alert.Reason) error {
	e, err := tx.Episode(episodeID)
	if err != nil || !e.Open() {
		return err
	}
	return end(tx, e, reason, "", "")
}

// Resolve ends an episode by a person. Repeating it changes nothing.
func Resolve(tx Tx, episodeID, by, note string) error {
	e, err := tx.Episode(episodeID)
	if err != nil || !e.Open() {
		return err
	}
	e.EndedBy, e.Ender = EndedByPerson, by
	return end(tx, e, ReasonPerson, by, note)
}

// end closes the books of an episode.
func end(tx Tx, e *Episode, reason alert.Reason, by, note string) error {
	event := e.event(alert.EventResolved)
	event.By, event.Note, event.Reason, event.From = by, note, string(reason), string(e.Reason)

	var g *Group
	if e.GroupID != "" {
		var err error
		if g, err = tx.Group(e.GroupID); err != nil && !isNotFound(err) {
			return err
		}
	}
	e.EndedAt = notBefore(tx.Now(), e.OpenedAt)
	if e.EndedBy == "" {
		e.EndedBy = EndedBySystem
	}
	e.Reason, e.InHand = reason, g != nil && g.AcknowledgedAt.After(takenBack)
	e.Outcome, e.Suppressed = OutcomeOf(e, g)
	if err := tx.Count(e.counter(alert.MetricEpisodes, string(e.Outcome)), 1); err != nil {
		return err
	}
	// What nobody could see any more has ended, but was not resolved.
	if reason != alert.ReasonSeriesGone {
		if err := measure(tx, e, alert.MetricTimeToResolve, e.OpenedAt, e.EndedAt); err != nil {
			return err
		}
	}
	if len(e.Actions) > 0 {
		if err := cancelActions(tx, e); err != nil {
			return err
		}
	}
	return write(tx, e, []*Event{event}, owesUpdate)
}
