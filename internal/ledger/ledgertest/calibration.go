package ledgertest

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/otelcol-escalation/otelcol-escalation/internal/alert"
	"github.com/otelcol-escalation/otelcol-escalation/internal/ledger"
)

func samples(t *testing.T, f *fixture) {
	want := map[string]*ledger.Sample{}
	for i, rule := range []string{"a", "b", "a", "a"} {
		e := &ledger.Episode{
			ID: string(rune('p' + i)), AlertID: string(rune('p' + i)), Rule: rule, RuleGroup: "g", Owner: "o", SourceMetric: "m", SourceUnit: "s",
			Highest: alert.Critical, OpenedAt: at(10 - i), EndedAt: at(20), NotifiedAt: at(11), AcknowledgedAt: at(12), Outcome: ledger.OutcomeNotified,
			Verdict: ledger.TruePositive, VerdictBy: "anna", Levels: ledger.Levels{alert.Critical: {Threshold: ptr(1.0), Firing: ptr(float64(i))}},
		}
		want[e.ID] = &ledger.Sample{
			ID: e.ID, Rule: rule, RuleGroup: "g", Owner: "o", SourceMetric: "m", SourceUnit: "s", Highest: e.Highest, OpenedAt: e.OpenedAt, EndedAt: e.EndedAt,
			NotifiedAt: e.NotifiedAt, AcknowledgedAt: e.AcknowledgedAt, Outcome: e.Outcome, Verdict: e.Verdict, VerdictBy: e.VerdictBy, Levels: e.Levels,
		}
		f.update(func(tx ledger.Tx) error { return tx.PutEpisode(e) })
	}
	f.view(func(tx ledger.Tx) {
		got, err := tx.Samples("a", at(8))
		require.NoError(t, err)
		assert.Equal(t, []*ledger.Sample{want["r"], want["p"]}, got, "oldest first, none that opened before")
		got, err = tx.Samples("nobody", time.Time{})
		require.NoError(t, err)
		assert.Empty(t, got)
	})
}

func misses(t *testing.T, f *fixture) {
	report := func(m ledger.Miss) (got *ledger.Miss) {
		f.update(func(tx ledger.Tx) (err error) {
			got, err = ledger.Report(tx, &m)
			return err
		})
		return got
	}
	later := report(ledger.Miss{Rule: "a", At: at(5), Labels: map[string]string{"service": "chat"}, By: "anna", Note: "customers called"})
	require.NotEmpty(t, later.ID)
	first := report(ledger.Miss{Rule: "b", At: at(2), By: "anna"})
	assert.Equal(t, later.ID, report(ledger.Miss{Rule: "a", At: at(5), Labels: map[string]string{"service": "chat"}, By: "anna"}).ID, "the same again")
	assert.NotEqual(t, later.ID, report(ledger.Miss{Rule: "a", At: at(5), Labels: map[string]string{"service": "chat"}, By: "bert"}).ID)
	f.view(func(tx ledger.Tx) {
		all, err := tx.Misses("", at(0))
		require.NoError(t, err)
		require.Len(t, all, 3)
		assert.Equal(t, first, all[0])
		one, err := tx.Misses("a", at(0))
		require.NoError(t, err)
		assert.Len(t, one, 2)
		assert.Contains(t, one, later)
		one, err = tx.Misses("a", at(6))
		require.NoError(t, err)
		assert.Empty(t, one)
	})
}
