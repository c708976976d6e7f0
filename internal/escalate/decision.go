package escalate

import (
	"time"

	"github.com/otelcol-escalation/otelcol-escalation/internal/alert"
	"github.com/otelcol-escalation/otelcol-escalation/internal/ledger"
)

// Reason names why something is sent, or why nothing is.
type Reason string

// Why something is sent.
const (
	ReasonWindow       Reason = "window_passed"           // the group's first page
	ReasonRise         Reason = "tier_rose"               // the steps start anew
	ReasonOwner        Reason = "owner_changed"           // the steps start anew, with the new owner
	ReasonStep         Reason = "not_acknowledged"        // the next step
	ReasonRepeat       Reason = "repeat_interval"         // the last step again
	ReasonAckExpired   Reason = "acknowledgement_expired" // the last step again
	ReasonWoke         Reason = "snooze_ended"            // the last step again: a snooze, silence, mute … of all is over
	ReasonOverdue      Reason = "response_overdue"        // the next step, or the last one again: see Owner.RespondWithin
	ReasonMembers      Reason = "members_changed"         // an update
	ReasonHigherTier   Reason = "higher_tier_joined"      // an update at once
	ReasonEnded        Reason = "ended"                   // the end
	ReasonBatch        Reason = "batch_time"              // the daily digest
	ReasonSelfResolved Reason = "self_resolved"           // nothing: it ended before its page
	ReasonQuiet        Reason = "nothing_due"
	ReasonCollecting   Reason = "collecting" // low waits for the batch
	ReasonHeld         Reason = "acknowledged"
	// A group that is held as a whole has the reason of its first episode: one of ledger.Suppressed….
	ReasonClosed Reason = "closed"
)

// Order says that receivers must be told the group's state.
type Order struct {
	Kind      ledger.DeliveryKind
	Receivers []string
	// Step is the number of the step that was taken, or that the group has reached.
	Step   int
	Reason Reason
}

// Digest says that the group goes out in its owner's daily digest.
type Digest struct {
	Owner     string
	Receivers []string
	Step      int
	// BatchAt is the batch time that fell due.
	BatchAt time.Time
}

// Hold is an episode whose state changed: what holds it, until when (see ledger.Episode.Held), and why a page that was due
// left it out (see ledger.Episode.Suppressed). Settled says that it does not flap any more.
type Hold struct {
	EpisodeID  string
	Held       string
	Until      time.Time
	Suppressed string
	Settled    bool
}

// Apply writes a hold into its episode.
func (h Hold) Apply(e *ledger.Episode) {
	e.Held, e.HeldUntil, e.Suppressed = h.Held, h.Until, h.Suppressed
	if h.Settled {
		e.FlapNoticedAt = time.Time{}
	}
}

// Decision is what is due for a group. Group is its new state: DueAt says when to decide again, NextStep in words what
// falls due then.
type Decision struct {
	Group  ledger.Group
	Orders []Order
	// Digest is set where the group goes out in a digest.
	Digest *Digest
	// Holds lists the episodes to change.
	Holds []Hold
	// Expired is who had acknowledged, where the acknowledgement has expired.
	Expired string
	// Closed is set where this decision closed the group.
	Closed bool
	// Reason names the decision: that of the first order, or why there is none.
	Reason Reason
}

// Sequence returns the number of an order that is given now, after one with the number `last`: its time in
// nanoseconds, so that a delivery's Sent says up to when its destination has been told.
func Sequence(last int64, now time.Time) int64 { return max(last+1, now.UnixNano()) }

// ToldUntil is up to when a destination has been told; zero where it has accepted nothing yet.
func ToldUntil(sent int64) time.Time {
	if sent == 0 {
		return time.Time{}
	}
	return time.Unix(0, sent)
}

// highest is the most urgent tier of episodes, NoSeverity for none.
func highest(episodes []*ledger.Episode) alert.Severity {
	var t alert.Severity
	for _, e := range episodes {
		t = max(t, e.Severity)
	}
	return t
}
