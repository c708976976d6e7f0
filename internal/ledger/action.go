package ledger

import (
	"time"

	"github.com/otelcol-escalation/otelcol-escalation/internal/alert"
)

// Action is a rollback that an episode has asked for. At most one of a kind belongs to an episode.
type Action struct {
	ID        string
	EpisodeID string
	Rule      string
	Owner     string
	Kind      alert.Action
	// Target is the name of the configured target; "" where none, or not exactly one, matches.
	Target string
	Mode   ActionMode
	State  ActionState
	// Reason says why it waits, why it is only recommended, or why it was cancelled.
	Reason      string
	RequestedAt time.Time
	DecidedAt   time.Time
	DecidedBy   string // the person, "" where nobody had to decide
	Note        string
	DoneAt      time.Time
	Attempts    int
	// DueAt is when to try (next), zero where nothing is to be sent; LeasedUntil keeps replicas away meanwhile.
	DueAt, LeasedUntil time.Time
	LastError          string
}

// ActionMode says who decides.
type ActionMode string

// The modes.
const (
	ActionRecommend ActionMode = "recommend" // a person does
	ActionAutomatic ActionMode = "automatic" // nobody has to, unless the manual-intervention threshold was passed
)

// ActionState is how far an action has come.
type ActionState string

// The states. Waiting becomes approved, rejected or cancelled; approved becomes done, failed or cancelled.
const (
	ActionWaiting   ActionState = "waiting"   // a person has to decide
	ActionApproved  ActionState = "approved"  // by a person or by itself: it is to be carried out
	ActionRejected  ActionState = "rejected"  // by a person
	ActionDone      ActionState = "done"      // the target took it
	ActionFailed    ActionState = "failed"    // the target will not take it
	ActionCancelled ActionState = "cancelled" // the alert ended, or what asked for it no longer stands
)

// Settled reports whether nothing more will happen to the action.
func (a *Action) Settled() bool { return a.State != ActionWaiting && a.State != ActionApproved }

// ActionQuery selects actions, newest first; the zero value selects all.
type ActionQuery struct {
	EpisodeID, Target string
	State             ActionState
	// Since bounds RequestedAt from below.
	Since time.Time
	// Limit 0 means 1000.
	Limit int
}
