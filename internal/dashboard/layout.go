package dashboard

// columns is how wide Grafana's grid is.
const columns = 24

// layout places panels from top to bottom.
type layout struct {
	panels []*panel
	y      int
}

// row begins a section.
func (l *layout) row(title string) {
	l.line(1, &panel{Type: "row", Title: title, Collapsed: pointer(false), Panels: &[]*panel{}, GridPos: gridPos{W: columns}})
}

// line places panels side by side; their widths are theirs.
func (l *layout) line(height int, panels ...*panel) {
	x := 0
	for _, p := range panels {
		l.place(p, x, l.y, height)
		x += p.GridPos.W
	}
	l.y += height
}

// beside places a panel and, on its right, others one below the other, which share its height.
func (l *layout) beside(height int, left *panel, right ...*panel) {
	l.place(left, 0, l.y, height)
	y, each := l.y, height
	if len(right) > 0 {
		each = height / len(right)
	}
	for _, p := range right {
		l.place(p, left.GridPos.W, y, each)
		y += each
	}
	l.y += height
}

func (l *layout) place(p *panel, x, y, height int) {
	p.ID = len(l.panels) + 1
	p.GridPos.X, p.GridPos.Y, p.GridPos.H = x, y, height
	l.panels = append(l.panels, p)
}
