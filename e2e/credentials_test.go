package e2e

import (
	"encoding/base64"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/otelcol-escalation/otelcol-escalation/internal/web"
	"github.com/otelcol-escalation/otelcol-escalation/internal/webhook"
)

// asking sends a request with headers, which come in pairs, and returns the status and the body.
func asking(t testing.TB, method, url, body string, headers ...string) (code int, answer string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, url, strings.NewReader(body))
	require.NoError(t, err)
	if body != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	for i := 0; i+1 < len(headers); i += 2 {
		r.Header.Add(headers[i], headers[i+1])
	}
	resp, err := http.DefaultTransport.RoundTrip(r)
	require.NoError(t, err)
	defer func() { _ = resp.Body.Close() }()
	content, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	return resp.StatusCode, string(content)
}

// basic is a name and a password as HTTP has them.
func basic(name, password string) string {
	return "Basic " + base64.StdEncoding.EncodeToString([]byte(name+":"+password))
}

const pagePassword, pageToken = "PAGE-0123456789abcdef", "PAGETOKEN-0123456789abcdef"

// Each route of both servers × no credentials, wrong ones, right ones, with the extensions that authenticate in the Collector. The routes
// are the servers' own lists.
func TestEveryRouteOfTheCollector(t *testing.T) {
	pages := web.New(web.Options{}).Routes()
	hooks := webhook.Options{
		Sources: map[string]webhook.Source{"pagerduty": nil, "slack": nil, "standard": nil, "alertmanager": nil}, GateToken: "x",
	}.Routes()
	for label, c := range map[string]struct {
		extension, person string
		right             []string
		wrongs            [][]string
		receiver          string
	}{
		"basicauth": {
			`basicauth: {htpasswd: {inline: "anna:` + pagePassword + `"}}`, "anna", []string{"Authorization", basic("anna", pagePassword)},
			[][]string{
				{"Authorization", basic("anna", "wrong")}, {"Authorization", basic("bob", pagePassword)}, {"Authorization", basic("", "")}, {"Authorization", "Basic x"},
				{"Authorization", "Bearer " + pagePassword}, {"X-Forwarded-User", "anna"},
			}, "",
		},
		"bearertokenauth": {
			`bearertokenauth: {token: ` + pageToken + `}`, "bearertokenauth", []string{"Authorization", "Bearer " + pageToken},
			[][]string{{"Authorization", "Bearer " + pageToken + "x"}, {"Authorization", "Bearer " + pageToken[1:]}, {"Authorization", pageToken}, {"Authorization", basic("anna", pageToken)}}, "",
		},
		"a proxy with a token": {
			`bearertokenauth: {token: ` + pageToken + `}`, "carl", []string{"Authorization", "Bearer " + pageToken, "X-Forwarded-User", "carl"},
			[][]string{
				{"X-Forwarded-User", "carl"}, {"Authorization", "Bearer " + pageToken}, {"Authorization", "Bearer " + pageToken, "X-Forwarded-User", "carl", "X-Forwarded-User", "eve"},
				{"Authorization", "Bearer x", "X-Forwarded-User", "carl"}, {"Authorization", "Bearer " + pageToken, "X-Forwarded-User", "carl", "Connection", "X-Forwarded-User"},
			}, "trusted_user_header: X-Forwarded-User",
		},
	} {
		t.Run(label, func(t *testing.T) {
			s, people, _ := prepare(t, kvRule)
			address := freePorts(t, 1)[0]
			s.receiver = []string{webhooks(address)}
			if c.receiver != "" {
				s.receiver = append(s.receiver, c.receiver)
			}
			name, _, _ := strings.Cut(c.extension, ":")
			config := replace(s.whole(), "http: {endpoint: "+s.page+"}", "http: {endpoint: "+s.page+", auth: {authenticator: "+name+"}}")
			config = replace(config, "extensions:\n  health_check", "extensions:\n  "+c.extension+"\n  health_check")
			config = replace(config, "extensions: [health_check,", "extensions: [health_check, "+name+",")
			process := launch(t, s.dir, s.health, config)
			s.sendHTTP(t, gauge("kv", "llama", 0.99))
			eventually(t, "it is paged", func() bool { return people.told("KVCacheNearlyFull", "firing") == 1 })
			id := people.all()[0].Alerts[0].Labels["episode_id"]

			state := func() string {
				_, all := asking(t, http.MethodGet, "http://"+s.page+"/api/v1/alerts/"+id, "", c.right...)
				return all
			}
			eventually(t, "the page is in the books", func() bool { return strings.Contains(state(), "alert.paged") })
			before := state()
			for _, route := range append(slices.Clone(pages), "GET /nothing") {
				method, path, _ := strings.Cut(strings.NewReplacer("{$}", "", "{id}", id, "{name}", "KVCacheNearlyFull").Replace(route), " ")
				body := map[bool]string{true: `{"verdict": "expected"}`, false: "{}"}[strings.HasSuffix(path, "/verdict")]
				if method != http.MethodPost {
					body = ""
				}
				for _, headers := range append(c.wrongs, nil) {
					code, answer := asking(t, method, "http://"+s.page+path, body, headers...)
					assert.Equal(t, http.StatusUnauthorized, code, "%s with %q: %s", route, headers, answer)
				}
			}
			assert.Equal(t, before, state(), "who may not changes nothing")
			for _, route := range pages {
				method, path, _ := strings.Cut(strings.NewReplacer("{$}", "", "{id}", id, "{name}", "KVCacheNearlyFull").Replace(route), " ")
				body := map[string]string{http.MethodPost: "{}"}[method]
				if strings.HasSuffix(path, "/verdict") {
					body = `{"verdict": "expected", "by": "mallory"}`
				}
				code, answer := asking(t, method, "http://"+s.page+path, body, c.right...)
				assert.NotContains(t, []int{401, 403, 405, 421}, code, "%s: %s", route, answer)
				assert.Less(t, code, 500, "%s: %s", route, answer)
			}
			assert.Contains(t, state(), `"verdict_by":"`+c.person+`"`, "the person is the authenticated one")
			assert.NotContains(t, state(), "mallory")

			now := time.Now()
			right := map[string]delivery{
				"pagerduty":    pagerDutyEvent("1", "incident.annotated", "user_reference", "x", now),
				"slack":        slackClick("acknowledge", "x", "t", now),
				"standard":     standardEvent(t, "1", "alert.resolve", `{"alert_id": "unknown"}`, now),
				"alertmanager": {"alertmanager", `{"version": "4", "alerts": []}`, http.Header{"Authorization": {"Bearer " + alertmanagerToken}}},
			}
			for _, route := range hooks {
				method, path, _ := strings.Cut(strings.ReplaceAll(route, "{target}", "chat"), " ")
				d, known := right[path[strings.LastIndex(path, "/")+1:]]
				if !known { // a gate
					require.Contains(t, path, "/gates/")
					for _, wrong := range []string{"", "Bearer x", "Bearer " + alertmanagerToken, "Bearer " + pageToken, basic("anna", pagePassword)} {
						code, _ := asking(t, method, "http://"+address+path, "", "Authorization", wrong)
						assert.Equal(t, http.StatusUnauthorized, code, "%s with %q", route, wrong)
					}
					code, _ := asking(t, method, "http://"+address+path, "", "Authorization", "Bearer "+gatesToken)
					assert.Equal(t, http.StatusNotFound, code, "there is no such target")
					continue
				}
				for _, header := range []http.Header{nil, {"Authorization": {"Bearer " + pageToken}}, {"Authorization": {"Bearer " + gatesToken}}, {"Authorization": {basic("anna", pagePassword)}}} {
					code, answer, _ := hook(t, address, delivery{d.source, d.body, header})
					assert.Equal(t, http.StatusUnauthorized, code, "%s with %q: %s", route, header, answer)
				}
				code, answer, _ := hook(t, address, d)
				assert.Equal(t, http.StatusAccepted, code, "%s: %s", route, answer)
			}

			// What was told to nobody is in no log, no metric of the Collector's own, no page and no answer.
			all := process.log.String() + state()
			for _, url := range []string{"http://" + s.self + "/metrics", "http://" + s.page + "/", "http://" + s.page + "/silences", "http://" + s.page + "/receivers", "http://" + s.page + "/api/v1/rules"} {
				_, text := asking(t, http.MethodGet, url, "", c.right...)
				require.NotEmpty(t, text)
				all += text
			}
			for _, secret := range []string{pagerDutyOld, pagerDutyNew, slackSecret, strings.TrimPrefix(standardSecret, "whsec_"), alertmanagerToken, gatesToken, pagePassword, pageToken} {
				assert.False(t, strings.Contains(all, secret), "%s is shown: %s", secret, around(all, secret))
			}
		})
	}
}

// around is where a text has another.
func around(text, part string) string {
	at := strings.Index(text, part)
	if at < 0 {
		return ""
	}
	return fmt.Sprintf("…%s…", text[max(0, at-100):min(len(text), at+100)])
}
