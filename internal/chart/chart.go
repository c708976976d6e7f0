// Package chart draws charts as SVG, for the page and for files that stand alone. It is pure: the same chart is the same text.
//
// Colours come from classes and variables of a style sheet (see Style), so that one drawing is right in light, in dark and on
// paper. Whatever numbers a chart is given, the result is well-formed: what is no number is left out.
package chart

import (
	"io"
	"strings"
	"time"
)

// Chart is a drawing over two axes. Its marks are drawn in the order of the fields.
type Chart struct {
	// Name says in a few words what the chart is of, Description what it shows: for those who do not see it.
	Name, Description string
	// Heading and Note are written above the plot: Heading for a file that stands alone, Note at the right.
	Heading, Note string
	// Width and Height are of the whole, in pixels, at most 10000; 0 is a default.
	Width, Height float64
	X, Y          Axis

	Spans []Span
	// Bars are stacks of parts from 0 on; Parts say what the parts are, from the bottom up.
	Bars    []Bar
	Parts   []Part
	Lines   []Line
	Levels  []Level
	Markers []Marker
}

// Axis is how values lie along one side.
type Axis struct {
	Label string
	// Time has the values be times: see At.
	Time bool
	// From and To are its ends. Where From is not less than To the ends are found: the marks have room.
	From, To float64
	// Zero has 0 be on it, Whole has whole numbers alone be labelled, Hidden has nothing be written and no room be left for it.
	Zero, Whole, Hidden bool
}

// At is a time as a value: seconds since 1970.
func At(t time.Time) float64 { return float64(t.Unix()) + float64(t.Nanosecond())/1e9 }

// Point is a point of a line. A Y that is no number breaks the line.
type Point struct{ X, Y float64 }

// Line connects points, whose X do not fall. A Step holds each Y until the next X.
type Line struct {
	Class, Label string
	Step         bool
	Points       []Point
}

// Span is a part of the X axis, in the plot's whole height.
type Span struct {
	Class, Title string
	From, To     float64
}

// Bar stands on a part of the X axis.
type Bar struct {
	Title    string
	From, To float64
	Sizes    []float64 // of Chart.Parts; what is not positive has none
}

// Part is what one part of every bar is.
type Part struct{ Class, Label string }

// Level is a line across the plot at one Y, such as a threshold.
type Level struct {
	Class, Label, Title string
	At                  float64
}

// Marker is a line up the plot at one X, with its label above. One that lies beyond the axis stands at its end, beside the plot.
type Marker struct {
	Class, Label, Title string
	At                  float64
}

// Inline writes the chart for a page that has Style in its sheet.
func (c *Chart) Inline(to io.Writer) error { return c.write(to, false) }

// File writes the chart as a file of its own.
func (c *Chart) File(to io.Writer) error { return c.write(to, true) }

// String is the chart as Inline writes it.
func (c *Chart) String() string {
	var b strings.Builder
	_ = c.Inline(&b) // a strings.Builder takes all
	return b.String()
}

// Defaults of Width and Height, and the least that is drawn.
const (
	defaultWidth, defaultHeight = 880, 300
	leastWidth, leastHeight     = 16, 8
)

func (c *Chart) write(to io.Writer, alone bool) error {
	p := c.plot()
	w := &canvas{}
	w.openRoot(p.width, p.height, alone)
	w.name(c.Name, c.Description, alone)
	if alone {
		w.put("<style>", Style, palette, "</style>\n")
	}
	c.heading(w, p)
	c.axes(w, p)
	for i := range c.Spans {
		p.span(w, &c.Spans[i])
	}
	c.bars(w, p)
	for i := range c.Lines {
		p.line(w, &c.Lines[i])
	}
	c.levels(w, p)
	c.markers(w, p)
	w.put("</svg>\n")
	_, err := io.WriteString(to, w.String())
	return err
}
