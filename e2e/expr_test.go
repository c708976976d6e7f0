package e2e

import (
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/pmetric"
)

const queryRules = `
groups:
  - name: serving
    interval: 1s
    rules:
      - record: model:answers:rate5s
        expr: sum by (job, model_name) (rate(gen_ai_server_request_duration_seconds_count[5s]))
      - alert: TooManyAnswers
        expr: model:answers:rate5s > 250
        labels: {severity: high, team: platform}
        annotations: {summary: "{{ $labels.model_name }} answers {{ $value }} in a second"}
      - alert: SlowAnswers
        expr: histogram_quantile(0.95, sum by (le, job, model_name) (rate(gen_ai_server_request_duration_seconds_bucket[3s])))
        tiers:
          critical: {above: 2.5}
          high: {above: 1}
        owner: platform
        response: Add a replica.
      - alert: CacheFull
        expr: kv_ratio > 0.9
        for: 2s
        labels: {severity: critical}
`

// traffic is a model server that pushes OTLP: a cumulative histogram of its answers and a gauge.
type traffic struct {
	// answers come in a second, each takes seconds; both say what is pushed from now on.
	answers, milliseconds atomic.Int64
	cache                 atomic.Int64 // in percent
	silent                atomic.Bool
	// breached is when the first batch with a cache above 90 % was sent, in nanoseconds.
	breached atomic.Int64
}

// tick is how often traffic pushes.
const tick = 100 * time.Millisecond

var latencyBounds = []float64{0.1, 0.5, 1, 2, 5, 10}

// push starts a server, which ends with the test.
func push(t testing.TB, s *settings) *traffic {
	server := &traffic{}
	server.usual()
	stop, stopped := make(chan struct{}), make(chan struct{})
	t.Cleanup(func() { close(stop); <-stopped })
	start := pcommon.NewTimestampFromTime(time.Now())
	counts, sum := make([]uint64, len(latencyBounds)+1), 0.0
	go func() {
		defer close(stopped)
		ticker := time.NewTicker(tick)
		defer ticker.Stop()
		for {
			select {
			case <-stop:
				return
			case <-ticker.C:
			}
			took := float64(server.milliseconds.Load()) / 1000
			n := server.answers.Load() * int64(tick) / int64(time.Second)
			bucket, _ := slices.BinarySearch(latencyBounds, took)
			counts[bucket] += uint64(n)
			sum += took * float64(n)
			if server.silent.Load() {
				continue
			}
			md := gauge("kv", "llama", float64(server.cache.Load())/100)
			m := md.ResourceMetrics().At(0).ScopeMetrics().At(0).Metrics().AppendEmpty()
			m.SetName("gen_ai.server.request.duration")
			m.SetUnit("s")
			h := m.SetEmptyHistogram()
			h.SetAggregationTemporality(pmetric.AggregationTemporalityCumulative)
			p := h.DataPoints().AppendEmpty()
			p.SetStartTimestamp(start)
			p.SetTimestamp(pcommon.NewTimestampFromTime(time.Now()))
			p.Attributes().PutStr("model_name", "llama")
			p.ExplicitBounds().FromRaw(latencyBounds)
			p.BucketCounts().FromRaw(counts)
			p.SetSum(sum)
			p.SetCount(total(counts))
			if server.cache.Load() > 90 {
				server.breached.CompareAndSwap(0, time.Now().UnixNano())
			}
			s.try(md) // while the collector is killed nobody takes it
		}
	}()
	return server
}

func (s *traffic) usual() {
	s.answers.Store(100)
	s.milliseconds.Store(300)
	s.cache.Store(50)
	s.breached.Store(0)
}

func total(counts []uint64) (n uint64) {
	for _, c := range counts {
		n += c
	}
	return n
}

// one returns the only open alert of a rule.
func (s *settings) one(t testing.TB, rule string) episode {
	t.Helper()
	open := s.alerts(t, "?open=true&rule="+rule)
	require.Len(t, open, 1, rule)
	return open[0]
}

// A Prometheus rule file as it is, and tiers over a quantile: OTLP comes in, what the expressions find is paged with the
// labels of its series, its severity, owner, value and threshold, rises, and ends. What is recorded goes on.
func TestQueriesFireRiseAndEnd(t *testing.T) {
	s, people, out := prepare(t, queryRules)
	launch(t, s.dir, s.health, replace(s.whole(), "    storage: file_storage", "    storage: file_storage\n    emit_recorded: true"))
	server := push(t, s)
	values := func() (v []float64) {
		out.each(func(_ pmetric.ResourceMetrics, m pmetric.Metric) {
			if m.Name() != "model:answers:rate5s" {
				return
			}
			require.Equal(t, pmetric.MetricTypeGauge, m.Type())
			for _, p := range m.Gauge().DataPoints().All() {
				require.Equal(t, map[string]any{"job": "vllm", "model_name": "llama"}, p.Attributes().AsRaw())
				v = append(v, p.DoubleValue())
			}
		})
		return v
	}
	eventually(t, "the rate is recorded", func() bool {
		v := values()
		return len(v) > 0 && v[len(v)-1] > 80 && v[len(v)-1] < 120
	})
	require.Empty(t, s.alerts(t, ""), "as it is, nothing fires")

	// More, slower: the tier over the quantile and the alert over what is recorded.
	server.answers.Store(400)
	server.milliseconds.Store(1500)
	eventually(t, "SlowAnswers is paged", func() bool { return people.told("SlowAnswers", "firing") == 1 })
	eventually(t, "TooManyAnswers is paged", func() bool { return people.told("TooManyAnswers", "firing") == 1 })
	slow := find(people.all(), "SlowAnswers").Alerts[0]
	assert.Equal(t, "high", slow.Labels["severity"])
	assert.Equal(t, "platform", slow.Labels["owner"])
	assert.Equal(t, "vllm", slow.Labels["job"])
	assert.Equal(t, "llama", slow.Labels["model_name"])
	assert.NotContains(t, slow.Labels, "le")
	assert.NotContains(t, slow.Labels, "instance", "the expression leaves it out")
	assert.Equal(t, "1", slow.Annotations["threshold"])
	assert.Equal(t, "Add a replica.", slow.Annotations["response"])
	assert.Regexp(t, `^1\.\d+$`, slow.Annotations["value"], "between the bounds 1 and 2")
	many := find(people.all(), "TooManyAnswers").Alerts[0]
	assert.Equal(t, "high", many.Labels["severity"])
	assert.Equal(t, "platform", many.Labels["owner"], "from the label team")
	assert.Equal(t, "llama", many.Labels["model_name"])
	assert.Equal(t, "250", many.Annotations["threshold"], "split off the expression")
	assert.Regexp(t, `^llama answers [23]\d\d`, many.Annotations["summary"])
	first := s.one(t, "SlowAnswers")
	assert.Equal(t, "high", first.Severity)

	// Slower still: the same episode in a higher tier.
	server.milliseconds.Store(4000)
	eventually(t, "it rises", func() bool { return s.one(t, "SlowAnswers").Severity == "critical" })
	eventually(t, "and is paged as critical", func() bool {
		for _, p := range people.all() {
			for _, a := range p.Alerts {
				if a.Labels["alertname"] == "SlowAnswers" && a.Labels["severity"] == "critical" && a.Status == "firing" {
					return a.Annotations["threshold"] == "2.5" && a.Labels["episode_id"] == slow.Labels["episode_id"]
				}
			}
		}
		return false
	})
	assert.Equal(t, first.ID, s.one(t, "SlowAnswers").ID)

	// The plain rule waits for its `for`.
	require.Empty(t, people.paged("CacheFull"))
	server.cache.Store(97)
	eventually(t, "CacheFull is paged", func() bool { return people.told("CacheFull", "firing") == 1 })
	page := find(people.all(), "CacheFull")
	full := page.Alerts[0]
	assert.Equal(t, "critical", full.Labels["severity"])
	assert.Equal(t, "unowned", full.Labels["owner"])
	assert.Equal(t, "i-1", full.Labels["instance"])
	assert.Equal(t, "vllm", full.Labels["job"])
	assert.Equal(t, "0.97", full.Annotations["value"])
	assert.Equal(t, "0.9", full.Annotations["threshold"])
	took := page.at.Sub(time.Unix(0, server.breached.Load()))
	assert.GreaterOrEqual(t, took, 2*time.Second, "not before its `for`")
	figures("a PromQL rule with `for: 2s`, evaluated every second: breach by OTLP to accepted page %.1f s (2 s are `for`)", took.Seconds())

	server.usual()
	eventually(t, "all have ended", func() bool { return len(s.alerts(t, "?open=true")) == 0 })
	for _, rule := range []string{"SlowAnswers", "TooManyAnswers", "CacheFull"} {
		eventually(t, "the end of "+rule+" is told", func() bool { return people.told(rule, "resolved") == 1 })
		require.Len(t, s.alerts(t, "?rule="+rule), 1, "one episode each")
	}
	v := values()
	assert.Greater(t, slices.Max(v), 250.0, "the rise went on, too")
	assert.Zero(t, s.own(t, "otelcol_processor_threshold_evaluation_failures"))
	assert.Zero(t, s.own(t, "otelcol_processor_threshold_problems"))
}

// Killed while queries fire: what fires goes on firing, though the window is empty and nothing comes for a while, nobody is paged
// again, and it ends when data says so.
func TestKilledWhileQueriesFire(t *testing.T) {
	s, people, _ := prepare(t, queryRules)
	c := launch(t, s.dir, s.health, s.whole())
	server := push(t, s)
	server.milliseconds.Store(4000)
	server.cache.Store(97)
	rules := []string{"SlowAnswers", "CacheFull"}
	before := map[string]episode{}
	for _, rule := range rules {
		eventually(t, rule+" is paged at its height", func() bool {
			open := s.alerts(t, "?open=true&rule="+rule)
			if len(open) != 1 || open[0].Severity != "critical" || open[0].NotifiedAt.IsZero() || people.told(rule, "firing") == 0 {
				return false
			}
			before[rule] = open[0]
			return true
		})
	}
	told := func() (n int) {
		for _, rule := range rules {
			n += people.told(rule, "firing") + people.told(rule, "resolved")
		}
		return n
	}
	quiet := func(what string) {
		t.Helper()
		messages := told()
		steadily(t, what, 3*time.Second, func() bool {
			for _, rule := range rules {
				open := s.alerts(t, "?rule="+rule)
				if len(open) != 1 || open[0].ID != before[rule].ID || open[0].Outcome != before[rule].Outcome || open[0].State != before[rule].State {
					return false
				}
			}
			return told() == messages
		})
	}
	quiet("they fire, and everything is told")
	c.kill()
	server.silent.Store(true)
	c.start()
	quiet("the same episodes fire with nothing in the window")
	server.silent.Store(false)
	quiet("and when data comes again")
	c.kill()
	server.usual() // it recovers while the collector is away
	c.start()
	for _, rule := range rules {
		eventually(t, rule+" has ended", func() bool { return len(s.alerts(t, "?open=true&rule="+rule)) == 0 })
		eventually(t, "the end of "+rule+" is told", func() bool { return people.told(rule, "resolved") == 1 })
		require.Len(t, s.alerts(t, "?rule="+rule), 1, "it was one episode")
	}
}

// From a breach that arrives by OTLP to the accepted page, over rules in PromQL: the interval of the group is most of it.
func TestLatencyOfAQuery(t *testing.T) {
	const alerts = 20
	s, people, _ := prepare(t, `{groups: [{name: g, interval: 1s, rules: [{alert: CacheFull, expr: kv_ratio > 0.9, labels: {severity: critical}}]}]}`)
	launch(t, s.dir, s.health, replace(s.whole(), "group_by: [owner, alertname]", "group_by: [owner, alertname, model_name]"))
	var took []time.Duration
	for i := range alerts {
		model := "model-" + string(rune('a'+i))
		sent := time.Now()
		s.sendHTTP(t, gauge("kv", model, 0.99))
		eventually(t, model+" is paged", func() bool { return len(firing(people, model)) == 1 })
		pages := people.all()
		took = append(took, pages[len(pages)-1].at.Sub(sent))
	}
	slices.Sort(took)
	figures("breach by OTLP to accepted page, %d critical alerts of a PromQL rule with `interval: 1s`: fastest %.0f ms, p50 %.0f ms, slowest %.0f ms",
		alerts, float64(took[0])/1e6, float64(took[alerts/2])/1e6, float64(took[alerts-1])/1e6)
	assert.Less(t, took[alerts-1], 5*time.Second, "only a gross failure fails here: the figure is the result")
}

// One of several files turns bad: it is refused with its place, its last good version goes on, and the other file is followed.
func TestOneOfSeveralFilesTurnsBad(t *testing.T) {
	cache := "groups:\n  - name: cache\n    interval: 1s\n    rules:\n      - alert: CacheFull\n        expr: kv_ratio > 0.9\n        labels: {severity: critical}\n"
	queue := "groups:\n  - name: queue\n    interval: 1s\n    rules:\n      - alert: QueueLong\n        expr: queue_ratio > 10\n        labels: {severity: critical}\n"
	s, people, _ := prepare(t, cache)
	s.write(t, "rules-queue.yaml", queue)
	c := launch(t, s.dir, s.health, replace(s.whole(), "rules.yaml", "rules*.yaml"))
	s.write(t, "rules-queue.yaml", replace(queue, "queue_ratio > 10", "sum by (queue_ratio) > 10"))
	s.write(t, "rules.yaml", replace(cache, "> 0.9", "> 0.8"))
	eventually(t, "the bad file is refused", func() bool { return strings.Contains(c.log.String(), "A rule file is refused") })
	eventually(t, "the good one is taken", func() bool { return strings.Contains(c.log.String(), "has changed and is in force") })
	line := lineWith(c.log.String(), "A rule file is refused")
	assert.Regexp(t, `rules-queue\.yaml:6:\d+`, line, "its line and column")
	assert.Contains(t, line, "groups[0].rules[0].expr")
	assert.Contains(t, lineWith(c.log.String(), "has changed and is in force"), filepath.Join(s.dir, "rules.yaml"))
	s.sendHTTP(t, gauge("kv", "llama", 0.85))
	s.sendHTTP(t, gauge("queue", "llama", 11))
	eventually(t, "the new threshold pages", func() bool { return people.told("CacheFull", "firing") == 1 })
	eventually(t, "the bad file's last good version pages", func() bool { return people.told("QueueLong", "firing") == 1 })
	assert.InDelta(t, 1, s.own(t, "otelcol_processor_threshold_reloads", `result="refused"`), 0)
	s.write(t, "rules-queue.yaml", replace(queue, "> 10", "> 20"))
	eventually(t, "mended, it is taken", func() bool { return len(s.alerts(t, "?open=true&rule=QueueLong")) == 0 })
	assert.Equal(t, 1, strings.Count(c.log.String(), "A rule file is refused"), "said once")
	require.Len(t, s.alerts(t, "?open=true&rule=CacheFull"), 1, "the other file's alert is none the worse")
}

func lineWith(text, part string) string {
	for line := range strings.Lines(text) {
		if strings.Contains(line, part) {
			return line
		}
	}
	return ""
}

// A server was upgraded and has renamed a metric: the rule on the old name is said to find nothing, and only that one.
func TestARenamedMetricIsAProblem(t *testing.T) {
	s, _, _ := prepare(t, `
groups:
  - name: cache
    interval: 1s
    rules:
      - {alert: OldName, expr: "gpu_cache_ratio > 0.9"}
      - {alert: NewName, expr: "kv_ratio > 0.9"}
      - {alert: OldMetric, metric: gpu.cache, tiers: {high: {above: 0.9}}}
      - {alert: NewMetric, metric: kv, tiers: {high: {above: 0.9}}}
`)
	c := launch(t, s.dir, s.health, replace(s.whole(), "    storage: file_storage", "    storage: file_storage\n    never_matched: 1s"))
	push(t, s)
	reported := func(rule string) bool {
		return s.own(t, "otelcol_processor_threshold_problems", `kind="never_matched"`, `rule="`+rule+`"`) > 0
	}
	eventually(t, "the old names are problems, the new ones are none", func() bool {
		return reported("OldName") && reported("OldMetric") && !reported("NewName") && !reported("NewMetric")
	})
	steadily(t, "and it stays so", 2*time.Second, func() bool {
		return reported("OldName") && reported("OldMetric") && !reported("NewName") && !reported("NewMetric")
	})
	assert.Contains(t, c.log.String(), "OldName", "the log says so, too")
}
