package chart

import (
	"math"
	"time"
)

const (
	day  = 24 * time.Hour
	week = 7 * day
)

// paces are how far apart times are labelled, up to weeks; months and years follow.
var paces = []time.Duration{
	time.Second, 2 * time.Second, 5 * time.Second, 10 * time.Second, 15 * time.Second, 30 * time.Second,
	time.Minute, 2 * time.Minute, 5 * time.Minute, 10 * time.Minute, 15 * time.Minute, 30 * time.Minute,
	time.Hour, 2 * time.Hour, 3 * time.Hour, 6 * time.Hour, 12 * time.Hour, day, 2 * day, week,
}

// instant is a value as a time, UTC; ok is false beyond the years that people write with four digits.
func instant(v float64) (t time.Time, ok bool) {
	const first, last = -62135596800, 253402300799 // the years 1 and 9999
	if !(v >= first && v <= last) {
		return t, false
	}
	whole := math.Floor(v)
	return time.Unix(int64(whole), int64((v-whole)*1e9)).UTC(), true
}

// tick is a labelled place on an axis.
type tick struct {
	at    float64
	label string
}

// timeTicks returns at most so many labelled times, at round ones, and what a reader has to know beside them.
func timeTicks(low, high float64, most int) (ticks []tick, about string) {
	from, ok := instant(low)
	until, too := instant(high)
	if !ok || !too {
		return numberTicks(low, high, most, false), "s"
	}
	most = max(most, 2)
	span := until.Sub(from) // at most 292 years, else the longest duration
	var layout string
	var start time.Time
	var next func(time.Time) time.Time
	if pace, ok := paceOf(span, most); ok {
		start = from.Truncate(pace)
		next = func(t time.Time) time.Time { return t.Add(pace) }
		switch {
		case pace >= day:
			layout = "Jan 2"
		case pace >= time.Minute:
			layout = "15:04"
		default:
			layout = "15:04:05"
		}
	} else {
		months := monthsOf(high-low, most)
		layout = "Jan 2006"
		if months%12 == 0 {
			layout = "2006"
			years := months / 12
			start = time.Date(from.Year()/years*years, 1, 1, 0, 0, 0, 0, time.UTC)
		} else {
			start = time.Date(from.Year(), 1, 1, 0, 0, 0, 0, time.UTC)
		}
		next = func(t time.Time) time.Time { return t.AddDate(0, months, 0) }
	}
	for t := start; !t.After(until); t = next(t) {
		at := At(t)
		if at < low || at > high {
			continue
		}
		label := t.Format(layout)
		if layout == "15:04" && t.Equal(t.Truncate(day)) {
			label = t.Format("Jan 2")
		}
		ticks = append(ticks, tick{at, label})
	}
	return ticks, aboutTimes(from, until, layout)
}

// aboutTimes is what the labels leave out.
func aboutTimes(from, until time.Time, layout string) string {
	switch layout {
	case "2006", "Jan 2006":
		return "UTC"
	case "Jan 2":
		if from.Year() == until.Year() {
			return from.Format("2006") + ", UTC"
		}
		return from.Format("2006") + " to " + until.Format("2006") + ", UTC"
	}
	first, last := from.Format("2006-01-02"), until.Format("2006-01-02")
	if first == last {
		return first + ", UTC"
	}
	return first + " to " + last + ", UTC"
}

// paceOf is the shortest pace that labels a span at most so often.
func paceOf(span time.Duration, most int) (time.Duration, bool) {
	for _, pace := range paces {
		if span/pace < time.Duration(most) {
			return pace, true
		}
	}
	return 0, false
}

// monthsOf is the least round number of months that labels so many seconds at most so often.
func monthsOf(seconds float64, most int) int {
	months := seconds / (30 * day).Seconds()
	for _, n := range []int{1, 2, 3, 6, 12} {
		if months/float64(n) < float64(most) {
			return n
		}
	}
	return 12 * int(math.Ceil(roundUp(max(months/12/float64(most), 1))))
}

func numberTicks(low, high float64, most int, whole bool) (ticks []tick) {
	values, step := Ticks(low, high, most)
	for _, v := range values {
		if !whole || v == math.Trunc(v) {
			ticks = append(ticks, tick{v, tickLabel(v, step)})
		}
	}
	return ticks
}
