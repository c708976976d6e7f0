package e2e

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"
	"github.com/stretchr/testify/require"
)

const rollbackRule = `
groups:
  - name: g
    rules:
      - alert: Full
        metric: kv
        tiers: {critical: {above: 0.9}}
        rollback: {above: 0.95}
        manual_intervention: {above: 0.99}
        owner: platform
        labels: {service: chat}
`

const rollbackSecret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"

// deployments is a deployment system that checks signatures.
type deployments struct {
	*httptest.Server
	mu    sync.Mutex
	asked []map[string]any
}

func newDeployments(t *testing.T) *deployments {
	verifier, err := standardwebhooks.NewWebhook(rollbackSecret)
	require.NoError(t, err)
	d := &deployments{}
	d.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		if err := verifier.Verify(body, r.Header); err != nil {
			http.Error(w, err.Error(), http.StatusUnauthorized)
			return
		}
		var sent struct{ Data map[string]any }
		if err := json.Unmarshal(body, &sent); err == nil {
			d.mu.Lock()
			d.asked = append(d.asked, sent.Data)
			d.mu.Unlock()
		}
	}))
	t.Cleanup(d.Close)
	return d
}

func (d *deployments) all() []map[string]any {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.asked
}

// actions are what the API says of them: "kind state reason".
func (s *settings) actions(t *testing.T) (all []string, ids map[string]string) {
	t.Helper()
	resp, err := http.Get("http://" + s.page + "/api/v1/actions")
	require.NoError(t, err)
	defer resp.Body.Close()
	var list struct {
		Actions []struct{ ID, Kind, State, Reason string }
	}
	require.NoError(t, json.NewDecoder(resp.Body).Decode(&list))
	ids = map[string]string{}
	for _, a := range list.Actions {
		all = append(all, strings.TrimSpace(a.Kind+" "+a.State+" "+a.Reason))
		ids[a.Kind] = a.ID
	}
	return all, ids
}

// A value beyond the rollback's threshold has the deployment system asked, once and signed; one beyond that of manual
// intervention waits for a person.
func TestRollback(t *testing.T) {
	deploy := newDeployments(t)
	s, people, _ := prepare(t, rollbackRule)
	s.exporter = []string{`actions: {rollback: {mode: automatic, cooldown: 0s, targets: [{name: chat, rules: [Full], match: {service: chat}, webhook: {endpoint: "` +
		deploy.URL + `", signing_secret: ` + rollbackSecret + `}}]}}`}
	c := launch(t, s.dir, s.health, s.whole())
	s.sendHTTP(t, gauge("kv", "llama", 0.91))
	eventually(t, "it is paged", func() bool { return len(people.all()) == 1 })
	require.Empty(t, deploy.all())
	began := time.Now()
	s.sendHTTP(t, gauge("kv", "llama", 0.97))
	eventually(t, "the deployment system is asked", func() bool { return len(deploy.all()) == 1 })
	took := time.Since(began)
	require.Equal(t, "chat", deploy.all()[0]["target"])
	eventually(t, "it is done", func() bool { all, _ := s.actions(t); return len(all) == 1 && all[0] == "rollback done" })
	eventually(t, "the owner is told", func() bool {
		return strings.Contains(people.all()[len(people.all())-1].Alerts[0].Annotations["action"], "rollback of chat")
	})
	c.kill()
	c.start()
	s.sendHTTP(t, gauge("kv", "llama", 0.97))
	s.sendHTTP(t, gauge("kv", "llama", 0.5))
	eventually(t, "it has ended", func() bool { return len(s.alerts(t, "?open=true")) == 0 })
	require.Len(t, deploy.all(), 1, "once for the episode, over a kill")

	s.sendHTTP(t, gauge("kv", "llama", 0.995))
	eventually(t, "past the other threshold a person decides", func() bool {
		all, _ := s.actions(t)
		return len(all) == 3 && slices.Contains(all, "rollback waiting manual_intervention") && slices.Contains(all, "manual_intervention waiting manual_intervention")
	})
	require.Len(t, deploy.all(), 1)
	_, ids := s.actions(t)
	require.Equal(t, http.StatusOK, s.post(t, "/api/v1/actions/"+ids["manual_intervention"]+"/approve", `{"by": "ada"}`))
	eventually(t, "approved, it is carried out", func() bool { return len(deploy.all()) == 2 })
	require.Equal(t, "ada", deploy.all()[1]["approved_by"])
	figures("rollback: %v from the point to the signed request", took.Round(time.Millisecond))
}

// A silence made by the API holds the page back; when it is taken away, the page goes out. A test page goes the same way.
func TestSilenceAndTestPage(t *testing.T) {
	s, people, _ := prepare(t, kvRule)
	launch(t, s.dir, s.health, s.whole())
	body := `{"matchers": [{"name": "model_name", "value": "lla.*", "isRegex": true}], "endsAt": "` + time.Now().Add(time.Hour).UTC().Format(time.RFC3339) +
		`", "createdBy": "ada", "comment": "upgrade"}`
	require.Equal(t, http.StatusOK, s.post(t, "/api/v1/silences", body))
	s.sendHTTP(t, gauge("kv", "llama", 0.99))
	s.sendHTTP(t, gauge("kv", "mixtral", 0.99))
	eventually(t, "the other one is paged", func() bool { return len(people.all()) > 0 })
	steadily(t, "the silenced one is not", time.Second, func() bool {
		for _, p := range people.all() {
			for _, a := range p.Alerts {
				if a.Labels["model_name"] == "llama" {
					return false
				}
			}
		}
		return true
	})
	resp, err := http.Get("http://" + s.page + "/api/v1/silences")
	require.NoError(t, err)
	defer resp.Body.Close()
	var silences []struct{ ID string }
	require.NoError(t, json.NewDecoder(resp.Body).Decode(&silences))
	require.Len(t, silences, 1)
	request, err := http.NewRequest(http.MethodDelete, "http://"+s.page+"/api/v1/silences/"+silences[0].ID, nil)
	require.NoError(t, err)
	gone, err := http.DefaultClient.Do(request)
	require.NoError(t, err)
	require.NoError(t, gone.Body.Close())
	require.Equal(t, http.StatusOK, gone.StatusCode)
	eventually(t, "the silence is over: it is paged", func() bool {
		for _, p := range people.all() {
			for _, a := range p.Alerts {
				if a.Labels["model_name"] == "llama" {
					return true
				}
			}
		}
		return false
	})
	require.Equal(t, http.StatusOK, s.post(t, "/api/v1/receivers/lead/test", `{"by": "ada"}`))
	eventually(t, "the test page arrives, and its end", func() bool {
		tests := 0
		for _, p := range people.all() {
			if p.path == "/lead" && p.Alerts[0].Labels["alertname"] == "TestPage" {
				tests++
			}
		}
		return tests == 2
	})
}

// gate is what a poller of a gate sees: Argo's verdict and Flagger's status.
func (s *settings) gate(t *testing.T, address string) (argo string, flagger int) {
	t.Helper()
	for _, c := range [][2]string{{http.MethodGet, "/api/v1/gates/chat"}, {http.MethodPost, "/api/v1/gates/chat/rollback"}} {
		request, err := http.NewRequest(c[0], "http://"+address+c[1], nil)
		require.NoError(t, err)
		request.Header.Set("Authorization", "Bearer gate-token")
		resp, err := http.DefaultClient.Do(request)
		require.NoError(t, err)
		var answer struct{ Verdict string }
		require.NoError(t, json.NewDecoder(resp.Body).Decode(&answer))
		require.NoError(t, resp.Body.Close())
		if c[0] == http.MethodGet {
			require.Equal(t, http.StatusOK, resp.StatusCode)
			argo = answer.Verdict
		} else {
			flagger = resp.StatusCode
		}
	}
	return argo, flagger
}

// An incident as a deployment controller sees it that polls: it goes on, waits for a person, rolls back, and goes on. PagerDuty's webhook
// acknowledges the alert meanwhile; one with a wrong signature, or that comes again, does nothing.
func TestGatesAndWebhooks(t *testing.T) {
	s, people, _ := prepare(t, rollbackRule)
	hooks := freePorts(t, 1)[0]
	s.exporter = []string{`actions: {rollback: {mode: recommend, targets: [{name: chat, rules: [Full]}]}}`}
	s.receiver = []string{`webhooks: {http: {endpoint: "` + hooks + `"}, gates: {token: gate-token}, pagerduty: {signing_secrets: [old, pd-secret]}}`}
	launch(t, s.dir, s.health, s.whole())
	expect := func(argo string, flagger int) {
		t.Helper()
		eventually(t, argo, func() bool {
			a, f := s.gate(t, hooks)
			return a == argo && f == flagger
		})
	}
	expect("continue", 409)
	s.sendHTTP(t, gauge("kv", "llama", 0.97))
	eventually(t, "it is paged", func() bool { return len(people.all()) > 0 })
	expect("inconclusive", 409)

	key := sha256.Sum256([]byte(people.all()[0].GroupKey))
	body := `{"event": {"id": "01", "event_type": "incident.acknowledged", "occurred_at": "` + time.Now().UTC().Format(time.RFC3339) +
		`", "agent": {"type": "user_reference", "summary": "Ada"}, "data": {"incident_key": "` + hex.EncodeToString(key[:]) + `"}}}`
	send := func(secret string) int {
		h := hmac.New(sha256.New, []byte(secret))
		h.Write([]byte(body))
		request, err := http.NewRequest(http.MethodPost, "http://"+hooks+"/api/v1/webhooks/pagerduty", strings.NewReader(body))
		require.NoError(t, err)
		request.Header.Set("X-PagerDuty-Signature", "v1="+hex.EncodeToString(h.Sum(nil)))
		resp, err := http.DefaultClient.Do(request)
		require.NoError(t, err)
		require.NoError(t, resp.Body.Close())
		return resp.StatusCode
	}
	acknowledged := func() int {
		resp, err := http.Get("http://" + s.page + "/api/v1/alerts/" + s.alerts(t, "?open=true")[0].ID)
		require.NoError(t, err)
		defer resp.Body.Close()
		var story struct{ Events []struct{ Name, By string } }
		require.NoError(t, json.NewDecoder(resp.Body).Decode(&story))
		n := 0
		for _, e := range story.Events {
			if e.Name == "alert.acknowledged" && e.By == "Ada" {
				n++
			}
		}
		return n
	}
	require.Equal(t, http.StatusUnauthorized, send("wrong"))
	require.Zero(t, acknowledged())
	require.Equal(t, http.StatusOK, send("pd-secret"))
	require.Equal(t, 1, acknowledged())
	require.Equal(t, http.StatusOK, send("pd-secret"))
	require.Equal(t, 1, acknowledged(), "the same event again")

	_, ids := s.actions(t)
	require.Equal(t, http.StatusOK, s.post(t, "/api/v1/actions/"+ids["rollback"]+"/approve", `{"by": "ada"}`))
	expect("rollback", 200)
	s.sendHTTP(t, gauge("kv", "llama", 0.5))
	expect("continue", 409)
}
