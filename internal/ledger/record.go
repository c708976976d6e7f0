package ledger

import (
	"errors"
	"slices"
	"time"

	"github.com/otelcol-escalation/otelcol-escalation/internal/alert"
)

// ChangeKind is what a judgement changed.
type ChangeKind string

// The kinds of change. A judgement that changes several things is named after the first of: Ended, Raised, Lowered,
// OwnerChanged, DataLost, DataBack, ActionAsked; each but the last has its event.
const (
	Unchanged ChangeKind = "unchanged" // a repetition: nothing was written
	// Dropped: not newer than the last judgement taken, an end or a pending state without an open episode, or a
	// repetition of what a person has resolved. Nothing was written.
	Dropped      ChangeKind = "dropped"
	Opened       ChangeKind = "opened"
	Raised       ChangeKind = "raised"
	Lowered      ChangeKind = "lowered"
	OwnerChanged ChangeKind = "owner_changed"
	DataLost     ChangeKind = "data_lost" // reason became no_data
	DataBack     ChangeKind = "data_back"
	ActionAsked  ChangeKind = "action_asked" // the alert asks for an action that it has not asked for before
	Ended        ChangeKind = "ended"
)

// Record takes one judgement. It returns the episode that it concerns, nil where there is none.
//
// A new episode belongs to no group yet: the caller assigns it to one in the same transaction. What came with
// Unchanged is for Ledger.Observe.
func Record(tx Tx, a *alert.Alert) (ChangeKind, *Episode, error) { return RecordIn(tx, a, nil) }

// RecordIn is Record with a function that assigns a new episode to its group before it is put, which saves putting it
// twice.
func RecordIn(tx Tx, a *alert.Alert, assign func(*Episode) error) (ChangeKind, *Episode, error) {
	last, err := tx.LastEpisode(a.ID)
	if errors.Is(err, ErrNotFound) {
		last, err = nil, nil
	}
	if err != nil {
		return Dropped, nil, err
	}
	if last != nil && !a.Time.After(last.JudgedAt) {
		return Dropped, last, nil
	}
	if last == nil || !last.Open() {
		if a.State != alert.Firing || last.resolved(a) {
			return Dropped, last, nil
		}
		e := open(a, tx.Now())
		e.follows(last)
		var stood Levels
		if last != nil {
			stood = last.Levels
		}
		if assign != nil {
			if err := assign(e); err != nil {
				return Dropped, nil, err
			}
		}
		if err := tx.PutEpisode(e); err != nil {
			return Dropped, nil, err
		}
		fired := e.event(alert.EventFired)
		fired.Reason = string(e.Reason)
		if err := tx.AppendEvent(fired); err != nil {
			return Dropped, nil, err
		}
		return Opened, e, noticeChange(tx, stood, e)
	}
	if a.State == alert.Inactive {
		last.JudgedAt, last.SeenAt = a.Time, tx.Now()
		last.observe(a)
		return Ended, last, end(tx, last, endReason(a), "", "")
	}
	kind, err := follow(tx, last, a)
	return kind, last, err
}

// resolved reports whether a judgement repeats what a person has resolved: the same breach, known by its start. A
// sender that does not say when the breach began cannot be told from a new breach, and an alert too many is better
// than one that never comes again.
func (e *Episode) resolved(a *alert.Alert) bool {
	return e != nil && e.EndedBy == EndedByPerson && !a.Start.IsZero() && !a.Start.After(e.StartedAt)
}

func open(a *alert.Alert, now time.Time) *Episode {
	starts := a.Start
	if starts.IsZero() || starts.After(now) {
		starts = now
	}
	e := &Episode{
		ID: newID(now), AlertID: a.ID, RuleGroup: a.Group, Rule: a.Rule, Owner: a.Owner,
		Severity: a.Severity, Highest: a.Severity, Reason: openReason(a),
		StartsAt: starts, StartedAt: a.Start, JudgedAt: a.Time, SeenAt: now, OpenedAt: now, RaisedAt: now,
	}
	e.describe(a)
	e.observe(a)
	return e
}

// openReason and endReason keep to the reasons that a firing and an ended alert can have, whatever a sender says.
func openReason(a *alert.Alert) alert.Reason {
	if a.Reason == alert.ReasonNoData {
		return alert.ReasonNoData
	}
	return alert.ReasonThreshold
}

func endReason(a *alert.Alert) alert.Reason {
	switch a.Reason {
	case alert.ReasonSeriesGone, alert.ReasonRuleRemoved:
		return a.Reason
	}
	return alert.ReasonRecovered
}

// describe takes over what a judgement says beyond identity and numbers.
func (e *Episode) describe(a *alert.Alert) {
	e.Labels = a.Labels
	if len(a.Annotations) > 0 || a.Response != "" { // both travel in the exemplar, which may be missing
		e.Annotations, e.Response = a.Annotations, a.Response
	}
	if a.SourceMetric != "" {
		e.SourceMetric, e.SourceUnit = a.SourceMetric, a.SourceUnit
	}
	for _, action := range a.Actions {
		if !slices.Contains(e.Actions, action) {
			e.Actions = append(e.Actions, action)
		}
	}
}

// observe takes over the numbers. What was not observed stays as it was; a value that ended the alert is no peak.
func (e *Episode) observe(a *alert.Alert) {
	if a.FiringLevel != nil {
		e.FiringLevel = a.FiringLevel
	}
	e.Levels = e.Levels.Merge(LevelsOf(a))
	firing := a.State == alert.Firing
	if a.Value != nil {
		e.Value, e.ObservedAt = a.Value, a.ObservedAt
		e.Trace = e.Trace.With(a.ObservedAt, *a.Value)
		if e.Threshold == nil { // the first value is measured against the first threshold
			e.Threshold = a.Threshold
		}
		if firing {
			e.ExtendPeak(*a.Value)
		}
	}
	if a.Threshold != nil && firing {
		e.Threshold = a.Threshold
	}
}

// follow takes a judgement that is not an end into an open episode.
func follow(tx Tx, e *Episode, a *alert.Alert) (ChangeKind, error) {
	before := *e
	kind := Unchanged
	var events []*Event
	change := func(k ChangeKind, name, from string, reason alert.Reason) {
		kind = k
		event := e.event(name)
		event.From, event.Reason = from, string(reason)
		events = append(events, event)
	}

	// A pending state is a sign of life and nothing else: the evaluator has begun anew and has not come to a
	// judgement yet.
	firing := a.State == alert.Firing
	reason := e.Reason
	if !e.LostAt.IsZero() || firing {
		reason = openReason(a)
	}
	e.LostAt = time.Time{}
	if reason != before.Reason || !before.LostAt.IsZero() {
		e.Reason = reason
		if reason == alert.ReasonNoData {
			change(DataLost, alert.EventNoData, string(before.Reason), reason)
		} else {
			change(DataBack, alert.EventNoData, string(before.Reason), reason)
		}
	}
	if firing && a.Owner != e.Owner {
		if err := moveVerdict(tx, e, func() { e.Owner = a.Owner }); err != nil {
			return kind, err
		}
		change(OwnerChanged, alert.EventOwner, before.Owner, "")
	}
	if firing && a.Severity != e.Severity {
		to := Lowered
		if a.Severity > e.Severity {
			to = Raised
			e.RaisedAt = notBefore(tx.Now(), e.OpenedAt)
			e.SnoozedUntil, e.SnoozedBy = time.Time{}, "" // a snooze was for what was known then
			e.FlapNoticedAt = time.Time{}                 // and so was the notice that it flaps
			e.Suppressed = ""
		}
		e.Severity = a.Severity
		if e.Severity > e.Highest {
			if err := moveVerdict(tx, e, func() { e.Highest = e.Severity }); err != nil {
				return kind, err
			}
		}
		change(to, alert.EventSeverity, before.Severity.String(), e.Reason)
	}
	if kind == Unchanged && firing && slices.ContainsFunc(a.Actions, func(action alert.Action) bool { return !slices.Contains(e.Actions, action) }) {
		kind = ActionAsked
	}
	if kind == Unchanged {
		return kind, nil
	}
	e.JudgedAt, e.SeenAt = a.Time, tx.Now()
	if firing {
		e.describe(a)
		e.observe(a)
	}
	err := write(tx, e, events, func(g *Group) bool {
		return (kind == Raised || kind == Lowered || kind == OwnerChanged) && owesUpdate(g)
	})
	if err != nil {
		return kind, err
	}
	return kind, noticeChange(tx, before.Levels, e)
}

// write stores a changed episode with its events and makes its group due.
func write(tx Tx, e *Episode, events []*Event, change func(*Group) bool) error {
	if err := tx.PutEpisode(e); err != nil {
		return err
	}
	for _, event := range events {
		event.Severity, event.Owner = e.Severity, e.Owner
		if err := tx.AppendEvent(event); err != nil {
			return err
		}
	}
	return touch(tx, e, change)
}

// Lose marks an open episode whose state is no longer repeated: it shows as no_data and keeps tier and steps.
// Repeating it changes nothing, and an ended episode cannot be lost.
func Lose(tx Tx, episodeID string) error {
	e, err := tx.Episode(episodeID)
	if err != nil || !e.Open() || !e.LostAt.IsZero() {
		return err
	}
	event := e.event(alert.EventNoData)
	event.Reason, event.From = string(alert.ReasonNoData), string(e.Reason)
	e.LostAt, e.Reason = tx.Now(), alert.ReasonNoData
	return write(tx, e, []*Event{event}, nil)
}
