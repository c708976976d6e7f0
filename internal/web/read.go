package web

import (
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/otelcol-escalation/otelcol-escalation/internal/alert"
	"github.com/otelcol-escalation/otelcol-escalation/internal/calibrate"
	"github.com/otelcol-escalation/otelcol-escalation/internal/ledger"
)

// reader turns what the ledger holds into what callers see, within one transaction.
type reader struct {
	tx     ledger.Tx
	groups map[string]*ledger.Group
}

// view runs fn on one consistent state of the ledger. It returns the ledger's time.
func (s *Site) view(ctx context.Context, fn func(*reader) error) (now time.Time, err error) {
	err = s.opts.Ledger.View(ctx, s.opts.Now(), func(tx ledger.Tx) error {
		now = tx.Now()
		return fn(&reader{tx: tx, groups: map[string]*ledger.Group{}})
	})
	return now, err
}

func (r *reader) alerts(q ledger.Query) ([]Alert, error) {
	episodes, err := r.tx.Episodes(q)
	if err != nil {
		return nil, err
	}
	return r.all(episodes)
}

// all are episodes as callers see them.
func (r *reader) all(episodes []*ledger.Episode) ([]Alert, error) {
	alerts := make([]Alert, 0, len(episodes))
	for _, e := range episodes {
		a, err := r.alert(e)
		if err != nil {
			return nil, err
		}
		alerts = append(alerts, a)
	}
	return alerts, nil
}

// story is one alert with its events.
func (r *reader) story(id string) (Alert, error) {
	e, err := r.tx.Episode(id)
	if err != nil {
		return Alert{}, err
	}
	a, err := r.alert(e)
	if err != nil {
		return a, err
	}
	events, err := r.tx.EpisodeEvents(id)
	if err != nil {
		return a, err
	}
	for tier, l := range e.Levels {
		if a.Levels == nil {
			a.Levels = map[alert.Severity]Level{}
		}
		a.Levels[tier] = Level{Threshold: l.Threshold, FiringLevel: l.Firing, Bound: l.Bound}
	}
	for _, p := range e.Trace {
		a.Values = append(a.Values, Observed{p.At.UTC(), p.Value})
	}
	a.Events = make([]Event, 0, len(events))
	for _, event := range events {
		a.Events = append(a.Events, eventOf(event))
	}
	return a, nil
}

func (r *reader) group(id string) (*ledger.Group, error) {
	if id == "" {
		return nil, nil
	}
	if g, ok := r.groups[id]; ok {
		return g, nil
	}
	g, err := r.tx.Group(id)
	if errors.Is(err, ledger.ErrNotFound) {
		g, err = nil, nil
	}
	if err == nil {
		r.groups[id] = g
	}
	return g, err
}

func (r *reader) alert(e *ledger.Episode) (Alert, error) {
	a := Alert{
		ID: e.ID, AlertID: e.AlertID, Group: e.RuleGroup, Rule: e.Rule, State: stateOf(e),
		Severity: e.Severity, HighestSeverity: e.Highest, Owner: e.Owner,
		Labels: orEmpty(e.Labels), Annotations: orEmpty(e.Annotations), Response: e.Response,
		Value: number(e.Value), Peak: number(e.Peak), Threshold: number(e.Threshold), FiringLevel: number(e.FiringLevel),
		SourceMetric: e.SourceMetric, SourceUnit: e.SourceUnit,
		StartsAt: e.StartsAt.UTC(), ObservedAt: e.ObservedAt.UTC(), OpenedAt: e.OpenedAt.UTC(), LostAt: e.LostAt.UTC(),
		NotifiedAt: e.NotifiedAt.UTC(), AcknowledgedAt: e.AcknowledgedAt.UTC(), AcknowledgedBy: e.AcknowledgedBy,
		EndedAt: e.EndedAt.UTC(), EndedBy: e.EndedBy, ResolvedBy: e.Ender, Outcome: e.Outcome, Suppressed: e.Suppressed,
		Reason: e.Reason, Verdict: e.Verdict, VerdictBy: calibrate.Name(e.VerdictBy), VerdictAt: e.VerdictAt.UTC(),
		VerdictNote: e.Note,
	}
	if len(e.Actions) > 0 {
		asked, err := r.tx.Actions(ledger.ActionQuery{EpisodeID: e.ID})
		if err != nil {
			return a, err
		}
		for _, one := range asked {
			a.Actions = append(a.Actions, actionOf(one))
		}
	}
	if !e.Open() {
		return a, nil
	}
	switch held := e.HeldAt(r.tx.Now()); held {
	case "":
	case ledger.SuppressedSnoozed:
		a.SnoozedUntil, a.SnoozedBy = e.SnoozedUntil.UTC(), e.SnoozedBy
	default:
		a.Held, a.HeldUntil = held, e.HeldUntil.UTC()
	}
	g, err := r.group(e.GroupID)
	switch {
	case err != nil:
		return a, err
	case g == nil && !e.AcknowledgedAt.IsZero():
		a.Acknowledgement = &Acknowledgement{By: e.AcknowledgedBy, At: e.AcknowledgedAt.UTC()}
	case g != nil && !g.AcknowledgedAt.IsZero():
		a.Acknowledgement = &Acknowledgement{By: g.AcknowledgedBy, At: g.AcknowledgedAt.UTC()}
	}
	// What is held takes no part in its group's steps.
	if g != nil && g.NextStep != "" && e.HeldAt(r.tx.Now()) == "" {
		a.NextStep, a.NextStepAt = g.NextStep, g.DueAt.UTC()
	}
	if g != nil {
		a.RespondBy = g.RespondBy.UTC()
	}
	return a, nil
}

func stateOf(e *ledger.Episode) State {
	switch {
	case !e.Open():
		return StateEnded
	case e.Reason == alert.ReasonNoData:
		return StateNoData
	default:
		return StateFiring
	}
}

func eventOf(e *ledger.Event) Event {
	by := e.By
	if e.Name == alert.EventVerdict || e.Name == alert.EventThreshold {
		by = calibrate.Name(by)
	}
	return Event{
		Seq: e.Seq, At: e.At.UTC(), Name: e.Name, Text: Sentence(e), Severity: e.Severity, Owner: e.Owner, By: by,
		Reason: e.Reason, From: e.From, Receiver: e.Receiver, Step: e.Step, Note: e.Note,
	}
}

func orEmpty(m map[string]string) map[string]string {
	if m == nil {
		return map[string]string{}
	}
	return m
}

// listAlerts answers GET /api/v1/alerts.
func (s *Site) listAlerts(w http.ResponseWriter, r *http.Request) error {
	q, after, err := parseQuery(r.URL.Query())
	if err != nil {
		return err
	}
	var list List
	_, err = s.view(r.Context(), func(rd *reader) error {
		if after != "" {
			last, err := rd.tx.Episode(after)
			if errors.Is(err, ledger.ErrNotFound) {
				return problemf(http.StatusUnprocessableEntity, "after: must be the id of an alert (got %q)", after)
			}
			if err != nil {
				return err
			}
			q.After = last
		}
		more := q
		more.Limit++
		alerts, err := rd.alerts(more)
		if err != nil {
			return err
		}
		list = List{Alerts: alerts}
		if len(alerts) > q.Limit {
			list = List{Alerts: alerts[:q.Limit], Next: alerts[q.Limit-1].ID}
		}
		return nil
	})
	if err != nil {
		return err
	}
	writeJSON(w, http.StatusOK, list)
	return nil
}

// getAlert answers GET /api/v1/alerts/{id}.
func (s *Site) getAlert(w http.ResponseWriter, r *http.Request) error {
	if err := noQuery(r.URL.Query()); err != nil {
		return err
	}
	return s.writeAlert(w, r)
}

func (s *Site) writeAlert(w http.ResponseWriter, r *http.Request) error {
	var a Alert
	_, err := s.view(r.Context(), func(rd *reader) (err error) {
		a, err = rd.story(r.PathValue("id"))
		return err
	})
	if err != nil {
		return err
	}
	writeJSON(w, http.StatusOK, a)
	return nil
}
