package calibrate

import (
	"fmt"
	"math"
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

// standingAt are alarms that came at another threshold than 10.
func standingAt(threshold float64, all []Alarm) []Alarm {
	for i := range all {
		all[i].Threshold = threshold
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
			alarms(10.5, "false", 15, "false", 30, "true"), Limits{MinEpisodes: 1, MaxStep: 0.2}, 12, Stands,
			"1 of 3 pages in 30 days would have gone, the one incident kept; a step is 20 % at most: at 20, 2 would have gone",
		},
		"a step on the way, though nothing goes by it": {
			alarms(14, "false", 15, "false", 30, "true"), Limits{MinEpisodes: 1, MaxStep: 0.2}, 12, Stands,
			"the 3 pages in 30 days would have stayed for now, the one incident kept; a step is 20 % at most: at 20, 2 would have gone",
		},
		"the step's last tenth is for a round number, and no page stays for it": {
			alarms(10.31, "false", 12, "false", 30, "true"), Limits{MinEpisodes: 1, MaxStep: 0.033}, 10.32, Stands, "",
		},
		"without an incident there is no way to be on": {
			alarms(14, "false", 15, "false", 30, "false"), Limits{MinEpisodes: 1, MaxStep: 0.2}, math.NaN(), NothingGone,
			"no threshold within 20 % would remove pages, and half of them at most; no incident has been verified yet",
		},
		"without an incident, half of them": {
			alarms(10.5, "false", 10.6, "false", 10.8, "false", 11, "false"), Limits{MinEpisodes: 1, MaxStep: 0.2}, 10.7, Stands,
			"2 of 4 pages in 30 days would have gone, no incident has been verified yet, so that half may go at most",
		},
		"nor farther than the step": {
			alarms(10.5, "false", 10.6, "false", 13, "false", 14, "false"), Limits{MinEpisodes: 1, MaxStep: 0.2}, 11, Stands,
			"2 of 4 pages in 30 days would have gone, no incident has been verified yet, so that half may go at most; a step is 20 % at most",
		},
		"back to a miss that the silent track saw": {
			alarms(9, "missed", 8, "silent", 12, "true"), Limits{MinEpisodes: 1, MaxStep: 0.5}, 8.6, Stands,
			"1 page more than the 1 in 30 days would have come, 1 incident caught that went unseen, all others kept",
		},
		"a step back on the way to one": {
			alarms(5, "missed", 9, "silent", 12, "true"), Limits{MinEpisodes: 1, MaxStep: 0.2}, 8.1, Stands,
			"1 page more than the 1 in 30 days would have come, the one incident kept; a step is 20 % at most: at 4.9, 1 incident would be caught that went unseen",
		},
		"an incident at the very threshold": {
			alarms(10, "true", 9, "silent", 12, "false"), lenient, math.NaN(), NothingGone, "no threshold would remove pages and keep what must be kept",
		},
		"what is infinite fires always": {
			alarms(math.Inf(1), "true", 12, "false", math.Inf(1), "false"), lenient, 20, Stands,
			"1 of 3 pages in 30 days would have gone, the one incident kept",
		},
		"an incident of unknown level stays where it fired": {
			alarms(math.NaN(), "true", 12, "false", 30, "true"), lenient, math.NaN(), NothingGone, "",
		},
		"a threshold that has just been moved": {
			standingAt(9, alarms(12, "false", 13, "false", 18, "true")), lenient, math.NaN(), JustMoved, "no page has come at the threshold in force yet",
		},
		"goes back at once": {
			standingAt(8, alarms(9, "true", 12, "false")), Limits{MinEpisodes: 1, MaxStep: 0.2}, 8.9, Stands, "",
		},
		"few labels": {
			alarms(12, "false", 13, "", 14, "expected", 15, "acknowledged"), DefaultLimits(), math.NaN(), FewEpisodes, "1 of 20 labelled episodes",
		},
		"what nobody was told of is no label": {
			alarms(12, "false", 9, "missed"), Limits{MinEpisodes: 2, MaxStep: 0.2}, math.NaN(), FewEpisodes, "1 of 2 labelled episodes",
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
		for i := 1; i < len(points); i++ { // up to the next point the counts hold
			from, to := points[i-1].Threshold, points[i].Threshold
			for _, v := range []float64{math.Nextafter(to, from), from/2 + to/2} {
				if side.beyond(v, from) && side.beyond(to, v) {
					require.Equal(t, WhatIf(side, all, v), points[i-1].Counts, "at %g", v)
				}
			}
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
		{13.2, 15.6, 14}, {0.57, 0.585, 0.58}, {0.903, 0.917, 0.91}, {0.9, 1.7, 1}, {99, 101, 100}, {-0.5, 0.2, 0}, {-15.6, -13.2, -15}, {1234, 5678, 2000},
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
