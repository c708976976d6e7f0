package rule

import (
	"math"
	"slices"
)

// explore reads how far the silent track lies from the thresholds.
func (d *decoder) explore(f field, r *Rule) {
	share := f.share()
	if share > 0 && r.Query != nil && r.Query.Plain && !r.Query.Split {
		f.errorf("the expression has no threshold that could be moved (%s): write the signal alone into expr, and thresholds under tiers (got %s)",
			r.Query.whole(), f.got())
	}
	r.Explore = share
}

// whole says why there is no threshold in the expression.
func (q *Query) whole() string {
	if q.Unsplit == "" {
		return "it does not compare anything with a number"
	}
	return q.Unsplit
}

// Explored returns the rule that the silent track runs beside r: every threshold moved to its lax side by Explore, as a
// share of the threshold, or of the band's width where the threshold is a band. Its alerts have the same ids, and
// nobody is told of them. It returns nil where r has no silent track.
func (r *Rule) Explored() *Rule {
	if r.Explore <= 0 || r.Silent {
		return nil
	}
	silent := *r
	silent.Silent, silent.Explore = true, 0
	silent.Rollback, silent.ManualIntervention = nil, nil
	silent.Tiers = slices.Clone(r.Tiers)
	for i := range silent.Tiers {
		silent.Tiers[i].relax(r.Explore)
	}
	silent.hash = silent.stateHash()
	return &silent
}

// relax moves the bounds of t, and those of `clear` by the same distance, to the side where more values breach. A threshold
// of 0 stays where it is: it has no size to take a share of.
func (t *Threshold) relax(share float64) {
	low, high := math.Abs(t.Low)*share, math.Abs(t.High)*share
	if t.Op == Outside {
		low = (t.High - t.Low) * share / 2
		high = low
	}
	if !math.IsInf(t.Low, 0) {
		t.Low, t.ClearLow = t.Low+low, t.ClearLow+low
	}
	if !math.IsInf(t.High, 0) {
		t.High, t.ClearHigh = t.High-high, t.ClearHigh-high
	}
	if t.ClearLow > t.ClearHigh { // a band that was narrower than the two moves together: one value is left that ends it
		t.ClearLow = (t.ClearLow + t.ClearHigh) / 2
		t.ClearHigh = t.ClearLow
	}
}
