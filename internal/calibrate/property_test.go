package calibrate

import (
	"fmt"
	"math"
	"math/rand"
	"regexp"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/otelcol-escalation/otelcol-escalation/internal/ledger"
)

// A suggestion never loses what must be kept; it lies within its step; and no threshold that keeps all, as far out as the
// step allows, has fewer episodes: it is what the slow model finds by trying.
func TestSuggestionIsTheModels(t *testing.T) {
	reasons := map[string]int{}
	check(t, func(t *rapid.T) {
		side := rapid.SampledFrom([]Side{Above, Below}).Draw(t, "side")
		all := drawAlarms(t, side)
		Link(all, time.Duration(rapid.IntRange(0, 48).Draw(t, "within"))*time.Hour)
		m := model{side, all}
		current, limits := side.out(10), drawLimits(t)
		s := Suggest(side, current, 10, all, limits)
		require.Equal(t, m.episodes(current), s.Before.Episodes)
		if s.Reason == JustMoved {
			require.False(t, slices.ContainsFunc(all, func(a Alarm) bool { return !a.Silent && a.Threshold == current }))
			// So it is with one more, which people would not judge.
			all = append(all, Alarm{ID: "new", At: start, Threshold: current, Level: current, Verdict: ledger.Expected})
			m.alarms, s = all, Suggest(side, current, 10, all, limits)
			require.NotEqual(t, JustMoved, s.Reason)
		}
		if s.Reason != Stands && s.Reason != NothingGone {
			require.Zero(t, s.Threshold)
			return
		}
		step := limits.MaxStep * 10
		tries, exact := m.tries()
		tries = append(tries, current)
		fewest := m.fewest(tries, math.Inf(1), current)
		requireFewest := func(threshold float64) {
			require.LessOrEqual(t, m.episodes(threshold), fewest)
			require.GreaterOrEqual(t, m.episodes(threshold), min(fewest, m.fewest(exact, math.Inf(1), current)))
		}
		kind := "stricter"
		switch {
		case len(m.incidents(current)) == 0:
			kind = "half"
			if s.Reason == Stands {
				require.LessOrEqual(t, 2*(s.Before.Episodes-s.After.Episodes), s.Before.Episodes, "more than half go")
				break
			}
			for _, v := range tries {
				gone := s.Before.Episodes - m.episodes(v)
				require.False(t, math.Abs(v-current) < step && 0 < gone && 2*gone <= s.Before.Episodes, "at %v %d of %d go", v, gone, s.Before.Episodes)
			}
		case !m.keepsAll(current):
			kind = "laxer"
			if s.Reason == NothingGone {
				require.True(t, step == 0 || fewest == math.MaxInt, "an incident at the end of all numbers apart")
				break
			}
			require.True(t, side.beyond(current, s.Threshold))
			requireFewest(s.Goal)
		case s.Reason == Stands:
			require.True(t, side.beyond(s.Threshold, current))
			requireFewest(s.Goal)
			require.GreaterOrEqual(t, m.fewest(tries, step, current), s.After.Episodes)
		default:
			require.True(t, step == 0 || fewest == s.Before.Episodes)
		}
		reasons[kind+" "+string(s.Reason)]++
		if s.Reason != Stands {
			require.Zero(t, s.Threshold)
			return
		}
		require.NotEqual(t, current, s.Threshold)
		require.LessOrEqual(t, math.Abs(s.Threshold-current), step*(1+1e-9))
		m.requireSafe(t, &s)
		for threshold, counts := range map[float64]Counts{current: s.Before, s.Threshold: s.After, s.Goal: s.AtGoal} {
			require.Equal(t, WhatIf(side, all, threshold), counts)
			require.Equal(t, m.episodes(threshold), counts.Episodes)
		}
	})
	t.Log(reasons)
	for _, want := range []string{"stricter stands", "stricter nothing_would_go", "half stands", "half nothing_would_go", "laxer stands"} {
		require.Positive(t, reasons[want], want)
	}
}

// Whatever people add to what is known (verdicts, acknowledgements), the suggestion loses nothing of what has to be kept then.
func TestMoreLabelsAreSafe(t *testing.T) {
	stood := 0
	check(t, func(t *rapid.T) {
		side := rapid.SampledFrom([]Side{Above, Below}).Draw(t, "side")
		all := drawAlarms(t, side)
		within := time.Duration(rapid.IntRange(0, 48).Draw(t, "within")) * time.Hour
		limits := drawLimits(t)
		for range 4 {
			linked := slices.Clone(all)
			Link(linked, within)
			s := Suggest(side, side.out(10), 10, linked, limits)
			model{side, linked}.requireSafe(t, &s)
			if s.Reason == Stands {
				stood++
			}
			for i := range all {
				if a := &all[i]; rapid.IntRange(0, 3).Draw(t, "answered") == 0 {
					a.Acknowledged = true
					if a.Verdict == "" {
						a.Verdict = rapid.SampledFrom([]ledger.Verdict{"", ledger.TruePositive, ledger.FalsePositive, ledger.Expected}).Draw(t, "verdict")
					}
				}
			}
		}
	})
	require.Positive(t, stood)
}

// The order in which the episodes are given says nothing.
func TestSuggestionDoesNotDependOnTheOrder(t *testing.T) {
	check(t, func(t *rapid.T) {
		side := rapid.SampledFrom([]Side{Above, Below}).Draw(t, "side")
		all := drawAlarms(t, side)
		Link(all, 12*time.Hour)
		limits := drawLimits(t)
		want := Suggest(side, side.out(10), 10, all, limits)
		before := slices.Clone(all)
		require.Equal(t, want, Suggest(side, side.out(10), 10, all, limits))
		require.Equal(t, fmt.Sprint(before), fmt.Sprint(all), "the alarms are only read")
		shuffled := slices.Clone(all)
		rand.New(rand.NewSource(rapid.Int64().Draw(t, "seed"))).Shuffle(len(all), func(i, j int) { shuffled[i], shuffled[j] = shuffled[j], shuffled[i] })
		require.Equal(t, want, Suggest(side, side.out(10), 10, shuffled, limits))
		require.Equal(t, Curve(side, all), Curve(side, shuffled))
	})
}

// In another unit the suggestion is the same, and on the other side its mirror image.
func TestSuggestionInOtherUnits(t *testing.T) {
	stood := 0
	check(t, func(t *rapid.T) {
		all := drawAlarms(t, Above)
		for i := range all { // few digits, and none that lies exactly at the end of a step
			all[i].Level = (math.Round(all[i].Level*8) + 0.5) / 8
		}
		Link(all, 12*time.Hour)
		limits := drawLimits(t)
		s := Suggest(Above, 10, 10, all, limits)

		mirrored := slices.Clone(all)
		for i := range mirrored {
			mirrored[i].Level, mirrored[i].Threshold = -mirrored[i].Level, -mirrored[i].Threshold
		}
		m := Suggest(Below, -10, -10, mirrored, limits)
		require.Equal(t, s.Reason, m.Reason)
		require.Equal(t, s.Threshold, 0-m.Threshold)
		require.Equal(t, [...]Counts{s.Before, s.After, s.AtGoal}, [...]Counts{m.Before, m.After, m.AtGoal})

		power := rapid.IntRange(-12, 12).Draw(t, "power")
		scaled := slices.Clone(all)
		for i := range scaled {
			scaled[i].Level, scaled[i].Threshold = tenfold(scaled[i].Level, power), tenfold(scaled[i].Threshold, power)
		}
		x := Suggest(Above, tenfold(10, power), tenfold(10, power), scaled, limits)
		require.Equal(t, s.Reason, x.Reason)
		require.Equal(t, [...]Counts{s.Before, s.After, s.AtGoal}, [...]Counts{x.Before, x.After, x.AtGoal})
		require.InDelta(t, s.Threshold, tenfold(x.Threshold, -power), 1e-9)
		if s.Reason == Stands {
			stood++
		}
	})
	require.Positive(t, stood)
}

// tenfold is v times a power of ten, rounded once.
func tenfold(v float64, power int) float64 {
	if !finite(v) || math.Abs(v) > 1e300 {
		return v
	}
	mantissa := strconv.FormatFloat(v, 'f', -1, 64)
	scaled, _ := strconv.ParseFloat(mantissa+"e"+strconv.Itoa(power), 64)
	return scaled
}

var (
	saysGone   = regexp.MustCompile(`^(\d+) of (\d+) pages in (\d+) days would have gone\b`)
	saysMore   = regexp.MustCompile(`^(\d+) pages? more than the (\d+) in (\d+) days would have come\b`)
	saysStayed = regexp.MustCompile(`^the (\d+) pages? in (\d+) days would have stayed for now\b`)
	saysKept   = regexp.MustCompile(`, all (\d+) incidents kept`)
	saysCaught = regexp.MustCompile(`, (\d+) incidents? caught that went unseen, all others kept`)
	saysNobody = regexp.MustCompile(`; nobody judged (\d+) of those that would have gone`)
	saysGoal   = regexp.MustCompile(`; a step is (\S+) % at most: at (\S+), (\d+) (would have gone|incidents? would be caught that went unseen)$`)
)

// The numbers of the sentence are those that the model counts.
func TestSentenceSaysWhatIsSo(t *testing.T) {
	said := map[string]int{}
	check(t, func(t *rapid.T) {
		side := rapid.SampledFrom([]Side{Above, Below}).Draw(t, "side")
		all := drawAlarms(t, side)
		Link(all, 12*time.Hour)
		m := model{side, all}
		s := Suggest(side, side.out(10), 10, all, drawLimits(t))
		if s.Reason != Stands {
			require.NotContains(t, s.Sentence(30*24*time.Hour), "would have gone")
			return
		}
		text := s.Sentence(30 * 24 * time.Hour)
		says := func(re *regexp.Regexp, want ...any) {
			found := re.FindStringSubmatch(text)
			require.NotNil(t, found, "%q does not match %s", text, re)
			for i, w := range want {
				require.Equal(t, fmt.Sprint(w), found[i+1], "%q", text)
			}
			said[re.String()]++
		}
		before, after := m.episodes(s.Current), m.episodes(s.Threshold)
		switch {
		case after < before:
			says(saysGone, before-after, before, 30)
		case after > before:
			says(saysMore, after-before, before, 30)
		default:
			says(saysStayed, before, 30)
		}
		count := func(threshold float64) (n int) {
			for _, fires := range m.incidents(threshold) {
				if fires {
					n++
				}
			}
			return n
		}
		kept, caught := count(s.Current), count(s.Threshold)-count(s.Current)
		switch {
		case len(m.incidents(s.Current)) == 0:
			require.Contains(t, text, ", no incident has been verified yet")
		case caught > 0:
			says(saysCaught, caught)
		case kept == 1:
			require.Contains(t, text, ", the one incident kept")
		case kept > 1:
			says(saysKept, kept)
		}
		unjudged := 0
		for i := range all {
			if a := &all[i]; a.Verdict == "" && m.fires(a, s.Current) && !m.fires(a, s.Threshold) {
				unjudged++
			}
		}
		if unjudged > 0 {
			says(saysNobody, unjudged)
		} else {
			require.NotContains(t, text, "nobody judged")
		}
		switch {
		case !s.Capped:
			require.NotContains(t, text, "a step is")
		case len(m.incidents(s.Current)) == 0:
			require.Contains(t, text, fmt.Sprintf("; a step is %g %% at most", s.Limits.MaxStep*100))
		case count(s.Goal) > kept:
			says(saysGoal, fmt.Sprint(s.Limits.MaxStep*100), fmt.Sprint(s.Goal), count(s.Goal)-kept)
		default:
			says(saysGoal, fmt.Sprint(s.Limits.MaxStep*100), fmt.Sprint(s.Goal), before-m.episodes(s.Goal))
		}
	})
	t.Log(said)
	for _, re := range []*regexp.Regexp{saysGone, saysMore, saysStayed, saysKept, saysCaught, saysNobody, saysGoal} {
		require.Positive(t, said[re.String()], re.String())
	}
}
