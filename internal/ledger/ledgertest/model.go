package ledgertest

import (
	"time"

	"github.com/otelcol-escalation/otelcol-escalation/internal/alert"
	"github.com/otelcol-escalation/otelcol-escalation/internal/ledger"
)

// model is the record as one would keep it on paper: a list of episodes per alert, and rules in plain words. It knows
// nothing of storage.
type model struct {
	episodes []*modelEpisode
	opened   int
}

type modelEpisode struct {
	id, alert, owner                   string
	open, byPerson, lost, noData       bool
	severity, highest                  alert.Severity
	started                            time.Time // as the evaluator said
	openedAt, judged, written, snoozed time.Time
	notified, acknowledged             bool
	outcome                            ledger.Outcome
	verdict                            ledger.Verdict
	events                             int
}

func (m *model) last(alertID string) *modelEpisode {
	for i := len(m.episodes) - 1; i >= 0; i-- {
		if m.episodes[i].alert == alertID {
			return m.episodes[i]
		}
	}
	return nil
}

// record says what Record has to answer, and follows it. id is the episode's, where one opens.
func (m *model) record(a *alert.Alert, now time.Time, id string) ledger.ChangeKind {
	last := m.last(a.ID)
	switch {
	case last != nil && !a.Time.After(last.judged):
		return ledger.Dropped
	case last == nil || !last.open:
		if a.State != alert.Firing {
			return ledger.Dropped
		}
		if last != nil && last.byPerson && !a.Start.IsZero() && !a.Start.After(last.started) {
			return ledger.Dropped
		}
		m.opened++
		m.episodes = append(m.episodes, &modelEpisode{
			id: id, alert: a.ID, owner: a.Owner, open: true, noData: a.Reason == alert.ReasonNoData, severity: a.Severity,
			highest: a.Severity, started: a.Start, openedAt: now, judged: a.Time, written: a.Time, events: 1,
		})
		return ledger.Opened
	case a.State == alert.Inactive:
		m.end(last, now)
		last.judged, last.written = a.Time, a.Time
		return ledger.Ended
	}
	kind := ledger.Unchanged
	if last.lost || a.State == alert.Firing {
		noData := a.Reason == alert.ReasonNoData
		if last.lost || noData != last.noData {
			kind = ledger.DataBack
			if noData {
				kind = ledger.DataLost
			}
			last.events++
		}
		last.lost, last.noData = false, noData
	}
	if a.State == alert.Firing && a.Owner != last.owner {
		kind, last.owner = ledger.OwnerChanged, a.Owner
		last.events++
	}
	if a.State == alert.Firing && a.Severity != last.severity {
		kind = ledger.Lowered
		if a.Severity > last.severity {
			kind, last.snoozed = ledger.Raised, time.Time{}
		}
		last.severity = a.Severity
		last.highest = max(last.highest, a.Severity)
		last.events++
	}
	last.judged = a.Time // by Observe, where nothing changed
	if kind != ledger.Unchanged {
		last.written = a.Time
	}
	return kind
}

// end has no groups: without one no page is ever ordered.
func (m *model) end(e *modelEpisode, now time.Time) {
	if now.Before(e.openedAt) { // the clock was set back
		now = e.openedAt
	}
	e.open, e.noData = false, false
	e.events++
	switch {
	case e.notified:
		e.outcome = ledger.OutcomeNotified
	case e.highest == alert.Low:
		e.outcome = ledger.OutcomeBatched
	case e.snoozed.After(now):
		e.outcome = ledger.OutcomeSuppressed
	default:
		e.outcome = ledger.OutcomeSelfResolved
	}
}

// restart forgets what was only observed.
func (m *model) restart() {
	for _, e := range m.episodes {
		e.judged = e.written
	}
}
