package chart

import (
	"encoding/xml"
	"math"
	"strconv"
	"strings"
	"unicode/utf8"
)

// canvas is the text of a drawing.
type canvas struct{ strings.Builder }

func (w *canvas) put(parts ...string) {
	for _, p := range parts {
		w.WriteString(p)
	}
}

// openRoot begins the drawing. A file says in which language it is.
func (w *canvas) openRoot(width, height float64, alone bool) {
	w.put(`<svg`)
	if alone {
		w.put(` xmlns="http://www.w3.org/2000/svg"`)
	}
	w.put(` class="chart" viewBox="0 0 `, px(width), " ", px(height), `" width="`, px(width), `" height="`, px(height), `" role="img"`)
}

// name ends the root's tag and says what the drawing is. On a page a title would pop up wherever the pointer is.
func (w *canvas) name(name, description string, alone bool) {
	if alone {
		w.put(">\n<title>", escape(name), "</title>\n")
	} else {
		w.put(` aria-label="`, escape(name), `">`, "\n")
	}
	if description != "" {
		w.put("<desc>", escape(description), "</desc>\n")
	}
}

// title is what is shown where the pointer rests.
func (w *canvas) title(text string) {
	if text != "" {
		w.put("<title>", escape(text), "</title>")
	}
}

// line draws a straight line.
func (w *canvas) line(class string, x1, y1, x2, y2 float64) {
	w.put(`<line class="`, class, `" x1="`, px(x1), `" y1="`, px(y1), `" x2="`, px(x2), `" y2="`, px(y2), `"/>`)
}

// rect draws a rectangle, with a title if there is one.
func (w *canvas) rect(class string, x, y, width, height float64, title string) {
	w.put(`<rect class="`, class, `" x="`, px(x), `" y="`, px(y), `" width="`, px(max(width, 0)), `" height="`, px(max(height, 0)), `"`)
	if title == "" {
		w.put("/>\n")
		return
	}
	w.put(">")
	w.title(title)
	w.put("</rect>\n")
}

// text writes a text; anchor is start, middle or end.
func (w *canvas) text(class, anchor string, x, y float64, text string) {
	w.put("<text")
	if class != "" {
		w.put(` class="`, class, `"`)
	}
	if anchor != "start" {
		w.put(` text-anchor="`, anchor, `"`)
	}
	w.put(` x="`, px(x), `" y="`, px(y), `">`, escape(text), "</text>\n")
}

// escape makes text of what XML and HTML could take for something else; what XML cannot hold becomes U+FFFD.
func escape(text string) string {
	var b strings.Builder
	_ = xml.EscapeText(&b, []byte(text)) // a strings.Builder takes all
	return b.String()
}

// px writes a measure to a tenth of a pixel.
func px(v float64) string {
	v = math.Round(v*10) / 10
	if v == 0 || math.IsNaN(v) {
		return "0" // not -0
	}
	return strconv.FormatFloat(max(-1e5, min(v, 1e5)), 'f', -1, 64)
}

// Measures of text in pixels. How wide a letter is only the reader's browser knows: this is on the safe side of most fonts.
const (
	letter     = 6.8
	lineHeight = 16.0
)

func textWidth(text string) float64 { return float64(utf8.RuneCountInString(text)) * letter }

// cut shortens a text to a width.
func cut(text string, width float64) string {
	most := max(int(width/letter), 1)
	if utf8.RuneCountInString(text) <= most {
		return text
	}
	return string([]rune(text)[:most-1]) + "…"
}
