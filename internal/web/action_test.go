package web

import (
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/otelcol-escalation/otelcol-escalation/internal/alert"
	"github.com/otelcol-escalation/otelcol-escalation/internal/ledger"
)

// asks has an alert ask for an action.
func (l *town) asks(id string, a *ledger.Action) string {
	l.t.Helper()
	l.do(func(tx ledger.Tx) error {
		e, err := tx.Episode(id)
		if err != nil {
			return err
		}
		e.Actions = append(e.Actions, a.Kind)
		if err := tx.PutEpisode(e); err != nil {
			return err
		}
		return ledger.Ask(tx, e, a)
	})
	return a.ID
}

func waiting(target, reason string) *ledger.Action {
	return &ledger.Action{Kind: alert.ActionRollback, Target: target, Mode: ledger.ActionRecommend, State: ledger.ActionWaiting, Reason: reason}
}

func decode[T any](t testing.TB, body string) (v T) {
	t.Helper()
	require.NoError(t, json.Unmarshal([]byte(body), &v), body)
	return v
}

// formOf posts a form as the page's browser does: with the token that a page shows.
func formOf(t testing.TB, s http.Handler, page, path string, values url.Values) (code int, location string) {
	t.Helper()
	shown := get(t, s, page).Body.String()
	_, rest, ok := strings.Cut(shown, `name="token" value="`)
	require.True(t, ok, "a form on %s", page)
	token, _, _ := strings.Cut(rest, `"`)
	values.Set("token", token)
	values.Set("back", page)
	w := send(t, s, http.MethodPost, path, values.Encode(), "Content-Type", "application/x-www-form-urlencoded")
	return w.Code, w.Header().Get("Location")
}

func TestDecidingAboutActions(t *testing.T) {
	l := newTown(t)
	s := newSite(t, l, nil)
	first := l.record(firing("a", "KVCacheNearlyFull", alert.Critical, "platform"))
	second := l.record(firing("b", "SlowFirstToken", alert.High, "platform"))
	approve := l.asks(first, waiting("chat", ledger.BecauseRecommended))
	reject := l.asks(second, waiting("", ledger.BecauseNoTarget))

	list := decode[Actions](t, get(t, s, "/api/v1/actions?state=waiting").Body.String())
	require.Len(t, list.Actions, 2)
	require.Equal(t, http.StatusUnprocessableEntity, get(t, s, "/api/v1/actions?state=perhaps").Code)
	require.Equal(t, http.StatusBadRequest, get(t, s, "/api/v1/actions?stat=waiting").Code)

	page := get(t, s, "/").Body.String()
	require.Contains(t, page, "To be decided")
	require.Contains(t, page, "Rollback of chat")
	require.Contains(t, page, "no target is configured for it")
	require.Contains(t, page, `formaction="/api/v1/actions/`+approve+`/approve"`)
	require.NotContains(t, page, `formaction="/api/v1/actions/`+reject+`/approve"`, "nothing would happen")

	w := postJSON(t, s, "/api/v1/actions/"+approve+"/approve", `{"by": "ada", "note": "graphs agree"}`)
	require.Equal(t, http.StatusOK, w.Code, w.Body)
	got := decode[Action](t, w.Body.String())
	require.Equal(t, ledger.ActionApproved, got.State)
	require.Equal(t, "ada", got.DecidedBy)
	require.Equal(t, http.StatusOK, postJSON(t, s, "/api/v1/actions/"+approve+"/approve", `{"by": "ada"}`).Code, "again changes nothing")
	require.Equal(t, http.StatusConflict, postJSON(t, s, "/api/v1/actions/"+approve+"/reject", `{"by": "bob"}`).Code)
	require.Equal(t, http.StatusConflict, postJSON(t, s, "/api/v1/actions/"+reject+"/approve", `{"by": "ada"}`).Code, "there is no target")

	code, location := formOf(t, s, "/", "/api/v1/actions/"+reject+"/reject", url.Values{})
	require.Equal(t, http.StatusSeeOther, code)
	require.Equal(t, "/?done=reject", location)
	require.Contains(t, get(t, s, location).Body.String(), "Rejected.")
	story := getAlert(t, s, first)
	require.Equal(t, "Rollback of chat approved by ada", story.Events[len(story.Events)-1].Text)
	require.Equal(t, ledger.ActionApproved, story.Actions[0].State)
}

func TestStoppingAllRollbacks(t *testing.T) {
	l := newTown(t)
	s := newSite(t, l, nil)
	l.asks(l.record(firing("a", "KVCacheNearlyFull", alert.Critical, "platform")), waiting("chat", ledger.BecauseRecommended))
	code, _ := formOf(t, s, "/", "/api/v1/actions/stop", url.Values{"by": {"ada"}})
	require.Equal(t, http.StatusSeeOther, code)
	require.Contains(t, get(t, s, "/").Body.String(), "All rollbacks are stopped, since")
	require.Contains(t, decode[Actions](t, get(t, s, "/api/v1/actions").Body.String()).Stopped, "by ada")
	w := postJSON(t, s, "/api/v1/actions/resume", `{}`)
	require.JSONEq(t, `{"stopped": ""}`, w.Body.String())
}

const silenceBody = `{"matchers": [{"name": "service", "value": "chat", "isRegex": false}], "endsAt": "2026-01-02T08:00:00Z", "createdBy": "ada", "comment": "upgrade"}`

func TestSilencesByTheAPI(t *testing.T) {
	l := newTown(t)
	s := newSite(t, l, nil)
	body := strings.ReplaceAll(silenceBody, "2026-01-02T08:00:00Z", l.now.Add(time.Hour).Format(time.RFC3339))
	made := decode[map[string]string](t, postJSON(t, s, "/api/v1/silences", body).Body.String())["silenceID"]
	require.NotEmpty(t, made)
	again := decode[map[string]string](t, postJSON(t, s, "/api/v1/silences", body).Body.String())["silenceID"]
	require.Equal(t, made, again, "a repeated request is the same silence")
	list := decode[[]Silence](t, get(t, s, "/api/v1/silences").Body.String())
	require.Len(t, list, 1)
	require.Equal(t, "active", list[0].Status.State)
	require.Equal(t, "ada", list[0].CreatedBy)
	require.True(t, *list[0].Matchers[0].IsEqual, "as in Alertmanager, where it is not given")

	w := send(t, s, http.MethodDelete, "/api/v1/silences/"+made, "")
	require.Equal(t, http.StatusOK, w.Code)
	require.Equal(t, "expired", decode[Silence](t, w.Body.String()).Status.State)
	require.Equal(t, http.StatusForbidden, send(t, s, http.MethodDelete, "/api/v1/silences/"+made, "", "Sec-Fetch-Site", "cross-site").Code)
	require.Equal(t, http.StatusForbidden, postJSON(t, s, "/api/v1/silences", body, "Sec-Fetch-Site", "cross-site").Code)

	for change, want := range map[string]string{
		`"value": "chat"` + "→" + `"value": ""`:                   "does not match the empty text",
		`"isRegex": false` + "→" + `"isRegex": true, "x": 1`:      "unknown field",
		`"chat", "isRegex": false` + "→" + `"(", "isRegex": true`: "missing closing",
		`"comment": "upgrade"` + "→" + `"comment": " "`:           "comment: must say why",
		`"createdBy": "ada"` + "→" + `"createdBy": "a\u0000"`:     "must not contain control characters",
		`}]` + "→" + `}], "startsAt": "2099-01-01T00:00:00Z"`:     "must end after it starts",
		`"matchers"` + "→" + `"id": "unknown", "matchers"`:        "nothing of that id",
	} {
		from, to, _ := strings.Cut(change, "→")
		w := postJSON(t, s, "/api/v1/silences", strings.Replace(body, from, to, 1))
		require.GreaterOrEqual(t, w.Code, 400, change)
		require.Contains(t, w.Body.String(), want)
	}
	far := strings.ReplaceAll(silenceBody, "2026-01-02T08:00:00Z", "2099-01-01T00:00:00Z")
	require.Contains(t, postJSON(t, s, "/api/v1/silences", far).Body.String(), "must not be longer than")
}

func TestSilencesByThePage(t *testing.T) {
	l := newTown(t)
	s := newSite(t, l, nil)
	id := l.record(firing("a", "KVCacheNearlyFull", alert.Critical, "platform"))
	page := get(t, s, "/alerts/"+id).Body.String()
	require.Contains(t, page, "/silences?matchers=alertname%3D%22KVCacheNearlyFull%22")
	require.Contains(t, get(t, s, "/silences?matchers=a%3D%22b%22").Body.String(), `value="a=&#34;b&#34;"`)

	code, location := formOf(t, s, "/silences", "/api/v1/silences", url.Values{
		"matchers": {`alertname="KVCacheNearlyFull", service=~"chat|search", zone!="x"`}, "for": {"2h"}, "by": {"ada"}, "comment": {"upgrade"},
	})
	require.Equal(t, http.StatusSeeOther, code)
	require.Equal(t, "/silences?done=silence", location)
	page = get(t, s, location).Body.String()
	for _, want := range []string{"Silenced.", "service=~&#34;chat|search&#34;", "zone!=&#34;x&#34;", "upgrade", "by ada", "in 2h"} {
		require.Contains(t, page, want)
	}
	list := decode[[]Silence](t, get(t, s, "/api/v1/silences").Body.String())
	code, _ = formOf(t, s, "/silences", "/api/v1/silences/"+list[0].ID+"/expire", url.Values{})
	require.Equal(t, http.StatusSeeOther, code)
	require.Contains(t, get(t, s, "/silences").Body.String(), "expired")
	code, _ = formOf(t, s, "/silences", "/api/v1/silences", url.Values{"matchers": {`nonsense`}, "for": {"2h"}, "comment": {"x"}})
	require.Equal(t, http.StatusUnprocessableEntity, code)
}

func TestTestPages(t *testing.T) {
	l := newTown(t)
	s := newSite(t, l, nil)
	require.Contains(t, get(t, s, "/receivers").Body.String(), "No exporter has told")
	l.do(func(tx ledger.Tx) error { return tx.PutSetting(ledger.SettingReceivers, `["oncall", "everyone"]`) })
	require.JSONEq(t, `{"receivers": ["oncall", "everyone"]}`, get(t, s, "/api/v1/receivers").Body.String())
	require.Contains(t, postJSON(t, s, "/api/v1/receivers/nobody/test", `{}`).Body.String(), "must be one of")

	// an exporter that answers
	answer := func(text string) {
		changed := l.Changed()
		go func() {
			<-changed
			_ = l.Update(t.Context(), l.now, func(tx ledger.Tx) error {
				asked, err := tx.Trials()
				if err != nil || len(asked) == 0 {
					return err
				}
				asked[0].DoneAt, asked[0].Error = l.now, text
				return tx.PutTrial(asked[0])
			})
		}()
	}
	answer("")
	w := postJSON(t, s, "/api/v1/receivers/oncall/test", `{"by": "ada"}`)
	require.Equal(t, http.StatusOK, w.Code, w.Body)
	require.Equal(t, "accepted", decode[Trial](t, w.Body.String()).State)
	answer("oncall/webhook[0]: 401")
	w = postJSON(t, s, "/api/v1/receivers/oncall/test", `{}`)
	require.Equal(t, http.StatusBadGateway, w.Code)
	require.Equal(t, "oncall/webhook[0]: 401", decode[Trial](t, w.Body.String()).Error)
	answer("")
	code, location := formOf(t, s, "/receivers", "/api/v1/receivers/oncall/test", url.Values{})
	require.Equal(t, http.StatusSeeOther, code)
	require.Equal(t, "/receivers?done=test", location)
}
