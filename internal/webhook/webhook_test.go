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
	"os"
	"path/filepath"
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
	t       *testing.T
	now     time.Time
	handler http.Handler
	episode string
	group   string
	applied []Applied
}

func newRig(t *testing.T) *rig {
	r := &rig{t: t, now: ledgertest.Epoch, Ledger: ledgertest.New(t), group: `{alertname="R", owner="o"}:e1`}
	standard, err := NewStandard([]string{standardSecret})
	require.NoError(t, err)
	r.handler = New(Options{
		Ledger: r, Now: func() time.Time { return r.now }, GateToken: gateToken,
		Sources: map[string]Source{
			"pagerduty": PagerDuty{Secrets: []string{"old", pagerDutySecret}}, "slack": Slack{Secret: slackSecret},
			"standard": standard, "alertmanager": Alertmanager{Token: amToken},
		},
		Applied: func(_ string, a Applied) { r.applied = append(r.applied, a) },
	})
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
	request := httptest.NewRequest(http.MethodPost, "/api/v1/webhooks/"+source, strings.NewReader(body))
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

func (r *rig) pagerDuty(id, kind, agent string, at time.Time) (body string, header map[string]string) {
	sum := sha256.Sum256([]byte(r.group))
	body = fmt.Sprintf(`{"event": {"id": %q, "event_type": %q, "occurred_at": %q, "agent": {"summary": "Ada", "type": %q}, "data": {"incident_key": %q}}}`,
		id, kind, at.Format(time.RFC3339), agent, hex.EncodeToString(sum[:]))
	return body, map[string]string{"X-PagerDuty-Signature": "v1=" + strings.Repeat("0", 64) + ",v1=" + sign(pagerDutySecret, body)}
}

func (r *rig) slack(action, value string, at time.Time) (body string, header map[string]string) {
	payload, err := json.Marshal(map[string]any{
		"type": "block_actions", "user": map[string]string{"id": "U1", "username": "ada"}, "trigger_id": "t" + action,
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

// Each route with no credentials, with wrong ones, with right ones that are stale, and with right ones.
func TestCredentials(t *testing.T) {
	r := newRig(t)
	requests := map[string]func(at time.Time) (string, map[string]string){
		"pagerduty": func(at time.Time) (string, map[string]string) {
			return r.pagerDuty("x"+at.String(), "incident.acknowledged", "user_reference", at)
		},
		"slack": func(at time.Time) (string, map[string]string) { return r.slack("acknowledge", r.episode, at) },
		"standard": func(at time.Time) (string, map[string]string) {
			return r.standard("x"+at.String(), "alert.acknowledge", `{"alert_id": "a1"}`, at)
		},
		"alertmanager": func(time.Time) (string, map[string]string) {
			return `{"version": "4", "alerts": []}`, map[string]string{"Authorization": "Bearer " + amToken}
		},
	}
	for source, make := range requests {
		body, right := make(r.now)
		require.Equal(t, http.StatusUnauthorized, r.post(source, body, nil).Code, source)
		for name, value := range right {
			wrong := map[string]string{}
			for n, v := range right {
				wrong[n] = v
			}
			last := value[len(value)-1]
			wrong[name] = value[:len(value)-1] + string(last^1)
			if name == "webhook-id" || name == "webhook-timestamp" || name == "X-Slack-Request-Timestamp" {
				wrong[name] = "1"
			}
			require.Equal(t, http.StatusUnauthorized, r.post(source, body, wrong).Code, "%s %s", source, name)
		}
		if source != "alertmanager" { // its token signs nothing
			require.Equal(t, http.StatusUnauthorized, r.post(source, body+" ", right).Code, source)
			for _, at := range []time.Time{r.now.Add(-49 * time.Hour), r.now.Add(49 * time.Hour)} {
				stale, header := make(at)
				require.Equal(t, http.StatusUnauthorized, r.post(source, stale, header).Code, "%s at %s", source, at)
			}
		}
		require.Less(t, r.post(source, body, right).Code, 300, source)
	}
	_, g := r.state()
	require.False(t, g.AcknowledgedAt.IsZero())
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

// The samples of others: verified with their secrets, refused when anything is changed.
func TestSignatureVectors(t *testing.T) {
	dir := filepath.Join("..", "..", "..", "shared", "testdata", "webhooks")
	read := func(name string) []byte {
		content, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			text := "the real samples are not there: " + name
			if os.Getenv("CI") == "true" {
				t.Fatal(text)
			}
			fmt.Fprintf(os.Stderr, "\n*** SKIPPED %s: %s\n\n", t.Name(), text)
			t.Skip(text)
		}
		return content
	}
	var pd struct{ Secret, Valid, Mismatch string }
	require.NoError(t, json.Unmarshal(read("pagerduty/v3-signature-vector.json"), &pd))
	body := read("pagerduty/v3-incident.priority_updated.body.json")
	occurred := time.Date(2021, 4, 26, 18, 0, 0, 0, time.UTC)
	p := PagerDuty{Secrets: []string{pd.Secret}}
	d, err := p.Read(http.Header{"X-Pagerduty-Signature": {pd.Valid}}, body, occurred)
	require.NoError(t, err)
	require.Equal(t, Delivery{EventID: "01BWDWL3NYY7LUFPZCC28QUCMK"}, d, "a change of priority says nothing about the alert")
	_, err = p.Read(http.Header{"X-Pagerduty-Signature": {pd.Mismatch + "," + pd.Valid}}, body, occurred)
	require.NoError(t, err, "one of several is enough")
	for _, wrong := range []struct {
		signature string
		body      []byte
		now       time.Time
	}{{pd.Mismatch, body, occurred}, {"", body, occurred}, {pd.Valid, append(body, ' '), occurred}, {pd.Valid, body, occurred.Add(49 * time.Hour)}} {
		_, err = p.Read(http.Header{"X-Pagerduty-Signature": {wrong.signature}}, wrong.body, wrong.now)
		require.ErrorIs(t, err, ErrUnverified)
	}

	var vector map[string]string
	require.NoError(t, json.Unmarshal(read("slack/signature-vector.json"), &vector))
	header := http.Header{"X-Slack-Request-Timestamp": {vector["X-Slack-Request-Timestamp"]}, "X-Slack-Signature": {vector["X-Slack-Signature"]}}
	s := Slack{Secret: vector["signing_secret"]}
	signed := time.Unix(1531431954, 0)
	require.True(t, s.verified(header, []byte(vector["body"]), signed.Add(time.Minute)))
	require.False(t, s.verified(header, []byte(vector["body"]), signed.Add(6*time.Minute)), "stale")
	require.False(t, s.verified(header, []byte(vector["body"]+" "), signed))
	payload := url.Values{"payload": {string(read("slack/block_actions.json"))}}.Encode()
	h := http.Header{}
	h.Set("X-Slack-Request-Timestamp", strconv.FormatInt(signed.Unix(), 10))
	h.Set("X-Slack-Signature", "v0="+sign(s.Secret, "v0:", strconv.FormatInt(signed.Unix(), 10), ":", payload))
	d, err = s.Read(h, []byte(payload), signed)
	require.NoError(t, err)
	require.Empty(t, d.Feedback, "somebody else's button")
	require.NotEmpty(t, d.EventID)

	sample := read("alerta/prometheus_v4_alert.json")
	d, err = Alertmanager{Token: amToken}.Read(http.Header{"Authorization": {"Bearer " + amToken}}, sample, signed)
	require.NoError(t, err)
	require.Empty(t, d.Feedback, "not our alert")
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

func FuzzSources(f *testing.F) {
	for _, body := range []string{`{"event":{"id":"1","event_type":"incident.acknowledged"}}`, `payload=%7B%7D`, `{"type":"alert.snooze","data":{"for":"1h"}}`, `{"version":"4","alerts":[{}]}`, ``, `[]`} {
		f.Add(body)
	}
	standard, err := NewStandard([]string{standardSecret})
	require.NoError(f, err)
	v, err := standardwebhooks.NewWebhook(standardSecret)
	require.NoError(f, err)
	now := ledgertest.Epoch
	f.Fuzz(func(t *testing.T, body string) {
		stamp := strconv.FormatInt(now.Unix(), 10)
		signature, err := v.Sign("id", now, []byte(body))
		require.NoError(t, err)
		h := http.Header{}
		h.Set("X-PagerDuty-Signature", "v1="+sign(pagerDutySecret, body))
		h.Set("X-Slack-Request-Timestamp", stamp)
		h.Set("X-Slack-Signature", "v0="+sign(slackSecret, "v0:", stamp, ":", body))
		h.Set("webhook-id", "id")
		h.Set("webhook-timestamp", stamp)
		h.Set("webhook-signature", signature)
		h.Set("Authorization", "Bearer "+amToken)
		for _, s := range []Source{PagerDuty{Secrets: []string{pagerDutySecret}}, Slack{Secret: slackSecret}, standard, Alertmanager{Token: amToken}} {
			d, err := s.Read(h, []byte(body), now)
			if err != nil {
				continue
			}
			if len([]rune(d.EventID)) > longestName {
				t.Fatalf("an event id of %d characters", len(d.EventID))
			}
			for _, one := range d.Feedback {
				if one.Kind == "" || one.EpisodeID == "" && one.AlertID == "" && one.Key == "" {
					t.Fatalf("a feedback about nothing: %+v", one)
				}
				if len([]rune(one.By)) > longestName+20 || len([]rune(one.Note)) > longestNote {
					t.Fatal("a text without bounds")
				}
			}
		}
	})
}
