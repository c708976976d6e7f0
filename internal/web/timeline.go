package web

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"time"

	"github.com/otelcol-escalation/otelcol-escalation/internal/alert"
	"github.com/otelcol-escalation/otelcol-escalation/internal/chart"
)

// told is an event in the list of what happened. The drawing marks it by its number.
type told struct {
	N int
	Event
}

// Story is what happened, numbered.
func (r row) Story() []told {
	var all []told
	for i, e := range r.Events {
		all = append(all, told{i + 1, e})
	}
	return all
}

// Timeline draws the value against its thresholds, with what happened.
func (r row) Timeline() drawing {
	return draw(func(width float64) *chart.Chart { return timeline(&r.Alert, r.Story(), r.now, width) })
}

// timeline is an alert's story as a chart. Its span is that of the breach and the values: what happened long after (a verdict on
// the next morning) stands beside it.
func timeline(a *Alert, story []told, now time.Time, width float64) *chart.Chart {
	from, until := timespan(a, now)
	label := a.SourceMetric
	if unit := unitName(a.SourceUnit); unit != "" {
		label += ", " + unit
	}
	c := &chart.Chart{
		Name: "The value of " + a.Rule + " against its thresholds, with what happened", Description: inWords(a, len(story)), Width: width, Height: 260,
		X: chart.Axis{Time: true, From: chart.At(from), To: chart.At(until)}, Y: chart.Axis{Label: label},
		Spans: phases(a, earlier(until, now)),
	}
	line := chart.Line{Class: "value"}
	for _, v := range a.Values {
		line.Points = append(line.Points, chart.Point{X: chart.At(v.At), Y: v.Value})
	}
	if len(line.Points) == 0 { // there is but the last one, and the worst, of which the time is not known
		if a.Value != nil && !a.ObservedAt.IsZero() {
			line.Points = append(line.Points, chart.Point{X: chart.At(a.ObservedAt), Y: float64(*a.Value)})
		}
		if a.Peak != nil {
			c.Levels = append(c.Levels, chart.Level{Class: "peak", At: float64(*a.Peak), Label: "peak " + quantity(a.Peak, "")})
		}
	}
	c.Lines = []chart.Line{line}
	c.Levels = append(c.Levels, thresholdLines(a)...)
	c.Markers = marks(a, story, from, until, width)
	return c
}

// most is how much longer than the breach itself its drawing may be for the sake of what came after.
const most = 2

// timespan is what the drawing goes over.
func timespan(a *Alert, now time.Time) (from, until time.Time) {
	first, last := a.OpenedAt, a.OpenedAt
	for _, t := range []time.Time{a.ObservedAt, a.LostAt} {
		if !t.IsZero() {
			last = later(last, t)
		}
	}
	for _, v := range a.Values {
		first, last = earlier(first, v.At), later(last, v.At)
	}
	end := a.EndedAt
	if end.IsZero() {
		end = now
	}
	core := max(last.Sub(first), time.Minute)
	from, until = first, last
	if !a.StartsAt.IsZero() && first.Sub(a.StartsAt) <= most*core {
		from = earlier(from, a.StartsAt)
	}
	switch {
	case len(a.Values) == 0: // nothing but times to be seen
		until = later(until, end)
	case end.Sub(last) <= most*core:
		until = later(until, end)
	}
	room := max(until.Sub(from)/25, time.Second)
	return from.Add(-room), until.Add(room)
}

func earlier(a, b time.Time) time.Time {
	if b.Before(a) {
		return b
	}
	return a
}

func later(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}

// phases are the times in which the alert stood at one tier, and the breach before it fired.
func phases(a *Alert, now time.Time) []chart.Span {
	var all []chart.Span
	if !a.StartsAt.IsZero() && a.StartsAt.Before(a.OpenedAt) {
		all = append(all, chart.Span{Class: "pending", From: chart.At(a.StartsAt), To: chart.At(a.OpenedAt), Title: "in breach, not fired yet"})
	}
	end := a.EndedAt
	if end.IsZero() {
		end = now
	}
	tier, since := alert.NoSeverity, a.OpenedAt
	add := func(to time.Time) {
		if tier != alert.NoSeverity && to.After(since) {
			all = append(all, chart.Span{
				Class: tier.String(), From: chart.At(since), To: chart.At(to), Title: fmt.Sprintf("%s for %s", tier, span(to.Sub(since))),
			})
		}
	}
	for _, e := range a.Events {
		if e.Name == alert.EventFired || e.Name == alert.EventSeverity {
			at := earlier(e.At, end)
			add(at)
			tier, since = e.Severity, at
		}
	}
	if tier == alert.NoSeverity { // its first events are not kept any more
		tier = a.HighestSeverity
	}
	add(end)
	return all
}

// thresholdLines are the thresholds of the tiers that the alert stood at.
func thresholdLines(a *Alert) []chart.Level {
	var lines []chart.Level
	line := func(tier alert.Severity, at float64) {
		lines = append(lines, chart.Level{Class: tier.String(), At: at, Label: tier.String() + " " + exact(at, "")})
	}
	for _, tier := range slices.Backward(slices.Sorted(maps.Keys(a.Levels))) {
		if t := a.Levels[tier].Threshold; t != nil {
			line(tier, *t)
		}
	}
	if len(lines) == 0 && a.Threshold != nil {
		line(a.Severity, float64(*a.Threshold))
	}
	return lines
}

// badge is how wide a mark's number is, in pixels, at least.
const badge = 22

// marks are the numbers of what happened. Those that would cover each other are one mark.
func marks(a *Alert, story []told, from, until time.Time, width float64) []chart.Marker {
	var all []chart.Marker
	if !a.StartsAt.IsZero() {
		all = append(all, chart.Marker{Class: "breach", At: chart.At(a.StartsAt), Label: "breach", Title: "The breach began at " + moment(a.StartsAt)})
	}
	ordered := slices.Clone(story)
	slices.SortStableFunc(ordered, func(x, y told) int { return x.At.Compare(y.At) })
	near := time.Duration(float64(until.Sub(from)) * badge / width)
	for i := 0; i < len(ordered); {
		begin := ordered[i].At
		end := i + 1
		for end < len(ordered) && (ordered[end].At.Sub(begin) < near || begin.After(until)) {
			end++
		}
		all = append(all, mark(ordered[i:end]))
		i = end
	}
	return all
}

// mostTold is how many events a mark tells of in words.
const mostTold = 8

func mark(events []told) chart.Marker {
	numbers := make([]int, 0, len(events))
	title := ""
	for i, e := range events {
		numbers = append(numbers, e.N)
		switch {
		case i < mostTold:
			title += fmt.Sprintf("%d: %s, %s\n", e.N, moment(e.At), e.Text)
		case i == mostTold:
			title += fmt.Sprintf("and %d more", len(events)-mostTold)
		}
	}
	first := events[0]
	return chart.Marker{Class: "event " + kindOf(first.Event), At: chart.At(first.At), Label: ranges(numbers), Title: title}
}

// kindOf is what sort of an event it is.
func kindOf(e Event) string {
	switch e.Name {
	case alert.EventFired, alert.EventSeverity:
		return e.Severity.String()
	case alert.EventAcknowledged, alert.EventResolved, alert.EventVerdict:
		return "better"
	}
	return "plain"
}

// ranges writes numbers shortly: 1–3, 5.
func ranges(numbers []int) string {
	slices.Sort(numbers)
	text := ""
	for i := 0; i < len(numbers); {
		end := i
		for end+1 < len(numbers) && numbers[end+1] == numbers[end]+1 {
			end++
		}
		if text != "" {
			text += ", "
		}
		text += strconv.Itoa(numbers[i])
		if end > i {
			text += "–" + strconv.Itoa(numbers[end])
		}
		i = end + 1
	}
	return text
}

func inWords(a *Alert, events int) string {
	text := "No values are kept"
	if n := len(a.Values); n > 0 {
		least := slices.MinFunc(a.Values, func(x, y Observed) int { return cmp.Compare(x.Value, y.Value) })
		greatest := slices.MaxFunc(a.Values, func(x, y Observed) int { return cmp.Compare(x.Value, y.Value) })
		text = fmt.Sprintf("%s from %s to %s", many(n, "value"), exact(least.Value, ""), exact(greatest.Value, a.SourceUnit))
	}
	return text + "; " + many(events, "event") + ", listed below"
}

func moment(t time.Time) string { return t.UTC().Format("2006-01-02 15:04:05 UTC") }
