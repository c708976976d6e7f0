package ledger

import (
	"errors"

	"github.com/otelcol-escalation/otelcol-escalation/internal/alert"
)

// Why an episode was suppressed. The others of the design's list (muted, silenced, inhibited, flapping) are set by
// whoever holds the page back.
const (
	SuppressedSnoozed      = "snoozed"
	SuppressedAcknowledged = "acknowledged"
)

// OutcomeOf says what became of an episode as a page, when it ends at e.EndedAt; g is its group, nil where it has none.
// With OutcomeSuppressed comes the reason. The first that holds decides:
//
//   - a destination accepted a page of it: notified;
//   - it was never more than low, and so is part of a digest: batched;
//   - Episode.Suppressed was set by who held a due page back: suppressed, for that reason;
//   - a person had snoozed it until after its end: suppressed, snoozed;
//   - no page was ordered since it joined: suppressed as acknowledged where the group was in hand, otherwise it
//     recovered within its window: self_resolved;
//   - a page was ordered and nobody accepted it: undeliverable.
func OutcomeOf(e *Episode, g *Group) (outcome Outcome, suppressed string) {
	switch {
	case !e.NotifiedAt.IsZero():
		return OutcomeNotified, ""
	case e.Highest == alert.Low:
		return OutcomeBatched, ""
	case e.Suppressed != "":
		return OutcomeSuppressed, e.Suppressed
	case e.SnoozedUntil.After(e.EndedAt):
		return OutcomeSuppressed, SuppressedSnoozed
	case covered(e, g):
		return OutcomeUndeliverable, ""
	case g != nil && !g.AcknowledgedAt.IsZero():
		return OutcomeSuppressed, SuppressedAcknowledged
	default:
		return OutcomeSelfResolved, ""
	}
}

// covered reports whether a page was ordered that told of the episode: any page, repeat or update since it joined.
func covered(e *Episode, g *Group) bool {
	return g != nil && !g.PagedAt.IsZero() && !e.OpenedAt.After(g.UpdatedAt)
}

func isNotFound(err error) bool { return errors.Is(err, ErrNotFound) }
