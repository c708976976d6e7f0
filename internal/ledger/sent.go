package ledger

import (
	"strings"

	"github.com/otelcol-escalation/otelcol-escalation/internal/alert"
)

// Notify records that a destination accepted a page of the episode: its first sets NotifiedAt and time_to_notify. A
// digest is not a page, and what arrives after the end changes neither outcome nor NotifiedAt; both have their event.
func Notify(tx Tx, episodeID, receiver string, kind DeliveryKind, step int) error {
	e, err := tx.Episode(episodeID)
	if err != nil {
		return err
	}
	event := e.event(alert.EventPaged)
	event.Receiver, event.Reason, event.Step = receiver, string(kind), step
	page := kind == DeliverPage || kind == DeliverUpdate || kind == DeliverRepeat
	if page && e.Open() && e.NotifiedAt.IsZero() {
		e.NotifiedAt = notBefore(tx.Now(), e.OpenedAt)
		if err := measure(tx, e, alert.MetricTimeToNotify, e.OpenedAt, e.NotifiedAt); err != nil {
			return err
		}
		if err := tx.PutEpisode(e); err != nil {
			return err
		}
	}
	return tx.AppendEvent(event)
}

// Step records that a step was taken for an episode.
func Step(tx Tx, episodeID string, step int, receivers []string, reason string) error {
	e, err := tx.Episode(episodeID)
	if err != nil {
		return err
	}
	if err := tx.Count(e.counter(alert.MetricEscalations, ""), 1); err != nil {
		return err
	}
	event := e.event(alert.EventEscalated)
	event.Step, event.Receiver, event.Reason = step, strings.Join(receivers, ", "), reason
	return tx.AppendEvent(event)
}
