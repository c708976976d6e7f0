package webhook

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strconv"
	"strings"
	"testing"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/otelcol-escalation/otelcol-escalation/internal/alert"
	"github.com/otelcol-escalation/otelcol-escalation/internal/ledger"
	"github.com/otelcol-escalation/otelcol-escalation/internal/ledger/ledgertest"
)

const (
	pagerDutySecret = "pd-secret"
	slackSecret     = "slack-secret"
	standardSecret  = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
	amToken         = "am-token"
	gateToken       = "gate-token"
)

// rig is a handler over a ledger with one open alert, paged and in a group.
type rig struct {
	ledger.Ledger
	t       testing.TB
	now     time.Time
	options Options
	handler http.Handler
	episode string
	group   string
	applied []Applied
	refused []error
}

func newRig(t testing.TB) *rig {
	r := &rig{t: t, now: ledgertest.Epoch, Ledger: ledgertest.New(t), group: `{alertname="R", owner="o"}:e1`}
	standard, err := NewStandard([]string{standardSecret})
	require.NoError(t, err)
	r.options = Options{
		Ledger: r, Now: func() time.Time { return r.now }, GateToken: gateToken,
		Sources: map[string]Source{
			"pagerduty": PagerDuty{Secrets: []string{"old", pagerDutySecret}}, "slack": Slack{Secret: slackSecret},
			"standard": standard, "alertmanager": Alertmanager{Token: amToken},
		},
		Applied: func(_ string, a Applied) { r.applied = append(r.applied, a) },
		Refused: func(_ string, err error) { r.refused = append(r.refused, err) },
	}
	r.handler = New(r.options)
	r.do(func(tx ledger.Tx) error {
		_, e, err := ledger.Record(tx, &alert.Alert{
			ID: "a1", Group: "g", Rule: "R", Owner: "o", Severity: alert.Critical, State: alert.Firing, Time: r.now, Reason: alert.ReasonThreshold,
		})
		if err != nil {
			return err
		}
		r.episode, e.GroupID = e.ID, r.group
		if err := tx.PutEpisode(e); err != nil {
			return err
		}
		return tx.PutGroup(&ledger.Group{ID: r.group, Key: "k", Owner: "o", Tier: alert.Critical, OpenedAt: r.now})
	})
	return r
}

func (r *rig) do(fn func(ledger.Tx) error) {
	r.t.Helper()
	require.NoError(r.t, r.Update(r.t.Context(), r.now, fn))
}

func (r *rig) state() (e *ledger.Episode, g *ledger.Group) {
	r.t.Helper()
	require.NoError(r.t, r.View(r.t.Context(), r.now, func(tx ledger.Tx) (err error) {
		if e, err = tx.Episode(r.episode); err != nil {
			return err
		}
		g, err = tx.Group(r.group)
		return err
	}))
	return e, g
}

func (r *rig) post(source, body string, header map[string]string) *httptest.ResponseRecorder {
	r.t.Helper()
	return r.send(http.MethodPost, "/api/v1/webhooks/"+source, body, header)
}

func (r *rig) send(method, path, body string, header map[string]string) *httptest.ResponseRecorder {
	r.t.Helper()
	request := httptest.NewRequest(method, path, strings.NewReader(body))
	for name, value := range header {
		request.Header.Set(name, value)
	}
	w := httptest.NewRecorder()
	r.handler.ServeHTTP(w, request)
	return w
}

func sign(secret string, parts ...string) string {
	h := hmac.New(sha256.New, []byte(secret))
	for _, part := range parts {
		h.Write([]byte(part))
	}
	return hex.EncodeToString(h.Sum(nil))
}

// hash is what Alertmanager's integrations make of a dedup key.
func hash(key string) string {
	sum := sha256.Sum256([]byte(key))
	return hex.EncodeToString(sum[:])
}

func (r *rig) pagerDuty(id, kind, agent string, at time.Time) (body string, header map[string]string) {
	body = fmt.Sprintf(`{"event": {"id": %q, "event_type": %q, "occurred_at": %q, "agent": {"summary": "Ada", "type": %q}, "data": {"incident_key": %q}}}`,
		id, kind, at.Format(time.RFC3339), agent, hash(r.group))
	return body, map[string]string{"X-PagerDuty-Signature": "v1=" + strings.Repeat("0", 64) + ",v1=" + sign(pagerDutySecret, body)}
}

func (r *rig) slack(action, value string, at time.Time) (body string, header map[string]string) {
	return r.slackClick(action, value, "t"+action, at)
}

func (r *rig) slackClick(action, value, trigger string, at time.Time) (body string, header map[string]string) {
	payload, err := json.Marshal(map[string]any{
		"type": "block_actions", "user": map[string]string{"id": "U1", "username": "ada"}, "trigger_id": trigger,
		"actions": []map[string]string{{"action_id": action, "value": value, "action_ts": "1.2"}},
	})
	require.NoError(r.t, err)
	body = url.Values{"payload": {string(payload)}}.Encode()
	stamp := strconv.FormatInt(at.Unix(), 10)
	return body, map[string]string{"X-Slack-Request-Timestamp": stamp, "X-Slack-Signature": "v0=" + sign(slackSecret, "v0:", stamp, ":", body)}
}

func (r *rig) standard(id, kind, data string, at time.Time) (body string, header map[string]string) {
	body = `{"type": "` + kind + `", "data": ` + data + `}`
	v, err := standardwebhooks.NewWebhook(standardSecret)
	require.NoError(r.t, err)
	signature, err := v.Sign(id, at, []byte(body))
	require.NoError(r.t, err)
	return body, map[string]string{"webhook-id": id, "webhook-timestamp": strconv.FormatInt(at.Unix(), 10), "webhook-signature": signature}
}

func TestPagerDuty(t *testing.T) {
	r := newRig(t)
	body, header := r.pagerDuty("1", "incident.acknowledged", "user_reference", r.now)
	require.Equal(t, http.StatusOK, r.post("pagerduty", body, header).Code)
	_, g := r.state()
	require.Equal(t, "Ada", g.AcknowledgedBy)

	body, header = r.pagerDuty("2", "incident.unacknowledged", "service_reference", r.now)
	require.Equal(t, http.StatusOK, r.post("pagerduty", body, header).Code)
	_, g = r.state()
	require.True(t, g.AcknowledgedAt.Before(r.now.Add(-time.Hour)), "it has expired")

	body, header = r.pagerDuty("1", "incident.acknowledged", "user_reference", r.now)
	require.Equal(t, http.StatusOK, r.post("pagerduty", body, header).Code)
	require.True(t, r.applied[len(r.applied)-1].Repeated, "a repeated event changes nothing")
	_, g = r.state()
	require.True(t, g.AcknowledgedAt.Before(r.now.Add(-time.Hour)))

	body, header = r.pagerDuty("3", "incident.resolved", "service_reference", r.now)
	require.Equal(t, http.StatusAccepted, r.post("pagerduty", body, header).Code)
	e, _ := r.state()
	require.True(t, e.Open(), "the echo of an end ends nothing")
	body, header = r.pagerDuty("4", "incident.resolved", "user_reference", r.now)
	require.Equal(t, http.StatusOK, r.post("pagerduty", body, header).Code)
	e, _ = r.state()
	require.Equal(t, "Ada", e.Ender)
	body, header = r.pagerDuty("5", "incident.acknowledged", "user_reference", r.now)
	require.Equal(t, http.StatusAccepted, r.post("pagerduty", body, header).Code, "it has ended")
	body, header = r.pagerDuty("6", "incident.annotated", "user_reference", r.now)
	require.Equal(t, http.StatusAccepted, r.post("pagerduty", body, header).Code)
}

func TestSlack(t *testing.T) {
	r := newRig(t)
	for action, check := range map[string]func(e *ledger.Episode, g *ledger.Group) bool{
		"acknowledge": func(_ *ledger.Episode, g *ledger.Group) bool { return g.AcknowledgedBy == "ada (Slack)" },
		"snooze:1h":   func(e *ledger.Episode, _ *ledger.Group) bool { return e.SnoozedUntil.Equal(r.now.Add(time.Hour)) },
		"verdict:false_positive": func(e *ledger.Episode, _ *ledger.Group) bool {
			return e.Verdict == ledger.FalsePositive && e.VerdictBy == "slack/U1"
		},
	} {
		body, header := r.slack(action, r.episode, r.now)
		require.Equal(t, http.StatusOK, r.post("slack", body, header).Code, action)
		require.True(t, check(r.state()), action)
	}
	body, header := r.slack("resolve", r.group, r.now)
	require.Equal(t, http.StatusOK, r.post("slack", body, header).Code)
	e, _ := r.state()
	require.False(t, e.Open(), "by the dedup key")
	body, header = r.slack("dance", r.episode, r.now)
	require.Equal(t, http.StatusAccepted, r.post("slack", body, header).Code)
}

func TestStandard(t *testing.T) {
	r := newRig(t)
	for i, c := range []struct {
		kind, data string
		code       int
	}{
		{"alert.acknowledge", `{"alert_id": "a1", "by": "ada"}`, 200},
		{"alert.snooze", `{"episode_id": "EPISODE", "for": "2h"}`, 200},
		{"alert.snooze", `{"episode_id": "EPISODE", "for": "soon"}`, 400},
		{"alert.verdict", `{"episode_id": "EPISODE", "verdict": "true_positive", "by": "ada", "note": "n"}`, 200},
		{"alert.verdict", `{"episode_id": "EPISODE", "verdict": "perhaps"}`, 400},
		{"alert.resolve", `{"by": "ada"}`, 400},
		{"alert.resolve", `{"alert_id": "unknown"}`, 202},
		{"something.else", `{}`, 202},
		{"alert.resolve", `{"alert_id": "a1", "by": "ada"}`, 200},
	} {
		body, header := r.standard(fmt.Sprint("id", i), c.kind, strings.ReplaceAll(c.data, "EPISODE", r.episode), r.now)
		require.Equal(t, c.code, r.post("standard", body, header).Code, "%d %s", i, c.data)
	}
	e, _ := r.state()
	require.Equal(t, ledger.TruePositive, e.Verdict)
	require.Equal(t, standardPerson, e.VerdictBy, "all that its senders say counts as one person's")
	require.False(t, e.Open())
}

func TestAlertmanager(t *testing.T) {
	r := newRig(t)
	body := `{"version": "4", "receiver": "team", "status": "firing", "alerts": [{"status": "firing", "labels": {"episode_id": "` + r.episode + `"}}, {"status": "resolved", "labels": {"episode_id": "` + r.episode + `"}}, {"status": "firing", "labels": {"alertname": "not ours"}}]}`
	header := map[string]string{"Authorization": "Bearer " + amToken}
	require.Equal(t, http.StatusOK, r.post("alertmanager", body, header).Code)
	e, _ := r.state()
	require.False(t, e.NotifiedAt.IsZero(), "somebody has been told")
	require.True(t, e.Open(), "that it is resolved it has from us")
	require.Equal(t, http.StatusBadRequest, r.post("alertmanager", `{"version": "3"}`, header).Code)
}

func TestRoutes(t *testing.T) {
	r := newRig(t)
	ask := func(method, path string, header ...string) int {
		request := httptest.NewRequest(method, path, nil)
		for i := 0; i+1 < len(header); i += 2 {
			request.Header.Set(header[i], header[i+1])
		}
		w := httptest.NewRecorder()
		r.handler.ServeHTTP(w, request)
		assert.Equal(t, "application/json", w.Header().Get("Content-Type"), path)
		return w.Code
	}
	for _, path := range []string{"/", "/api/v1/webhooks/", "/api/v1/webhooks/opsgenie", "/api/v1/gates/", "/api/v1/alerts"} {
		require.Equal(t, http.StatusNotFound, ask(http.MethodPost, path), path)
	}
	for _, source := range []string{"pagerduty", "slack", "standard", "alertmanager"} {
		require.Equal(t, http.StatusMethodNotAllowed, ask(http.MethodGet, "/api/v1/webhooks/"+source))
	}
	require.Equal(t, http.StatusMethodNotAllowed, ask(http.MethodPost, "/api/v1/gates/chat"))
	require.Equal(t, http.StatusUnauthorized, ask(http.MethodGet, "/api/v1/gates/chat"))
	require.Equal(t, http.StatusUnauthorized, ask(http.MethodPost, "/api/v1/gates/chat/rollback", "Authorization", "Bearer wrong"))
	require.Equal(t, http.StatusNotFound, ask(http.MethodGet, "/api/v1/gates/unknown", "Authorization", "Bearer "+gateToken))
	body := strings.Repeat("x", MaxBody+1)
	require.Equal(t, http.StatusRequestEntityTooLarge, r.post("pagerduty", body, nil).Code)
}

func TestGates(t *testing.T) {
	r := newRig(t)
	r.do(func(tx ledger.Tx) error { return tx.PutSetting(ledger.SettingTargets, `["chat"]`) })
	poll := func() (argo string, flagger int) {
		for _, c := range [][2]string{{http.MethodGet, "/api/v1/gates/chat"}, {http.MethodPost, "/api/v1/gates/chat/rollback"}} {
			request := httptest.NewRequest(c[0], c[1], nil)
			request.Header.Set("Authorization", "Bearer "+gateToken)
			w := httptest.NewRecorder()
			r.handler.ServeHTTP(w, request)
			if c[0] == http.MethodPost {
				flagger = w.Code
				continue
			}
			require.Equal(t, http.StatusOK, w.Code, "always")
			var answer struct{ Verdict string }
			require.NoError(t, json.Unmarshal(w.Body.Bytes(), &answer))
			argo = answer.Verdict
		}
		return argo, flagger
	}
	expect := func(argo string, flagger int, when string) {
		t.Helper()
		a, f := poll()
		require.Equal(t, argo, a, when)
		require.Equal(t, flagger, f, when)
	}
	expect("continue", 409, "nothing is asked for")
	asked := &ledger.Action{Kind: alert.ActionRollback, Target: "chat", State: ledger.ActionWaiting}
	r.do(func(tx ledger.Tx) error {
		e, err := tx.Episode(r.episode)
		if err != nil {
			return err
		}
		e.Actions = []alert.Action{alert.ActionRollback}
		if err := tx.PutEpisode(e); err != nil {
			return err
		}
		return ledger.Ask(tx, e, asked)
	})
	expect("inconclusive", 409, "a person has to decide")
	r.do(func(tx ledger.Tx) error { return ledger.Approve(tx, asked.ID, "ada", "") })
	expect("rollback", 200, "approved")
	r.do(func(tx ledger.Tx) error { return ledger.Stop(tx, "ada", "") })
	expect("inconclusive", 409, "stopped")
	r.do(ledger.Resume)
	r.do(func(tx ledger.Tx) error { return ledger.Carried(tx, asked.ID) })
	expect("rollback", 200, "as long as the alert is open")
	r.do(func(tx ledger.Tx) error { return ledger.End(tx, r.episode, alert.ReasonRecovered) })
	expect("continue", 409, "it has recovered")
}

// away is a ledger that does not answer.
type away struct{ ledger.Ledger }

func (away) Update(context.Context, time.Time, func(ledger.Tx) error) error {
	return errors.New("the disk is full")
}
func (away) View(context.Context, time.Time, func(ledger.Tx) error) error {
	return errors.New("the disk is full")
}

// Argo is told that nothing is known, Flagger does not roll back, senders try again.
func TestLedgerAway(t *testing.T) {
	r := newRig(t)
	failed := 0
	r.handler = New(Options{
		Ledger: away{}, Now: func() time.Time { return r.now }, GateToken: gateToken, Failed: func(error) { failed++ },
		Sources: map[string]Source{"pagerduty": PagerDuty{Secrets: []string{pagerDutySecret}}},
	})
	body, header := r.pagerDuty("1", "incident.acknowledged", "user_reference", r.now)
	w := r.post("pagerduty", body, header)
	require.Equal(t, http.StatusServiceUnavailable, w.Code)
	require.NotContains(t, w.Body.String(), "disk")
	for method, path := range map[string]string{http.MethodGet: "/api/v1/gates/chat", http.MethodPost: "/api/v1/gates/chat/rollback"} {
		request := httptest.NewRequest(method, path, nil)
		request.Header.Set("Authorization", "Bearer "+gateToken)
		w := httptest.NewRecorder()
		r.handler.ServeHTTP(w, request)
		if method == http.MethodGet {
			require.Equal(t, http.StatusOK, w.Code)
			require.JSONEq(t, `{"verdict": "inconclusive"}`, w.Body.String())
		} else {
			require.Equal(t, http.StatusServiceUnavailable, w.Code)
		}
	}
	require.Equal(t, 3, failed)
}
