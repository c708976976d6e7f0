package e2e

import (
	"bytes"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/pmetric"
)

// at moves every point of a batch in time.
func at(md pmetric.Metrics, by time.Duration) pmetric.Metrics {
	points := md.ResourceMetrics().At(0).ScopeMetrics().At(0).Metrics().At(0).Gauge().DataPoints()
	for _, p := range points.All() {
		p.SetTimestamp(pcommon.NewTimestampFromTime(p.Timestamp().AsTime().Add(by)))
	}
	return md
}

// Senders whose clocks jump, points that are repeated, late, or out of order: nothing that is well fires, nothing that
// fires is called resolved, and a series with one wild point is judged as before.
func TestFaultWildPoints(t *testing.T) {
	rounds := length(1, 20)
	s, people, _ := prepare(t, kvRule)
	launch(t, s.dir, s.health, replace(s.whole(), "group_by: [owner, alertname]", "group_by: [owner, alertname, model_name]"))
	wild, late := 0, time.Duration(0)
	for round := range rounds {
		healthy, sick, blinded := fmt.Sprint("healthy-", round), fmt.Sprint("sick-", round), fmt.Sprint("blinded-", round)
		s.sendHTTP(t, gauge("kv", healthy, 0.5))
		s.sendHTTP(t, gauge("kv", sick, 0.99))
		s.sendHTTP(t, gauge("kv", blinded, 0.5))
		eventually(t, "the sick one is paged", func() bool { return len(firing(people, sick)) == 1 })
		for _, by := range []time.Duration{time.Hour, -time.Hour, 1000 * time.Hour, -1000 * time.Hour} {
			s.sendHTTP(t, at(gauge("kv", healthy, 0.99), by)) // of another time: it tells nothing about now
			s.sendHTTP(t, at(gauge("kv", sick, 0.5), by))
			s.sendHTTP(t, at(gauge("kv", blinded, 0.5), by))
			wild += 3
		}
		md := gauge("kv", sick, 0.99)
		for range 10 {
			s.sendHTTP(t, md)
			wild++
		}
		s.sendHTTP(t, at(gauge("kv", sick, 0.5), -10*time.Second)) // from before: out of order
		wild++
		began := time.Now()
		s.sendHTTP(t, gauge("kv", blinded, 0.99))
		eventually(t, "the one with a wild point is judged", func() bool { return len(firing(people, blinded)) == 1 })
		late = max(late, time.Since(began))
		assert.Empty(t, firing(people, healthy), "a false fire")
		assert.Zero(t, ends(people, sick), "a false resolve")
		assert.Len(t, firing(people, sick), 1)
	}
	figures("fault clock jumps, wild, repeated and reordered points: %d such points among %d series: false fires 0, false resolves 0; a series with one is judged at once (%.0f ms at most)",
		wild, 3*rounds, float64(late)/1e6)
}

// The next consumer fails k times and then accepts: the sender's retries end in what one accepted batch ends in.
func TestFaultNextConsumerFails(t *testing.T) {
	rounds := length(3, 50)
	s, people, out := prepare(t, kvRule)
	var left, failed atomic.Int64
	front := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasSuffix(r.URL.Path, "/metrics") && left.Add(-1) >= 0 {
			failed.Add(1)
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		body := new(bytes.Buffer)
		_, _ = body.ReadFrom(r.Body)
		resp, err := http.Post(out.URL+r.URL.Path, r.Header.Get("Content-Type"), body)
		if err != nil {
			w.WriteHeader(http.StatusBadGateway)
			return
		}
		_ = resp.Body.Close()
		w.WriteHeader(resp.StatusCode)
	}))
	t.Cleanup(front.Close)
	s.sink = front.URL
	config := replace(s.whole(), "group_by: [owner, alertname]", "group_by: [owner, alertname, model_name]")
	// The receiver's own metrics would use the failures up.
	launch(t, s.dir, s.health, replace(config, "metrics/calibration: {receivers: [calibration], exporters: [otlp_http/sink]}", ""))
	for round := range rounds {
		model := fmt.Sprint("model-", round)
		for _, v := range []float64{0.99, 0.5} {
			left.Store(int64(round % 6))
			md := gauge("kv", model, v)
			eventually(t, "the batch is accepted", func() bool { return s.try(md) })
		}
		eventually(t, "the page and the end", func() bool { return ends(people, model) > 0 })
		assert.Len(t, firing(people, model), 1)
		assert.Equal(t, 1, ends(people, model))
	}
	assert.Len(t, s.alerts(t, "?limit=1000"), rounds)
	figures("fault the next consumer fails up to 5 times for each batch: %d failures, %d alerts: one page and one end each", failed.Load(), rounds)
}

const slowRules = `
groups:
  - name: vllm
    rules:
      - alert: WithFor
        metric: kv
        tiers: {critical: {above: 0.98, for: 4s}}
        owner: platform
      - alert: WithWindow
        metric: kv
        tiers: {high: {above: 0.9}}
        owner: platform
`

// Restarted during `for`, during a window and between two steps: each happens when it should have, and once. After
// kill -9 a `for` that began since the last snapshot (every 30 s) begins anew.
func TestFaultRestartDuringWaits(t *testing.T) {
	t.Run("by SIGTERM", func(t *testing.T) { restartDuringWaits(t, (*collector).stop, 2*time.Second) })
	t.Run("by kill -9", func(t *testing.T) { restartDuringWaits(t, (*collector).kill, 30*time.Second) })
}

func restartDuringWaits(t *testing.T, end func(*collector), bound time.Duration) {
	t.Parallel()
	const interval = 250 * time.Millisecond
	rounds := length(1, 10)
	worst := map[string]time.Duration{}
	for range rounds {
		s, people, _ := prepare(t, slowRules)
		s.tiers = `{critical: {window: 0s, repeat_interval: 1h}, high: {window: 4s}}`
		s.owners = `{platform: {steps: [{receivers: [oncall]}, {after: 3s, receivers: [lead]}]}, unowned: {steps: [{receivers: [oncall]}]}}`
		c := launch(t, s.dir, s.health, s.whole())
		draw := dice(t)
		began := time.Now()
		kills := []time.Time{ // during both waits, and between the steps
			began.Add(time.Second + time.Duration(draw.Int64N(int64(2*time.Second)))),
			began.Add(5 * time.Second),
		}
		due := map[string]time.Duration{"WithFor 1": 4 * time.Second, "WithWindow 1": 4 * time.Second, "WithFor 2": 7 * time.Second, "WithWindow 2": 7 * time.Second}
		seen := func() map[string][]time.Duration {
			pages := map[string][]time.Duration{}
			for _, p := range people.all() {
				for _, a := range p.Alerts {
					key := a.Labels["alertname"] + " " + a.Annotations["step"]
					pages[key] = append(pages[key], p.at.Sub(began))
				}
			}
			return pages
		}
		for next := began; len(seen()) < len(due) && time.Since(began) < patience; next = next.Add(interval) {
			time.Sleep(time.Until(next))
			if len(kills) > 0 && time.Now().After(kills[0]) {
				kills = kills[1:]
				end(c)
				c.start()
			}
			s.try(gauge("kv", "llama", 0.99))
		}
		pages := seen()
		for key, want := range due {
			require.Len(t, pages[key], 1, "%s: once", key)
			late := pages[key][0] - want
			assert.Greater(t, late, -interval, "%s: not early", key)
			assert.Less(t, late, bound, "%s: only a gross failure fails here: the figure is the result", key)
			worst[key] = max(worst[key], late)
		}
		assert.Zero(t, people.told("WithFor", "resolved")+people.told("WithWindow", "resolved"))
		c.stop()
	}
	figures("fault restart %s during `for`, a window and between steps, %d times, points every %s: late at most %s (for), %s (window), %s and %s (second steps); no step twice",
		t.Name()[strings.Index(t.Name(), "/")+1:], 2*rounds, interval, worst["WithFor 1"].Round(time.Millisecond), worst["WithWindow 1"].Round(time.Millisecond),
		worst["WithFor 2"].Round(time.Millisecond), worst["WithWindow 2"].Round(time.Millisecond))
}

// resident is how much memory the process has, in MB.
func (c *collector) resident() float64 {
	c.t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", c.cmd.Process.Pid))
	if err != nil {
		lacking(c.t, "no /proc to read memory from: %v", err)
	}
	_, rest, _ := strings.Cut(string(text), "VmRSS:")
	var kb float64
	_, err = fmt.Sscanf(rest, "%f kB", &kb)
	require.NoError(c.t, err)
	return kb / 1024
}

// Twice as many series as the limit allows, again and again, new ones each time: memory stays, what fires is kept, and
// what is over the limit is counted.
func TestFaultCardinality(t *testing.T) {
	limit, rounds := length(2000, 50_000), length(3, 20)
	s, people, _ := prepare(t, strings.Replace(kvRule, "metric: kv\n", "metric: kv\n        no_data: {after: 1h, tier: low}\n", 1))
	config := replace(s.whole(), "resend_interval: 2s", fmt.Sprintf("limits: {series_per_rule: %d}", limit))
	config = replace(config, "exporters: [otlp_http/sink, escalation]", "exporters: [escalation]")
	c := launch(t, s.dir, s.health, config)
	s.sendHTTP(t, gauges("kv", 0, 100, func(int) float64 { return 0.99 }))
	eventually(t, "they are paged", func() bool { return len(people.paged("KVCacheNearlyFull")) == 100 })
	var memory []float64
	next := 100
	for range rounds {
		for sent := 0; sent < 2*limit; sent += 2000 {
			s.sendHTTP(t, gauges("kv", next, 2000, func(int) float64 { return 0.5 }))
			next += 2000
		}
		memory = append(memory, c.resident())
	}
	over := s.own(t, "otelcol_processor_threshold_points_unjudged")
	require.Len(t, s.alerts(t, "?open=true&limit=1000"), 100, "what fires is kept")
	require.Zero(t, people.told("KVCacheNearlyFull", "resolved"))
	assert.GreaterOrEqual(t, over, float64(next-100-limit))
	s.sendHTTP(t, gauges("kv", 0, 100, func(int) float64 { return 0.5 }))
	eventually(t, "and ends", func() bool { return len(s.alerts(t, "?open=true")) == 0 })
	figures("fault cardinality over the limit of %d series: %d series in all; resident MB after each %d: %.0f; firing alerts kept 100 of 100, points over the limit counted %.0f",
		limit, next, 2*limit, memory, over)
	assert.Less(t, memory[len(memory)-1], 1.5*memory[0]+50)
}

// A recording without an end: many series, some replaced as time goes by, a known part of them in breach for
// a known time. The memory's slope is measured over the second half, and the transitions are counted against what was
// sent.
func TestFaultEndlessRecording(t *testing.T) {
	series, lasts := length(2000, 200_000), length(4*time.Second, 6*time.Minute)
	s, people, _ := prepare(t, strings.Replace(kvRule, "metric: kv\n", "metric: kv\n        no_data: {hold_for: 1h}\n", 1))
	s.tiers = `{critical: {window: 0s}}`
	config := replace(s.whole(), "resend_interval: 2s", fmt.Sprintf("limits: {series_per_rule: %d}", 4*series))
	config = replace(config, "exporters: [otlp_http/sink, escalation]", "exporters: [escalation]")
	c := launch(t, s.dir, s.health, config)
	const perBatch, sick = 5000, 20
	churn := length(1., 0.01) // of the series, a minute
	base, rounds, fired := 0, 0, 0
	breach := func(i int) float64 { // in every other round a few are in breach: each time an episode
		if rounds%2 == 1 && i < sick {
			return 0.99
		}
		return 0.5
	}
	type sample struct{ at, mb float64 }
	var memory []sample
	began := time.Now()
	for time.Since(began) < lasts || rounds%2 == 0 { // it ends after a round in which all are well
		s.sendHTTP(t, gauges("kv", 0, sick, breach))
		for first := 0; first < series; first += perBatch {
			s.sendHTTP(t, gauges("kv", sick+base+first, min(perBatch, series-first), func(int) float64 { return 0.5 }))
		}
		if rounds%2 == 1 {
			fired += sick
		}
		base = int(time.Since(began).Minutes() * churn * float64(series))
		rounds++
		memory = append(memory, sample{time.Since(began).Minutes(), c.resident()})
	}
	eventually(t, "all have ended", func() bool { return len(s.alerts(t, "?open=true")) == 0 })
	sum := func(kind string) float64 {
		return s.own(t, "otelcol_exporter_escalation_transitions", fmt.Sprintf("kind=%q", kind))
	}
	assert.EqualValues(t, fired, sum("opened"), "as many as the model's")
	assert.EqualValues(t, fired, sum("ended"), "as many as the model's")
	half := memory[len(memory)/2:]
	var n, x, y, xx, xy float64
	for _, m := range half {
		n, x, y, xx, xy = n+1, x+m.at, y+m.mb, xx+m.at*m.at, xy+m.at*m.mb
	}
	slope := (n*xy - x*y) / (n*xx - x*x)
	figures("fault endless recording: %d series, %.0f %% replaced a minute, %d rounds in %s, %d points: resident %.0f MB at half time, %.0f MB at the end, slope %.1f MB/min over the second half (%s); %d episodes, as many as sent; %d pages",
		series, 100*churn, rounds, time.Since(began).Round(time.Second), rounds*series, half[0].mb, half[len(half)-1].mb, slope, length("too short to say", "target 1"), fired, len(people.all()))
}
