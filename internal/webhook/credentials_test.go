package webhook

import (
	"fmt"
	"maps"
	"net/http"
	"strings"
	"testing"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/otelcol-escalation/otelcol-escalation/internal/ledger"
)

// credentials are how a route is asked by who may, at a time; signed says that the time and the body are part of it.
type credentials struct {
	ask    func(r *rig, at time.Time) (body string, header map[string]string)
	signed bool
}

func bearer(token string) map[string]string {
	return map[string]string{"Authorization": "Bearer " + token}
}

// rightOnes has every route of the server: a new one fails the test until it is here.
var rightOnes = map[string]credentials{
	"POST /api/v1/webhooks/pagerduty": {func(r *rig, at time.Time) (string, map[string]string) {
		return r.pagerDuty("x"+at.String(), "incident.acknowledged", "user_reference", at)
	}, true},
	"POST /api/v1/webhooks/slack": {func(r *rig, at time.Time) (string, map[string]string) { return r.slack("acknowledge", r.episode, at) }, true},
	"POST /api/v1/webhooks/standard": {func(r *rig, at time.Time) (string, map[string]string) {
		return r.standard("x"+at.String(), "alert.acknowledge", `{"alert_id": "a1"}`, at)
	}, true},
	"POST /api/v1/webhooks/alertmanager": {func(r *rig, _ time.Time) (string, map[string]string) {
		return `{"version": "4", "alerts": [{"status": "firing", "labels": {"episode_id": "` + r.episode + `"}}]}`, bearer(amToken)
	}, false},
	"GET /api/v1/gates/{target}":           {func(*rig, time.Time) (string, map[string]string) { return "", bearer(gateToken) }, false},
	"POST /api/v1/gates/{target}/rollback": {func(*rig, time.Time) (string, map[string]string) { return "", bearer(gateToken) }, false},
}

// Each route with no credentials, with wrong ones, with stale ones, with right ones, and with right ones again.
func TestCredentials(t *testing.T) {
	r := newRig(t)
	require.Len(t, r.options.Routes(), len(rightOnes))
	for _, route := range r.options.Routes() {
		t.Run(route, func(t *testing.T) {
			r := newRig(t)
			right, known := rightOnes[route]
			require.True(t, known, "a new route: what lets in who may?")
			r.do(func(tx ledger.Tx) error { return tx.PutSetting(ledger.SettingTargets, `["chat"]`) })
			method, pattern, _ := strings.Cut(route, " ")
			path := strings.ReplaceAll(pattern, "{target}", "chat")
			before := r.events()
			refused := func(why, body string, header map[string]string) {
				t.Helper()
				w := r.send(method, path, body, header)
				assert.Equal(t, http.StatusUnauthorized, w.Code, "%s: %s", why, w.Body)
				assert.Equal(t, before, r.events(), why)
			}
			body, header := right.ask(r, r.now)
			refused("nothing", body, nil)
			for name, value := range header {
				without := maps.Clone(header)
				delete(without, name)
				refused("without "+name, body, without)
				for i := range wrongs(value) {
					wrong := maps.Clone(header)
					wrong[name] = wrongs(value)[i]
					refused(fmt.Sprintf("%s: %q", name, wrong[name]), body, wrong)
				}
			}
			if right.signed {
				refused("another body", body+" ", header)
				for _, away := range []time.Duration{-49 * time.Hour, tolerance + time.Second, 49 * time.Hour} {
					stale, header := right.ask(r, r.now.Add(away))
					refused(fmt.Sprint("signed ", away, " from now"), stale, header)
				}
			}
			w := r.send(method, path, body, header)
			if strings.HasSuffix(route, "/rollback") {
				assert.Equal(t, http.StatusConflict, w.Code, "nothing is approved: %s", w.Body)
				return
			}
			assert.Equal(t, http.StatusOK, w.Code, w.Body)
			if method == http.MethodGet {
				assert.Equal(t, before, r.events(), "no GET changes anything")
				return
			}
			after := r.events()
			assert.Len(t, after, len(before)+1)
			r.now = r.now.Add(time.Minute)
			assert.Equal(t, http.StatusOK, r.send(method, path, body, header).Code, "a sender that has had no answer")
			assert.True(t, r.applied[len(r.applied)-1].Repeated)
			assert.Equal(t, after, r.events(), "replayed")
			if right.signed && !strings.Contains(route, "pagerduty") { // which tries again for two days
				r.now = r.now.Add(tolerance)
				before = r.events()
				refused("replayed later", body, header)
			}
		})
	}
}

// wrongs are values near a right one.
func wrongs(value string) []string {
	last := value[len(value)-1]
	return []string{"", "x", value[:len(value)-1], value[:len(value)-1] + string(last^1), value + "0", strings.ToUpper(value) + " "}
}

func (r *rig) events() (all []string) {
	r.t.Helper()
	require.NoError(r.t, r.View(r.t.Context(), r.now, func(tx ledger.Tx) error {
		events, err := tx.EventsAfter(0, 1000)
		for _, e := range events {
			all = append(all, fmt.Sprintf("%d %s %s", e.Seq, e.Name, e.By))
		}
		return err
	}))
	return all
}

// While one secret is replaced by another both are taken, whichever signatures come with them; afterwards the old one is not.
func TestRotation(t *testing.T) {
	body := `{"event": {"id": "1", "event_type": "incident.annotated", "occurred_at": "2026-01-02T03:04:05Z"}}`
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	header := func(secrets ...string) http.Header {
		var all []string
		for _, s := range secrets {
			all = append(all, "v1="+sign(s, body))
		}
		return http.Header{"X-Pagerduty-Signature": {strings.Join(all, ",")}}
	}
	during, after := PagerDuty{Secrets: []string{"old", "new"}}, PagerDuty{Secrets: []string{"new"}}
	for label, c := range map[string]struct {
		source  Source
		header  http.Header
		refused bool
	}{
		"the old one":                {during, header("old"), false},
		"the new one":                {during, header("new"), false},
		"both":                       {during, header("new", "old"), false},
		"a third one":                {during, header("third"), true},
		"a third one and the new":    {during, header("third", "new"), false},
		"afterwards the old one":     {after, header("old"), true},
		"afterwards both":            {after, header("old", "new"), false},
		"more than PagerDuty sends":  {after, header(append(make([]string, 10), "new")...), true},
		"no secret is none at all":   {PagerDuty{}, header(""), true},
		"another version":            {after, http.Header{"X-Pagerduty-Signature": {"v2=" + sign("new", body)}}, true},
		"a signature without v1":     {after, http.Header{"X-Pagerduty-Signature": {sign("new", body)}}, true},
		"a signature in upper case":  {after, http.Header{"X-Pagerduty-Signature": {strings.ToUpper(sign("new", body))}}, true},
		"spaces between, as in HTTP": {after, http.Header{"X-Pagerduty-Signature": {"v1=00 , v1=" + sign("new", body)}}, false},
	} {
		_, err := c.source.Read(c.header, []byte(body), now)
		if c.refused {
			assert.ErrorIs(t, err, ErrUnverified, label)
		} else {
			assert.NoError(t, err, label)
		}
	}
	old, renewed := "whsec_"+"b2xkIHNlY3JldA==", standardSecret
	both, err := NewStandard([]string{old, renewed})
	require.NoError(t, err)
	for _, secret := range []string{old, renewed} {
		v, err := standardwebhooks.NewWebhook(secret)
		require.NoError(t, err)
		signature, err := v.Sign("id", now, []byte("{}"))
		require.NoError(t, err)
		h := http.Header{}
		h.Set("webhook-id", "id")
		h.Set("webhook-timestamp", fmt.Sprint(now.Unix()))
		h.Set("webhook-signature", "v1,AAAA "+signature)
		_, err = both.Read(h, []byte("{}"), now)
		assert.NoError(t, err)
	}
}

// A token is compared whole, and an empty one lets nobody in.
func TestBearer(t *testing.T) {
	for given, right := range map[string]bool{
		"Bearer token": true, "Bearer token ": false, "Bearer  token": false, "bearer token": false, "Bearer Token": false, "Bearer toke": false, "Bearer tokenn": false,
		"token": false, "Basic token": false, "Bearer": false, "Bearer ": false, "": false,
	} {
		assert.Equal(t, right, Bearer(http.Header{"Authorization": {given}}, "token"), given)
		assert.False(t, Bearer(http.Header{"Authorization": {given}}, ""), given)
	}
	assert.False(t, Bearer(http.Header{}, ""))
}
