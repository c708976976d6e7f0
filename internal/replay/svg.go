package replay

import (
	"bufio"
	"encoding/xml"
	"fmt"
	"io"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/otelcol-escalation/otelcol-escalation/internal/rule"
)

// The drawing's measures, in pixels.
const (
	svgLeft, svgTop     = 80, 48
	svgHeight           = 300
	svgRight, svgBottom = 110, 40
)

// style follows the reader's light or dark mode.
const style = `
  svg { background: #fff; font: 12px system-ui, sans-serif; --ink: #1f2328; --faint: #d0d7de; --line: #0969da; fill: var(--ink) }
  .critical { --tier: #cf222e } .high { --tier: #bc4c00 } .medium { --tier: #9a6700 } .low { --tier: #57606a }
  @media (prefers-color-scheme: dark) {
    svg { background: #0d1117; --ink: #e6edf3; --faint: #30363d; --line: #58a6ff }
    .critical { --tier: #ff7b72 } .high { --tier: #ffa657 } .medium { --tier: #d29922 } .low { --tier: #8b949e }
  }
  .title { font-size: 14px; font-weight: 600 } .grid { stroke: var(--faint) }
  .value { stroke: var(--line); fill: none } .threshold { stroke: var(--tier); stroke-dasharray: 6 3 }
  .name { fill: var(--tier) } .band { fill: var(--tier); fill-opacity: .22 }
`

// svg draws the line over the recording's time, with thresholds and episodes.
func (l *plotLine) svg(to io.Writer, from, until time.Time) error {
	w := &canvas{Writer: bufio.NewWriter(to)}
	width, height := svgLeft+plotColumns+svgRight, svgTop+svgHeight+svgBottom
	w.printf(`<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" role="img">`+"\n", width, height)
	title := l.title()
	w.printf("<title>%s</title>\n<style>%s</style>\n", text(title), style)
	w.printf(`<text class="title" x="%d" y="20">%s</text>`+"\n", svgLeft, text(clip(title)))
	if l.unit != "" {
		w.printf(`<text x="%d" y="38">%s</text>`+"\n", svgLeft, text(clip(l.unit)))
	}
	scale := l.scale()
	w.grid(scale, from, until)
	for i := range l.episodes {
		e := &l.episodes[i]
		x := columnOf(e.Fired, from, until)
		end := max(columnOf(e.End, from, until), x+1)
		w.printf(`<g class="%s"><rect class="band" x="%d" y="%d" width="%d" height="%d"><title>%s</title></rect></g>`+"\n",
			e.Tier, svgLeft+x, svgTop, end-x, svgHeight, text(fmt.Sprintf("%s from %s to %s", e.Tier, e.Fired.Format(time.RFC3339), e.End.Format(time.RFC3339))))
	}
	l.path(w, scale)
	if l.of != nil {
		for i := range l.of.Tiers {
			w.threshold(&l.of.Tiers[i], scale)
		}
	}
	if l.more > 0 {
		w.printf(`<text x="%d" y="%d">%s</text>`+"\n", svgLeft+plotColumns-200, 38, text(fmt.Sprintf("and %d more episodes", l.more)))
	}
	w.printf("</svg>\n")
	if w.err != nil {
		return w.err
	}
	return w.Flush()
}

func (l *plotLine) title() string {
	var labels []string
	for _, name := range slices.Sorted(maps.Keys(l.labels)) {
		labels = append(labels, name+"="+strconv.Quote(l.labels[name]))
	}
	return l.rule + "{" + strings.Join(labels, ", ") + "}"
}

// path draws every column from its lowest to its highest value, connected where the series went on.
func (l *plotLine) path(w *canvas, s scale) {
	w.printf(`<path class="value" d="`)
	begun := false
	for x, c := range l.columns {
		if !c.some {
			continue
		}
		move := "L"
		if !begun || c.broken {
			move = "M"
		}
		begun = true
		w.printf("%s%d %.1f", move, svgLeft+x, s.y(c.first))
		if c.low < c.high {
			w.printf("V%.1fV%.1fV%.1f", s.y(c.low), s.y(c.high), s.y(c.last))
		} else if move == "M" {
			w.printf("h1") // a point alone would not be seen
		}
	}
	w.printf(`"/>` + "\n")
}

// scale maps values to pixels.
type scale struct{ low, high float64 }

func (s scale) y(v float64) float64 {
	return svgTop + svgHeight*(1-(v-s.low)/(s.high-s.low))
}

// scale holds all values and all thresholds.
func (l *plotLine) scale() scale {
	s := scale{math.Inf(1), math.Inf(-1)}
	see := func(v float64) {
		if !math.IsInf(v, 0) && !math.IsNaN(v) {
			s.low, s.high = min(s.low, v), max(s.high, v)
		}
	}
	for _, c := range l.columns {
		if c.some {
			see(c.low)
			see(c.high)
		}
	}
	if l.of != nil {
		for i := range l.of.Tiers {
			see(l.of.Tiers[i].Low)
			see(l.of.Tiers[i].High)
		}
	}
	if s.low > s.high {
		s = scale{0, 1}
	}
	if pad := (s.high - s.low) * 0.05; pad > 0 && !math.IsInf(pad, 0) {
		s.low, s.high = s.low-pad, s.high+pad
	} else {
		pad = max(math.Abs(s.high)*0.05, 1e-9)
		s.low, s.high = s.low-pad, s.high+pad
	}
	return s
}

type canvas struct {
	*bufio.Writer
	err error
}

func (w *canvas) printf(format string, args ...any) {
	if _, err := fmt.Fprintf(w.Writer, format, args...); err != nil && w.err == nil {
		w.err = err
	}
}

// grid draws the axes.
func (w *canvas) grid(s scale, from, until time.Time) {
	const rows, columns = 5, 5
	for i := range rows + 1 {
		v := s.low + (s.high-s.low)*float64(i)/rows
		y := s.y(v)
		w.printf(`<line class="grid" x1="%d" x2="%d" y1="%.1f" y2="%.1f"/><text x="%d" y="%.1f" text-anchor="end">%s</text>`+"\n",
			svgLeft, svgLeft+plotColumns, y, y, svgLeft-6, y+4, strconv.FormatFloat(v, 'g', 4, 64))
	}
	layout := "2006-01-02 15:04"
	if until.Sub(from) < 10*time.Minute {
		layout = "15:04:05"
	}
	for i := range columns + 1 {
		t := from.Add(time.Duration(float64(until.Sub(from)) * float64(i) / columns))
		anchor := [...]string{"start", "middle", "end"}[min(i, 1)+i/columns]
		w.printf(`<text x="%d" y="%d" text-anchor="%s">%s</text>`+"\n",
			svgLeft+i*plotColumns/columns, svgTop+svgHeight+20, anchor, t.UTC().Format(layout))
	}
}

// threshold draws the bounds of a tier.
func (w *canvas) threshold(t *rule.Tier, s scale) {
	for _, bound := range []float64{t.Low, t.High} {
		if math.IsInf(bound, 0) || math.IsNaN(bound) {
			continue
		}
		y := s.y(bound)
		w.printf(`<g class="%s"><line class="threshold" x1="%d" x2="%d" y1="%.1f" y2="%.1f"/><text class="name" x="%d" y="%.1f">%s %s</text></g>`+"\n",
			t.Severity, svgLeft, svgLeft+plotColumns, y, y, svgLeft+plotColumns+6, y+4, t.Severity, strconv.FormatFloat(bound, 'g', 5, 64))
	}
}

// text escapes for XML; what XML cannot hold becomes U+FFFD.
func text(s string) string {
	var b strings.Builder
	if err := xml.EscapeText(&b, []byte(s)); err != nil {
		return ""
	}
	return b.String()
}
