package chart

import (
	"cmp"
	"slices"
)

func (c *Chart) heading(w *canvas, p *plot) {
	if c.Heading != "" {
		w.text("heading", "start", edge, edge+12, cut(c.Heading, (p.width-2*edge)*0.85)) // it is larger
	}
	for i, row := range p.legend {
		y := p.belowHeading + float64(i)*(lineHeight+2)
		for _, e := range row {
			if e.line {
				w.line("line "+escape(e.class), e.x, y+7, e.x+swatch, y+7)
				w.put("\n")
			} else {
				w.rect("part "+escape(e.class), e.x, y+1, swatch, swatch, "")
			}
			w.text("", "start", e.x+swatch+5, y+11, e.label)
		}
	}
	if c.Y.Label != "" {
		w.text("soft", "start", edge, p.belowLegend+11, cut(c.Y.Label, p.width-2*edge-textWidth(c.Note)))
	}
	if c.Note != "" {
		w.text("soft", "end", p.width-edge, p.belowLegend+11, c.Note)
	}
}

func (c *Chart) axes(w *canvas, p *plot) {
	for _, t := range p.yTicks {
		y := p.y.At(t.at)
		w.line("grid", p.left, y, p.right, y)
		w.text("soft", "end", p.left-6, y+4, t.label)
	}
	if c.X.Hidden {
		return
	}
	w.line("axis", p.left, p.bottom, p.right, p.bottom)
	w.put("\n")
	for _, t := range p.xTicks {
		x := p.x.At(t.at)
		w.line("axis", x, p.bottom, x, p.bottom+4)
		at, size := x, textWidth(t.label)/2
		at = max(min(at, p.width-edge-size), edge+size)
		w.text("soft", "middle", at, p.bottom+16, t.label)
	}
	if p.xLabel != "" {
		w.text("soft", "end", p.right, p.bottom+tickHeight+12, cut(p.xLabel, p.width-2*edge))
	}
}

func (p *plot) span(w *canvas, s *Span) {
	if !finite(s.From) || !finite(s.To) || s.To < p.x.Low || s.From > p.x.High {
		return
	}
	from, to := p.x.At(max(s.From, p.x.Low)), p.x.At(min(s.To, p.x.High))
	w.rect("span "+escape(s.Class), from, p.top, max(to-from, 1), p.bottom-p.top, s.Title)
}

func (b *Bar) total() (sum float64) {
	for _, v := range b.Sizes {
		if finite(v) && v > 0 {
			sum += v
		}
	}
	return sum
}

// bars draws the stacks. Where they have but one part and no titles they are one path, which is a tenth of the text.
func (c *Chart) bars(w *canvas, p *plot) {
	titled := slices.ContainsFunc(c.Bars, func(b Bar) bool { return b.Title != "" })
	if len(c.Parts) != 1 || titled || len(c.Bars) == 0 {
		for i := range c.Bars {
			p.bar(w, &c.Bars[i], c.Parts)
		}
		return
	}
	w.put(`<path class="part `, escape(c.Parts[0].Class), `" d="`)
	for i := range c.Bars {
		b := &c.Bars[i]
		if from, to, ok := p.foot(b); ok && b.total() > 0 {
			w.put("M", px(from), " ", px(p.y.At(0)), "V", px(p.y.At(b.total())), "H", px(to), "V", px(p.y.At(0)), "z")
		}
	}
	w.put(`"/>`, "\n")
}

// foot is where a bar stands; ok is false where it cannot be drawn.
func (p *plot) foot(b *Bar) (from, to float64, ok bool) {
	if !finite(b.From) || !finite(b.To) || !p.x.Holds(b.From) || !p.x.Holds(b.To) || !finite(b.total()) {
		return 0, 0, false
	}
	from, to = p.x.At(b.From), p.x.At(b.To)
	if to-from > 3 { // bars do not touch
		to--
	}
	return from, max(to, from+1), true
}

func (p *plot) bar(w *canvas, b *Bar, parts []Part) {
	from, to, ok := p.foot(b)
	if !ok {
		return
	}
	w.put(`<g class="bar">`)
	w.title(b.Title)
	sum := 0.0
	for i, v := range b.Sizes {
		if i >= len(parts) || !finite(v) || v <= 0 {
			continue
		}
		foot, head := p.y.At(sum), p.y.At(sum+v)
		w.rect("part "+escape(parts[i].Class), from, head, to-from, foot-head, "")
		sum += v
	}
	if b.Title != "" { // the whole column answers the pointer
		w.rect("hover", from, p.top, to-from, p.bottom-p.top, "")
	}
	w.put("</g>\n")
}

// line draws a path. What is nearer than a tenth of a pixel to the point before is not written again.
func (p *plot) line(w *canvas, l *Line) {
	w.put(`<path class="line `, escape(l.Class), `" d="`)
	var lastX, lastY string
	begun, alone := false, false
	for _, pt := range l.Points {
		if !finite(pt.X) || !finite(pt.Y) || !p.x.Holds(pt.X) {
			if alone {
				w.put("h0")
			}
			begun, alone = false, false
			continue
		}
		x, y := px(p.x.At(pt.X)), px(p.y.At(pt.Y))
		switch {
		case !begun:
			w.put("M", x, " ", y)
			begun, alone = true, true
			lastX, lastY = x, y
			continue
		case x == lastX && y == lastY:
			continue
		case x == lastX:
			w.put("V", y)
		case l.Step && y == lastY:
			w.put("H", x)
		case l.Step:
			w.put("H", x, "V", y)
		default:
			w.put("L", x, " ", y)
		}
		alone, lastX, lastY = false, x, y
	}
	if alone { // a round end makes a dot of it
		w.put("h0")
	}
	w.put(`"/>`, "\n")
}

// levels draws the lines across, and their labels so that none covers another.
func (c *Chart) levels(w *canvas, p *plot) {
	var order []int
	for i := range c.Levels {
		if p.y.Holds(c.Levels[i].At) {
			order = append(order, i)
		}
	}
	slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(c.Levels[b].At, c.Levels[a].At) })
	free := p.top + lineHeight - 4 // the highest place for a label's foot
	for _, i := range order {
		l := &c.Levels[i]
		y := p.y.At(l.At)
		w.put(`<g class="level `, escape(l.Class), `">`)
		w.title(l.Title)
		w.line("mark", p.left, y, p.right, y)
		foot := y + 4
		if p.inside {
			foot = y - 4
		}
		foot = max(foot, free)
		free = foot + lineHeight - 2
		if p.inside {
			w.text("name", "end", p.right-4, foot, cut(l.Label, p.right-p.left))
		} else {
			w.text("name", "start", p.names, foot, l.Label)
		}
		w.put("</g>\n")
	}
}

// markers draws the lines up first: none may cross the label of another.
func (c *Chart) markers(w *canvas, p *plot) {
	for i := range c.Markers {
		m := &c.Markers[i]
		if !finite(m.At) {
			continue
		}
		x, head := p.place(m), p.top
		if m.Label != "" {
			head -= float64(p.rows[i]) * lineHeight
		}
		w.put(`<g class="marker `, escape(m.Class), `">`)
		w.title(m.Title)
		w.line("mark", x, head, x, p.bottom)
		if m.Title != "" { // a line is hard to point at
			w.rect("hover", x-5, head, 10, p.bottom-head, "")
		}
		w.put("</g>\n")
	}
	for i := range c.Markers {
		m := &c.Markers[i]
		if !finite(m.At) || m.Label == "" {
			continue
		}
		from, to := p.labelOf(m)
		w.put(`<g class="marker `, escape(m.Class), `">`)
		w.text("name", "middle", (from+to)/2, p.top-float64(p.rows[i])*lineHeight-4, cut(m.Label, p.width-2*edge))
		w.put("</g>\n")
	}
}
