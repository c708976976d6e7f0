package web

import (
	"context"
	"fmt"
	"math"
	"math/rand"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/otelcol-escalation/otelcol-escalation/internal/alert"
	"github.com/otelcol-escalation/otelcol-escalation/internal/ledger"
	"github.com/otelcol-escalation/otelcol-escalation/internal/ledger/ledgertest"
)

// town is a ledger with a clock that stands where a test puts it.
type town struct {
	ledger.Ledger
	t   testing.TB
	now time.Time
}

func newTown(t testing.TB) *town {
	return &town{Ledger: ledgertest.New(t), t: t, now: ledgertest.Epoch}
}

func (l *town) do(fn func(ledger.Tx) error) {
	l.t.Helper()
	require.NoError(l.t, l.Update(context.Background(), l.now, fn))
}

func (l *town) episode(id string) (e *ledger.Episode) {
	l.t.Helper()
	require.NoError(l.t, l.View(context.Background(), l.now, func(tx ledger.Tx) (err error) {
		e, err = tx.Episode(id)
		return err
	}))
	return e
}

// record takes a judgement in and returns the episode's id.
func (l *town) record(a alert.Alert) (id string) {
	l.t.Helper()
	a.Time = l.now
	if a.State == alert.Firing && a.Start.IsZero() {
		a.Start = l.now.Add(-time.Minute)
	}
	l.do(func(tx ledger.Tx) error {
		_, e, err := ledger.Record(tx, &a)
		if err == nil {
			id = e.ID
		}
		return err
	})
	return id
}

// join puts an episode into a group of its own with a next step.
func (l *town) join(id, next string, at time.Time) {
	l.do(func(tx ledger.Tx) error {
		e, err := tx.Episode(id)
		if err != nil {
			return err
		}
		g := &ledger.Group{ID: "g-" + id, Key: e.Rule + id, Owner: e.Owner, Tier: e.Severity, OpenedAt: e.OpenedAt, TierSince: e.OpenedAt, NextStep: next, DueAt: at}
		if err := tx.PutGroup(g); err != nil {
			return err
		}
		e.GroupID = g.ID
		return tx.PutEpisode(e)
	})
}

func f(v float64) *float64 { return &v }

// firing returns an alert that fires.
func firing(id, rule string, severity alert.Severity, owner string) alert.Alert {
	return alert.Alert{
		ID: id, Group: "vllm", Rule: rule, Severity: severity, Owner: owner, State: alert.Firing, Reason: alert.ReasonThreshold,
		Labels: map[string]string{"job": "vllm", "instance": "10.2.0.17:8000", "model_name": "meta-llama/Llama-3.3-70B-Instruct"},
		Value:  f(0.973), Threshold: f(0.9), SourceMetric: "vllm:kv_cache_usage_perc", SourceUnit: "1",
	}
}

// seed fills the town with what a morning on call may look like and returns the episodes' ids by alert id.
func (l *town) seed() map[string]string {
	ids := map[string]string{}
	open := func(a alert.Alert, ago time.Duration) {
		now := l.now
		l.now = now.Add(-ago)
		ids[a.ID] = l.record(a)
		l.now = now
	}
	kv := firing("kv", "KVCacheNearlyFull", alert.Critical, "inference-platform")
	kv.ObservedAt = l.now.Add(-20 * time.Second)
	kv.Response = "Drain the replica, then add one."
	kv.Annotations = map[string]string{
		"summary":     "KV cache 97.3% full on 10.2.0.17:8000",
		"description": "New requests are preempted and recomputed; the time to the first token grows.",
		"runbook_url": "https://runbooks.example.com/vllm/kv-cache", "dashboard_url": "https://grafana.example.com/d/vllm", "evil_url": "javascript:alert(1)",
	}
	open(kv, 4*time.Minute)
	ttft := firing("ttft", "SlowFirstToken", alert.High, "inference-platform")
	ttft.SourceMetric, ttft.SourceUnit, ttft.Value, ttft.Threshold = "vllm:time_to_first_token_seconds", "s", f(3.41666), f(2)
	ttft.Annotations = map[string]string{"summary": "95% of first tokens take longer than 2 s"}
	open(ttft, 71*time.Minute)
	gpu := firing("gpu", "GPUMemoryTemperature", alert.Medium, "hardware")
	gpu.SourceMetric, gpu.SourceUnit, gpu.Value, gpu.Threshold = "DCGM_FI_DEV_MEMORY_TEMP", "Cel", f(97), f(95)
	gpu.Labels = map[string]string{"job": "dcgm", "instance": "gpu-node-07:9400", "gpu": "3", "hostile": `<script>alert("x")</script>`}
	open(gpu, 26*time.Hour)
	queue := firing("queue", "RequestsWaiting", alert.Low, "inference-platform")
	queue.SourceMetric, queue.SourceUnit, queue.Value, queue.Threshold = "vllm:num_requests_waiting", "{request}", f(math.Inf(1)), f(1234567)
	open(queue, 3*time.Hour)
	for _, past := range []string{"p1", "p2"} {
		a := firing(past, "KVCacheNearlyFull", alert.High, "inference-platform")
		open(a, 5*time.Hour)
		now := l.now
		l.now = now.Add(-4*time.Hour - 50*time.Minute)
		l.do(func(tx ledger.Tx) error {
			return ledger.Notify(tx, ids[past], "inference-oncall", ledger.DeliverPage, 1)
		})
		l.now = now
		a.State, a.Reason, a.Value = alert.Inactive, alert.ReasonRecovered, f(0.4)
		open(a, 4*time.Hour+12*time.Minute)
	}
	l.join(ids["kv"], "page inference-lead (step 2)", l.now.Add(11*time.Minute))
	l.join(ids["ttft"], "repeat to inference-oncall", l.now.Add(34*time.Minute))
	l.join(ids["gpu"], "", time.Time{})
	now := l.now
	l.now = now.Add(-3 * time.Minute)
	l.do(func(tx ledger.Tx) error {
		return ledger.Notify(tx, ids["kv"], "inference-oncall", ledger.DeliverPage, 1)
	})
	l.now = now.Add(-20 * time.Minute)
	l.do(func(tx ledger.Tx) error {
		return ledger.Acknowledge(tx, ids["ttft"], "anna", "looking at the batch size")
	})
	l.now = now.Add(-6 * time.Minute)
	l.do(func(tx ledger.Tx) error { return ledger.Lose(tx, ids["gpu"]) })
	l.now = now
	return ids
}

// traces gives some of the seed's alerts values over their time.
func (l *town) traces(ids map[string]string) {
	l.trace(ids["kv"], 6*time.Minute, 0, func(part float64) float64 { return 0.88 + 0.1*math.Sqrt(part) + 0.006*math.Sin(40*part) })
	l.trace(ids["ttft"], 72*time.Minute, 0, func(part float64) float64 { return 1.9 + 1.5*part + 0.4*math.Sin(25*part) })
	l.trace(ids["p1"], 5*time.Hour, 4*time.Hour+12*time.Minute, func(part float64) float64 { return 0.9 + 0.3*part*(1-part) - 0.4*part*part*part*part })
}

// trace gives an episode values between two times before now.
func (l *town) trace(id string, from, to time.Duration, value func(part float64) float64) {
	l.do(func(tx ledger.Tx) error {
		e, err := tx.Episode(id)
		if err != nil {
			return err
		}
		e.Trace = nil
		for i := range 49 {
			part := float64(i) / 48
			e.Trace = e.Trace.With(l.now.Add(-from+time.Duration(part*float64(from-to))), value(part))
		}
		return tx.PutEpisode(e)
	})
}

// history fills the town with some weeks of pages before now: rules that are noisy, good, unjudged, and of a band.
func (l *town) history() {
	rng := rand.New(rand.NewSource(7))
	type past struct {
		rule, owner, metric, unit string
		tier                      alert.Severity
		threshold                 func(daysAgo float64) float64
		level                     func() float64
		perDay                    float64
		real                      func(level float64) bool
		judged                    float64
	}
	fixed := func(v float64) func(float64) float64 { return func(float64) float64 { return v } }
	n := 0
	l.do(func(tx ledger.Tx) error {
		for _, p := range []past{
			{"KVCacheNearlyFull", "inference-platform", "vllm:kv_cache_usage_perc", "1", alert.High, func(ago float64) float64 {
				if ago > 19 {
					return 0.85
				}
				return 0.9
			}, func() float64 {
				if rng.Float64() < 0.16 {
					return 0.965 + 0.03*rng.Float64()
				}
				return 0.901 + 0.035*rng.Float64()*rng.Float64()
			}, 4.2, func(v float64) bool { return v > 0.96 }, 0.8},
			{"KVCacheNearlyFull", "inference-platform", "vllm:kv_cache_usage_perc", "1", alert.Critical, fixed(0.98), func() float64 { return 0.981 + 0.018*rng.Float64() }, 0.35, func(float64) bool { return true }, 0.9},
			{"SlowFirstToken", "inference-platform", "vllm:time_to_first_token_seconds", "s", alert.High, fixed(2), func() float64 { return 2.05 + rng.ExpFloat64()*1.6 }, 1.1, func(v float64) bool { return v > 2.4 || rng.Float64() < 0.5 }, 0.7},
			{"GPUMemoryTemperature", "hardware", "DCGM_FI_DEV_MEMORY_TEMP", "Cel", alert.Medium, fixed(95), func() float64 { return 95 + math.Floor(rng.ExpFloat64()*3) + 1 }, 2.3, func(float64) bool { return false }, 0},
			{"RequestsWaiting", "inference-platform", "vllm:num_requests_waiting", "{request}", alert.Low, fixed(100), func() float64 { return 101 + math.Floor(rng.ExpFloat64()*60) }, 0.8, func(v float64) bool { return v > 220 }, 0.5},
			{"Prompt drift / weekly (p95)", "model-quality", "embedding.drift.distance", "1", alert.Medium, func(float64) float64 { return 0.35 }, func() float64 { return 0.355 + 0.05*rng.ExpFloat64() }, 1, func(v float64) bool { return v > 0.45 }, 0.95},
			{"Prompt drift / weekly (p95)", "model-quality", "embedding.drift.distance", "1", alert.Medium, func(float64) float64 { return 0.05 }, func() float64 { return 0.045 * rng.Float64() }, 0.4, func(v float64) bool { return v < 0.01 }, 0.95},
			{"A rule with a name that is longer than any column will ever be, since nobody counted its letters", "hardware", "some_metric_with_a_long_name_that_nobody_shortened_total", "", alert.Low, fixed(12345.678), func() float64 { return 12400 }, 0.1, func(float64) bool { return false }, 0},
		} {
			for at := 0.0; ; {
				at += rng.ExpFloat64() / p.perDay
				if at >= 29.9 {
					break
				}
				ago := 29.9 - at
				threshold, level := p.threshold(ago), p.level()
				if p.rule == "KVCacheNearlyFull" && ago > 19 && rng.Float64() < 0.5 {
					level = threshold + 0.05*rng.Float64()
				}
				opened := l.now.Add(-time.Duration(ago * 24 * float64(time.Hour))).Truncate(time.Second)
				lasted := time.Duration(4+rng.ExpFloat64()*25) * time.Minute
				n++
				e := &ledger.Episode{
					ID: fmt.Sprintf("h%04d", n), AlertID: fmt.Sprint("series", n), RuleGroup: "vllm", Rule: p.rule, Owner: p.owner, Severity: p.tier, Highest: p.tier,
					Labels: map[string]string{"instance": fmt.Sprintf("10.2.0.%d:8000", 10+n%9), "job": "vllm"}, SourceMetric: p.metric, SourceUnit: p.unit,
					Reason: alert.ReasonRecovered, Value: &threshold, Peak: &level, Threshold: &threshold, FiringLevel: &level,
					Levels:   ledger.Levels{p.tier: {Threshold: &threshold, Firing: &level, Bound: n%29 == 0}},
					StartsAt: opened.Add(-5 * time.Minute), OpenedAt: opened, NotifiedAt: opened.Add(time.Second),
					EndedAt: opened.Add(lasted), EndedBy: ledger.EndedBySystem, Outcome: ledger.OutcomeNotified,
				}
				for i := range 12 { // up to the peak, and down again
					part := float64(i) / 11
					v := threshold + (level-threshold)*4*part*(1-part)
					e.Trace = e.Trace.With(opened.Add(time.Duration(part*float64(lasted))), v)
				}
				if rng.Float64() < p.judged {
					e.Verdict, e.VerdictBy, e.VerdictAt = ledger.FalsePositive, []string{"anna", "bo", "chris"}[n%3], e.EndedAt.Add(time.Hour)
					if p.real(level) {
						e.Verdict = ledger.TruePositive
					} else if rng.Float64() < 0.08 {
						e.Verdict = ledger.Expected
					}
				}
				if err := tx.PutEpisode(e); err != nil {
					return err
				}
			}
		}
		if err := tx.PutChange(&ledger.Change{ID: "c1", RuleGroup: "vllm", Rule: "KVCacheNearlyFull", Tier: alert.High, From: 0.85, To: 0.9, At: l.now.Add(-19 * 24 * time.Hour), By: "anna", Note: "alertctl calibrate"}); err != nil {
			return err
		}
		_, err := ledger.Report(tx, &ledger.Miss{Rule: "KVCacheNearlyFull", At: l.now.Add(-100 * time.Hour).Truncate(time.Minute), By: "bo", Note: "Chat answered with 503 for ten minutes.", Labels: map[string]string{"service": "chat"}})
		return err
	})
}
