package e2e

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/otelcol-escalation/otelcol-escalation/internal/alert"
	"github.com/otelcol-escalation/otelcol-escalation/internal/ledger"
	"github.com/otelcol-escalation/otelcol-escalation/internal/ledger/sqlstore"
)

// history tells a ledger file weeks of alerts, by the deeds that the components do, each at its time, before a collector starts
// on it.
type history struct {
	t      testing.TB
	ledger *sqlstore.Ledger
	dice   *rand.Rand
	now    time.Time // the end of it
	n      int
}

func newHistory(t testing.TB, path string) *history {
	now := time.Now().UTC().Truncate(time.Second)
	l, err := sqlstore.Open(t.Context(), now.Add(-weeks), sqlstore.Options{Driver: sqlstore.SQLite, DataSource: path})
	require.NoError(t, err)
	return &history{t: t, ledger: l, dice: rand.New(rand.NewPCG(20, 26)), now: now}
}

const (
	day   = 24 * time.Hour
	weeks = 32 * day
)

func (h *history) at(when time.Time, fn func(ledger.Tx) error) {
	h.t.Helper()
	require.NoError(h.t, h.ledger.Update(h.t.Context(), when, fn))
}

// habit is how a rule fires.
type habit struct {
	alert.Alert // as it fires
	threshold   float64
	// moved is the threshold that was in force before `on`, where it was moved.
	moved float64
	on    time.Duration // ago
	// level is how far an episode goes, real whether that was worth a page.
	level  func(threshold float64) float64
	real   func(level float64) bool
	perDay float64
	judged float64 // share of the episodes
	series int
	by     []string // who acknowledges and judges
}

func (h *history) habits() []habit {
	d := h.dice
	base := func(rule, owner string, tier alert.Severity, metric, unit string) alert.Alert {
		return alert.Alert{Group: "serving", Rule: rule, Owner: owner, Severity: tier, SourceMetric: metric, SourceUnit: unit, Reason: alert.ReasonThreshold}
	}
	return []habit{
		{
			Alert:     base("KVCacheNearlyFull", "inference-platform", alert.High, "vllm:kv_cache_usage_perc", "1"),
			threshold: 0.9, moved: 0.87, on: 20 * day, perDay: 3.6, judged: 0.82, series: 7, by: []string{"anna", "bo"},
			level: func(threshold float64) float64 {
				if d.Float64() < 0.15 {
					return 0.967 + 0.03*d.Float64()
				}
				return threshold + 0.002 + 0.04*d.Float64()*d.Float64()
			},
			real: func(level float64) bool { return level > 0.96 },
		},
		{
			Alert:     base("SlowFirstToken", "inference-platform", alert.High, "vllm:time_to_first_token_seconds", "s"),
			threshold: 2, perDay: 0.9, judged: 0.7, series: 3, by: []string{"anna", "chris"},
			level: func(threshold float64) float64 { return threshold + 0.1 + 1.5*d.ExpFloat64() },
			real:  func(level float64) bool { return level > 2.3 || d.Float64() < 0.5 },
		},
		{
			Alert:     base("RequestsQueueing", "capacity", alert.Medium, "vllm:num_requests_waiting", "{request}"),
			threshold: 40, perDay: 0.8, judged: 0.75, series: 4, by: []string{"dora"},
			level: func(threshold float64) float64 { return threshold + 1 + math.Floor(25*d.ExpFloat64()) },
			real:  func(level float64) bool { return level > 75 },
		},
		{
			Alert:     base("GPUMemoryTemperature", "hardware", alert.Medium, "DCGM_FI_DEV_MEMORY_TEMP", "Cel"),
			threshold: 95, perDay: 1.9, judged: 0.1, series: 5, by: []string{"emil"},
			level: func(threshold float64) float64 { return threshold + 1 + math.Floor(3*d.ExpFloat64()) },
			real:  func(float64) bool { return false },
		},
		{
			Alert:     base("ErrorRateHigh", "search", alert.Critical, "gen_ai.client.operation.errors", "{error}/s"),
			threshold: 0.5, perDay: 0.25, judged: 0.95, series: 2, by: []string{"fay"},
			level: func(threshold float64) float64 { return threshold + 0.2 + d.ExpFloat64() },
			real:  func(float64) bool { return true },
		},
	}
}

// one fills in what tells a series from the others.
func (b *habit) one(i int) alert.Alert {
	a := b.Alert
	a.ID = fmt.Sprintf("%s-%d", a.Rule, i)
	a.Labels = map[string]string{"job": "vllm", "instance": fmt.Sprintf("10.2.0.%d:8000", 17+i), "model_name": "llama-3.3-70b-instruct"}
	where := a.Labels["instance"]
	switch a.Rule {
	case "KVCacheNearlyFull":
		a.Response = "Drain the replica, then add one."
		a.Annotations = map[string]string{"summary": "The KV cache is nearly full on " + where, "runbook_url": "https://runbooks.example.com/kv-cache"}
	case "SlowFirstToken":
		a.Response = "Lower max_num_seqs, or shed load at the gateway."
		a.Annotations = map[string]string{"summary": "The first token takes too long on " + where, "dashboard_url": "https://grafana.example.com/d/serving"}
	case "RequestsQueueing":
		a.Response = "Add a replica."
		a.Annotations = map[string]string{"summary": "Requests wait on " + where}
	case "GPUMemoryTemperature":
		a.Labels = map[string]string{"job": "dcgm", "instance": fmt.Sprintf("gpu-node-%02d:9400", 3+i), "gpu": fmt.Sprint(i % 4)}
		a.Annotations = map[string]string{"summary": "GPU memory is hot on " + a.Labels["instance"]}
	case "ErrorRateHigh":
		a.Labels = map[string]string{"job": "gateway", "service": "search", "model_name": "qwen-2.5-7b"}
		a.Response = "Route to the fallback model."
		a.Annotations = map[string]string{"summary": "Search answers with errors"}
	}
	return a
}

// play tells all weeks of a habit.
func (h *history) play(b habit) {
	free := make([]time.Time, b.series) // from when on a series may fire again
	for when := h.now.Add(-weeks + day); ; {
		when = when.Add(time.Duration(h.dice.ExpFloat64() / b.perDay * float64(day))).Truncate(time.Second)
		if !when.Before(h.now.Add(-3 * time.Hour)) {
			return
		}
		i := h.dice.IntN(b.series)
		if when.Before(free[i]) {
			continue
		}
		threshold := b.threshold
		if b.moved != 0 && when.Before(h.now.Add(-b.on)) {
			threshold = b.moved
		}
		lasted := time.Duration((6 + 22*h.dice.ExpFloat64()) * float64(time.Minute)).Truncate(time.Second)
		lasted = min(lasted, 2*time.Hour)
		free[i] = when.Add(lasted + 10*time.Minute)
		h.tell(&b, b.one(i), when, lasted, threshold, b.level(threshold))
	}
}

// tell is one episode: it opens, pages, is acknowledged or escalated, ends, and may be judged.
func (h *history) tell(b *habit, a alert.Alert, opened time.Time, lasted time.Duration, threshold, level float64) {
	person := b.by[h.dice.IntN(len(b.by))]
	id := h.open(a, opened, threshold, level)
	paged := opened.Add(2 * time.Second)
	h.at(paged, func(tx ledger.Tx) error { return ledger.Notify(tx, id, a.Owner+"-oncall", ledger.DeliverPage, 1) })
	if h.dice.IntN(3) == 0 && lasted > 16*time.Minute {
		h.at(paged.Add(15*time.Minute), func(tx ledger.Tx) error {
			if err := ledger.Step(tx, id, 2, []string{a.Owner + "-lead"}, "unacknowledged"); err != nil {
				return err
			}
			return ledger.Notify(tx, id, a.Owner+"-lead", ledger.DeliverPage, 2)
		})
	}
	real := b.real(level)
	if answered := time.Duration((1 + 5*h.dice.ExpFloat64()) * float64(time.Minute)); real && answered < lasted {
		h.at(paged.Add(answered), func(tx ledger.Tx) error { return ledger.Acknowledge(tx, id, person, "") })
	}
	h.trace(id, opened, opened.Add(lasted), threshold, level, 24)
	h.at(opened.Add(lasted), func(tx ledger.Tx) error {
		e, err := tx.Episode(id)
		if err != nil {
			return err
		}
		a.State, a.Reason, a.Time, a.Start = alert.Inactive, alert.ReasonRecovered, tx.Now(), time.Time{}
		if _, _, err := ledger.Record(tx, &a); err != nil {
			return err
		}
		g, err := tx.Group(e.GroupID)
		if err != nil {
			return err
		}
		g.ClosedAt, g.DueAt, g.Dirty = tx.Now(), time.Time{}, false
		return tx.PutGroup(g)
	})
	judged := opened.Add(lasted + time.Duration(1+h.dice.IntN(12))*time.Hour)
	if h.dice.Float64() > b.judged || judged.After(h.now) {
		return
	}
	verdict, note := ledger.FalsePositive, ""
	switch {
	case real:
		verdict = ledger.TruePositive
	case h.dice.IntN(12) == 0:
		verdict, note = ledger.Expected, "a load test"
	}
	h.at(judged, func(tx ledger.Tx) error { return ledger.Judge(tx, id, verdict, person, note) })
}

// open opens an episode in a group of its own, which has been paged.
func (h *history) open(a alert.Alert, opened time.Time, threshold, level float64) (id string) {
	h.n++
	group := fmt.Sprintf("g%d", h.n)
	a.State, a.Time, a.Start, a.ObservedAt = alert.Firing, opened, opened.Add(-time.Minute), opened
	a.Value, a.Threshold, a.FiringLevel = &level, &threshold, &level
	h.at(opened, func(tx ledger.Tx) error {
		_, e, err := ledger.RecordIn(tx, &a, func(e *ledger.Episode) error {
			e.GroupID = group
			return tx.PutGroup(&ledger.Group{
				ID: group, Key: group, Owner: a.Owner, Tier: a.Severity, Labels: map[string]string{"owner": a.Owner, "alertname": a.Rule},
				OpenedAt: opened, TierSince: opened, PagedAt: opened.Add(2 * time.Second), UpdatedAt: opened.Add(2 * time.Second), Step: 1, StepAt: opened,
				Paged: []string{a.Owner + "-oncall"}, Sequence: opened.UnixNano(),
			})
		})
		if err == nil {
			id = e.ID
		}
		return err
	})
	return id
}

// trace has the value rise past the threshold to the level, and, where it is over, fall again.
func (h *history) trace(id string, from, until time.Time, threshold, level float64, points int) {
	h.at(from, func(tx ledger.Tx) error {
		e, err := tx.Episode(id)
		if err != nil {
			return err
		}
		e.Trace = nil
		begin, length := from.Add(-2*time.Minute), until.Sub(from)+2*time.Minute
		for i := range points {
			part := float64(i) / float64(points-1)
			rise := math.Sin(math.Pi * min(part*1.15, 1))
			if until.Equal(h.now) {
				rise = math.Sqrt(part)
			}
			v := threshold + (level-threshold)*rise + (level-threshold)*0.12*(h.dice.Float64()-0.5)
			if i == 0 || i == points-1 && !until.Equal(h.now) {
				v = threshold - (level-threshold)*0.4
			}
			e.Trace = e.Trace.With(begin.Add(time.Duration(part*float64(length))), max(v, 0))
		}
		return tx.PutEpisode(e)
	})
}

// tellWeeks is what an on-call engineer finds on a morning: some weeks of five rules, and what is open now. It returns the ids
// of the alerts that pages are about.
func (h *history) tellWeeks() (open, past string) {
	habits := h.habits()
	for _, b := range habits {
		h.play(b)
	}
	slow, queue, gpu, errors := &habits[1], &habits[2], &habits[3], &habits[4]
	ago := func(d time.Duration) time.Time { return h.now.Add(-d) }
	// Last night's, of which nobody has said yet what it was worth.
	past = h.open(slow.one(1), ago(7*time.Hour), 2, 4.1)
	h.at(ago(7*time.Hour-2*time.Second), func(tx ledger.Tx) error {
		return ledger.Notify(tx, past, "inference-platform-oncall", ledger.DeliverPage, 1)
	})
	h.at(ago(7*time.Hour-4*time.Minute), func(tx ledger.Tx) error { return ledger.Acknowledge(tx, past, "anna", "two replicas are draining") })
	h.trace(past, ago(7*time.Hour), ago(6*time.Hour+12*time.Minute), 2, 4.1, 60)
	h.at(ago(6*time.Hour+12*time.Minute), func(tx ledger.Tx) error { return ledger.Resolve(tx, past, "anna", "back to three replicas") })
	h.settle(past, func(g *ledger.Group) { g.ClosedAt, g.DueAt = ago(6*time.Hour+12*time.Minute), time.Time{} })

	// What is open now.
	open = h.open(errors.one(2), ago(4*time.Minute), 0.5, 2.3)
	h.at(ago(4*time.Minute-2*time.Second), func(tx ledger.Tx) error {
		return ledger.Notify(tx, open, "search-oncall", ledger.DeliverPage, 1)
	})
	h.trace(open, ago(4*time.Minute), h.now, 0.5, 2.3, 40)
	h.settle(open, func(g *ledger.Group) {
		g.NextStep, g.DueAt, g.RespondBy = "page search-lead (step 2)", h.now.Add(11*time.Minute), h.now.Add(26*time.Minute)
	})
	h.at(ago(3*time.Minute), func(tx ledger.Tx) error {
		e, err := tx.Episode(open)
		if err != nil {
			return err
		}
		e.Actions = []alert.Action{alert.ActionRollback}
		if err := tx.PutEpisode(e); err != nil {
			return err
		}
		return tx.PutAction(&ledger.Action{
			ID: "rollback-of-search", EpisodeID: open, Rule: e.Rule, Owner: e.Owner, Kind: alert.ActionRollback, Target: "search", Mode: ledger.ActionRecommend,
			State: ledger.ActionWaiting, Reason: ledger.BecauseRecommended, RequestedAt: tx.Now(),
		})
	})
	inHand := h.open(slow.one(0), ago(71*time.Minute), 2, 3.4)
	h.trace(inHand, ago(71*time.Minute), h.now, 2, 3.4, 60)
	h.at(ago(64*time.Minute), func(tx ledger.Tx) error { return ledger.Acknowledge(tx, inHand, "anna", "looking at the batch size") })
	h.settle(inHand, func(g *ledger.Group) { g.NextStep, g.DueAt = "", h.now.Add(2*time.Hour) })
	later := h.open(queue.one(2), ago(26*time.Minute), 40, 58)
	h.trace(later, ago(26*time.Minute), h.now, 40, 58, 40)
	h.at(ago(20*time.Minute), func(tx ledger.Tx) error {
		return ledger.Snooze(tx, later, h.now.Add(40*time.Minute), "dora", "a replica is on its way")
	})
	h.settle(later, func(g *ledger.Group) { g.DueAt = h.now.Add(2 * time.Hour) })
	lost := h.open(gpu.one(4), ago(3*time.Hour), 95, 98)
	h.at(ago(9*time.Minute), func(tx ledger.Tx) error { return ledger.Lose(tx, lost) })
	h.settle(lost, func(g *ledger.Group) { g.NextStep, g.DueAt = "repeat to hardware-oncall", h.now.Add(52*time.Minute) })

	h.at(ago(20*day), func(tx ledger.Tx) error {
		_, err := ledger.Retune(tx, &ledger.Change{RuleGroup: "serving", Rule: "KVCacheNearlyFull", Tier: alert.High, From: 0.87, To: 0.9, By: "anna", Note: "alertctl calibrate"})
		return err
	})
	for _, m := range []ledger.Miss{
		{Rule: "ErrorRateHigh", At: ago(9 * day), By: "fay", Note: "Answers were empty, not errors.", Labels: map[string]string{"service": "search"}},
		{Rule: "SlowFirstToken", At: ago(3*day + 4*time.Hour), By: "bo", Note: "Customers told us first.", Labels: map[string]string{"service": "chat", "region": "eu"}},
	} {
		h.at(m.At.Add(5*time.Hour), func(tx ledger.Tx) error {
			_, err := ledger.Report(tx, &m)
			return err
		})
	}
	require.NoError(h.t, h.ledger.Close())
	return open, past
}

// settle has an open alert be heard of just now, and changes its group.
func (h *history) settle(id string, change func(*ledger.Group)) {
	h.at(h.now, func(tx ledger.Tx) error {
		e, err := tx.Episode(id)
		if err != nil {
			return err
		}
		if e.Open() {
			e.JudgedAt, e.SeenAt = h.now, h.now
			if n := len(e.Trace); n > 0 {
				e.Value, e.ObservedAt = &e.Trace[n-1].Value, e.Trace[n-1].At
			}
			if err := tx.PutEpisode(e); err != nil {
				return err
			}
		}
		g, err := tx.Group(e.GroupID)
		if err != nil {
			return err
		}
		change(g)
		g.Dirty = false
		return tx.PutGroup(g)
	})
}
