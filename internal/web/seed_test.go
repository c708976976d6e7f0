package web

import (
	"context"
	"math"
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
