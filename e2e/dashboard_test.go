package e2e

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/otelcol-escalation/otelcol-escalation/internal/dashboard/dashboardtest"
)

// drawnRules has a rule of each kind: of a metric as it passes, one with a band, of PromQL with a threshold in it, and one whose
// expression cannot be taken apart.
const drawnRules = `
groups:
  - name: serving
    interval: 1s
    rules:
      - alert: CacheNearlyFull
        metric: vllm:kv_cache_usage_perc
        tiers: {critical: {above: 0.80}}
        owner: platform
        response: Drain the replica, then add one.
      - alert: InputDrift
        metric: model.drift
        tiers: {critical: {outside: [-100, 0.80]}}
        owner: platform
      - alert: QueueLong
        expr: max by (model_name) (queue_length) > 0.80
        labels: {severity: page, team: platform}
      - alert: QueueBeyondSlots
        expr: queue_length > on (model_name) slots
        labels: {severity: page, team: platform}
`

// thresholded are the rules that have something to calibrate.
var thresholded = []string{"CacheNearlyFull", "InputDrift", "QueueLong"}

// level sends every metric of drawnRules for a model.
func (s *settings) level(t testing.TB, model string, v float64) {
	for metric, unit := range map[string]string{"vllm:kv_cache_usage_perc": "", "model.drift": "1", "queue_length": "{request}"} {
		md := gauge(metric, model, v)
		md.ResourceMetrics().At(0).ScopeMetrics().At(0).Metrics().At(0).SetUnit(unit)
		s.sendHTTP(t, md)
	}
	md := gauge("slots", model, 0.80)
	md.ResourceMetrics().At(0).ScopeMetrics().At(0).Metrics().At(0).SetUnit("")
	s.sendHTTP(t, md)
}

// of returns the alerts of a model, by rule.
func (s *settings) of(t testing.TB, model string) map[string]episode {
	all := map[string]episode{}
	for _, e := range s.alerts(t, "") {
		if e.Labels["model_name"] == model {
			all[e.Rule] = e
		}
	}
	return all
}

// live lets alerts of a model fire, be judged, and end.
func (s *settings) live(t testing.TB, people *pager, model string, v float64, verdict string) {
	t.Helper()
	s.level(t, model, v)
	var all map[string]episode
	eventually(t, "alerts of "+model+" are paged", func() bool {
		s.level(t, model, v)
		all = s.of(t, model)
		for _, e := range all {
			if e.NotifiedAt.IsZero() {
				return false
			}
		}
		return len(all) == len(thresholded)+1
	})
	for _, e := range all {
		require.Equal(t, http.StatusOK, s.post(t, "/api/v1/alerts/"+e.ID+"/acknowledge", `{"by": "anna"}`))
		require.Equal(t, http.StatusOK, s.post(t, "/api/v1/alerts/"+e.ID+"/verdict", fmt.Sprintf(`{"by": "anna", "verdict": %q}`, verdict)))
	}
	eventually(t, "alerts of "+model+" end", func() bool {
		s.level(t, model, 0.1)
		for _, e := range s.of(t, model) {
			if e.Outcome == "" {
				return false
			}
		}
		return true
	})
	assert.NotZero(t, people.told("CacheNearlyFull", "firing"))
}

// TestDashboard: alerts fire, are paged, judged and calibrated; what the collector says about them goes to Prometheus, over OTLP to
// one of today and by a scrape to the one that Debian has; and every query of the dashboard that alertctl draws of these rules, and
// of the one that is shipped, has an answer.
func TestDashboard(t *testing.T) {
	alertctl := built(t, "ALERTCTL_BIN", "alertctl")
	prometheus := newLibrary(t)
	s, people, _ := prepare(t, drawnRules)
	s.sink = prometheus.URL + "/api/v1/otlp"
	s.owners = `{platform: {alert_budget: 2 per 12h, steps: [{receivers: [oncall]}, {after: 1h, receivers: [lead]}]}, unowned: {steps: [{receivers: [oncall]}]}}`
	s.receiver = []string{"suggestions: {min_episodes: 3, min_age: 0s, max_step: 50%}"}
	scraped := freePorts(t, 1)[0]
	configuration := strings.NewReplacer(
		"exporters:\n", fmt.Sprintf("exporters:\n  prometheus: {endpoint: %s}\n", scraped),
		"exporters: [otlp_http/sink, escalation]", "exporters: [otlp_http/sink, prometheus, escalation]",
		"metrics/calibration: {receivers: [calibration], exporters: [otlp_http/sink]}", "metrics/calibration: {receivers: [calibration], exporters: [otlp_http/sink, prometheus]}",
	).Replace(s.whole())
	asked := map[string]asker{"a Prometheus that was sent OTLP": prometheus}
	if debian := s.scrapedBy(t, scraped); debian != nil {
		asked["Debian's Prometheus, which scraped the collector"] = debian
	}
	began := time.Now()
	c := launch(t, s.dir, s.health, configuration)

	for i, v := range []float64{0.82, 0.83, 0.84} {
		s.live(t, people, fmt.Sprintf("mild-%d", i), v, "false_positive")
	}
	s.live(t, people, "bad", 0.99, "true_positive")
	for _, rule := range thresholded {
		at := began.Add(-3 * time.Hour).UTC().Format(time.RFC3339) // when nothing fired that could have been it
		require.Equal(t, http.StatusOK, s.post(t, "/api/v1/missed", fmt.Sprintf(`{"rule": %q, "at": %q, "by": "anna"}`, rule, at)))
	}
	eventually(t, "suggestions stand", func() bool {
		s.level(t, "bad", 0.1)
		return len(s.suggested(t)) == len(thresholded)
	})
	figures("TestDashboard: suggested instead of 0.8: %v", s.suggested(t))
	for _, to := range asked {
		eventually(t, "suggestions have come", func() bool {
			n, err := to.ask("alert_threshold_suggested", true, began, time.Now(), time.Second)
			return err == nil && n == len(thresholded)
		})
	}
	s.write(t, "rules.yaml", strings.ReplaceAll(drawnRules, "0.80", "0.81"))
	eventually(t, "the rules are read again", func() bool { return strings.Contains(c.log.String(), "A rule file has changed and is in force") })
	eventually(t, "the changed thresholds are in force", func() bool {
		s.level(t, "open", 0.95)
		found := 0
		for _, e := range s.of(t, "open") {
			if e.Threshold == 0.81 {
				found++
			}
		}
		return found == len(thresholded)
	})

	for _, e := range s.of(t, "open") { // what is concluded about thresholds follows at once
		require.Equal(t, http.StatusOK, s.post(t, "/api/v1/alerts/"+e.ID+"/acknowledge", `{"by": "anna"}`))
	}

	// The worst first, with what is suggested.
	drawn, err := exec.Command(alertctl, "dashboard", "--rules", s.rules, "--from", "http://"+s.page).Output()
	require.NoError(t, err)
	shipped, err := os.ReadFile("../dashboards/alert-quality.json")
	require.NoError(t, err)
	d := dashboardtest.Read(t, drawn)
	for _, rule := range thresholded {
		assert.Contains(t, d.Find(t, rule).Description, "Suggestion for critical")
	}
	assert.Equal(t, "vllm:kv_cache_usage_perc", d.Find(t, "CacheNearlyFull").Targets[0].Expr, "the unit is known")
	assert.Equal(t, `{__name__=~"model_drift|model_drift_ratio"}`, d.Find(t, "InputDrift").Targets[0].Expr)

	for _, content := range [][]byte{drawn, shipped} {
		d := dashboardtest.Read(t, content)
		for what, to := range asked {
			n := answered(t, d, to, began, func() { s.level(t, "open", 0.95) })
			figures("TestDashboard: %s: all %d queries have an answer from %s", d.Title, n, what)
		}
	}
}

// answered waits until every query of a dashboard has an answer, whether all is chosen on it or some, and counts the queries.
func answered(t testing.TB, d *dashboardtest.Dashboard, to asker, began time.Time, live func()) int {
	t.Helper()
	queries := d.Queries(t)
	some := map[string][]string{"owner": {"platform"}, "severity": {"critical", "high"}, "rule": {"CacheNearlyFull", "QueueLong"}}
	for deadline := time.Now().Add(patience); ; time.Sleep(time.Second) {
		live()
		now, empty := time.Now(), []string(nil)
		for _, values := range []map[string][]string{nil, some} {
			// What takes place every minute in the collectors that people run takes place every second here.
			view := dashboardtest.View{Values: values, Range: time.Since(began) + 10*time.Minute, Step: 2 * time.Second}
			for _, q := range queries {
				n, err := to.ask(d.Expand(view, q.Expr), q.Instant, began, now, view.Step)
				require.NoError(t, err, "%s: %s", q.Where, q.Expr)
				if n == 0 {
					empty = append(empty, q.Row+": "+q.Where)
				}
			}
		}
		if len(empty) == 0 {
			return len(queries)
		}
		require.True(t, time.Now().Before(deadline), "%s: no answer to %q", d.Title, empty)
	}
}

// asker runs queries.
type asker interface {
	ask(expr string, instant bool, from, to time.Time, step time.Duration) (series int, err error)
}

// suggested are the thresholds that are suggested, by rule.
func (s *settings) suggested(t testing.TB) map[string]float64 {
	resp, err := http.Get("http://" + s.page + "/api/v1/rules")
	require.NoError(t, err)
	defer func() { _ = resp.Body.Close() }()
	var answer struct {
		Rules []struct {
			Rule       string
			Thresholds []struct{ Suggested *float64 }
		}
	}
	require.NoError(t, json.NewDecoder(resp.Body).Decode(&answer))
	all := map[string]float64{}
	for _, r := range answer.Rules {
		for _, threshold := range r.Thresholds {
			if threshold.Suggested != nil {
				all[r.Rule] = *threshold.Suggested
			}
		}
	}
	return all
}

// scraper is a Prometheus server that scrapes.
type scraper struct{ address string }

// scrapedBy starts Debian's Prometheus, which scrapes the collector's Prometheus exporter; nil where it is not installed.
func (s *settings) scrapedBy(t testing.TB, target string) asker {
	path, err := exec.LookPath("prometheus")
	if err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatal("prometheus is not installed")
		}
		figures("TestDashboard: prometheus is not installed: nothing scrapes the collector")
		return nil
	}
	config := s.write(t, "prometheus.yaml", fmt.Sprintf(
		"scrape_configs: [{job_name: collector, scrape_interval: 1s, scrape_timeout: 900ms, static_configs: [{targets: [%q]}]}]\n", target))
	address := freePorts(t, 1)[0]
	log := &syncBuffer{}
	cmd := exec.Command(path, "--config.file="+config, "--storage.tsdb.path="+s.dir+"/tsdb", "--web.listen-address="+address, "--enable-feature=native-histograms") //nolint:gosec // what is installed
	cmd.Stdout, cmd.Stderr = log, log
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	require.NoError(t, cmd.Start())
	t.Cleanup(func() {
		_ = cmd.Process.Signal(os.Interrupt)
		_ = cmd.Wait()
		if t.Failed() {
			t.Logf("Prometheus' log:\n%s", tail(log.String(), 20))
		}
	})
	return scraper{address}
}

func (p scraper) ask(expr string, instant bool, from, to time.Time, step time.Duration) (int, error) {
	at := func(t time.Time) string { return strconv.FormatFloat(float64(t.UnixMilli())/1000, 'f', -1, 64) }
	path, form := "/api/v1/query", url.Values{"query": {expr}, "time": {at(to)}}
	if !instant {
		path, form = "/api/v1/query_range", url.Values{"query": {expr}, "start": {at(from)}, "end": {at(to)}, "step": {step.String()}}
	}
	resp, err := http.PostForm("http://"+p.address+path, form)
	if err != nil {
		return 0, err
	}
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		return 0, err
	}
	var answer struct {
		Error string
		Data  struct {
			Result []struct {
				Value  [2]any
				Values [][2]any
			}
		}
	}
	if err := json.Unmarshal(body, &answer); err != nil {
		return 0, err
	}
	if answer.Error != "" {
		return 0, fmt.Errorf("%s", answer.Error)
	}
	n := 0
	for _, series := range answer.Data.Result {
		if slices.ContainsFunc(append(series.Values, series.Value), func(p [2]any) bool { return p[1] != nil && p[1] != "NaN" }) {
			n++
		}
	}
	return n, nil
}
