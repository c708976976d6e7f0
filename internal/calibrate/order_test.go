package calibrate

import (
	"cmp"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/otelcol-escalation/otelcol-escalation/internal/alert"
	"github.com/otelcol-escalation/otelcol-escalation/internal/ledger"
)

// What comes from several places is one list in order of time, whatever order each was in.
func TestAlarmsAreMerged(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a := Assessment{}
		for i := range rapid.IntRange(0, 20).Draw(t, "alarms") {
			a.Alarms = append(a.Alarms, Alarm{ID: fmt.Sprint(i), At: start.Add(time.Duration(rapid.IntRange(0, 10).Draw(t, "hour")) * time.Hour)})
		}
		want := slices.Clone(a.Alarms)
		slices.SortFunc(want, func(x, y Alarm) int { return cmp.Or(x.At.Compare(y.At), cmp.Compare(x.ID, y.ID)) })
		a.merge(rapid.IntRange(0, len(a.Alarms)).Draw(t, "n"))
		require.Equal(t, want, a.Alarms)
	})
}

// A miss marks every silent episode that was there, and none else, however long others last; and one that an alert met is none.
func TestMissesMeetWhatWasThere(t *testing.T) {
	marked := 0
	rapid.Check(t, func(t *rapid.T) {
		minute := func(name string, most int) time.Time {
			return epoch.Add(time.Duration(rapid.IntRange(0, most).Draw(t, name)) * time.Minute)
		}
		e := Evidence{Samples: []*ledger.Sample{told(0, ledger.FalsePositive, high(0.9, 0.95))}}
		for i := range rapid.IntRange(0, 20).Draw(t, "explored") {
			x := &ledger.Explored{ID: fmt.Sprint("x", i), OpenedAt: minute("from", 600), Levels: high(0.72, 0.8)}
			if rapid.Bool().Draw(t, "ended") {
				x.EndedAt = x.OpenedAt.Add(time.Duration(rapid.IntRange(0, 300).Draw(t, "minutes")) * time.Minute)
			}
			e.Explored = append(e.Explored, x)
		}
		slices.SortStableFunc(e.Explored, func(x, y *ledger.Explored) int { return x.OpenedAt.Compare(y.OpenedAt) })
		real := minute("real", 600)
		e.Samples = append(e.Samples, told(20, ledger.TruePositive, high(0.9, 0.97)))
		e.Samples[1].OpenedAt = real
		for i := range rapid.IntRange(0, 5).Draw(t, "misses") {
			e.Misses = append(e.Misses, &ledger.Miss{ID: fmt.Sprint(i), At: minute("miss", 700)})
		}
		a := Assess(e, DefaultLimits())[0]
		require.Equal(t, alert.High, a.Tier)
		missed := slices.DeleteFunc(slices.Clone(e.Misses), func(m *ledger.Miss) bool { return m.At.Sub(real).Abs() <= met })
		require.ElementsMatch(t, missed, a.Missed)
		for i := range a.Alarms {
			x := &a.Alarms[i]
			if !x.Silent {
				continue
			}
			there := slices.ContainsFunc(missed, func(m *ledger.Miss) bool {
				end := x.At
				if x.End.After(end) {
					end = x.End
				}
				return !m.At.Before(x.At.Add(-met)) && !m.At.After(end.Add(met))
			})
			require.Equal(t, there, x.Verdict == ledger.TruePositive, x.ID)
			if there {
				marked++
			}
		}
	})
	require.Positive(t, marked)
}

// What is suggested for a rule's tiers and both sides of its bands loses nothing of what was recorded, and no step is longer
// than its part of the band.
func TestSuggestionsForARuleAreSafe(t *testing.T) {
	stood := map[string]int{}
	check(t, func(t *rapid.T) {
		var e Evidence
		band := rapid.Bool().Draw(t, "band")
		excess := rapid.Map(rapid.IntRange(0, 40), func(n int) float64 { return float64(n) / 16 })
		for i := range rapid.IntRange(1, 40).Draw(t, "episodes") {
			levels := ledger.Levels{}
			for _, tier := range []alert.Severity{alert.High, alert.Critical} {
				threshold := 10 + 2*float64(tier) + float64(rapid.IntRange(0, 1).Draw(t, "moved"))/4
				level := threshold + excess.Draw(t, "excess")
				if band && rapid.Bool().Draw(t, "low") {
					threshold, level = -threshold, -level
				}
				l := ledger.Level{Threshold: &threshold, Firing: &level, Bound: rapid.IntRange(0, 9).Draw(t, "bound") == 0}
				switch rapid.IntRange(0, 3).Draw(t, "tier") {
				case 0: // it was passed by
					l.Threshold = nil
				case 1: // it was not reached
					continue
				}
				levels[tier] = l
			}
			s := told(i, rapid.SampledFrom([]ledger.Verdict{"", ledger.TruePositive, ledger.FalsePositive, ledger.FalsePositive, ledger.Duplicate}).Draw(t, "verdict"), levels)
			s.AlertID = rapid.SampledFrom([]string{"a", "b"}).Draw(t, "alert")
			if rapid.IntRange(0, 4).Draw(t, "acknowledged") == 0 {
				s.AcknowledgedAt = s.OpenedAt
			}
			e.Samples = append(e.Samples, s)
			if rapid.IntRange(0, 3).Draw(t, "explored") == 0 {
				e.Explored = append(e.Explored, &ledger.Explored{ID: fmt.Sprint("x", i), AlertID: s.AlertID, OpenedAt: s.OpenedAt, Levels: ledger.Levels{
					alert.High: {Threshold: number(10), Firing: number(10 + excess.Draw(t, "excess"))},
				}})
			}
			if rapid.IntRange(0, 9).Draw(t, "miss") == 0 {
				e.Misses = append(e.Misses, &ledger.Miss{ID: fmt.Sprint("m", i), At: s.OpenedAt.Add(time.Minute)})
			}
		}
		limits := Limits{MaxStep: rapid.SampledFrom([]float64{0.02, 0.2}).Draw(t, "step")}
		all := Assess(e, limits)
		for _, a := range all {
			model{a.Side, a.Alarms}.requireSafe(t, &a.Suggestion)
			if a.Reason != Stands {
				continue
			}
			scale := a.Current
			for _, other := range all {
				if other.Tier == a.Tier && other.Side != a.Side {
					require.True(t, a.Band)
					scale = other.Current - a.Current
				}
			}
			require.LessOrEqual(t, max(a.Threshold-a.Current, a.Current-a.Threshold), limits.MaxStep*max(scale, -scale)*(1+1e-9))
			stood[a.Bound()]++
		}
	})
	t.Log(stood)
	for _, bound := range []string{"", "low", "high"} {
		require.Positive(t, stood[bound], "of bound %q", bound)
	}
}
