package calibrationreceiver

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/client"
	"go.opentelemetry.io/collector/component"

	"github.com/otelcol-escalation/otelcol-escalation/internal/alert"
	"github.com/otelcol-escalation/otelcol-escalation/internal/ledger"
	"github.com/otelcol-escalation/otelcol-escalation/internal/ledger/ledgertest"
	"github.com/otelcol-escalation/otelcol-escalation/internal/web"
)

// bodies are what a POST says so that it would do something, by the end of its path; of any other it is nothing.
var bodies = map[string]string{
	"/verdict":  `{"verdict": "expected"}`,
	"/snooze":   `{"for": "1h"}`,
	"/missed":   `{"rule": "KVCacheNearlyFull", "at": "` + time.Now().Add(-time.Hour).UTC().Format(time.RFC3339) + `"}`,
	"/silences": `{"matchers": [{"name": "a", "value": "b", "isRegex": false}], "endsAt": "` + time.Now().Add(time.Hour).UTC().Format(time.RFC3339) + `", "comment": "c"}`,
}

// requestOf asks for a route of the page's server about an alert, a silence, an action, a rule and a receiver that are there.
func requestOf(route string, ids map[string]string) (method, path, body string) {
	method, path, _ = strings.Cut(route, " ")
	path = strings.ReplaceAll(path, "{$}", "")
	for part, id := range ids {
		path = strings.ReplaceAll(path, part, id)
	}
	if method == http.MethodPost {
		body = "{}"
		for end, text := range bodies {
			if strings.HasSuffix(path, end) {
				body = text
			}
		}
	}
	return method, path, body
}

// furnish fills a ledger with one of everything that routes are about.
func furnish(t testing.TB, l ledger.Ledger) (ids map[string]string) {
	now := time.Now()
	id := fire(t, l, now, alert.Alert{ID: "a"})
	s := &ledger.Silence{Matchers: []ledger.Matcher{{Name: "a", Value: "c", IsEqual: true}}, EndsAt: now.Add(time.Hour), CreatedBy: "x", Comment: "y"}
	action := &ledger.Action{Kind: alert.ActionRollback, Target: "chat", State: ledger.ActionWaiting}
	update(t, l, now, func(tx ledger.Tx) error {
		if err := ledger.Silent(tx, s); err != nil {
			return err
		}
		e, err := tx.Episode(id)
		if err != nil {
			return err
		}
		e.Actions = []alert.Action{alert.ActionRollback}
		if err := tx.PutEpisode(e); err != nil {
			return err
		}
		return ledger.Ask(tx, e, action)
	})
	return map[string]string{"alerts/{id}": "alerts/" + id, "silences/{id}": "silences/" + s.ID, "actions/{id}": "actions/" + action.ID, "{name}": "KVCacheNearlyFull", "receivers/{id}": "receivers/oncall"}
}

// everything is what a ledger holds that requests could change.
func everything(t testing.TB, l ledger.Ledger) string {
	t.Helper()
	var all []any
	require.NoError(t, l.View(t.Context(), time.Now(), func(tx ledger.Tx) error {
		add := func(part any, err error) error {
			all = append(all, part)
			return err
		}
		for _, err := range []error{
			add(tx.EventsAfter(0, 10000)), add(tx.Silences(time.Time{})), add(tx.Actions(ledger.ActionQuery{})), add(tx.Trials()),
			add(tx.Misses("", time.Time{})), add(tx.Setting(ledger.SettingStopped)), add(tx.Counters()), add(tx.Episodes(ledger.Query{})),
		} {
			if err != nil {
				return err
			}
		}
		return nil
	}))
	text, err := json.Marshal(all)
	require.NoError(t, err)
	return string(text)
}

// Each route of the page's server with no credentials, with wrong ones, and with right ones, for each way to have them. The routes are
// the server's own list: one that comes is asked, too.
func TestEveryRouteWantsCredentials(t *testing.T) {
	routes := web.New(web.Options{}).Routes()
	require.Greater(t, len(routes), 25)
	const inside = `http: {endpoint: "127.0.0.1:0"`
	for label, c := range map[string]struct {
		yaml   string
		auth   client.AuthData
		right  []string
		wrongs [][]string
	}{
		"basicauth": {
			inside + `, auth: {authenticator: basicauth}}`, subject{"username": "anna"}, []string{"Authorization", "Basic right"},
			[][]string{{"Authorization", "Basic wrong"}, {"Authorization", ""}, {"X-Forwarded-User", "anna"}, {"Cookie", "session=right"}},
		},
		"bearertokenauth": {
			inside + `, auth: {authenticator: bearertokenauth}}`, nil, []string{"Authorization", "Bearer right"},
			[][]string{{"Authorization", "Bearer wrong"}, {"Authorization", "Basic right"}, {"Authorization", "Bearer"}},
		},
		"a proxy": {
			`trusted_user_header: X-Forwarded-User`, nil, []string{"X-Forwarded-User", "anna"},
			[][]string{{"X-Forwarded-User", ""}, {"X-Forwarded-User", strings.Repeat("a", 201)}, {"X_Forwarded_User", "anna"}, {"X-User", "anna"}, {"Authorization", "Basic right"}},
		},
		"a proxy with a token": {
			`trusted_user_header: X-Forwarded-User, ` + inside + `, auth: {authenticator: bearertokenauth}}`, nil,
			[]string{"X-Forwarded-User", "anna", "Authorization", "Bearer right"},
			[][]string{{"X-Forwarded-User", "anna"}, {"Authorization", "Bearer right"}, {"X-Forwarded-User", "anna", "Authorization", "Bearer wrong"}},
		},
	} {
		t.Run(label, func(t *testing.T) {
			l := ledgertest.New(t)
			ids := furnish(t, l)
			host := newHost(l)
			for _, id := range []string{"basicauth", "bearertokenauth"} {
				header := map[string]string{"basicauth": "Basic right", "bearertokenauth": "Bearer right"}[id]
				host.extensions[component.MustNewID(id)] = authenticator{header, c.auth}
			}
			r := newRig(t, host, "{"+c.yaml+"}")
			before := everything(t, l)
			for _, route := range append(routes, "GET /nothing", "PUT /api/v1/alerts") {
				method, path, body := requestOf(route, ids)
				for _, headers := range append(c.wrongs, nil) {
					resp, text := ask(t, method, r.url(path), body, append(asJSON, headers...)...)
					assert.Equal(t, http.StatusUnauthorized, resp.StatusCode, "%s with %q: %s", route, headers, text)
					assert.Less(t, len(text), 200, "nothing is shown")
				}
			}
			assert.Equal(t, before, everything(t, l), "who may not changes nothing")

			changed, answered := 0, 0
			for _, route := range routes {
				method, path, body := requestOf(route, ids)
				before := everything(t, l)
				resp, text := ask(t, method, r.url(path), body, append(asJSON, c.right...)...)
				assert.NotContains(t, []int{http.StatusUnauthorized, http.StatusForbidden, http.StatusMethodNotAllowed, http.StatusMisdirectedRequest}, resp.StatusCode, "%s: %s", route, text)
				assert.Less(t, resp.StatusCode, 500, "%s: %s", route, text)
				if resp.StatusCode == http.StatusOK {
					answered++
				}
				if method == http.MethodGet {
					assert.Equal(t, before, everything(t, l), "%s: no GET changes anything", route)
				} else if before != everything(t, l) {
					changed++
				}
			}
			assert.GreaterOrEqual(t, changed, 6, "who may does")
			assert.GreaterOrEqual(t, answered, 20, "and sees")
		})
	}
}

// The same without credentials where none are wanted: on loopback every route answers, and no GET or HEAD changes anything.
func TestEveryRouteOnLoopback(t *testing.T) {
	l := ledgertest.New(t)
	ids := furnish(t, l)
	r := newRig(t, newHost(l), "{}")
	before := everything(t, l)
	for _, route := range web.New(web.Options{}).Routes() {
		_, path, _ := requestOf(route, ids)
		for _, method := range []string{http.MethodGet, http.MethodHead} {
			resp, _ := ask(t, method, r.url(path), "")
			if strings.HasPrefix(route, "GET ") {
				assert.Contains(t, []int{http.StatusOK, http.StatusNotFound}, resp.StatusCode, "%s %s", method, path)
			}
			assert.Less(t, resp.StatusCode, 500, "%s %s", method, path)
		}
	}
	assert.Equal(t, before, everything(t, l))
}
