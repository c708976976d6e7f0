package ledger

import "time"

// Trial is a test page that a person has asked for. The exporter sends it: it has the receivers.
type Trial struct {
	ID, Receiver string
	RequestedBy  string
	RequestedAt  time.Time
	// DoneAt is when every destination of the receiver had answered; zero before.
	DoneAt time.Time
	// Error is what they said, "" where all accepted it.
	Error string
}

// Try asks for a test page.
func Try(tx Tx, receiver, by string) (*Trial, error) {
	t := &Trial{ID: newID(tx.Now()), Receiver: receiver, RequestedBy: by, RequestedAt: tx.Now()}
	return t, tx.PutTrial(t)
}

// Settings that the exporter publishes for the page: the names of its receivers and of its rollback targets, JSON lists, and
// its owners' budgets, a JSON object of {"pages": 2, "within": nanoseconds} by owner.
const (
	SettingTargets   = "escalation.targets"
	SettingReceivers = "escalation.receivers"
	SettingBudgets   = "escalation.budgets"
)
