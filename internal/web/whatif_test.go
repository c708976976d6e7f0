package web

import (
	"fmt"
	"math"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/otelcol-escalation/otelcol-escalation/internal/alert"
	"github.com/otelcol-escalation/otelcol-escalation/internal/calibrate"
	"github.com/otelcol-escalation/otelcol-escalation/internal/ledger"
	"github.com/otelcol-escalation/otelcol-escalation/internal/quality"
)

// alarms are random episodes of a threshold of 100, on one side.
func alarms(t *rapid.T, side calibrate.Side) []calibrate.Alarm {
	var all []calibrate.Alarm
	for i := range rapid.IntRange(1, 40).Draw(t, "alarms") {
		beyond := float64(rapid.IntRange(0, 60).Draw(t, "beyond")) / 2
		all = append(all, calibrate.Alarm{
			ID: fmt.Sprint(i), At: noon.Add(time.Duration(i) * 12 * time.Hour), Threshold: 100, Level: 100 + float64(side)*beyond,
			Bound: rapid.Bool().Draw(t, "bound"), Person: "anna",
			Verdict: rapid.SampledFrom([]ledger.Verdict{"", ledger.TruePositive, ledger.FalsePositive, ledger.Expected}).Draw(t, "verdict"),
		})
	}
	calibrate.Link(all, time.Hour)
	return all
}

func tuningOf(side calibrate.Side, all []calibrate.Alarm) tuning {
	limits := calibrate.Limits{MinEpisodes: 1, MinPeople: 1, MaxStep: 0.2}
	a := &calibrate.Assessment{Tier: alert.High, Side: side, Suggestion: calibrate.Suggest(side, 100, 100, all, limits)}
	return tuning{Threshold: &quality.Threshold{Assessment: a, Curve: calibrate.Curve(side, all)}, rule: "r", window: 30 * 24 * time.Hour}
}

// What is drawn, told and listed is what the episodes say, whatever the side.
func TestWhatIfSaysWhatTheEpisodesSay(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		side := rapid.SampledFrom([]calibrate.Side{calibrate.Above, calibrate.Below}).Draw(t, "side")
		all := alarms(t, side)
		tune := tuningOf(side, all)
		low, high := tune.ends()
		require.Less(t, low, high)
		require.LessOrEqual(t, low, tune.Current)
		require.GreaterOrEqual(t, high, tune.Current)
		for _, row := range tune.Table() {
			var v float64
			_, err := fmt.Sscan(row.Threshold, &v)
			require.NoError(t, err)
			require.Equal(t, calibrate.WhatIf(side, all, v), row.Counts, row.Threshold)
		}
		steps := tune.steps(low, high)
		require.NotEmpty(t, steps)
		for i, s := range steps {
			middle := s.from + (s.to-s.from)/2
			require.Equal(t, calibrate.WhatIf(side, all, middle), s.Counts, "%g", middle)
			if i > 0 {
				require.Equal(t, steps[i-1].to, s.from, "no gap")
			}
		}
		covered := 0.0
		for _, h := range tune.hovers(steps, low, high, 40) {
			require.Less(t, h.From, h.To)
			covered += h.To - h.From
		}
		require.InDelta(t, steps[len(steps)-1].to-steps[0].from, covered, 1e-6, "the pointer finds something everywhere")
		gone := tune.Gone()
		if tune.Stands() {
			require.Equal(t, tune.Before.Episodes, gone.Episodes+tune.After.Episodes)
			require.Zero(t, gone.Incidents)
		}
	})
}

// One wild value does not press the curve together, and a rule that has seen one level alone has a curve.
func TestEndsOfTheCurve(t *testing.T) {
	var all []calibrate.Alarm
	for i := range 100 {
		all = append(all, calibrate.Alarm{ID: fmt.Sprint(i), Threshold: 1, Level: 1 + float64(i)/100})
	}
	all = append(all, calibrate.Alarm{ID: "wild", Threshold: 1, Level: 1e12})
	tune := tuningOf(calibrate.Above, all)
	tune.Current = 1
	low, high := tune.ends()
	assert.InDelta(t, 0.96, low, 0.01)
	assert.Less(t, high, 3.0)
	one := tuningOf(calibrate.Above, all[50:51])
	one.Current = 1.5
	low, high = one.ends()
	assert.Less(t, low, high)
	require.Len(t, drawings(t, string(one.Chart().Wide)), 1)
	empty := tuning{Threshold: &quality.Threshold{Assessment: &calibrate.Assessment{Suggestion: calibrate.Suggestion{Current: math.NaN()}}}}
	require.Len(t, drawings(t, string(empty.Chart().Narrow)), 1)
}

func TestBandInYAML(t *testing.T) {
	high := &quality.Threshold{Assessment: &calibrate.Assessment{Tier: alert.Medium, Side: calibrate.Above, Band: true, Suggestion: calibrate.Suggestion{Reason: calibrate.Stands, Current: 0.35, Threshold: 0.4}}}
	low := &quality.Threshold{Assessment: &calibrate.Assessment{Tier: alert.Medium, Side: calibrate.Below, Band: true, Suggestion: calibrate.Suggestion{Reason: calibrate.Stands, Current: 0.05, Threshold: 0.04}}}
	all := tunings(&quality.Rule{Summary: &quality.Summary{Rule: "it's drift"}, Thresholds: []*quality.Threshold{high, low}}, time.Hour)
	require.Len(t, all, 2)
	assert.Equal(t, "- alert: \"it's drift\"\n  tiers:\n    medium:\n      outside: [0.05, 0.4]   # high was 0.35\n", all[0].YAML())
	assert.Equal(t, "- alert: \"it's drift\"\n  tiers:\n    medium:\n      outside: [0.04, 0.35]   # low was 0.05\n", all[1].YAML())
	assert.Equal(t, `alertctl calibrate --set 'it'\''s drift/medium:low=0.04' --write 'rules/*.yaml'`, all[1].Command())
	assert.Equal(t, "medium-low", all[1].ID())
}
