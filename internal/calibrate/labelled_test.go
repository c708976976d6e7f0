package calibrate_test

import (
	"cmp"
	"fmt"
	"math"
	"os"
	"slices"
	"sort"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/otelcol-escalation/otelcol-escalation/internal/calibrate"
	"github.com/otelcol-escalation/otelcol-escalation/internal/ledger"
)

// TestLabelledSeries runs the loop on each series: a rule that pages above the mean + 3σ of the first tenth; the labels
// answer each page when it ends, and report an incident that nobody was paged for when it is over; every suggestion is
// taken as it comes. Beside it the threshold that never moves, and the best fixed ones, known only in hindsight.
// LIMITS=quick asks for fewer labels than the defaults. TABLE=1 prints a line per series, and runs the study with other
// beginnings and other answers: `make calibration`.
func TestLabelledSeries(t *testing.T) {
	all := readLabelled(t)
	how := study{limits: calibrate.DefaultLimits(), answer: honest}
	if os.Getenv("LIMITS") == "quick" {
		how.limits = quick()
	}
	rows := compareAll(t, all, how, 3, true)
	table(t, seriesTable(rows))
	fmt.Printf("==> suggestions need %d labelled episodes over %s and move by %g %%\n", how.limits.MinEpisodes, how.limits.MinAge, how.limits.MaxStep*100)
	table(t, sumHeading)
	whole := printSums("", rows)
	fmt.Println("==>", whole.short())
	require.Positive(t, whole.changes, "nothing was ever suggested")
	require.Less(t, whole.calibrated.pages, whole.fixed.pages)
	require.LessOrEqual(t, whole.within.pages, whole.fixed.pages)
	require.LessOrEqual(t, whole.hindsight.pages, whole.within.pages)

	if folder := os.Getenv("PLOTS"); folder != "" {
		draw(t, folder, rows)
	}
	if os.Getenv("TABLE") != "" {
		otherwise(t, all, how)
	}
}

// otherwise runs the study from other beginnings and with other answers.
func otherwise(t *testing.T, all []*series, how study) {
	t.Helper()
	fmt.Printf("\n==> with fewer labels: %d over %s\n%s\n", quick().MinEpisodes, quick().MinAge, sumHeading)
	printSums("", compareAll(t, all, study{limits: quick(), answer: honest}, 3, false))
	fmt.Printf("\n==> from other beginnings\n%s\n", sumHeading)
	for _, deviations := range []float64{1, 2, 4} {
		printSums(fmt.Sprintf("mean + %gσ, ", deviations), compareAll(t, all, how, deviations, false))
	}
	for _, s := range all {
		s.below = true
	}
	printSums("below mean − 3σ, ", compareAll(t, all, how, 3, false))
	for _, s := range all {
		s.below, s.keep = false, time.Hour
	}
	printSums("with keep_firing_for: 1h, ", compareAll(t, all, how, 3, false))
	for _, s := range all {
		s.keep = 0
	}
	fmt.Printf("\n==> with other answers\n%s\n", sumHeading)
	for _, people := range []struct {
		are    string
		answer func(s *series, n int, met bool) ledger.Verdict
	}{
		{"every third page judged, ", func(s *series, n int, met bool) ledger.Verdict {
			if s.chance(n, 3) {
				return honest(s, n, met)
			}
			return ""
		}},
		{"one verdict in 20 wrong, ", func(s *series, n int, met bool) ledger.Verdict {
			return honest(s, n, met != s.chance(n, 20))
		}},
	} {
		printSums(people.are, compareAll(t, all, study{limits: how.limits, answer: people.answer}, 3, false))
	}
}

// quick are limits that need fewer labels.
func quick() calibrate.Limits {
	limits := calibrate.DefaultLimits()
	limits.MinEpisodes, limits.MinAge = 5, 24*time.Hour
	return limits
}

func table(t *testing.T, line string) {
	t.Helper()
	if os.Getenv("TABLE") != "" {
		fmt.Println(line)
	}
}

// row is what one series came to.
type row struct {
	*series
	incidents     int
	fixed, moving played
	// hindsight is the best fixed threshold, within the best that is nowhere more than an hour later than the first.
	hindsight, within played
	first             float64 // days until the first suggestion stood; NaN: none did
}

func compareAll(t *testing.T, all []*series, how study, deviations float64, hindsight bool) []row {
	var rows []row
	for _, s := range all {
		threshold := s.firstThreshold(deviations)
		r := row{series: s, incidents: s.judged(), fixed: s.play(t, threshold, nil), moving: s.play(t, threshold, &how), first: math.NaN()}
		if len(r.moving.moves) > 0 {
			r.first = r.moving.moves[0].At.Sub(s.at[s.begin()]).Hours() / 24
		}
		require.Empty(t, r.moving.lost, "%s: an incident that had been verified was lost again", s.name)
		if hindsight {
			r.hindsight, r.within = s.best(t, threshold, r.fixed, math.MaxInt64), s.best(t, threshold, r.fixed, time.Hour)
		}
		rows = append(rows, r)
	}
	return rows
}

// best is the fixed threshold, not laxer than the first one, with the fewest pages that catches what the first one
// caught, each at most so much later. It is known only afterwards.
func (s *series) best(t *testing.T, threshold float64, fixed played, later time.Duration) played {
	levels := []float64{threshold}
	for _, p := range fixed.pages {
		if v := math.Nextafter(p.peak, -s.side()*math.Inf(1)); s.side()*v > s.side()*threshold {
			levels = append(levels, v)
		}
	}
	slices.SortFunc(levels, func(a, b float64) int { return cmp.Compare(s.side()*a, s.side()*b) })
	// Where a threshold loses an incident or is late, all that are more extreme are, too.
	keeping := sort.Search(len(levels), func(i int) bool {
		run := s.play(t, levels[i], nil)
		return !run.keeps(fixed, later)
	})
	fewest := slices.MinFunc(levels[:keeping], func(a, b float64) int { return cmp.Compare(s.rises(a), s.rises(b)) })
	return s.play(t, fewest, nil)
}

// rises is how often the values come past a threshold.
func (s *series) rises(threshold float64) (n int) {
	past := false
	for _, v := range s.value[s.begin():] {
		now := s.side()*v > s.side()*threshold
		if now && !past {
			n++
		}
		past = now
	}
	return n
}

// keeps reports whether a run catches what another one does, each at most so much later.
func (p *played) keeps(other played, later time.Duration) bool {
	for j, at := range other.caught {
		if mine, ok := p.caught[j]; !ok || mine.Sub(at) > later {
			return false
		}
	}
	return true
}
