package e2e

import (
	"database/sql"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// story is what the API says of one alert: its state, and what has happened.
func (s *settings) story(t testing.TB, id string) (e episode, events []string) {
	t.Helper()
	resp, err := http.Get("http://" + s.page + "/api/v1/alerts/" + id)
	require.NoError(t, err)
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	require.Equal(t, http.StatusOK, resp.StatusCode, string(body))
	var list struct{ Events []struct{ Name, By string } }
	require.NoError(t, json.Unmarshal(body, &list))
	require.NoError(t, json.Unmarshal(body, &e))
	for _, one := range list.Events {
		events = append(events, one.Name+" "+one.By)
	}
	return e, events
}

// only is the one alert that is open.
func (s *settings) only(t testing.TB) (id string) {
	t.Helper()
	open := s.alerts(t, "?open=true")
	require.Len(t, open, 1)
	return open[0].ID
}

// A page goes to a server that poses as PagerDuty. Its dedup key comes back by the webhook: acknowledged, taken back, and resolved
// by a person; the echo of our own end changes nothing.
func TestPagerDutyAnswers(t *testing.T) {
	s, _, _ := prepare(t, kvRule)
	address := freePorts(t, 1)[0]
	pd := newProduct(t, http.StatusAccepted, "application/json", `{"status": "success", "message": "Event processed"}`)
	s.receiver = []string{webhooks(address)}
	s.owners = `{platform: {steps: [{receivers: [pd]}]}, unowned: {steps: [{receivers: [pd]}]}}`
	c := launch(t, s.dir, s.health, replace(s.whole(), "    receivers:\n", "    receivers:\n      - name: pd\n        pagerduty_configs: [{routing_key: x, url: "+pd.URL+"/v2/enqueue}]\n"))
	s.sendHTTP(t, gauge("kv", "llama", 0.99))
	var sent struct {
		EventAction string `json:"event_action"`
		DedupKey    string `json:"dedup_key"`
	}
	eventually(t, "it is paged", func() bool { return pd.last(t, &sent) == 1 })
	require.Equal(t, "trigger", sent.EventAction)
	id, key := s.only(t), sent.DedupKey
	require.Len(t, key, 64)

	code, answer, _ := hook(t, address, pagerDutyEvent("1", "incident.acknowledged", "user_reference", key, time.Now()))
	require.Equal(t, http.StatusOK, code, answer)
	e, _ := s.story(t, id)
	require.NotNil(t, e.Acknowledgement)
	assert.Equal(t, "Ada Lovelace", e.Acknowledgement.By)
	code, _, _ = hook(t, address, pagerDutyEvent("2", "incident.unacknowledged", "service_reference", key, time.Now()))
	require.Equal(t, http.StatusOK, code)
	eventually(t, "the steps go on: it is paged again", func() bool { return pd.last(t, &sent) == 2 })
	assert.Equal(t, key, sent.DedupKey)
	code, _, _ = hook(t, address, pagerDutyEvent("3", "incident.acknowledged", "user_reference", "another's", time.Now()))
	assert.Equal(t, http.StatusAccepted, code, "an alert that is not known here")
	code, _, _ = hook(t, address, pagerDutyEvent("4", "incident.resolved", "events_api_v2_inbound_integration_reference", key, time.Now()))
	assert.Equal(t, http.StatusAccepted, code, "the echo of an end")
	require.Len(t, s.alerts(t, "?open=true"), 1)
	code, _, _ = hook(t, address, pagerDutyEvent("5", "incident.resolved", "user_reference", key, time.Now()))
	require.Equal(t, http.StatusOK, code)
	assert.Empty(t, s.alerts(t, "?open=true"))
	_, before := s.story(t, id)
	require.Equal(t, []string{"alert.fired ", "alert.escalated ", "alert.paged ", "alert.acknowledged Ada Lovelace", "alert.unacknowledged PagerDuty"}, before[:5])
	require.Contains(t, before, "alert.resolved Ada Lovelace")

	eventually(t, "PagerDuty is told of the end", func() bool { pd.last(t, &sent); return sent.EventAction == "resolve" && sent.DedupKey == key })
	_, before = s.story(t, id)
	c.kill()
	c.start()
	for _, again := range []string{"1", "5"} {
		kind := map[string]string{"1": "incident.acknowledged", "5": "incident.resolved"}[again]
		code, answer, _ = hook(t, address, pagerDutyEvent(again, kind, "user_reference", key, time.Now()))
		assert.Equal(t, http.StatusOK, code)
		assert.Contains(t, answer, "taken before", "after a restart, too")
	}
	_, after := s.story(t, id)
	assert.Equal(t, before, after, "a repeated delivery changes nothing")
}

// Everything else comes as Standard Webhooks: by the dedup key that a webhook was sent, by the alert's id, and by the episode's.
func TestStandardWebhooks(t *testing.T) {
	s, people, _ := prepare(t, kvRule)
	address := freePorts(t, 1)[0]
	s.receiver = []string{webhooks(address)}
	launch(t, s.dir, s.health, s.whole())
	s.sendHTTP(t, gauge("kv", "llama", 0.99))
	eventually(t, "it is paged", func() bool { return people.told("KVCacheNearlyFull", "firing") == 1 })
	told := people.all()[0]
	labels := told.Alerts[0].Labels
	quote := func(text string) string { b, _ := json.Marshal(text); return string(b) }
	for i, c := range []struct{ kind, data string }{
		{"alert.acknowledge", `{"key": ` + quote(told.GroupKey) + `, "by": "ada", "note": "on it"}`},
		{"alert.snooze", `{"alert_id": ` + quote(labels["alert_id"]) + `, "for": "1h", "by": "ada"}`},
		{"alert.verdict", `{"episode_id": ` + quote(labels["episode_id"]) + `, "verdict": "false_positive", "by": "ada"}`},
		{"alert.resolve", `{"key": ` + quote(told.GroupKey) + `, "by": "ada"}`},
	} {
		code, answer, _ := hook(t, address, standardEvent(t, fmt.Sprint("id-", i), c.kind, c.data, time.Now()))
		require.Equal(t, http.StatusOK, code, "%s: %s", c.kind, answer)
	}
	e, events := s.story(t, labels["episode_id"])
	assert.Equal(t, "false_positive", e.Verdict)
	assert.Equal(t, "ended", e.State)
	for _, want := range []string{"alert.acknowledged ada", "alert.snoozed ada", "alert.verdict webhook/standard", "alert.resolved ada"} {
		assert.Contains(t, events, want)
	}
	code, answer, _ := hook(t, address, standardEvent(t, "stale", "alert.verdict", `{"episode_id": `+quote(labels["episode_id"])+`, "verdict": "expected"}`, time.Now().Add(-6*time.Minute)))
	assert.Equal(t, http.StatusUnauthorized, code, answer)
}

// A real Alertmanager is told of an alert whose page is not due yet, tells its webhook, and so the episode counts as told.
func TestAlertmanagerTellsBack(t *testing.T) {
	s, people, _ := prepare(t, replace(kvRule, "critical:", "medium:"))
	address := freePorts(t, 1)[0]
	am := clusterWith(t, 1, fmt.Sprintf(`
route: {receiver: back, group_wait: 0s, group_by: [alertname]}
receivers:
  - name: back
    webhook_configs: [{url: "http://%s/api/v1/webhooks/alertmanager", http_config: {authorization: {credentials: %s}}}]
`, address, alertmanagerToken))[0]
	s.exporter = []string{fmt.Sprintf("alertmanagers: [http://%s]", am.address)}
	s.receiver = []string{webhooks(address)}
	launch(t, s.dir, s.health, s.whole())
	s.sendHTTP(t, gauge("kv", "llama", 0.99))
	eventually(t, "Alertmanager has told", func() bool {
		open := s.alerts(t, "?open=true")
		return len(open) == 1 && !open[0].NotifiedAt.IsZero()
	})
	_, events := s.story(t, s.only(t))
	assert.Equal(t, []string{"alert.fired ", "alert.paged "}, events)
	assert.Empty(t, people.all(), "its own page is due in an hour")
	s.sendHTTP(t, gauge("kv", "llama", 0.5))
	eventually(t, "it has ended", func() bool { return len(s.alerts(t, "?open=true")) == 0 })
	assert.Equal(t, "notified", s.alerts(t, "")[0].Outcome)
}

// Killed at once after each 2xx: what was answered is there, and what comes again changes nothing.
func TestKilledAfterAWebhook(t *testing.T) {
	const rounds = 15
	s, people, _ := prepare(t, kvRule)
	address := freePorts(t, 1)[0]
	s.receiver = []string{webhooks(address)}
	c := launch(t, s.dir, s.health, replace(s.whole(), "group_by: [owner, alertname]", "group_by: [owner, alertname, model_name]"))
	kinds := []string{"acknowledge", "verdict", "resolve"}
	changes := map[string]string{"acknowledge": "alert.acknowledged ada", "verdict": "alert.verdict webhook/standard", "resolve": "alert.resolved ada"}
	for i := range rounds {
		model, kind := fmt.Sprint("model-", i), kinds[i%len(kinds)]
		s.sendHTTP(t, gauge("kv", model, 0.99))
		eventually(t, model+" is paged", func() bool { return len(firing(people, model)) > 0 })
		var id string
		for _, p := range people.all() {
			if p.Alerts[0].Labels["model_name"] == model {
				id = p.Alerts[0].Labels["episode_id"]
			}
		}
		d := standardEvent(t, fmt.Sprint("event-", i), "alert."+kind, fmt.Sprintf(`{"episode_id": %q, "by": "ada", "verdict": "expected"}`, id), time.Now())
		code, answer, _ := hook(t, address, d)
		c.kill()
		require.Equal(t, http.StatusOK, code, answer)
		c.start()
		_, events := s.story(t, id)
		require.Contains(t, events, changes[kind], "%s: what was answered is there", kind)
		code, answer, _ = hook(t, address, d)
		require.Equal(t, http.StatusOK, code, answer)
		require.Contains(t, answer, "taken before")
		_, again := s.story(t, id)
		require.Equal(t, count(events, changes[kind]), count(again, changes[kind]))
	}
	figures("webhooks: killed %d times at once after a 2xx: lost 0, applied twice 0", rounds)
}

func count(all []string, one string) (n int) {
	for _, s := range all {
		if s == one {
			n++
		}
	}
	return n
}

// Another process holds the ledger's write lock: a webhook is answered within a second, with 503 and when to come again; nothing of
// it is there, and it is taken when it comes again.
func TestWebhookWhileTheLedgerIsLocked(t *testing.T) {
	s, people, _ := prepare(t, kvRule)
	address := freePorts(t, 1)[0]
	s.receiver = []string{webhooks(address)}
	launch(t, s.dir, s.health, s.whole())
	s.sendHTTP(t, gauge("kv", "llama", 0.99))
	eventually(t, "it is paged", func() bool { return people.told("KVCacheNearlyFull", "firing") == 1 })
	id := s.only(t)
	_, before := s.story(t, id)
	db, err := sql.Open("sqlite", filepath.Join(s.dir, "alerts.db"))
	require.NoError(t, err)
	defer func() { require.NoError(t, db.Close()) }()
	db.SetMaxOpenConns(1)
	eventually(t, "the lock is ours", func() bool {
		_, err := db.Exec("BEGIN IMMEDIATE")
		return err == nil
	})
	d := pagerDutyEvent("1", "incident.acknowledged", "user_reference", people.all()[0].GroupKey, time.Now())
	slowest := time.Duration(0)
	for range 3 {
		began := time.Now()
		code, answer, header := hook(t, address, d)
		slowest = max(slowest, time.Since(began))
		require.Equal(t, http.StatusServiceUnavailable, code, answer)
		assert.Equal(t, "5", header.Get("Retry-After"))
		assert.NotContains(t, answer, "SQL")
	}
	assert.Less(t, slowest, 3*time.Second, "only a gross failure fails here: the figure is the result")
	_, meanwhile := s.story(t, id)
	assert.Equal(t, before, meanwhile)
	_, err = db.Exec("ROLLBACK")
	require.NoError(t, err)
	eventually(t, "it is taken when it comes again", func() bool {
		code, _, _ := hook(t, address, d)
		return code == http.StatusOK
	})
	_, after := s.story(t, id)
	assert.Equal(t, 1, count(after, "alert.acknowledged Ada Lovelace"))
	figures("webhook while the ledger is locked: 503 after %.0f ms at most (limit 1 s), applied once afterwards", float64(slowest)/1e6)
}

// From a webhook to its answer, with the alert's change durable: some hundreds of acknowledgements, one after the other.
func TestLatencyOfAWebhook(t *testing.T) {
	const events = 300
	s, people, _ := prepare(t, kvRule)
	address := freePorts(t, 1)[0]
	s.receiver = []string{webhooks(address)}
	launch(t, s.dir, s.health, s.whole())
	s.sendHTTP(t, gauge("kv", "llama", 0.99))
	eventually(t, "it is paged", func() bool { return people.told("KVCacheNearlyFull", "firing") == 1 })
	key := people.all()[0].GroupKey
	var took []time.Duration
	for i := range events {
		kind := []string{"incident.acknowledged", "incident.unacknowledged"}[i%2]
		d := pagerDutyEvent(fmt.Sprint(i), kind, "user_reference", key, time.Now())
		began := time.Now()
		code, answer, _ := hook(t, address, d)
		took = append(took, time.Since(began))
		require.Equal(t, http.StatusOK, code, answer)
	}
	slices.Sort(took)
	p50, p99 := took[len(took)/2], took[len(took)*99/100]
	figures("webhook to its answer, durable, %d events, SQLite with fsync: p50 %.1f ms, p99 %.1f ms (limit 1 s)", events, float64(p50)/1e6, float64(p99)/1e6)
	assert.Less(t, p99, time.Second)
}
