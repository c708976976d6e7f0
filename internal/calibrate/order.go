package calibrate

import (
	"cmp"
	"iter"
	"slices"
	"time"
)

// merge brings the alarms into the order of time: the first n, and what was added behind them, which most often are in order
// each.
func (a *Assessment) merge(n int) {
	order := func(x, y *Alarm) int { return cmp.Or(x.At.Compare(y.At), cmp.Compare(x.ID, y.ID)) }
	for _, part := range [...][]Alarm{a.Alarms[:n], a.Alarms[n:]} {
		for i := 1; i < len(part); i++ {
			if order(&part[i-1], &part[i]) > 0 {
				slices.SortFunc(part, func(x, y Alarm) int { return order(&x, &y) })
				break
			}
		}
	}
	if n == 0 || n == len(a.Alarms) {
		return
	}
	added := slices.Clone(a.Alarms[n:])
	for at := len(a.Alarms) - 1; len(added) > 0; at-- { // from behind, into the room that the added ones leave
		last := &added[len(added)-1]
		if n > 0 && order(&a.Alarms[n-1], last) > 0 {
			n--
			a.Alarms[at] = a.Alarms[n]
			continue
		}
		a.Alarms[at] = *last
		added = added[:len(added)-1]
	}
}

// standing is a threshold and when an alarm stood at it.
type standing struct {
	at        time.Time
	threshold float64
}

// stood are the thresholds of the alarms, in their order.
func (a *Assessment) stood() []standing {
	all := make([]standing, len(a.Alarms))
	for i := range a.Alarms {
		all[i] = standing{a.Alarms[i].At, a.Alarms[i].Threshold}
	}
	return all
}

// inForce is the threshold at a time: that of the last alarm before, or of the first.
func inForce(known []standing, t time.Time) float64 {
	at, _ := slices.BinarySearchFunc(known, t, func(x standing, t time.Time) int { return x.at.Compare(t) })
	return known[max(at-1, 0)].threshold
}

// explorations are silent alarms in order of time, with the latest end up to each of them.
type explorations struct {
	alarms []*Alarm
	ended  []time.Time
}

func (e *explorations) add(x *Alarm) {
	end := x.ended()
	if n := len(e.ended); n > 0 && end.Before(e.ended[n-1]) {
		end = e.ended[n-1]
	}
	e.alarms, e.ended = append(e.alarms, x), append(e.ended, end)
}

// around are those that may have been there at a time, and not many more.
func (e *explorations) around(t time.Time) iter.Seq[*Alarm] {
	return func(yield func(*Alarm) bool) {
		n, _ := slices.BinarySearchFunc(e.alarms, t.Add(met), func(x *Alarm, t time.Time) int {
			if x.At.After(t) {
				return 1
			}
			return -1
		})
		for i := n - 1; i >= 0; i-- {
			if e.ended[i].Before(t.Add(-met)) || !yield(e.alarms[i]) {
				return
			}
		}
	}
}
