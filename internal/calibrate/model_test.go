package calibrate

import (
	"fmt"
	"math"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/otelcol-escalation/otelcol-escalation/internal/ledger"
)

// check draws often enough that every kind of case comes.
func check(t *testing.T, property func(*rapid.T)) {
	t.Helper()
	for range 5 {
		rapid.Check(t, property)
	}
}

// drawAlarms are episodes of every kind, levels that are no numbers and times that are equal among them.
func drawAlarms(t *rapid.T, side Side) []Alarm {
	all := make([]Alarm, rapid.IntRange(0, 40).Draw(t, "alarms"))
	excess := rapid.OneOf(
		rapid.Float64Range(0, 20),
		rapid.Map(rapid.IntRange(0, 9), func(n int) float64 { return float64(n) }),
		rapid.Map(rapid.IntRange(0, 3), func(n int) float64 { // neighbours, between which nothing lies
			v := 12.0
			for range n {
				v = math.Nextafter(v, 13)
			}
			return v - 10
		}),
	)
	noise := rapid.IntRange(0, 3).Draw(t, "noise") == 0 // and nothing that must be kept
	odd := rapid.SampledFrom([]float64{math.NaN(), math.Inf(1), math.Inf(-1), math.MaxFloat64, -math.MaxFloat64})
	for i := range all {
		a := Alarm{
			ID: fmt.Sprint(i), At: start.Add(time.Duration(rapid.IntRange(0, 300).Draw(t, "hour")) * time.Hour),
			Threshold:    side.out(10 + float64(rapid.IntRange(-2, 2).Draw(t, "threshold"))),
			Bound:        rapid.IntRange(0, 5).Draw(t, "bound") == 0,
			Verdict:      rapid.SampledFrom([]ledger.Verdict{"", ledger.TruePositive, ledger.FalsePositive, ledger.FalsePositive, ledger.Expected, ledger.Duplicate}).Draw(t, "verdict"),
			Person:       rapid.SampledFrom([]string{"anna", "bob", "eve"}).Draw(t, "person"),
			Acknowledged: rapid.Bool().Draw(t, "acknowledged"),
			Silent:       rapid.IntRange(0, 4).Draw(t, "silent") == 0,
		}
		a.Level = side.out(side.out(a.Threshold) + excess.Draw(t, "excess"))
		if a.Silent {
			a.Level = side.out(4 + excess.Draw(t, "excess")/3)
		}
		if rapid.IntRange(0, 19).Draw(t, "odd") == 0 {
			a.Level = odd.Draw(t, "level")
		}
		if rapid.IntRange(0, 39).Draw(t, "odd") == 0 {
			a.Threshold = odd.Draw(t, "threshold")
		}
		if rapid.IntRange(0, 19).Draw(t, "nameless") == 0 {
			a.ID = ""
		}
		if noise {
			a.Acknowledged = false
			if a.Verdict == ledger.TruePositive {
				a.Verdict = ledger.FalsePositive
			}
		}
		all[i] = a
	}
	slices.SortStableFunc(all, func(a, b Alarm) int { return a.At.Compare(b.At) })
	return all
}

func drawLimits(t *rapid.T) Limits {
	return Limits{
		MinEpisodes: rapid.IntRange(0, 5).Draw(t, "min"), MinPeople: rapid.IntRange(0, 2).Draw(t, "people"),
		MaxStep: rapid.SampledFrom([]float64{0, 0.05, 0.2, 5}).Draw(t, "step"),
	}
}

// model is the slow, obvious one: it tries thresholds.
type model struct {
	side   Side
	alarms []Alarm
}

func finite(v float64) bool { return !math.IsNaN(v) && !math.IsInf(v, 0) }

// fires: an episode does at every threshold that its level is beyond, and at the one at which it did.
func (m model) fires(a *Alarm, threshold float64) bool {
	if !math.IsNaN(a.Level) && m.side.beyond(a.Level, threshold) {
		return true
	}
	return !a.Silent && finite(a.Threshold) && !m.side.beyond(threshold, a.Threshold)
}

// known: something is known of when it fires.
func (m model) known(a *Alarm) bool { return m.fires(a, m.side.out(math.Inf(-1))) }

func (m model) episodes(threshold float64) (n int) {
	for i := range m.alarms {
		if m.fires(&m.alarms[i], threshold) {
			n++
		}
	}
	return n
}

// incidents says of each that must be kept whether any of its episodes fires.
func (m model) incidents(threshold float64) map[string]bool {
	fire := map[string]bool{}
	for i := range m.alarms {
		a := &m.alarms[i]
		real := a.Verdict == ledger.TruePositive
		takenOn := a.Verdict == "" && a.Acknowledged && !a.Silent
		if m.known(a) && (real || takenOn) {
			name := a.incident()
			if name == "" {
				name = fmt.Sprint("nameless ", i)
			}
			fire[name] = fire[name] || m.fires(a, threshold)
		}
	}
	return fire
}

func (m model) keepsAll(threshold float64) bool {
	for _, fires := range m.incidents(threshold) {
		if !fires {
			return false
		}
	}
	return true
}

// tries are thresholds around everything at which something changes. exact are some of them: where an episode has its
// threshold it fires, and just beyond it may not. A suggestion need not make use of that.
func (m model) tries() (all, exact []float64) {
	own := map[float64]bool{}
	for i := range m.alarms {
		own[m.alarms[i].Threshold] = true
	}
	for i := range m.alarms {
		for _, turn := range [...]float64{m.alarms[i].Level, m.alarms[i].Threshold} {
			for _, v := range [...]float64{turn, math.Nextafter(turn, math.Inf(1)), math.Nextafter(turn, math.Inf(-1))} {
				switch {
				case !finite(v):
				case own[v]:
					exact = append(exact, v)
				default:
					all = append(all, v)
				}
			}
		}
	}
	return all, exact
}

// fewest is how few episodes there are at one of the thresholds that keeps everything and lies within so much of another.
func (m model) fewest(thresholds []float64, within, of float64) int {
	n := math.MaxInt
	for _, v := range thresholds {
		if math.Abs(v-of) < within && m.keepsAll(v) {
			n = min(n, m.episodes(v))
		}
	}
	return n
}

// requireSafe: what fires at the threshold in force and must be kept fires at the suggested one, too, and at the goal
// everything does that must be kept.
func (m model) requireSafe(t require.TestingT, s *Suggestion) {
	if s.Reason != Stands {
		return
	}
	after := m.incidents(s.Threshold)
	for name, fired := range m.incidents(s.Current) {
		require.True(t, !fired || after[name], "incident %s is lost at %v", name, s.Threshold)
	}
	require.True(t, m.keepsAll(s.Goal), "an incident is lost at %v", s.Goal)
	if !s.Capped {
		require.Equal(t, s.Goal, s.Threshold)
	}
}
