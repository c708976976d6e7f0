package calibrate_test

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"time"
)

// outcome is what runs came to, added up.
type outcome struct {
	// pages were sent, of which some met no incident; caught are the incidents.
	pages, none, caught int
}

func (p *played) outcome() (o outcome) {
	o.pages, o.caught = len(p.pages), len(p.caught)
	for _, one := range p.pages {
		if one.incident < 0 {
			o.none++
		}
	}
	return o
}

func (o *outcome) add(other outcome) {
	o.pages += other.pages
	o.none += other.none
	o.caught += other.caught
}

// alone are the incidents that one run catches and another one does not.
func (p *played) alone(other *played) (n int) {
	for j := range p.caught {
		if _, ok := other.caught[j]; !ok {
			n++
		}
	}
	return n
}

// later is how much later than one run another one catches the incidents that both do, the least first.
func (p *played) later(other *played) (all []time.Duration) {
	for j, at := range p.caught {
		if then, ok := other.caught[j]; ok {
			all = append(all, then.Sub(at))
		}
	}
	slices.Sort(all)
	return all
}

// since is what began after a time.
func (p *played) since(from time.Time) outcome {
	late := played{pages: slices.DeleteFunc(slices.Clone(p.pages), func(one page) bool { return !one.start.After(from) })}
	return late.outcome()
}

// total is many rows added up.
type total struct {
	name                                 string
	series, incidents                    int
	fixed, calibrated, hindsight, within outcome
	lost, found, changes                 int
	// Incidents that had been verified when a suggestion lost them: in the window, and longer ago.
	verified, forgotten   int
	later, hindsightLater []time.Duration
	firsts                []float64
	labels                []int
	// What came after the first suggestion stood, in series where one did.
	fixedAfter, calibratedAfter, withinAfter outcome
}

func sum(name string, rows []row) total {
	s := total{name: name}
	for i := range rows {
		r := &rows[i]
		s.series++
		s.incidents += r.incidents
		s.fixed.add(r.fixed.outcome())
		s.calibrated.add(r.moving.outcome())
		s.hindsight.add(r.hindsight.outcome())
		s.within.add(r.within.outcome())
		s.lost += r.fixed.alone(&r.moving)
		s.found += r.moving.alone(&r.fixed)
		s.verified += len(r.moving.lost)
		s.forgotten += len(r.moving.forgotten)
		s.changes += len(r.moving.moves)
		s.later = append(s.later, r.fixed.later(&r.moving)...)
		s.hindsightLater = append(s.hindsightLater, r.fixed.later(&r.hindsight)...)
		if len(r.moving.moves) > 0 {
			s.firsts = append(s.firsts, r.first)
			s.labels = append(s.labels, r.moving.first.Labelled)
			from := r.moving.moves[0].At
			s.fixedAfter.add(r.fixed.since(from))
			s.calibratedAfter.add(r.moving.since(from))
			s.withinAfter.add(r.within.since(from))
		}
	}
	slices.Sort(s.later)
	slices.Sort(s.hindsightLater)
	slices.Sort(s.firsts)
	slices.Sort(s.labels)
	return s
}

// printSums prints the sums of both halves and of all.
func printSums(name string, rows []row) total {
	parts := map[bool][]row{}
	for _, r := range rows {
		parts[r.development()] = append(parts[r.development()], r)
	}
	whole := sum(name+"all", rows)
	for _, s := range []total{sum(name+"developed on", parts[true]), sum(name+"held out", parts[false]), whole} {
		fmt.Println(s)
	}
	return whole
}

func quantile[T any](sorted []T, q float64) (v T) {
	if len(sorted) == 0 {
		return v
	}
	return sorted[min(int(q*float64(len(sorted))), len(sorted)-1)]
}

// delays says how many are later, and by how many hours at most.
func delays(all []time.Duration) string {
	n := 0
	for _, d := range all {
		if d > 0 {
			n++
		}
	}
	return fmt.Sprintf("%d, median %.1f, at most %.1f", n, quantile(all, 0.5).Hours(), quantile(all, 1).Hours())
}

func line(cells ...any) string {
	var b strings.Builder
	for _, c := range cells {
		fmt.Fprintf(&b, "| %v ", c)
	}
	return b.String() + "|"
}

func head(cells ...any) string {
	return line(cells...) + "\n" + strings.Repeat("| --- ", len(cells)) + "|"
}

var sumHeading = head("", "series", "incidents", "pages: fixed", "calibrated", "hindsight, within 1 h", "hindsight", "on no incident: fixed", "calibrated",
	"caught: fixed", "of these lost", "found besides", "lost though verified", "and that longer ago", "later (h)", "suggestions", "in series", "first after (days)", "its labels")

func (s total) String() string {
	within, hindsight := any(s.within.pages), any(s.hindsight.pages)
	if s.within.pages == 0 {
		within, hindsight = "", ""
	}
	return line(s.name, s.series, s.incidents, s.fixed.pages, s.calibrated.pages, within, hindsight, s.fixed.none, s.calibrated.none, s.fixed.caught,
		s.lost, s.found, s.verified, s.forgotten, delays(s.later), s.changes, len(s.firsts), fmt.Sprintf("%.1f", quantile(s.firsts, 0.5)), quantile(s.labels, 0.5))
}

// short says the most of it, and what the pages were before a suggestion stood, and after, and how late hindsight is.
func (s total) short() string {
	return fmt.Sprintf("%d labelled series: %d pages with a fixed threshold, %d calibrated, %d in hindsight (%d within an hour); of %d incidents caught %d are kept, of those verified %d lost; "+
		"first suggestion after %.1f days (median); before it %d pages, after it %d fixed, %d calibrated, %d in hindsight within an hour; hindsight is later for %s h",
		s.series, s.fixed.pages, s.calibrated.pages, s.hindsight.pages, s.within.pages, s.fixed.caught, s.fixed.caught-s.lost, s.verified, quantile(s.firsts, 0.5),
		s.fixed.pages-s.fixedAfter.pages, s.fixedAfter.pages, s.calibratedAfter.pages, s.withinAfter.pages, delays(s.hindsightLater))
}

var rowHeading = head("series", "half", "days", "incidents", "fixed: pages", "caught", "calibrated: pages", "caught", "lost", "found", "later at most (h)", "suggestions",
	"first after (days)", "its labels", "hindsight within 1 h: pages", "hindsight: pages")

// seriesTable has a line for each series on which anything happened.
func seriesTable(rows []row) string {
	var b strings.Builder
	b.WriteString(rowHeading + "\n")
	for _, r := range rows {
		if len(r.fixed.pages) > 0 || r.incidents > 0 {
			b.WriteString(r.String() + "\n")
		}
	}
	return b.String()
}

func (r row) String() string {
	first, labels, half := "–", "–", "held out"
	if !math.IsNaN(r.first) {
		first, labels = fmt.Sprintf("%.1f", r.first), fmt.Sprint(r.moving.first.Labelled)
	}
	if r.development() {
		half = "developed on"
	}
	days := r.at[len(r.at)-1].Sub(r.at[r.begin()]).Hours() / 24
	return line(r.name, half, fmt.Sprintf("%.0f", days), r.incidents, len(r.fixed.pages), len(r.fixed.caught), len(r.moving.pages), len(r.moving.caught),
		r.fixed.alone(&r.moving), r.moving.alone(&r.fixed), fmt.Sprintf("%.1f", quantile(r.fixed.later(&r.moving), 1).Hours()), len(r.moving.moves), first, labels,
		len(r.within.pages), len(r.hindsight.pages))
}
