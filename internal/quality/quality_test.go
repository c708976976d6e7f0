package quality

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/otelcol-escalation/otelcol-escalation/internal/alert"
	"github.com/otelcol-escalation/otelcol-escalation/internal/calibrate"
	"github.com/otelcol-escalation/otelcol-escalation/internal/ledger"
	"github.com/otelcol-escalation/otelcol-escalation/internal/ledger/ledgertest"
)

// Conclusions are kept, hold for a while although alerts come, are drawn anew at a verdict, and after an hour.
func TestThresholdsAreConcludedAnew(t *testing.T) {
	l := ledgertest.New(t)
	now := ledgertest.Epoch.Add(100 * time.Hour)
	n := 0
	fires := func() (id string) {
		n++
		level, threshold := 0.95, 0.9
		require.NoError(t, l.Update(context.Background(), now, func(tx ledger.Tx) error {
			_, e, err := ledger.Record(tx, &alert.Alert{
				ID: fmt.Sprint(n), Rule: "Full", Severity: alert.High, State: alert.Firing, Time: now, Threshold: &threshold, FiringLevel: &level,
			})
			if err != nil {
				return err
			}
			id = e.ID
			e.NotifiedAt = now
			return tx.PutEpisode(e)
		}))
		return id
	}
	a := &Assessor{Window: 30 * 24 * time.Hour, Limits: calibrate.DefaultLimits()}
	episodes := func() int {
		var got []*calibrate.Assessment
		require.NoError(t, l.View(context.Background(), now, func(tx ledger.Tx) (err error) {
			got, err = a.Thresholds(tx, "Full")
			return err
		}))
		if len(got) == 0 {
			return 0
		}
		assert.Nil(t, got[0].Alarms)
		return got[0].Before.Episodes
	}
	assert.Zero(t, episodes())
	id := fires()
	assert.Zero(t, episodes(), "it settles first")
	now = now.Add(settles)
	assert.Equal(t, 1, episodes())
	fires()
	assert.Equal(t, 1, episodes())
	require.NoError(t, l.Update(context.Background(), now, func(tx ledger.Tx) error { return ledger.Judge(tx, id, ledger.FalsePositive, "anna", "") }))
	assert.Equal(t, 2, episodes(), "a verdict counts at once")
	now = now.Add(31 * 24 * time.Hour)
	assert.Zero(t, episodes(), "the window has moved")
}

func TestSummaries(t *testing.T) {
	at := ledgertest.Epoch
	got := Summaries([]ledger.Tally{
		{Rule: "a", Owner: "x", SourceMetric: "m", Severity: alert.Low, Episodes: 2, Open: 1, OldestOpen: at, Notified: 1, Verdicts: map[ledger.Verdict]int64{ledger.TruePositive: 1}},
		{Rule: "a", Owner: "y", SourceMetric: "m", Severity: alert.High, Episodes: 3, Open: 1, OldestOpen: at.Add(-time.Hour), Verdicts: map[ledger.Verdict]int64{ledger.TruePositive: 2}},
		{Rule: "b", Owner: "x", Episodes: 1},
	})
	require.Len(t, got, 2)
	assert.Equal(t, []string{"x", "y"}, got[0].Owners)
	assert.Equal(t, []string{"m"}, got[0].SourceMetrics)
	assert.Equal(t, int64(5), got[0].Episodes)
	assert.Equal(t, alert.High, got[0].Severity)
	assert.Equal(t, at.Add(-time.Hour), got[0].OldestOpen)
	assert.Equal(t, int64(3), got[0].Verdicts[ledger.TruePositive])
	assert.True(t, got[1].OldestOpen.IsZero())
}
