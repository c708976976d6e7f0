package e2e

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// plainRules is a rule file as Prometheus takes it. absent() is not among them: here it waits until the window has covered
// its look-back, five minutes after the start.
const plainRules = `
groups:
  - name: serving
    interval: 1s
    rules:
      - record: model:errors:ratio_rate5s
        expr: sum by (model) (rate(requests_total{code=~"5.."}[5s])) / sum by (model) (rate(requests_total[5s]))
      - alert: ManyErrors
        expr: model:errors:ratio_rate5s > 0.2
        for: 2s
        labels: {severity: page, team: inference}
      - alert: Slow
        expr: histogram_quantile(0.9, sum by (le, model) (rate(latency_seconds_bucket[5s]))) > 2
        labels: {severity: warning}
        annotations: {summary: '{{ $labels.model }} takes {{ $value | humanizeDuration }}'}
      - alert: QueueBeyondSlots
        expr: queue_length > on (job, instance, model) slots and on () up == 1
        labels: {severity: critical, queue: 'of {{ $labels.model }}'}
      - alert: SomethingElse
        expr: count(ALERTS{alertstate="firing", alertname!="SomethingElse"}) > 1
        keep_firing_for: 3s
  - name: targets
    interval: 1s
    rules:
      - {alert: Gone, expr: up == 0, labels: {severity: critical}}
`

// server is what a model server exposes: it goes on counting between scrapes.
type server struct {
	*exposition
	good, bad, fast, slow float64
}

const serverText = `# TYPE requests_total counter
requests_total{model="a",code="200"} 0
requests_total{model="a",code="503"} 0
# TYPE latency_seconds histogram
latency_seconds_bucket{model="a",le="0.5"} 0
latency_seconds_bucket{model="a",le="5"} 0
latency_seconds_bucket{model="a",le="+Inf"} 0
latency_seconds_sum{model="a"} 0
latency_seconds_count{model="a"} 0
# TYPE queue_length gauge
queue_length{model="a"} 1
queue_length{model="b"} 1
# TYPE slots gauge
slots{model="a"} 8
slots{model="b"} 8
`

// count lets some requests pass.
func (s *server) count(good, bad, fast, slow float64) {
	s.good, s.bad, s.fast, s.slow = s.good+good, s.bad+bad, s.fast+fast, s.slow+slow
	for series, v := range map[string]float64{
		`requests_total{model="a",code="200"}`: s.good, `requests_total{model="a",code="503"}`: s.bad,
		`latency_seconds_bucket{model="a",le="0.5"}`: s.fast, `latency_seconds_bucket{model="a",le="5"}`: s.fast + s.slow,
		`latency_seconds_bucket{model="a",le="+Inf"}`: s.fast + s.slow, `latency_seconds_sum{model="a"}`: s.fast*0.2 + s.slow*4,
		`latency_seconds_count{model="a"}`: s.fast + s.slow,
	} {
		s.set(series, fmt.Sprint(v))
	}
}

// TestBesidePrometheus gives the same rule file to a Prometheus that scrapes the same server: through an incident and its
// end both come to the same alerts.
func TestBesidePrometheus(t *testing.T) {
	path, err := exec.LookPath("prometheus")
	if err != nil {
		lacking(t, "prometheus is not installed")
	}
	s, _, _ := prepare(t, plainRules)
	model := &server{exposition: serve(t, serverText)}
	s.scrape = []string{model.address()}
	config := s.write(t, "prometheus.yaml", fmt.Sprintf(
		"scrape_configs: [{job_name: server-0, scrape_interval: 500ms, scrape_timeout: 400ms, static_configs: [{targets: [%q]}]}]\nrule_files: [%q]\n", model.address(), s.rules))
	address := freePorts(t, 1)[0]
	log := &syncBuffer{}
	theirs := exec.Command(path, "--config.file="+config, "--storage.tsdb.path="+s.dir+"/tsdb", "--web.listen-address="+address)
	theirs.Stdout, theirs.Stderr = log, log
	theirs.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	require.NoError(t, theirs.Start())
	t.Cleanup(func() {
		_ = theirs.Process.Signal(os.Interrupt)
		_ = theirs.Wait()
		if t.Failed() {
			t.Logf("Prometheus' log:\n%s", tail(log.String(), 20))
		}
	})
	launch(t, s.dir, s.health, s.whole())

	good, bad, fast, slow := 10.0, 0.0, 10.0, 0.0
	stop, stopped := make(chan struct{}), make(chan struct{})
	phase := make(chan func(), 1)
	go func() {
		defer close(stopped)
		ticker := time.NewTicker(100 * time.Millisecond)
		defer ticker.Stop()
		for {
			select {
			case <-stop:
				return
			case change := <-phase:
				change()
			case <-ticker.C:
				model.count(good, bad, fast, slow)
			}
		}
	}()
	t.Cleanup(func() { close(stop); <-stopped })

	prometheus := func() []string { return firingThere(t, "http://"+address+"/api/v1/alerts") }
	here := func() []string {
		var all []string
		for _, e := range s.alerts(t, "?open=true") {
			all = append(all, e.Rule+" "+labels.FromMap(e.Labels).String())
		}
		slices.Sort(all)
		return all
	}
	same := func(what string, rules ...string) {
		t.Helper()
		var there, ours []string
		agree := func() bool {
			there, ours = prometheus(), here()
			return slices.Equal(there, ours) && slices.Equal(named(there), rules)
		}
		for deadline := time.Now().Add(patience); !agree(); time.Sleep(50 * time.Millisecond) {
			if time.Now().After(deadline) {
				t.Fatalf("%s: wanted %v\nPrometheus has %s\nthis has %s", what, rules, strings.Join(there, "\n  "), strings.Join(ours, "\n  "))
			}
		}
	}
	eventually(t, "Prometheus is up", func() bool {
		resp, err := http.Get("http://" + address + "/-/ready")
		if err != nil {
			return false
		}
		_ = resp.Body.Close()
		return resp.StatusCode == http.StatusOK
	})
	eventually(t, "both scrape", func() bool {
		return s.own(t, "otelcol_receiver_accepted_metric_points") > 0
	})
	same("all is well")
	phase <- func() { good, bad, fast, slow = 6, 4, 5, 5 }
	same("errors, and slow", "ManyErrors", "Slow", "SomethingElse")
	model.set(`queue_length{model="a"}`, "9")
	model.set(`queue_length{model="b"}`, "20")
	same("two queues, too", "ManyErrors", "QueueBeyondSlots", "QueueBeyondSlots", "Slow", "SomethingElse")
	phase <- func() { good, bad, fast, slow = 10, 0, 10, 0 }
	model.set(`queue_length{model="b"}`, "2")
	same("one queue is left", "QueueBeyondSlots")
	model.Close()
	same("the server is gone", "Gone")
	assert.Zero(t, s.own(t, "otelcol_processor_threshold_evaluation_failures"))
}

// named are the rules of alerts.
func named(alerts []string) []string {
	var all []string
	for _, a := range alerts {
		name, _, _ := strings.Cut(a, " ")
		all = append(all, name)
	}
	return all
}

// firingThere lists what fires in a Prometheus.
func firingThere(t testing.TB, url string) []string {
	resp, err := http.Get(url)
	require.NoError(t, err)
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	var answer struct {
		Data struct {
			Alerts []struct {
				Labels map[string]string
				State  string
			}
		}
	}
	require.NoError(t, json.Unmarshal(body, &answer), string(body))
	var all []string
	for _, a := range answer.Data.Alerts {
		if a.State != "firing" {
			continue
		}
		name := a.Labels["alertname"]
		delete(a.Labels, "alertname")
		all = append(all, name+" "+labels.FromMap(a.Labels).String())
	}
	slices.Sort(all)
	return all
}
