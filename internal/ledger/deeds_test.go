package ledger_test

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/otelcol-escalation/otelcol-escalation/internal/alert"
	"github.com/otelcol-escalation/otelcol-escalation/internal/ledger"
	"github.com/otelcol-escalation/otelcol-escalation/internal/ledger/ledgertest"
)

func TestOneEpisode(t *testing.T) {
	l := ledgertest.New(t)
	now := ledgertest.Epoch
	v, th := 0.97, 0.9
	a := alert.Alert{ID: "a", Group: "g", Rule: "r", Severity: alert.High, Owner: "o", State: alert.Firing, Start: now, Time: now, Value: &v, Threshold: &th, Reason: alert.ReasonThreshold, Labels: map[string]string{"x": "y"}}
	var id string
	update := func(fn func(ledger.Tx) error) {
		t.Helper()
		require.NoError(t, l.Update(context.Background(), now, fn))
	}
	update(func(tx ledger.Tx) error {
		kind, e, err := ledger.Record(tx, &a)
		assert.Equal(t, ledger.Opened, kind)
		id = e.ID
		return err
	})
	changed := l.Changed()
	now, a.Time = now.Add(time.Minute), now.Add(time.Minute)
	update(func(tx ledger.Tx) error {
		kind, _, err := ledger.Record(tx, &a)
		assert.Equal(t, ledger.Unchanged, kind)
		return err
	})
	select {
	case <-changed:
		t.Fatal("a repetition was announced")
	default:
	}
	update(func(tx ledger.Tx) error { return ledger.Notify(tx, id, "oncall", ledger.DeliverPage, 1) })
	update(func(tx ledger.Tx) error { return ledger.Acknowledge(tx, id, "anna", "") })
	update(func(tx ledger.Tx) error { return ledger.Judge(tx, id, ledger.TruePositive, "anna", "yes") })
	now, a.Time, a.State, a.Reason = now.Add(time.Minute), a.Time.Add(time.Minute), alert.Inactive, alert.ReasonRecovered
	update(func(tx ledger.Tx) error {
		kind, _, err := ledger.Record(tx, &a)
		assert.Equal(t, ledger.Ended, kind)
		return err
	})
	require.NoError(t, l.View(context.Background(), now, func(tx ledger.Tx) error {
		e, err := tx.Episode(id)
		require.NoError(t, err)
		assert.Equal(t, ledger.OutcomeNotified, e.Outcome)
		events, err := tx.EpisodeEvents(id)
		require.NoError(t, err)
		assert.Len(t, events, 5)
		counters, err := tx.Counters()
		require.NoError(t, err)
		assert.Len(t, counters, 2)
		histograms, err := tx.Histograms()
		require.NoError(t, err)
		assert.Len(t, histograms, 3)
		tallies, err := tx.Tallies(time.Time{})
		require.NoError(t, err)
		assert.Len(t, tallies, 1)
		assert.Equal(t, int64(1), tallies[0].NotifiedJudged)
		return nil
	}))
	require.NoError(t, l.(interface{ Healthy(context.Context) error }).Healthy(context.Background()))
}
