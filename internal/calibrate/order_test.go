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
