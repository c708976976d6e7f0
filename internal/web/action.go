package web

import (
	"net/http"
	"net/url"
	"time"

	"github.com/otelcol-escalation/otelcol-escalation/internal/alert"
	"github.com/otelcol-escalation/otelcol-escalation/internal/ledger"
)

// Action is what an alert has asked of a deployment system, or of a person, as the API gives it.
type Action struct {
	ID          string             `json:"id"`
	AlertID     string             `json:"alert"` // the episode's id
	Rule        string             `json:"rule"`
	Owner       string             `json:"owner"`
	Kind        alert.Action       `json:"kind"`
	Target      string             `json:"target,omitempty"`
	Mode        ledger.ActionMode  `json:"mode"`
	State       ledger.ActionState `json:"state"`
	Reason      string             `json:"reason,omitempty"`
	RequestedAt time.Time          `json:"requested_at"`
	DecidedAt   time.Time          `json:"decided_at,omitzero"`
	DecidedBy   string             `json:"decided_by,omitempty"`
	Note        string             `json:"note,omitempty"`
	DoneAt      time.Time          `json:"done_at,omitzero"`
	Attempts    int                `json:"attempts,omitempty"`
	LastError   string             `json:"last_error,omitempty"`
}

func actionOf(a *ledger.Action) Action {
	return Action{
		ID: a.ID, AlertID: a.EpisodeID, Rule: a.Rule, Owner: a.Owner, Kind: a.Kind, Target: a.Target, Mode: a.Mode, State: a.State,
		Reason: a.Reason, RequestedAt: a.RequestedAt.UTC(), DecidedAt: a.DecidedAt.UTC(), DecidedBy: a.DecidedBy, Note: a.Note,
		DoneAt: a.DoneAt.UTC(), Attempts: a.Attempts, LastError: a.LastError,
	}
}

// reasons are why an action waits, or was cancelled, as people say them.
var reasons = map[string]string{
	ledger.BecauseRecommended:   "rollbacks are only recommended here",
	ledger.BecauseManual:        "it is so bad that a person decides",
	ledger.BecauseNoTarget:      "no target is configured for it",
	ledger.BecauseManyTargets:   "more than one target matches",
	ledger.BecauseCooldown:      "the last rollback is too recent to do another without a person",
	ledger.BecauseDailyLimit:    "there were enough rollbacks today to do another without a person",
	ledger.BecauseStale:         "what asks for it is too old to do it without a person",
	ledger.BecauseNoData:        "nobody knows how it is by now",
	ledger.BecauseEnded:         "the alert has ended",
	ledger.BecauseNotConfigured: "its target is not configured any more",
}

// What is what the page calls an action.
func (a Action) What() string {
	what := "Rollback"
	if a.Kind == alert.ActionManualIntervention {
		what = "Manual intervention"
	}
	if a.Target != "" {
		what += " of " + a.Target
	}
	return what
}

// Why is the reason in words; "" where there is none.
func (a Action) Why() string { return reasons[a.Reason] }

// Waits reports whether a person has to decide.
func (a Action) Waits() bool { return a.State == ledger.ActionWaiting }

// Decidable reports whether approving it does something.
func (a Action) Decidable() bool { return a.Kind != alert.ActionRollback || a.Target != "" }

// decision is a waiting action on the page.
type decision struct {
	Action
	Form form
	now  time.Time
}

// URL is the page of the alert that asks.
func (d decision) URL() string { return "/alerts/" + d.AlertID }

// Ago is how long ago something was.
func (d decision) Ago(t time.Time) instant { return ago(d.now, t) }

var actionDeeds = []deed{
	{name: "approve", path: "/api/v1/actions/{id}/approve", answer: (*Site).writeAction, do: func(tx ledger.Tx, id string, p person, f fields) error {
		return ledger.Approve(tx, id, p.name, f["note"])
	}},
	{name: "reject", path: "/api/v1/actions/{id}/reject", answer: (*Site).writeAction, do: func(tx ledger.Tx, id string, p person, f fields) error {
		return ledger.Reject(tx, id, p.name, f["note"])
	}},
	{name: "stop", path: "/api/v1/actions/stop", answer: (*Site).writeStopped, do: func(tx ledger.Tx, _ string, p person, f fields) error {
		return ledger.Stop(tx, p.name, f["note"])
	}},
	{name: "resume", path: "/api/v1/actions/resume", answer: (*Site).writeStopped, do: func(tx ledger.Tx, _ string, _ person, _ fields) error {
		return ledger.Resume(tx)
	}},
}

// decisions returns the actions that wait for a person, and who stopped all.
func (r *reader) decisions() (all []decision, stopped string, err error) {
	if stopped, err = r.tx.Setting(ledger.SettingStopped); err != nil {
		return nil, "", err
	}
	waiting, err := r.tx.Actions(ledger.ActionQuery{State: ledger.ActionWaiting, Limit: shownOpen})
	for _, a := range waiting {
		all = append(all, decision{Action: actionOf(a)})
	}
	return all, stopped, err
}

// Actions is the answer of GET /api/v1/actions.
type Actions struct {
	Actions []Action `json:"actions"`
	// Stopped says who threw the kill switch, and when; empty where nobody did.
	Stopped string `json:"stopped,omitempty"`
}

// listActions answers GET /api/v1/actions.
func (s *Site) listActions(w http.ResponseWriter, r *http.Request) error {
	q, err := parseActionQuery(r.URL.Query())
	if err != nil {
		return err
	}
	list := Actions{Actions: []Action{}}
	_, err = s.view(r.Context(), func(rd *reader) error {
		found, err := rd.tx.Actions(q)
		if err != nil {
			return err
		}
		for _, a := range found {
			list.Actions = append(list.Actions, actionOf(a))
		}
		list.Stopped, err = rd.tx.Setting(ledger.SettingStopped)
		return err
	})
	if err != nil {
		return err
	}
	writeJSON(w, http.StatusOK, list)
	return nil
}

var actionStates = []ledger.ActionState{
	ledger.ActionWaiting, ledger.ActionApproved, ledger.ActionRejected, ledger.ActionDone, ledger.ActionFailed, ledger.ActionCancelled,
}

func parseActionQuery(values url.Values) (q ledger.ActionQuery, err error) {
	for name := range values {
		value, err := single(values, name)
		if err != nil {
			return q, err
		}
		switch name {
		case "state":
			for _, state := range actionStates {
				if value == string(state) {
					q.State = state
				}
			}
			if q.State == "" {
				return q, problemf(http.StatusUnprocessableEntity, "state: must be one of %v (got %q)", actionStates, value)
			}
		case "target":
			q.Target = value
		default:
			return q, problemf(http.StatusBadRequest, "unknown parameter %q: must be one of state, target", name)
		}
	}
	return q, nil
}

func (s *Site) writeAction(w http.ResponseWriter, r *http.Request) error {
	var a Action
	_, err := s.view(r.Context(), func(rd *reader) error {
		found, err := rd.tx.Action(r.PathValue("id"))
		if err == nil {
			a = actionOf(found)
		}
		return err
	})
	if err != nil {
		return err
	}
	writeJSON(w, http.StatusOK, a)
	return nil
}

func (s *Site) writeStopped(w http.ResponseWriter, r *http.Request) error {
	var list Actions
	_, err := s.view(r.Context(), func(rd *reader) (err error) {
		list.Stopped, err = rd.tx.Setting(ledger.SettingStopped)
		return err
	})
	if err != nil {
		return err
	}
	writeJSON(w, http.StatusOK, struct {
		Stopped string `json:"stopped"`
	}{list.Stopped})
	return nil
}
