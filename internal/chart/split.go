package chart

import "strings"

// Split is one small bar that shows how a whole falls into parts, from left to right. Its name must say the numbers.
type Split struct {
	Name          string
	Width, Height float64
	Parts         []Part
	Sizes         []float64
}

// String is the bar for a page that has Style in its sheet.
func (s *Split) String() string {
	width, height := orElse(s.Width, 120, leastWidth), orElse(s.Height, 10, 4)
	total := (&Bar{Sizes: s.Sizes}).total()
	var w canvas
	w.openRoot(width, height, false)
	w.name(s.Name, "", false)
	x := 0.5
	for i, v := range s.Sizes {
		if i >= len(s.Parts) || !finite(v) || v <= 0 || !finite(total) {
			continue
		}
		size := (width - 1) * (v / total)
		w.rect("part "+escape(s.Parts[i].Class), x, 0.5, max(size-1, 1), height-1, strings.TrimSpace(s.Parts[i].Label))
		x += size
	}
	w.put("</svg>\n")
	return w.String()
}
