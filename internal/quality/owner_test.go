package quality

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/otelcol-escalation/otelcol-escalation/internal/alert"
	"github.com/otelcol-escalation/otelcol-escalation/internal/escalate"
	"github.com/otelcol-escalation/otelcol-escalation/internal/ledger"
	"github.com/otelcol-escalation/otelcol-escalation/internal/ledger/ledgertest"
)

func TestOwners(t *testing.T) {
	l := ledgertest.New(t)
	const day = 24 * time.Hour
	now := ledgertest.Epoch.Add(100 * day)
	n := 0
	put := func(owner string, opened time.Time, change func(*ledger.Episode)) {
		n++
		e := &ledger.Episode{
			ID: fmt.Sprint("e", n), AlertID: fmt.Sprint("a", n), Rule: "R", Owner: owner, Severity: alert.High, Highest: alert.High,
			OpenedAt: opened, JudgedAt: opened,
		}
		change(e)
		require.NoError(t, l.Update(context.Background(), now, func(tx ledger.Tx) error { return tx.PutEpisode(e) }))
	}
	ended := func(v ledger.Verdict) func(*ledger.Episode) {
		return func(e *ledger.Episode) {
			e.NotifiedAt, e.EndedAt, e.Verdict = e.OpenedAt.Add(time.Minute), e.OpenedAt.Add(time.Hour), v
		}
	}
	put("calm", now.Add(-3*day), ended(""))
	put("calm", now.Add(-4*day), ended(ledger.FalsePositive))
	put("calm", now.Add(-4*day), ended(ledger.TruePositive))
	put("calm", now.Add(-60*day), ended(ledger.TruePositive)) // before the window
	put("calm", now.Add(-2*day), func(*ledger.Episode) {})
	put("calm", now.Add(-50*day), func(*ledger.Episode) {}) // open for longer than the window
	put("gone", now.Add(-60*day), ended(""))
	put("late", now.Add(-40*day), func(*ledger.Episode) {})
	require.NoError(t, l.Update(context.Background(), now, func(tx ledger.Tx) error {
		if err := tx.PutSetting(ledger.SettingBudgets, `{"busy":{"pages":2,"within":604800000000000},"calm":{"pages":10,"within":604800000000000}}`); err != nil {
			return err
		}
		for i, g := range []struct {
			owner string
			ago   time.Duration
		}{{"busy", day}, {"busy", 2 * day}, {"busy", 3 * day}, {"calm", day}, {"calm", 20 * day}, {"calm", 40 * day}} {
			at := now.Add(-g.ago)
			if err := tx.PutGroup(&ledger.Group{ID: fmt.Sprint(i), Key: fmt.Sprint(i), Owner: g.owner, OpenedAt: at, PagedAt: at, ClosedAt: now}); err != nil {
				return err
			}
		}
		for _, c := range []struct {
			metric, rule, owner string
			seconds             float64
		}{
			{alert.MetricTimeToAcknowledge, "R", "calm", 60}, {alert.MetricTimeToAcknowledge, "S", "calm", 60}, {alert.MetricTimeToAcknowledge, "R", "gone", 9},
			{alert.MetricTimeToResolve, "R", "calm", 3600}, {alert.MetricTimeToNotify, "R", "calm", 1},
		} {
			if err := tx.Measure(ledger.CounterKey{Metric: c.metric, Rule: c.rule, Owner: c.owner}, c.seconds); err != nil {
				return err
			}
		}
		for _, key := range []ledger.CounterKey{
			{Metric: alert.MetricEscalations, Rule: "R", Owner: "calm"}, {Metric: alert.MetricEscalations, Rule: "S", Owner: "calm"},
			{Metric: alert.MetricEpisodes, Rule: "S", Owner: "calm"}, {Metric: alert.MetricEscalations, Owner: "gone"},
		} {
			if err := tx.Count(key, 3); err != nil {
				return err
			}
		}
		return nil
	}))
	var got []*Owner
	require.NoError(t, l.View(context.Background(), now, func(tx ledger.Tx) (err error) {
		got, _, err = (&Assessor{Window: 30 * day}).Owners(tx)
		return err
	}))
	budget := func(pages int) escalate.Budget { return escalate.Budget{Pages: pages, Within: 7 * day} }
	assert.Equal(t, []*Owner{
		{Name: "busy", Load: &Load{Owner: "busy", Budget: budget(2), Paged: 3}, Pages: 3, Verdicts: map[ledger.Verdict]int64{}},
		{
			Name: "calm", Load: &Load{Owner: "calm", Budget: budget(10), Paged: 1}, Pages: 2, Open: 2, OldestOpen: now.Add(-50 * day),
			Episodes: 4, Notified: 3, Judged: 2, Unjudged: 1, Verdicts: map[ledger.Verdict]int64{ledger.TruePositive: 1, ledger.FalsePositive: 1},
			Steps: 6, Acknowledge: Durations{Count: 2, Median: time.Minute, P90: time.Minute}, Resolve: Durations{Count: 1, Median: time.Hour, P90: time.Hour},
		},
		{Name: "late", Open: 1, OldestOpen: now.Add(-40 * day), Verdicts: map[ledger.Verdict]int64{}},
	}, got)
}
