package chart

import (
	"math"
	"slices"
)

// plot is where things are drawn.
type plot struct {
	width, height            float64 // of the whole
	left, top, right, bottom float64 // of the plot
	x, y                     Scale
	xTicks, yTicks           []tick
	xLabel                   string
	legend                   [][]entry // rows
	rows                     []int     // of the markers' labels
	inside                   bool      // the levels' labels stand in the plot
	names                    float64   // where they begin, if not
	belowHeading             float64
	belowLegend              float64
}

// entry is what one colour means.
type entry struct {
	class, label string
	line         bool
	x            float64
}

// Room around the plot, in pixels.
const (
	edge       = 6.0  // at every side
	swatch     = 12.0 // a colour in the legend
	tickHeight = 20.0
	mostInside = 0.2 // the levels' labels take at most this part of the width, else they stand in the plot
)

func (c *Chart) plot() *plot {
	p := &plot{width: orElse(c.Width, defaultWidth, leastWidth), height: orElse(c.Height, defaultHeight, leastHeight)}
	xLow, xHigh, yLow, yHigh := c.domains()
	p.right, p.bottom = p.width, p.height
	if !c.Y.Hidden || !c.X.Hidden {
		p.left, p.top, p.right, p.bottom = edge, edge, p.width-edge, p.height-edge
	}
	if c.Heading != "" {
		p.top += lineHeight + 4
	}
	p.belowHeading = p.top
	c.placeLegend(p)
	p.belowLegend = p.top
	if c.Y.Label != "" || c.Note != "" {
		p.top += lineHeight
	}
	if !c.Y.Hidden {
		p.yTicks = numberTicks(yLow, yHigh, int(max(p.height-p.top-2*tickHeight, 0)/34), c.Y.Whole)
		widest := 0.0
		for _, t := range p.yTicks {
			widest = max(widest, textWidth(t.label))
		}
		p.left = edge + widest + 6
	}
	c.roomForLevels(p)
	p.names = p.right + 6
	if c.beyond(xHigh) {
		p.right -= beyondRoom
	}
	p.x = Scale{xLow, xHigh, p.left, max(p.right, p.left+1)}
	if !c.X.Hidden {
		c.tickX(p)
		p.bottom -= tickHeight
		if p.xLabel != "" {
			p.bottom -= lineHeight
		}
	}
	c.placeMarkers(p)
	p.right, p.bottom = p.x.To, max(p.bottom, p.top+1)
	p.y = Scale{yLow, yHigh, p.bottom, p.top}
	return p
}

func orElse(v, otherwise, least float64) float64 {
	if !(v > 0) || math.IsInf(v, 0) {
		return otherwise
	}
	return max(least, min(v, mostPixels))
}

// mostPixels bounds a drawing, and so how many labels it has.
const mostPixels = 10000

// domains finds the ends of the axes.
func (c *Chart) domains() (xLow, xHigh, yLow, yHigh float64) {
	var x, y extent
	for _, s := range c.Spans {
		x.see(s.From)
		x.see(s.To)
	}
	for _, b := range c.Bars {
		x.see(b.From)
		x.see(b.To)
		y.see(0)
		y.see(b.total())
	}
	for _, l := range c.Lines {
		for _, pt := range l.Points {
			x.see(pt.X)
			y.see(pt.Y)
		}
	}
	for _, l := range c.Levels {
		y.see(l.At)
	}
	for _, m := range c.Markers {
		x.see(m.At)
	}
	xLow, xHigh = c.X.ends(x, false)
	yLow, yHigh = c.Y.ends(y, true)
	return xLow, xHigh, yLow, yHigh
}

func (a *Axis) ends(seen extent, roomy bool) (low, high float64) {
	if finite(a.From) && finite(a.To) && a.From < a.To {
		return Domain(a.From, a.To, false)
	}
	if a.Zero || !seen.any {
		seen.see(0)
	}
	if a.Time && seen.low == seen.high {
		return seen.low - 30, seen.high + 30
	}
	low, high = Domain(seen.low, seen.high, roomy)
	if a.Whole && high-low < 1 {
		high = low + 1
	}
	return low, high
}

// tickX labels the X axis as densely as its labels are wide.
func (c *Chart) tickX(p *plot) {
	room := p.x.To - p.x.From
	p.xLabel = c.X.Label
	fits := func(ticks []tick) bool {
		used := 0.0
		for _, t := range ticks {
			used = max(used, textWidth(t.label)+14)
		}
		return used*float64(len(ticks)) <= room+used
	}
	for most := max(int(room/48), 2); ; most-- {
		about := ""
		if c.X.Time {
			p.xTicks, about = timeTicks(p.x.Low, p.x.High, most)
		} else {
			p.xTicks = numberTicks(p.x.Low, p.x.High, most, c.X.Whole)
		}
		if p.xLabel == "" {
			p.xLabel = about
		}
		if most <= 2 || fits(p.xTicks) {
			return
		}
	}
}

// placeLegend fills rows with what the colours mean.
func (c *Chart) placeLegend(p *plot) {
	var all []entry
	for _, part := range c.Parts {
		if part.Label != "" {
			all = append(all, entry{class: part.Class, label: part.Label})
		}
	}
	for i := range c.Lines {
		if l := &c.Lines[i]; l.Label != "" {
			all = append(all, entry{class: l.Class, label: l.Label, line: true})
		}
	}
	x := 0.0
	for _, e := range all {
		size := swatch + 5 + textWidth(e.label) + 14
		if len(p.legend) == 0 || x+size > p.width-edge {
			p.legend = append(p.legend, nil)
			x = edge
		}
		e.x = x
		x += size
		p.legend[len(p.legend)-1] = append(p.legend[len(p.legend)-1], e)
	}
	p.top += float64(len(p.legend)) * (lineHeight + 2)
}

// roomForLevels leaves room for the levels' labels beside the plot, where they are not too wide.
func (c *Chart) roomForLevels(p *plot) {
	widest := 0.0
	for _, l := range c.Levels {
		if finite(l.At) {
			widest = max(widest, textWidth(l.Label))
		}
	}
	if p.inside = widest+6 > p.width*mostInside; !p.inside && widest > 0 {
		p.right -= widest + 6
	}
}

// label is a text that needs its place.
type label struct{ from, to float64 }

// placeMarkers gives each marker's label the lowest row in which it is free.
func (c *Chart) placeMarkers(p *plot) {
	p.rows = make([]int, len(c.Markers))
	order := make([]int, 0, len(c.Markers))
	for i := range c.Markers {
		if finite(c.Markers[i].At) && c.Markers[i].Label != "" {
			order = append(order, i)
		}
	}
	slices.SortStableFunc(order, func(a, b int) int {
		switch x, y := c.Markers[a].At, c.Markers[b].At; {
		case x < y:
			return -1
		case x > y:
			return 1
		}
		return 0
	})
	var rows [][]label
	for _, i := range order {
		from, to := p.labelOf(&c.Markers[i])
		row := slices.IndexFunc(rows, func(taken []label) bool {
			return !slices.ContainsFunc(taken, func(l label) bool { return from < l.to+6 && l.from < to+6 })
		})
		if row < 0 {
			row = len(rows)
			rows = append(rows, nil)
		}
		rows[row] = append(rows[row], label{from, to})
		p.rows[i] = row
	}
	p.top += float64(len(rows)) * lineHeight
}

// labelOf is where a marker's label lies: over its line, but not over the drawing's edge.
func (p *plot) labelOf(m *Marker) (from, to float64) {
	size := textWidth(m.Label)
	from = p.place(m) - size/2
	from = min(from, p.width-edge-size)
	from = max(from, edge)
	return from, from + size
}

// beyondRoom is the room for markers that lie beyond an end of the axis.
const beyondRoom = 26.0

// beyond reports whether a marker lies behind the axis.
func (c *Chart) beyond(high float64) bool {
	return slices.ContainsFunc(c.Markers, func(m Marker) bool { return finite(m.At) && m.At > high })
}

// place is where a marker stands.
func (p *plot) place(m *Marker) float64 {
	switch {
	case m.At > p.x.High:
		return p.x.To + beyondRoom/2
	case m.At < p.x.Low:
		return p.x.From
	}
	return p.x.At(m.At)
}
