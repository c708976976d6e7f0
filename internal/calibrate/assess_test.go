package calibrate

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/otelcol-escalation/otelcol-escalation/internal/alert"
	"github.com/otelcol-escalation/otelcol-escalation/internal/ledger"
)

var epoch = time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC)

func number(v float64) *float64 { return &v }

// told is an episode that somebody was paged for, hours after the epoch.
func told(hour int, verdict ledger.Verdict, levels ledger.Levels) *ledger.Sample {
	at := epoch.Add(time.Duration(hour) * time.Hour)
	return &ledger.Sample{
		ID: fmt.Sprintf("e%04d", hour), RuleGroup: "vllm", Rule: "Full", Owner: "inference", SourceMetric: "kv", SourceUnit: "1", Highest: alert.High,
		OpenedAt: at, NotifiedAt: at, Verdict: verdict, VerdictBy: "anna", Levels: levels,
	}
}

func high(threshold, firing float64) ledger.Levels {
	return ledger.Levels{alert.High: {Threshold: &threshold, Firing: &firing}}
}

func TestAssess(t *testing.T) {
	var samples []*ledger.Sample
	for i := range 20 { // false alarms a little above the threshold, real ones far beyond it
		samples = append(samples, told(12*i, ledger.FalsePositive, high(0.9, 0.905+float64(i)/1000)))
	}
	for i := range 4 {
		samples = append(samples, told(12*(20+i), ledger.TruePositive, high(0.9, 0.98)))
	}
	quiet := told(300, "", high(0.9, 0.91))
	quiet.NotifiedAt, quiet.VerdictBy = time.Time{}, ""
	samples = append(samples, quiet)
	all := Assess(samples, nil, DefaultLimits())
	require.Len(t, all, 1)
	a := all[0]
	assert.Equal(t, alert.High, a.Tier)
	assert.Equal(t, Above, a.Side)
	assert.Len(t, a.Alarms, 24, "nobody was told of the last one")
	assert.Equal(t, [...]string{"vllm", "inference", "kv", "1"}, [...]string{a.Group, a.Owner, a.SourceMetric, a.Unit})
	require.Equal(t, Stands, a.Reason, a.Sentence(30*24*time.Hour))
	assert.Greater(t, a.Threshold, 0.924)
	assert.Less(t, a.Threshold, 0.98)
	assert.Equal(t, 20, a.Before.Episodes-a.After.Episodes)
	assert.Equal(t, 4, a.After.Incidents)
	_, ok := a.Recall()
	assert.False(t, ok, "nobody has looked for misses")

	misses := []*ledger.Miss{
		{ID: "met", At: epoch.Add(12*20*time.Hour + 5*time.Minute)}, {ID: "missed", At: epoch.Add(500 * time.Hour)},
	}
	a = Assess(samples, misses, DefaultLimits())[0]
	require.Len(t, a.Missed, 1)
	assert.Equal(t, "missed", a.Missed[0].ID)
	recall, ok := a.Recall()
	require.True(t, ok)
	assert.InDelta(t, 0.8, recall.Ratio, 1e-9, "4 caught of 5")
}

// A tier that was passed by without standing at it, bands, moved thresholds, levels that equal the threshold.
func TestAssessTiersAndSides(t *testing.T) {
	jumped := ledger.Levels{alert.High: {Firing: number(0.99)}, alert.Critical: {Threshold: number(0.98), Firing: number(0.985)}}
	all := Assess([]*ledger.Sample{told(1, "", high(0.9, 0.95)), told(2, "", jumped), told(3, "", high(0.92, 0.92)), told(4, "", high(0.92, 0.93))}, nil, DefaultLimits())
	require.Len(t, all, 2)
	assert.Equal(t, alert.Critical, all[0].Tier, "the most urgent first")
	require.Len(t, all[1].Alarms, 4)
	assert.Equal(t, 0.9, all[1].Alarms[1].Threshold, "that of the one before")
	assert.Equal(t, []Move{{At: epoch.Add(3 * time.Hour), From: 0.9, To: 0.92}}, all[1].Moved)
	assert.Equal(t, 0.92, all[1].Current)

	band := Assess([]*ledger.Sample{told(1, "", high(2, 2.5)), told(2, "", high(1, 0.5)), told(3, "", high(1, 1)), told(4, "", high(2, 2.1))}, nil, DefaultLimits())
	require.Len(t, band, 2)
	assert.Equal(t, []Side{Above, Below}, []Side{band[0].Side, band[1].Side})
	assert.True(t, band[0].Band && band[1].Band)
	assert.Len(t, band[0].Alarms, 2)
	assert.Len(t, band[1].Alarms, 2, "the one that equals its threshold is of the side that has it")

	assert.Len(t, Assess([]*ledger.Sample{told(1, "", high(2, 2))}, nil, DefaultLimits()), 1, "equal alone: taken for above")
	assert.Empty(t, Assess(nil, nil, DefaultLimits()))
	assert.Empty(t, Assess([]*ledger.Sample{told(1, "", nil), told(2, "", ledger.Levels{alert.High: {Firing: number(1)}})}, nil, DefaultLimits()))
}
