package web

import (
	"fmt"
	"html/template"
	"strconv"
	"time"

	"github.com/otelcol-escalation/otelcol-escalation/internal/chart"
	"github.com/otelcol-escalation/otelcol-escalation/internal/quality"
)

// drawing is a chart as it is drawn for a screen, and for a phone: text that is scaled down to a phone's width cannot be read.
type drawing struct{ Wide, Narrow template.HTML }

// Widths of the two, in pixels.
const (
	wide   = 880
	narrow = 360
)

// draw draws a chart at both widths.
func draw(c func(width float64) *chart.Chart) drawing {
	return drawing{inline(c(wide)), inline(c(narrow))}
}

// inline is a chart in a page. What is drawn is escaped by the chart.
func inline(c fmt.Stringer) template.HTML { return template.HTML(c.String()) }

// verdictParts are what people made of pages, in the order in which bars stack them.
var verdictParts = []chart.Part{{Class: "real", Label: "real"}, {Class: "false", Label: "false alarm"}, {Class: "other", Label: "expected or duplicate"}, {Class: "unjudged", Label: "not judged"}}

// pagesPerDay are the pages of each day by verdict, with the changes of thresholds.
func pagesPerDay(r *quality.Rule) drawing {
	const day = 24 * time.Hour
	return draw(func(width float64) *chart.Chart {
		c := &chart.Chart{
			Name: "Pages per day by verdict", Description: daysInWords(r.Days), Width: width, Height: 220,
			X: chart.Axis{Time: true}, Y: chart.Axis{Zero: true, Whole: true}, Parts: verdictParts,
		}
		for _, d := range r.Days {
			from := chart.At(d.At)
			c.Bars = append(c.Bars, chart.Bar{
				From: from, To: from + day.Seconds(), Title: d.At.Format(time.DateOnly) + ": " + dayInWords(d),
				Sizes: []float64{float64(d.Verified), float64(d.False), float64(d.Other), float64(d.Unjudged)},
			})
		}
		if n := len(r.Days); n > 0 {
			c.X.From, c.X.To = chart.At(r.Days[0].At), chart.At(r.Days[n-1].At.Add(day))
		}
		for _, t := range r.Thresholds {
			for _, m := range newest(t.Moved, mostMarks) {
				c.Markers = append(c.Markers, chart.Marker{
					Class: t.Tier.String(), At: chart.At(m.At), Label: exact(m.From, "") + " → " + exact(m.To, ""),
					Title: fmt.Sprintf("%s: the threshold of %s was moved from %s to %s%s", m.At.UTC().Format(time.DateOnly), t.Tier, exact(m.From, t.Unit), exact(m.To, t.Unit), by(m.By)),
				})
			}
		}
		return c
	})
}

// mostMarks bounds how many changes of a threshold are drawn.
const mostMarks = 8

func newest[T any](all []T, n int) []T { return all[max(len(all)-n, 0):] }

func dayInWords(d quality.Day) string {
	text := many(d.Pages(), "page")
	if parts := split(d.Verified, d.False, d.Other, d.Unjudged); parts != "" {
		text += " (" + parts + ")"
	}
	if d.Untold > 0 {
		text += ", and " + strconv.Itoa(d.Untold) + " that nobody was told of"
	}
	return text
}

func daysInWords(days []quality.Day) string {
	pages, most := 0, quality.Day{}
	for _, d := range days {
		pages += d.Pages()
		if d.Pages() > most.Pages() {
			most = d
		}
	}
	if pages == 0 {
		return "No pages in " + many(len(days), "day")
	}
	return fmt.Sprintf("%s in %s, most of them on %s (%d)", many(pages, "page"), many(len(days), "day"), most.At.Format(time.DateOnly), most.Pages())
}

// sparkline is the pages of each day, small.
func sparkline(days []quality.Day) template.HTML {
	c := &chart.Chart{
		Name: daysInWords(days), Width: 120, Height: 26, X: chart.Axis{Hidden: true}, Y: chart.Axis{Hidden: true, Zero: true},
		Parts: []chart.Part{{Class: "day"}},
	}
	for i, d := range days {
		c.Bars = append(c.Bars, chart.Bar{From: float64(i), To: float64(i + 1), Sizes: []float64{float64(d.Pages())}})
	}
	return inline(c)
}

// verdictSplit is the pages of a rule by verdict, as one small bar.
func verdictSplit(real, falseAlarms, other, unjudged int64) template.HTML {
	return inline(&chart.Split{
		Name: orNone(split(real, falseAlarms, other, unjudged)), Width: 150, Height: 12, Parts: verdictParts,
		Sizes: []float64{float64(real), float64(falseAlarms), float64(other), float64(unjudged)},
	})
}
