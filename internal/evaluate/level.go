package evaluate

import (
	"math"

	"github.com/otelcol-escalation/otelcol-escalation/internal/rule"
)

// level is the firing level of one tier of one series: the most extreme threshold at which the tier would still have
// become active at least once in the episode.
//
// Let p1..pn be the points of the series since the breach began. For a threshold T stricter than the tier's own, run
// the machine of a rule that has this tier alone, with T in its place and the same `for`, over these points. The firing
// level is the supremum of the T for which that machine becomes active at least once: over all runs of points as long as
// `for` (without a broken gap, each point beyond T) the most extreme least value. `clear` plays no part, for it only says
// how long a tier stays active, and neither do other tiers: a tier that became active because a higher one cleared, or
// because keep_firing_for held the alert, has at least its own threshold for a level.
//
// For `above` and `at_least` T is the bound. For `outside` it is the band, widened on both sides by the same part of its
// width; the level is the bound of the widened band on the side where the limiting value lies. `always` has none.
//
// What must be known for that is since when each stricter T has been breached without a break. It is a staircase: the
// stricter, the later. It is kept above the best level so far only, and as long as a step is younger than `for`. So it
// is empty without `for`, one step while values rise no more, and as long as `for` in points only where every value is
// worse than the one before. A staircase of more than maxSteps is thinned, on the safe side: a T may then seem to have
// been breached later than it was, and the level is never more extreme than the true one.
type level struct {
	// best is the level so far, if reached.
	best float64
	// lost is the excess up to which something was forgotten: where it is beyond best, best is a bound. -Inf: nothing.
	lost float64
	// run is the staircase, laxest first: both numbers rise.
	run     steps
	reached bool
}

// excess orders values by how far they lie beyond a threshold.
func excess(t *rule.Threshold, v float64) float64 {
	switch t.Op {
	case rule.Above, rule.AtLeast:
		return v
	case rule.Below, rule.AtMost:
		return -v
	default:
		beyond := max(t.Low-v, v-t.High)
		if width := t.High - t.Low; width > 0 && !math.IsInf(width, 1) {
			return beyond / width
		}
		return beyond
	}
}

func newLevel() level { return level{lost: math.Inf(-1)} }

// take takes the next point of the series, as machine.rise does.
func (l *level) take(t *rule.Threshold, v float64, at int64, broken bool) {
	if broken {
		l.interrupt()
	}
	x := excess(t, v)
	if !t.Breached(v) || l.reached && x <= excess(t, l.best) {
		l.interrupt() // no T of interest is breached
		return
	}
	since := at
	for l.run.n > 0 {
		last := l.run.at(l.run.n - 1)
		if excess(t, last.v) < x && last.since <= at {
			break
		}
		since = min(since, last.since)
		l.run.n--
	}
	if l.run.n == maxSteps {
		l.thin(t, maxSteps/2)
	}
	if t.For > 0 {
		l.run.push(step{since: since, v: v})
	} else {
		l.best, l.reached = v, true
	}
	for l.run.n > 0 && at-l.run.at(0).since >= int64(t.For) {
		l.best, l.reached = l.run.at(0).v, true
		l.run.shift()
	}
}

// thin drops every other step until there are at most n, two or more. What a dropped step said of the T up to it the next
// one says, with a later time. The first stays, as it says when the run began, and the last, the newest value.
func (l *level) thin(t *rule.Threshold, n int) {
	for l.run.n > n {
		kept := 0
		for i := range l.run.n {
			s := *l.run.at(i)
			if i > 0 && (l.run.n-i)%2 == 0 {
				l.lost = max(l.lost, excess(t, s.v))
				continue
			}
			*l.run.at(kept) = s
			kept++
		}
		l.run.n = kept
	}
}

// interrupt ends the run: no stricter threshold is breached any more. What a long run took is given back.
func (l *level) interrupt() {
	l.run.n = 0
	if len(l.run.ring) > storedSteps {
		l.run = steps{}
	}
}

// fired notes that the tier has become active, whatever made it so.
func (l *level) fired(t *rule.Threshold, v float64) {
	own := t.Bound(v)
	if !l.reached || excess(t, l.best) < excess(t, own) {
		l.best, l.reached = own, true
	}
}

// bound reports whether the level may be more extreme in truth.
func (l *level) bound(t *rule.Threshold) bool { return l.lost > excess(t, l.best) }

// merge takes in the level of another series of the same alert: the alert fires where any of them does.
func (l *level) merge(t *rule.Threshold, o *level) {
	l.lost = max(l.lost, o.lost)
	if o.reached && (!l.reached || excess(t, o.best) > excess(t, l.best)) {
		l.best, l.reached = o.best, true
	}
}
