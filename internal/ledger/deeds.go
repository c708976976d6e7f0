package ledger

import (
	"errors"
	"time"

	"github.com/otelcol-escalation/otelcol-escalation/internal/alert"
)

// Deeds are what happens to episodes: each changes the episode, appends its event, counts, and makes the group due
// (DueAt = Now), in the caller's transaction. Exporter and receiver both go through them, so that the rules of the
// record stand in one place.

// Errors of deeds that a person asks for.
var (
	ErrEnded   = errors.New("the episode has ended")
	ErrVerdict = errors.New("unknown verdict")
	ErrPast    = errors.New("the time lies in the past")
)

// ChangeKind is what a judgement changed.
type ChangeKind string

// The kinds of change.
const (
	Unchanged    ChangeKind = "unchanged" // a repetition: nothing was written
	Dropped      ChangeKind = "dropped"   // not newer than the last judgement taken, or an end without an open episode
	Opened       ChangeKind = "opened"
	Raised       ChangeKind = "raised"
	Lowered      ChangeKind = "lowered"
	OwnerChanged ChangeKind = "owner_changed"
	DataLost     ChangeKind = "data_lost" // reason became no_data
	DataBack     ChangeKind = "data_back"
	Ended        ChangeKind = "ended"
)

// Record takes one judgement. It returns the episode that it concerns, nil where there is none.
func Record(tx Tx, a *alert.Alert) (ChangeKind, *Episode, error) { panic("being written") }

// Lose marks an open episode whose state is no longer repeated: it shows as no_data and keeps tier and steps.
func Lose(tx Tx, episodeID string) error { panic("being written") }

// End ends an open episode, with its outcome: reason series_gone when its evaluator has stayed away.
func End(tx Tx, episodeID string, reason alert.Reason) error { panic("being written") }

// Acknowledge records that by has the alert in hand. Repeating it changes nothing but the time that it lasts from.
func Acknowledge(tx Tx, episodeID, by, note string) error { panic("being written") }

// Resolve ends an episode by a person. Repeating it changes nothing.
func Resolve(tx Tx, episodeID, by, note string) error { panic("being written") }

// Snooze stops pages and steps of one episode until a time.
func Snooze(tx Tx, episodeID string, until time.Time, by, note string) error { panic("being written") }

// Judge records a person's verdict; a later one replaces an earlier one, and the counters follow.
func Judge(tx Tx, episodeID string, v Verdict, by, note string) error { panic("being written") }

// Notify records that a destination accepted a page of the episode: its first sets NotifiedAt and time_to_notify.
func Notify(tx Tx, episodeID, receiver string, kind DeliveryKind, step int) error { panic("being written") }

// Step records that a step was taken for an episode.
func Step(tx Tx, episodeID string, step int, receivers []string, reason string) error {
	panic("being written")
}

// Provider is what the extension gives to exporter and receiver.
type Provider interface {
	Ledger() Ledger
}
