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
			fire[a.incident()] = fire[a.incident()] || m.fires(a, threshold)
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
		require.LessOrEqual(t, math.Abs(s.Threshold-current), step*(1+1e-12))
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
