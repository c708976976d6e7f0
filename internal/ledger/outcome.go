package ledger

import (
	"errors"
	"time"

	"github.com/otelcol-escalation/otelcol-escalation/internal/alert"
)

// Why an episode was suppressed, or is held at present: see Episode.Suppressed and Episode.Held.
const (
	SuppressedSnoozed      = "snoozed"      // a person said so, of this episode
	SuppressedSilenced     = "silenced"     // a person said so, of everything that matches
	SuppressedInhibited    = "inhibited"    // another alert that fires says enough
	SuppressedMuted        = "muted"        // the owner's hours
	SuppressedFlapping     = "flapping"     // it fires and ends again and again, and its page has said so
	SuppressedAcknowledged = "acknowledged" // somebody had its group in hand
)

// HeldAt returns why pages leave an open episode out at a time; "" where they do not.
func (e *Episode) HeldAt(t time.Time) string {
	switch {
	case e.SnoozedUntil.After(t):
		return SuppressedSnoozed
	case e.Held != "" && (e.HeldUntil.IsZero() || e.HeldUntil.After(t)):
		return e.Held
	}
	return ""
}

// Unwanted reports whether an ended episode was held to its end by somebody who did not want to hear of it at all, not
// even in a digest.
func (e *Episode) Unwanted() bool {
	held := e.HeldAt(e.EndedAt)
	return !e.Open() && e.NotifiedAt.IsZero() && (held == SuppressedSilenced || held == SuppressedInhibited)
}

// OutcomeOf says what became of an episode as a page, when it ends at e.EndedAt; g is its group, nil where it has none.
// With OutcomeSuppressed comes the reason. The first that holds decides:
//
//   - a destination accepted a page of it: notified;
//   - it was never more than low, and so is part of a digest: batched, unless it was silenced or inhibited to its end;
//   - Episode.Suppressed was set by who held a due page back: suppressed, for that reason;
//   - it was snoozed, silenced, inhibited, muted or flapping at its end: suppressed, for that reason;
//   - no page was ordered since it joined: suppressed as acknowledged where the group was in hand, otherwise it
//     recovered within its window: self_resolved;
//   - a page was ordered and nobody accepted it: undeliverable.
func OutcomeOf(e *Episode, g *Group) (outcome Outcome, suppressed string) {
	switch {
	case !e.NotifiedAt.IsZero():
		return OutcomeNotified, ""
	case e.Highest == alert.Low && !e.Unwanted():
		return OutcomeBatched, ""
	case e.Suppressed != "":
		return OutcomeSuppressed, e.Suppressed
	case e.HeldAt(e.EndedAt) != "":
		return OutcomeSuppressed, e.HeldAt(e.EndedAt)
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
