package ledger

import (
	"slices"
	"time"

	"github.com/otelcol-escalation/otelcol-escalation/internal/alert"
)

// Acknowledge records that by has the alert in hand, for the whole group in which it is paged. Repeating it changes
// nothing but the time that it lasts from: an event is added when it is the episode's first, when none was in force
// for the group, or when somebody else takes over.
func Acknowledge(tx Tx, episodeID, by, note string) error {
	e, err := tx.Episode(episodeID)
	if err != nil {
		return err
	}
	if !e.Open() {
		return ErrEnded
	}
	news := false
	if e.AcknowledgedAt.IsZero() {
		news = true
		e.AcknowledgedAt, e.AcknowledgedBy = notBefore(tx.Now(), e.OpenedAt), by
		// From the page that somebody accepted, where there was one: before it nobody could know. Who acknowledges
		// what was not paged has seen it on the page since it opened.
		from := e.OpenedAt
		if !e.NotifiedAt.IsZero() {
			from = e.NotifiedAt
		}
		if err := measure(tx, e, alert.MetricTimeToAcknowledge, from, e.AcknowledgedAt); err != nil {
			return err
		}
		if err := tx.PutEpisode(e); err != nil {
			return err
		}
	}
	err = touch(tx, e, func(g *Group) bool {
		if g.AcknowledgedAt.IsZero() || g.AcknowledgedBy != by {
			news = true
		}
		g.AcknowledgedAt, g.AcknowledgedBy, g.NextStep = tx.Now(), by, ""
		return true
	})
	if err != nil || !news {
		return err
	}
	event := e.event(alert.EventAcknowledged)
	event.By, event.Note = by, note
	return tx.AppendEvent(event)
}

// takenBack is when a group was acknowledged whose acknowledgement has been taken back: long ago, so that the next decision finds
// that it has expired.
var takenBack = time.Unix(1, 0)

// Unacknowledge takes an acknowledgement back, for the whole group: its steps go on as if it had expired. Repeating it changes
// nothing.
func Unacknowledge(tx Tx, episodeID, by string) error {
	e, err := tx.Episode(episodeID)
	if err != nil {
		return err
	}
	if !e.Open() {
		return ErrEnded
	}
	from := ""
	err = touch(tx, e, func(g *Group) bool {
		if g.AcknowledgedAt.IsZero() {
			return false
		}
		from = g.AcknowledgedBy
		g.AcknowledgedAt = takenBack
		return true
	})
	if err != nil || from == "" {
		return err
	}
	event := e.event(alert.EventUnacknowledged)
	event.By, event.From = by, from
	return tx.AppendEvent(event)
}

// Snooze stops pages and steps of one episode until a time. Repeating it with the same time changes nothing.
func Snooze(tx Tx, episodeID string, until time.Time, by, note string) error {
	e, err := tx.Episode(episodeID)
	if err != nil {
		return err
	}
	if !e.Open() {
		return ErrEnded
	}
	until = until.UTC().Round(0)
	if !until.After(tx.Now()) {
		return ErrPast
	}
	if e.SnoozedUntil.Equal(until) && e.SnoozedBy == by {
		return nil
	}
	event := e.event(alert.EventSnoozed)
	event.By, event.Note, event.Reason = by, note, until.Format(time.RFC3339)
	if !e.SnoozedUntil.IsZero() {
		event.From = e.SnoozedUntil.Format(time.RFC3339)
	}
	e.SnoozedUntil, e.SnoozedBy = until, by
	return write(tx, e, []*Event{event}, nil)
}

// Judge records a person's verdict, of an open episode or an ended one; a later one replaces an earlier one, and the
// counters follow. Repeating it changes nothing.
func Judge(tx Tx, episodeID string, v Verdict, by, note string) error {
	if !slices.Contains(Verdicts[:], v) {
		return ErrVerdict
	}
	e, err := tx.Episode(episodeID)
	if err != nil {
		return err
	}
	if e.Verdict == v && e.VerdictBy == by && e.Note == note {
		return nil
	}
	event := e.event(alert.EventVerdict)
	event.By, event.Note, event.Reason, event.From = by, note, string(v), string(e.Verdict)
	if err := moveVerdict(tx, e, func() { e.Verdict = v }); err != nil {
		return err
	}
	e.VerdictBy, e.VerdictAt, e.Note = by, tx.Now(), note
	return write(tx, e, []*Event{event}, nil)
}

// mostAlike bounds how many episodes one verdict of JudgeAlike is for.
const mostAlike = 1000

// JudgeAlike gives one verdict to an episode and to those of the same alert that opened at or after a time, have ended, people
// were told of and nobody has judged: at most mostAlike of them, the newest first. It returns those that it changed.
// Repeating it changes nothing but what has ended since, or was beyond the bound.
func JudgeAlike(tx Tx, episodeID string, since time.Time, v Verdict, by, note string) (changed []string, err error) {
	e, err := tx.Episode(episodeID)
	if err != nil {
		return nil, err
	}
	ended := false
	alike, err := tx.Episodes(Query{AlertID: e.AlertID, Open: &ended, Since: since, Unjudged: true, Told: true, Limit: mostAlike})
	if err != nil {
		return nil, err
	}
	if !slices.ContainsFunc(alike, func(a *Episode) bool { return a.ID == e.ID }) {
		alike = append(alike, e)
	}
	for _, a := range alike {
		if a.Verdict == v && a.VerdictBy == by && a.Note == note {
			continue
		}
		if err := Judge(tx, a.ID, v, by, note); err != nil {
			return nil, err
		}
		changed = append(changed, a.ID)
	}
	return changed, nil
}

// moveVerdict applies a change to the verdict or to what it is counted under, and lets its counter follow.
func moveVerdict(tx Tx, e *Episode, change func()) error {
	before := e.counter(alert.MetricVerdicts, string(e.Verdict))
	change()
	after := e.counter(alert.MetricVerdicts, string(e.Verdict))
	if before == after {
		return nil
	}
	if before.Value != "" {
		if err := tx.Count(before, -1); err != nil {
			return err
		}
	}
	if after.Value != "" {
		return tx.Count(after, 1)
	}
	return nil
}
