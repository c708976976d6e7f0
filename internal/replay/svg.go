package replay

import (
	"fmt"
	"io"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/otelcol-escalation/otelcol-escalation/internal/chart"
)

// plotHeight is that of a drawing, in pixels; it is about plotColumns wide.
const plotHeight = 388

// svg draws the line over the recording's time, with thresholds and episodes.
func (l *plotLine) svg(to io.Writer, from, until time.Time) error {
	title := l.title()
	c := chart.Chart{
		Name: title, Heading: title, Width: plotColumns + 160, Height: plotHeight,
		Description: fmt.Sprintf("The value over the recording, its thresholds, and %d episodes", len(l.episodes)+l.more),
		X:           chart.Axis{Time: true, From: chart.At(from), To: chart.At(until)},
		Y:           chart.Axis{Label: l.unit},
		Lines:       []chart.Line{{Class: "value", Points: l.points(from, until)}},
	}
	for i := range l.episodes {
		e := &l.episodes[i]
		c.Spans = append(c.Spans, chart.Span{
			Class: e.Tier.String(), From: chart.At(e.Fired), To: chart.At(e.End),
			Title: fmt.Sprintf("%s from %s to %s", e.Tier, e.Fired.Format(time.RFC3339), e.End.Format(time.RFC3339)),
		})
	}
	if l.of != nil {
		for i := range l.of.Tiers {
			t := &l.of.Tiers[i]
			for _, bound := range []float64{t.Low, t.High} {
				if math.IsInf(bound, 0) || math.IsNaN(bound) {
					continue
				}
				tier := t.Severity.String()
				c.Levels = append(c.Levels, chart.Level{Class: tier, At: bound, Label: tier + " " + strconv.FormatFloat(bound, 'g', 5, 64)})
			}
		}
	}
	if l.more > 0 {
		c.Note = fmt.Sprintf("and %d more episodes", l.more)
	}
	return c.File(to)
}

func (l *plotLine) title() string {
	var labels []string
	for _, name := range slices.Sorted(maps.Keys(l.labels)) {
		labels = append(labels, name+"="+strconv.Quote(l.labels[name]))
	}
	return l.rule + "{" + strings.Join(labels, ", ") + "}"
}

// points go through every column from its lowest to its highest value, connected where the series went on.
func (l *plotLine) points(from, until time.Time) (points []chart.Point) {
	first, width := chart.At(from), until.Sub(from).Seconds()/(plotColumns-1)
	for i, c := range l.columns {
		if !c.some {
			continue
		}
		x := min(first+float64(i)*width, chart.At(until)) // rounding must not put it beyond
		if c.broken {
			points = append(points, chart.Point{X: x, Y: math.NaN()})
		}
		points = append(points, chart.Point{X: x, Y: c.first})
		if c.low < c.high {
			points = append(points, chart.Point{X: x, Y: c.low}, chart.Point{X: x, Y: c.high}, chart.Point{X: x, Y: c.last})
		}
	}
	return points
}
