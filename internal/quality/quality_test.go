package quality

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/otelcol-escalation/otelcol-escalation/internal/alert"
	"github.com/otelcol-escalation/otelcol-escalation/internal/ledger"
	"github.com/otelcol-escalation/otelcol-escalation/internal/ledger/ledgertest"
)

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

func TestDays(t *testing.T) {
	now := time.Date(2026, 11, 23, 15, 0, 0, 0, time.UTC)
	at := func(days float64) time.Time { return now.Add(-time.Duration(days * 24 * float64(time.Hour))) }
	told := func(days float64, v ledger.Verdict) *ledger.Sample {
		return &ledger.Sample{OpenedAt: at(days), NotifiedAt: at(days), Verdict: v}
	}
	days := Days([]*ledger.Sample{
		told(5, ""), told(2.7, ledger.FalsePositive), told(2, ledger.TruePositive), told(2, ledger.Duplicate), told(0, ""), {OpenedAt: at(0.1)}, told(-1, ""),
	}, now, 3)
	require.Len(t, days, 3)
	day := time.Date(2026, 11, 21, 0, 0, 0, 0, time.UTC)
	assert.Equal(t, Day{At: day, Verified: 1, Other: 1}, days[0])
	assert.Equal(t, Day{At: day.Add(24 * time.Hour)}, days[1])
	assert.Equal(t, Day{At: day.Add(48 * time.Hour), Unjudged: 1, Untold: 1}, days[2])
	assert.Equal(t, 2, days[0].Pages())
}
