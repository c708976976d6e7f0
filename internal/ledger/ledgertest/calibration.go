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
			ID: e.ID, AlertID: e.AlertID, Rule: rule, RuleGroup: "g", Owner: "o", SourceMetric: "m", SourceUnit: "s", Highest: e.Highest, OpenedAt: e.OpenedAt, EndedAt: e.EndedAt,
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

func explored(t *testing.T, f *fixture) {
	begin := at(-1)
	judge := func(id string, state alert.State, minute int, level float64) {
		a := &alert.Alert{
			ID: id, Group: "g", Rule: "a", Owner: "o", Severity: alert.High, State: state, Time: at(minute), Start: begin, SourceMetric: "m", SourceUnit: "s",
			Labels: map[string]string{"service": "chat"}, FiringLevels: map[alert.Severity]alert.FiringLevel{alert.High: {Value: level}},
		}
		if state == alert.Firing {
			a.Threshold, a.FiringLevel = ptr(0.8), &level
		}
		f.now = at(minute)
		f.update(func(tx ledger.Tx) error { return ledger.Explore(tx, a) })
	}
	read := func(since time.Time, limit int) (got []*ledger.Explored) {
		f.view(func(tx ledger.Tx) {
			var err error
			got, err = tx.Explored("a", since, limit)
			require.NoError(t, err)
		})
		return got
	}
	judge("x", alert.Inactive, 1, 0.9)
	assert.Empty(t, read(at(0), 10), "an end without a start is none")
	judge("x", alert.Firing, 2, 0.81)
	judge("x", alert.Firing, 2, 0.99) // again
	all := read(at(0), 10)
	require.Len(t, all, 1)
	assert.Equal(t, &ledger.Explored{
		ID: all[0].ID, AlertID: "x", RuleGroup: "g", Rule: "a", Owner: "o", SourceMetric: "m", SourceUnit: "s", Highest: alert.High,
		Labels: map[string]string{"service": "chat"}, StartedAt: begin, OpenedAt: at(2), JudgedAt: at(2),
		Levels: ledger.Levels{alert.High: {Threshold: ptr(0.8), Firing: ptr(0.81), Bound: true}},
	}, all[0])
	judge("x", alert.Firing, 3, 0.99) // told of again after a restart: the same breach
	assert.Len(t, read(at(0), 10), 1)
	judge("x", alert.Inactive, 5, 0.85)
	judge("x", alert.Inactive, 4, 0.99) // late
	all = read(at(0), 10)
	require.Len(t, all, 1)
	assert.Equal(t, ledger.Levels{alert.High: {Threshold: ptr(0.8), Firing: ptr(0.85)}}, all[0].Levels)
	assert.Equal(t, at(5), all[0].EndedAt)

	begin = at(6)
	judge("x", alert.Firing, 7, 0.82)
	begin = at(8) // the end of that was lost
	judge("x", alert.Firing, 9, 0.83)
	judge("y", alert.Firing, 10, 0.84)
	all = read(at(7), 10)
	require.Len(t, all, 3)
	assert.Equal(t, at(9), all[0].EndedAt)
	assert.True(t, all[0].Levels[alert.High].Bound)
	assert.Equal(t, []*ledger.Explored{all[1], all[2]}, read(at(0), 2), "the newest of more than the limit")
	f.reopen()
	assert.Equal(t, all, read(at(7), 10))
}

func changes(t *testing.T, f *fixture) {
	tell := func(c ledger.Change) (got *ledger.Change) {
		f.update(func(tx ledger.Tx) (err error) {
			got, err = ledger.Retune(tx, &c)
			return err
		})
		return got
	}
	told := tell(ledger.Change{RuleGroup: "g", Rule: "a", Tier: alert.High, From: 0.9, To: 0.93, By: "anna", Note: "noise"})
	assert.Equal(t, &ledger.Change{ID: told.ID, RuleGroup: "g", Rule: "a", Tier: alert.High, From: 0.9, To: 0.93, At: told.At, By: "anna", Note: "noise"}, told)
	assert.False(t, told.At.IsZero())
	assert.Equal(t, told, tell(ledger.Change{Rule: "a", Tier: alert.High, From: 0.9, To: 0.93, By: "bob"}), "the same again")
	band := tell(ledger.Change{Rule: "a", Tier: alert.High, Bound: "low", From: 0.1, To: 0.93})
	back := tell(ledger.Change{Rule: "a", Tier: alert.High, From: 0.93, To: 0.9})
	other := tell(ledger.Change{Rule: "b", Tier: alert.High, From: 1, To: 2})
	early := &ledger.Change{ID: "early", Rule: "a", Tier: alert.High, From: 0.8, To: 0.9, At: at(-100)}
	f.update(func(tx ledger.Tx) error { return tx.PutChange(early) })
	f.view(func(tx ledger.Tx) {
		all, err := tx.Changes("a", at(-100))
		require.NoError(t, err)
		require.Len(t, all, 4)
		assert.Equal(t, early, all[0])
		assert.ElementsMatch(t, []*ledger.Change{told, band, back}, all[1:])
		all, err = tx.Changes("", at(-99))
		require.NoError(t, err)
		assert.ElementsMatch(t, []*ledger.Change{told, band, back, other}, all)
		_, err = tx.LastChange("a", alert.Critical, "")
		require.ErrorIs(t, err, ledger.ErrNotFound)
		events, err := tx.EventsAfter(0, 10)
		require.NoError(t, err)
		require.Len(t, events, 4)
		assert.Equal(t, &ledger.Event{
			Seq: events[0].Seq, At: told.At, Name: alert.EventThreshold, By: "anna", Severity: alert.High, Rule: "a", From: "0.9", Reason: "0.93", Note: "noise",
		}, events[0])
		assert.Equal(t, "low", events[1].Receiver)
	})
}
