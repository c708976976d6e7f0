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
	all := Assess(Evidence{Samples: samples}, DefaultLimits())
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
	a = Assess(Evidence{Samples: samples, Misses: misses}, DefaultLimits())[0]
	require.Len(t, a.Missed, 1)
	assert.Equal(t, "missed", a.Missed[0].ID)
	recall, ok := a.Recall()
	require.True(t, ok)
	assert.InDelta(t, 0.8, recall.Ratio, 1e-9, "4 caught of 5")
}

// A tier that was passed by without standing at it, bands, moved thresholds, levels that equal the threshold.
func TestAssessTiersAndSides(t *testing.T) {
	jumped := ledger.Levels{alert.High: {Firing: number(0.99)}, alert.Critical: {Threshold: number(0.98), Firing: number(0.985)}}
	all := Assess(Evidence{Samples: []*ledger.Sample{told(1, "", high(0.9, 0.95)), told(2, "", jumped), told(3, "", high(0.92, 0.92)), told(4, "", high(0.92, 0.93))}}, DefaultLimits())
	require.Len(t, all, 2)
	assert.Equal(t, alert.Critical, all[0].Tier, "the most urgent first")
	require.Len(t, all[1].Alarms, 4)
	assert.Equal(t, 0.9, all[1].Alarms[1].Threshold, "that of the one before")
	assert.Equal(t, []Move{{At: epoch.Add(3 * time.Hour), From: 0.9, To: 0.92}}, all[1].Moved)
	assert.Equal(t, 0.92, all[1].Current)

	band := Assess(Evidence{Samples: []*ledger.Sample{told(1, "", high(2, 2.5)), told(2, "", high(1, 0.5)), told(3, "", high(1, 1)), told(4, "", high(2, 2.1))}}, DefaultLimits())
	require.Len(t, band, 2)
	assert.Equal(t, []Side{Above, Below}, []Side{band[0].Side, band[1].Side})
	assert.True(t, band[0].Band && band[1].Band)
	assert.Len(t, band[0].Alarms, 2)
	assert.Len(t, band[1].Alarms, 2, "the one that equals its threshold is of the side that has it")

	assert.Len(t, Assess(Evidence{Samples: []*ledger.Sample{told(1, "", high(2, 2))}}, DefaultLimits()), 1, "equal alone: taken for above")
	assert.Empty(t, Assess(Evidence{}, DefaultLimits()))
	assert.Empty(t, Assess(Evidence{Samples: []*ledger.Sample{told(1, "", nil), told(2, "", ledger.Levels{alert.High: {Firing: number(1)}})}}, DefaultLimits()))
}

// silent is an episode of the silent track, hours after the epoch, that lasted an hour.
func silent(hour int, threshold, level float64, labels map[string]string) *ledger.Explored {
	at := epoch.Add(time.Duration(hour) * time.Hour)
	return &ledger.Explored{
		ID: fmt.Sprintf("s%04d", hour), Rule: "Full", Highest: alert.High, Labels: labels, OpenedAt: at, EndedAt: at.Add(time.Hour), Levels: high(threshold, level),
	}
}

// What the silent track saw counts for laxer thresholds, and is what a reported miss should have been caught by.
func TestAssessSilentTrack(t *testing.T) {
	var e Evidence
	for i := range 20 {
		verdict := ledger.FalsePositive
		if i%2 == 0 {
			verdict = ledger.TruePositive
		}
		e.Samples = append(e.Samples, told(24*i, verdict, high(0.9, 0.97)))
	}
	chat := map[string]string{"service": "chat", "instance": "a"}
	e.Explored = []*ledger.Explored{
		silent(25, 0.72, 0.75, nil), silent(50, 0.72, 0.86, chat), silent(51, 0.72, 0.87, map[string]string{"service": "search"}),
		silent(73, 0.72, 0.95, nil), // the real track has it
		silent(75, 0.72, 0.9, nil),  // would still have fired at the threshold in force: so has it this
		{ID: "of another tier", Rule: "Full", OpenedAt: epoch, Levels: ledger.Levels{alert.Low: {Firing: number(0.8)}}},
	}
	a := Assess(e, DefaultLimits())[0]
	assert.Len(t, a.Alarms, 23)
	assert.Equal(t, 0.9, a.Current, "the silent track has no say in what is in force")
	assert.Equal(t, 20, a.Before.Episodes)
	assert.Equal(t, 23, WhatIf(Above, a.Alarms, 0.73).Episodes)
	assert.Empty(t, a.Moved)
	assert.Equal(t, 10, a.Caught)

	e.Misses = []*ledger.Miss{{ID: "m", At: epoch.Add(50*time.Hour + 70*time.Minute), Labels: map[string]string{"service": "chat"}, By: "anna"}}
	a = Assess(e, DefaultLimits())[0]
	require.Len(t, a.Missed, 1)
	require.Equal(t, Stands, a.Reason, a.Sentence(30*24*time.Hour))
	assert.Less(t, a.Threshold, 0.86)
	assert.Greater(t, a.Threshold, 0.75, "no laxer than it takes")
	assert.Equal(t, a.Before.Incidents+1, a.After.Incidents)
	assert.Equal(t, 10, a.Caught, "it was not caught by that")
	assert.Contains(t, a.Sentence(30*24*time.Hour), "1 incident caught that went unseen")
	recall, ok := a.Recall()
	require.True(t, ok)
	assert.InDelta(t, 10.0/11, recall.Ratio, 1e-9)
}

// A miss counts for the laxest tier alone: the others are not what should have caught it.
func TestAssessMissOfTheLaxestTier(t *testing.T) {
	both := func(hour int) *ledger.Sample {
		return told(hour, ledger.TruePositive, ledger.Levels{
			alert.Critical: {Threshold: number(0.98), Firing: number(0.99)}, alert.High: {Threshold: number(0.9), Firing: number(0.99)},
		})
	}
	e := Evidence{
		Samples: []*ledger.Sample{both(1), both(30)},
		Explored: []*ledger.Explored{{ID: "s", OpenedAt: epoch.Add(100 * time.Hour), Levels: ledger.Levels{
			alert.Critical: {Threshold: number(0.8), Firing: number(0.85)}, alert.High: {Threshold: number(0.7), Firing: number(0.85)},
		}}},
		Misses: []*ledger.Miss{{ID: "m", At: epoch.Add(100 * time.Hour)}},
	}
	all := Assess(e, DefaultLimits())
	require.Len(t, all, 2)
	for i, want := range []ledger.Verdict{"", ledger.TruePositive} {
		last := all[i].Alarms[len(all[i].Alarms)-1]
		require.True(t, last.Silent)
		assert.Equal(t, want, last.Verdict, all[i].Tier)
	}
}

// Two series in trouble within an hour are two incidents: the lesser of them must not be lost.
func TestIncidentsAreOfOneAlert(t *testing.T) {
	var e Evidence
	for i := range 20 {
		e.Samples = append(e.Samples, told(24*i, ledger.FalsePositive, high(0.9, 0.92)))
	}
	one, other := told(500, ledger.TruePositive, high(0.9, 0.93)), told(500, ledger.TruePositive, high(0.9, 0.99))
	one.ID, one.AlertID, other.AlertID = "one", "one", "other"
	e.Samples = append(e.Samples, one, other)
	a := Assess(e, DefaultLimits())[0]
	require.Equal(t, Stands, a.Reason)
	assert.Less(t, a.Threshold, 0.93)
	assert.Equal(t, 2, a.After.Incidents)
	other.AlertID = "one"
	assert.Greater(t, Assess(e, DefaultLimits())[0].Threshold, 0.93, "of one alert the worst is enough")
}

// A change that somebody told of stands at its time; what only the episodes show, at the first of them.
func TestMoves(t *testing.T) {
	at := func(hour int) time.Time { return epoch.Add(time.Duration(hour) * time.Hour) }
	a := Assess(Evidence{
		Samples: []*ledger.Sample{told(1, "", high(0.9, 0.95)), told(20, "", high(0.93, 0.95)), told(30, "", high(0.94, 0.95))},
		Changes: []*ledger.Change{
			{Rule: "Full", Tier: alert.High, From: 0.9, To: 0.93, At: at(10), By: LocalPerson("anna"), Note: "noise"},
			{Rule: "Full", Tier: alert.Critical, From: 1, To: 2, At: at(11)},
		},
	}, DefaultLimits())[0]
	assert.Equal(t, []Move{{At: at(10), From: 0.9, To: 0.93, By: "anna", Note: "noise"}, {At: at(30), From: 0.93, To: 0.94}}, a.Moved)
	assert.Equal(t, 0.94, a.Current)
	a = Assess(Evidence{
		Samples: []*ledger.Sample{told(1, "", high(0.9, 0.95)), told(2, "", high(0.9, 0.91))},
		Changes: []*ledger.Change{{Rule: "Full", Tier: alert.High, From: 0.9, To: 0.93, At: at(10)}},
	}, DefaultLimits())[0]
	assert.Equal(t, 0.93, a.Current, "nothing has fired since")
	assert.Equal(t, 1, a.Before.Episodes, "of those that did, one would have")
}
