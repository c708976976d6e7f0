package calibrate

import (
	"fmt"
	"math"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/otelcol-escalation/otelcol-escalation/internal/ledger"
)

var start = time.Date(2026, 3, 1, 8, 0, 0, 0, time.UTC)

// alarms are one a day, all at the threshold 10, with the levels and verdicts of a text: "12f 15t 13 14a 11s".
func alarms(levels ...any) []Alarm {
	var all []Alarm
	for i := 0; i < len(levels); i += 2 {
		a := Alarm{ID: fmt.Sprint(i), At: start.Add(time.Duration(i/2) * 24 * time.Hour), Threshold: 10, Person: "anna"}
		switch v := levels[i].(type) {
		case int:
			a.Level = float64(v)
		case float64:
			a.Level = v
		}
		switch levels[i+1] {
		case "true":
			a.Verdict = ledger.TruePositive
		case "false":
			a.Verdict = ledger.FalsePositive
		case "expected":
			a.Verdict = ledger.Expected
		case "acknowledged":
			a.Acknowledged = true
		case "missed":
			a.Verdict, a.Silent = ledger.TruePositive, true
		case "silent":
			a.Silent = true
		}
		all = append(all, a)
	}
	return all
}

// linked are alarms whose true ones are one incident.
func linked(levels ...any) []Alarm {
	all := alarms(levels...)
	Link(all, 100*24*time.Hour)
	return all
}

var lenient = Limits{MinEpisodes: 1, MaxStep: 10}

func TestSuggestions(t *testing.T) {
	for name, c := range map[string]struct {
		alarms []Alarm
		limits Limits
		want   float64 // NaN: none
		reason Reason
		says   string
	}{
		"between what goes and what stays, nearer to the former, and round": {
			alarms(12, "false", 13.2, "false", 18, "true", 25, "true"), lenient, 14, Stands,
			"2 of 4 pages in 30 days would have gone, all 2 incidents kept",
		},
		"an acknowledged one that nobody judged stays": {
			alarms(12, "false", 14, "acknowledged", 16, "false", 18, "true"), lenient, 13, Stands,
			"1 of 4 pages in 30 days would have gone, all 2 incidents kept",
		},
		"an unjudged one may go, and that is said": {
			alarms(12, "false", 14, "", 18, "true"), lenient, 15, Stands,
			"2 of 3 pages in 30 days would have gone, the one incident kept; nobody judged 1 of those that would have gone",
		},
		"of an incident the worst episode is enough": {
			linked(12, "true", 15, "true", 13, "false"), lenient, 14, Stands, "2 of 3 pages in 30 days would have gone, the one incident kept",
		},
		"what was expected may go": {alarms(12, "expected", 13, "false", 18, "true"), lenient, 14, Stands, ""},
		"nothing lies below the least incident": {
			alarms(12, "true", 13, "false"), lenient, math.NaN(), NothingGone, "no threshold would remove pages and keep what must be kept",
		},
		"no farther than the step": {
			alarms(10.5, "false", 15, "false", 30, "true"), Limits{MinEpisodes: 1, MaxStep: 0.2}, 11, Stands,
			"1 of 3 pages in 30 days would have gone, the one incident kept; it moves by 20 % at most",
		},
		"without an incident, half of them": {
			alarms(10.5, "false", 10.6, "false", 10.8, "false", 11, "false"), Limits{MinEpisodes: 1, MaxStep: 0.2}, 10.7, Stands,
			"2 of 4 pages in 30 days would have gone, no incident has been verified yet, so that half may go at most",
		},
		"nor farther than the step": {
			alarms(10.5, "false", 10.6, "false", 13, "false", 14, "false"), Limits{MinEpisodes: 1, MaxStep: 0.2}, 11, Stands,
			"2 of 4 pages in 30 days would have gone, no incident has been verified yet, so that half may go at most; it moves by 20 % at most",
		},
		"back to a miss that the silent track saw": {
			alarms(9, "missed", 8, "silent", 12, "true"), Limits{MinEpisodes: 1, MaxStep: 0.5}, 8.6, Stands,
			"1 page more than the 1 in 30 days would have come, 1 incident caught that went unseen, all others kept",
		},
		"few labels": {
			alarms(12, "false", 13, "", 14, "expected", 15, "acknowledged"), DefaultLimits(), math.NaN(), FewEpisodes, "1 of 20 labelled episodes",
		},
		"few days": {
			alarms(12, "false", 13, "true"), Limits{MinEpisodes: 2, MinAge: 7 * 24 * time.Hour}, math.NaN(), FewDays, "the labelled episodes span 1.0 of 7.0 days",
		},
		"few people": {
			alarms(12, "false", 13, "true"), Limits{MinEpisodes: 2, MinPeople: 2}, math.NaN(), FewPeople, "verdicts of 1 of 2 people",
		},
		"no levels": {alarms(math.NaN(), "false"), lenient, math.NaN(), NoLevels, "no episode has a firing level"},
	} {
		t.Run(name, func(t *testing.T) {
			s := Suggest(Above, 10, 10, c.alarms, c.limits)
			assert.Equal(t, c.reason, s.Reason)
			if c.says != "" {
				assert.Equal(t, c.says, s.Sentence(30*24*time.Hour))
			}
			if c.reason == Stands {
				assert.InDelta(t, c.want, s.Threshold, 1e-12)
			} else {
				assert.Zero(t, s.Threshold)
			}
			// The mirror image below a threshold.
			mirrored := make([]Alarm, len(c.alarms))
			for i, a := range c.alarms {
				a.Level, a.Threshold = -a.Level, -a.Threshold
				mirrored[i] = a
			}
			m := Suggest(Below, -10, 10, mirrored, c.limits)
			assert.Equal(t, s.Reason, m.Reason)
			assert.Equal(t, s.Threshold, 0-m.Threshold)
			assert.Equal(t, s.After, m.After)
		})
	}
	assert.Equal(t, NoThreshold, Suggest(Above, math.NaN(), 1, alarms(12, "false"), lenient).Reason)
}

func TestOnePersonMovesNothingWhereTwoAreWanted(t *testing.T) {
	var all []Alarm
	for i := range 10_000 {
		all = append(all, Alarm{
			At: start.Add(time.Duration(i) * time.Hour), Threshold: 10, Level: 11 + float64(i%100)/10, Verdict: ledger.FalsePositive, Person: "anna",
		})
	}
	limits := DefaultLimits()
	limits.MinPeople = 2
	s := Suggest(Above, 10, 10, all, limits)
	assert.Equal(t, FewPeople, s.Reason)
	assert.Zero(t, s.Threshold)
	all[0].Person = "bob"
	assert.Equal(t, Stands, Suggest(Above, 10, 10, all, limits).Reason)
}

func drawAlarms(t *rapid.T, side Side) []Alarm {
	var all []Alarm
	for i := range rapid.IntRange(0, 40).Draw(t, "alarms") {
		excess := rapid.OneOf(rapid.Float64Range(0, 20), rapid.Custom(func(t *rapid.T) float64 { return float64(rapid.IntRange(0, 9).Draw(t, "n")) })).Draw(t, "excess")
		a := Alarm{
			ID: fmt.Sprint(i), At: start.Add(time.Duration(rapid.IntRange(0, 1000).Draw(t, "hour")) * time.Hour),
			Threshold:    side.out(10 + float64(rapid.IntRange(-2, 2).Draw(t, "threshold"))),
			Bound:        rapid.IntRange(0, 5).Draw(t, "bound") == 0,
			Verdict:      rapid.SampledFrom([]ledger.Verdict{"", ledger.TruePositive, ledger.FalsePositive, ledger.FalsePositive, ledger.Expected}).Draw(t, "verdict"),
			Person:       rapid.SampledFrom([]string{"anna", "bob", "eve"}).Draw(t, "person"),
			Acknowledged: rapid.Bool().Draw(t, "acknowledged"),
			Silent:       rapid.IntRange(0, 4).Draw(t, "silent") == 0,
		}
		a.Level = side.out(side.out(a.Threshold) + excess)
		if a.Silent {
			a.Level = side.out(8 + excess/5)
		}
		all = append(all, a)
	}
	slices.SortStableFunc(all, func(a, b Alarm) int { return a.At.Compare(b.At) })
	Link(all, time.Duration(rapid.IntRange(0, 48).Draw(t, "within"))*time.Hour)
	return all
}

// A suggestion never loses what must be kept; it lies within its step; and no threshold that keeps all, as far out as the
// step allows, has fewer episodes.
func TestSuggestionProperties(t *testing.T) {
	stood := 0
	rapid.Check(t, func(t *rapid.T) {
		side := rapid.SampledFrom([]Side{Above, Below}).Draw(t, "side")
		all := drawAlarms(t, side)
		current := side.out(10)
		limits := Limits{MinEpisodes: rapid.IntRange(0, 5).Draw(t, "min"), MinPeople: rapid.IntRange(0, 2).Draw(t, "people"), MaxStep: rapid.SampledFrom([]float64{0.05, 0.2, 5}).Draw(t, "step")}
		s := Suggest(side, current, 10, all, limits)
		if s.Reason != Stands {
			require.Zero(t, s.Threshold)
			return
		}
		stood++
		require.NotEqual(t, current, s.Threshold)
		require.LessOrEqual(t, math.Abs(s.Threshold-current), limits.MaxStep*10+1e-9)
		needsLaxer := false
		worst := map[string]float64{} // of each incident
		for i := range all {
			if a := &all[i]; a.kept() {
				level, ok := worst[a.incident()]
				if out := side.out(a.Level); !ok || out > level {
					worst[a.incident()] = out
				}
			}
		}
		for _, level := range worst {
			needsLaxer = needsLaxer || level <= 10
		}
		for name, level := range worst {
			if !(s.Capped && needsLaxer) {
				require.Greater(t, level, side.out(s.Threshold), "incident %s is lost", name)
			}
		}
		require.Equal(t, WhatIf(side, all, current), s.Before)
		require.Equal(t, WhatIf(side, all, s.Threshold), s.After)
		require.GreaterOrEqual(t, s.After.Incidents, s.Before.Incidents)
		if needsLaxer {
			return
		}
		if len(worst) == 0 {
			require.GreaterOrEqual(t, 2*s.After.Episodes, s.Before.Episodes-1, "half of them at most")
			return
		}
		require.LessOrEqual(t, s.After.Episodes, s.Before.Episodes)
		for i := range all { // just at each level, and just before it
			for _, other := range []float64{side.out(all[i].Level), math.Nextafter(side.out(all[i].Level), -1e9)} {
				if other >= 10+limits.MaxStep*10 || other < 10 {
					continue
				}
				keeps := true
				for _, level := range worst {
					keeps = keeps && level > other
				}
				if keeps {
					require.GreaterOrEqual(t, WhatIf(side, all, side.out(other)).Episodes, s.After.Episodes, "%g has fewer than %g", side.out(other), s.Threshold)
				}
			}
		}
		// What is judged to be real later never makes it lose something.
		more := append([]Alarm(nil), all...)
		for i := range more {
			if rapid.Bool().Draw(t, "judged") {
				more[i].Verdict = ledger.TruePositive
			}
		}
		again := Suggest(side, current, 10, more, limits)
		if again.Reason == Stands {
			require.GreaterOrEqual(t, again.After.Incidents, again.Before.Incidents)
		}
	})
	t.Logf("%d suggestions stood", stood)
	require.Positive(t, stood)
}

func TestCurveIsWhatIfAtEveryPoint(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		side := rapid.SampledFrom([]Side{Above, Below}).Draw(t, "side")
		all := drawAlarms(t, side)
		points := Curve(side, all)
		for i, p := range points {
			require.Equal(t, WhatIf(side, all, p.Threshold), p.Counts, "at %g", p.Threshold)
			if i > 0 {
				require.True(t, side.beyond(p.Threshold, points[i-1].Threshold))
				require.LessOrEqual(t, p.Episodes, points[i-1].Episodes)
			}
		}
		if len(all) > 0 {
			require.NotEmpty(t, points)
			require.Zero(t, points[len(points)-1].Episodes-WhatIf(side, all, points[len(points)-1].Threshold).Episodes)
		}
	})
}

func TestALongCurveIsThinned(t *testing.T) {
	var all []Alarm
	for i := range 50_000 {
		all = append(all, Alarm{Threshold: 1, Level: 1 + float64(i)})
	}
	points := Curve(Above, all)
	require.LessOrEqual(t, len(points), maxPoints)
	assert.Equal(t, 50_000, points[0].Episodes, "at their own threshold all fired")
	assert.Equal(t, 50_000.0, points[len(points)-1].Threshold)
	for _, p := range points {
		assert.Equal(t, WhatIf(Above, all, p.Threshold), p.Counts)
	}
}

func TestRoundest(t *testing.T) {
	for _, c := range []struct{ low, high, want float64 }{
		{13.2, 15.6, 14}, {0.903, 0.917, 0.91}, {0.9, 1.7, 1}, {99, 101, 100}, {-0.5, 0.2, 0}, {-15.6, -13.2, -15}, {1234, 5678, 2000},
		{0.00031, 0.00034, 0.00032}, {1e-300, 3e-300, 3e-300}, {5, 5, 5}, {1e18, 1.5e18, 1.1e18},
	} {
		assert.InEpsilon(t, 1+c.want, 1+roundest(c.low, c.high), 1e-12, "(%g, %g]", c.low, c.high)
	}
	rapid.Check(t, func(t *rapid.T) {
		low := rapid.Float64Range(-1e12, 1e12).Draw(t, "low")
		high := low + rapid.Float64Range(1e-9, 1e9).Draw(t, "width")
		v := roundest(low, high)
		require.True(t, low < v && v <= high || low == high, "%g not in (%g, %g]", v, low, high)
	})
}

func TestLinkGoesOn(t *testing.T) {
	all := alarms(11, "true", 12, "false", 13, "true", 14, "acknowledged", 15, "true", 16, "true")
	names := func() (n []string) {
		for _, a := range all {
			n = append(n, a.Incident)
		}
		return n
	}
	Link(all[:3], 3*24*time.Hour)
	assert.Equal(t, []string{"0", "", "0", "", "", ""}, names())
	Link(all, 3*24*time.Hour)
	assert.Equal(t, []string{"0", "", "0", "0", "8", "8"}, names(), "a day apart each: three days after the first another one begins")
}

func TestSides(t *testing.T) {
	s, ok := SideOf(0.9, 0.95)
	assert.True(t, ok)
	assert.Equal(t, Above, s)
	s, ok = SideOf(0.9, 0.5)
	assert.True(t, ok)
	assert.Equal(t, Below, s)
	for _, c := range [][2]float64{{1, 1}, {math.NaN(), 1}, {1, math.NaN()}} {
		_, ok = SideOf(c[0], c[1])
		assert.False(t, ok)
	}
}

func TestPrecisionAndRecall(t *testing.T) {
	all := alarms(12, "false", 13, "false", 14, "true", 15, "false", 16, "true", 17, "true", 18, "expected", 19, "")
	before, after := WhatIf(Above, all, 10), WhatIf(Above, all, 14.5)
	p, ok := before.Precision()
	require.True(t, ok)
	assert.Equal(t, 0.5, p.Ratio)
	p, ok = after.Precision()
	require.True(t, ok)
	assert.InDelta(t, 2.0/3, p.Ratio, 1e-12)
	r, ok := after.Recall(before)
	require.True(t, ok)
	assert.InDelta(t, 2.0/3, r.Ratio, 1e-12)
	_, ok = WhatIf(Above, nil, 1).Precision()
	assert.False(t, ok)
}
