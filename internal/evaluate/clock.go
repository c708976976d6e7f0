package evaluate

import "time"

// timing is what is known of the times of one series' points. Event times are Unix nanoseconds; elapsed times are
// nanoseconds of the evaluator's own monotonic clock since its start, which no step of the wall clock moves.
type timing struct {
	// last is the event time of the newest point taken, trusted the newest that did not lie ahead of the clock.
	last, trusted int64
	// eff is the newest point's time as far as durations go: never ahead of the clock.
	eff int64
	// interval is the observed distance between points, smoothed.
	interval int64
	// arrived is when the newest point was taken, first when the series was first seen (elapsed).
	arrived int64
	first   int64 // eff of the first point
}

// minGap is the least gap that breaks a pending `for`, and the least time without data that ends it.
const minGap = int64(time.Minute)

// intervalWeight is the weight (1/n) of a new distance in the smoothed interval, and maxStretch how many intervals one
// distance may count as: a single gap must not pass for a new rhythm, yet a new rhythm is learned within a few points.
const (
	intervalWeight = 4
	maxStretch     = 4
)

// fresh reports whether a point at event time ts is news. Late and repeated points are not. What lies ahead of the
// clock (a wild point, or the time before the clock was set back) is not trusted to make later points late.
func (t *timing) fresh(ts, now int64) bool {
	if ts > t.last {
		return true
	}
	return t.last > now && ts <= now && (t.trusted > now || ts > t.trusted)
}

// take notes a fresh point and returns its effective time, and whether the gap since the point before is too long for
// a pending `for` to run on.
func (t *timing) take(ts, now, elapsed int64) (eff int64, broken bool) {
	eff = min(ts, now)
	if t.last != 0 {
		distance := max(eff-t.eff, 0)
		switch {
		case t.interval == 0: // the first distance is the interval as far as anybody knows
			t.interval = distance
		default:
			broken = distance > t.patience()
			t.interval += (min(distance, maxStretch*t.interval) - t.interval) / intervalWeight
		}
	} else {
		t.first = eff
	}
	t.first = min(t.first, eff) // the clock may have been set back
	t.last, t.eff, t.arrived = ts, eff, elapsed
	if ts <= now {
		t.trusted = ts
	}
	return eff, broken
}

// patience is how long a series may be silent before a pending `for` is given up.
func (t *timing) patience() int64 { return max(3*t.interval, minGap) }

// seen reports whether the series has had a point.
func (t *timing) seen() bool { return t.last != 0 }

// timeOf returns an event time; 0 is the zero time.
func timeOf(ns int64) time.Time {
	if ns == 0 {
		return time.Time{}
	}
	return time.Unix(0, ns).UTC()
}
