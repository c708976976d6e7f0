package calibrate

import (
	"math"
	"slices"
	"sort"

	"github.com/otelcol-escalation/otelcol-escalation/internal/ledger"
)

// Counts says what a threshold would have made of the recorded episodes.
type Counts struct {
	// Episodes would have fired: Verified of them are real, False are not, Other were expected or duplicates, Unjudged
	// have no verdict, and of those Acknowledged were taken on by somebody.
	Episodes, Verified, False, Other, Unjudged, Acknowledged int
	// Incidents are those of which at least one episode that must be kept would have fired.
	Incidents int
	// Uncertain may have fired too: their firing level is only a bound, which the threshold is beyond.
	Uncertain int
}

func (c *Counts) add(a *Alarm) {
	c.Episodes++
	switch a.Verdict {
	case ledger.TruePositive:
		c.Verified++
	case ledger.FalsePositive:
		c.False++
	case "":
		c.Unjudged++
		if a.Acknowledged {
			c.Acknowledged++
		}
	default:
		c.Other++
	}
}

// Precision is the share of real ones among what would have fired and is judged to be real or false.
func (c Counts) Precision() (Proportion, bool) {
	return NewProportion(int64(c.Verified), int64(c.Verified+c.False))
}

// Recall is the share of all real ones (of the recorded episodes) that would have fired.
func (c Counts) Recall(all Counts) (Proportion, bool) {
	return NewProportion(int64(c.Verified), int64(all.Verified))
}

// WhatIf counts what a threshold would have made of the alarms. Of a laxer threshold than the one in force only what the
// silent track recorded is known.
func WhatIf(side Side, alarms []Alarm, threshold float64) Counts {
	return whatIf(side, alarms, incidents(side, alarms), threshold)
}

func whatIf(side Side, alarms []Alarm, incidents []reach, threshold float64) Counts {
	var c Counts
	out := side.out(threshold)
	for i := range alarms {
		a := &alarms[i]
		r, ok := a.reach(side)
		switch {
		case !ok:
		case r.fires(out):
			c.add(a)
		case r.bound:
			c.Uncertain++
		}
	}
	for _, r := range incidents {
		if r.fires(out) {
			c.Incidents++
		}
	}
	return c
}

// Point is a step of the curve: from this threshold on, up to the next point's, the counts hold.
type Point struct {
	Threshold float64
	Counts
}

// Curve is what every threshold would have made of the alarms, the laxest first: at most maxPoints of the thresholds at
// which the counts change. It takes n·log n steps.
func Curve(side Side, alarms []Alarm) []Point {
	turns := make([]float64, 0, 2*len(alarms))
	for i := range alarms {
		r, ok := alarms[i].reach(side)
		if !ok {
			continue
		}
		for _, out := range [...]float64{r.level, r.own} {
			if !math.IsInf(out, 0) {
				turns = append(turns, out)
			}
		}
		if next := math.Nextafter(r.own, math.Inf(1)); r.own >= r.level && !math.IsInf(next, 0) {
			turns = append(turns, next) // it fires at its own threshold, and at none beyond
		}
	}
	slices.Sort(turns)
	turns = slices.Compact(turns)
	for len(turns) > maxPoints { // every second of the inner ones goes
		n, last := 0, turns[len(turns)-1]
		for i := 0; i < len(turns)-1; i += 2 {
			turns[n] = turns[i]
			n++
		}
		turns[n] = last
		turns = turns[:n+1]
	}
	points := make([]Point, len(turns))
	for i, out := range turns {
		points[i].Threshold = side.out(out)
	}
	// An alarm fires at so many of the first points, and not at those behind.
	first := func(r reach) int {
		return sort.Search(len(turns), func(i int) bool { return !r.fires(turns[i]) })
	}
	for _, r := range incidents(side, alarms) {
		if n := first(r); n > 0 {
			points[n-1].Incidents++
		}
	}
	for i := range alarms {
		r, ok := alarms[i].reach(side)
		if !ok {
			continue
		}
		n := first(r)
		if n > 0 {
			points[n-1].add(&alarms[i])
		}
		if r.bound && n < len(points) {
			points[n].Uncertain++
		}
	}
	for i := len(points) - 2; i >= 0; i-- {
		sum, next := &points[i].Counts, points[i+1].Counts
		sum.Episodes += next.Episodes
		sum.Verified += next.Verified
		sum.False += next.False
		sum.Other += next.Other
		sum.Unjudged += next.Unjudged
		sum.Acknowledged += next.Acknowledged
		sum.Incidents += next.Incidents
	}
	for i := 1; i < len(points); i++ {
		points[i].Uncertain += points[i-1].Uncertain
	}
	return points
}

// maxPoints bounds a curve: more than a screen has.
const maxPoints = 1000
