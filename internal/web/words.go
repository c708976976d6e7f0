package web

import (
	"fmt"
	"math"
	"strconv"
	"strings"

	"github.com/otelcol-escalation/otelcol-escalation/internal/calibrate"
)

// many writes how many there are of something.
func many[N int | int64](n N, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

// split says what people made of pages; what there is none of is left out.
func split[N int | int64](real, falseAlarms, other, unjudged N) string {
	var parts []string
	for _, p := range []struct {
		n    N
		what string
	}{{real, "real"}, {falseAlarms, "false"}, {other, "other"}, {unjudged, "not judged"}} {
		if p.n > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", p.n, p.what))
		}
	}
	return strings.Join(parts, ", ")
}

func orNone(text string) string {
	if text == "" {
		return "none"
	}
	return text
}

// percent writes a share. What is not all is never rounded to all, and what is not nothing never to nothing.
func percent(share float64) string {
	v := math.Round(share * 100)
	if v == 100 && share < 1 {
		v = 99
	}
	if v == 0 && share > 0 {
		return "< 1\u00a0%"
	}
	return strconv.FormatFloat(v, 'f', 0, 64) + "\u00a0%"
}

// bounds writes the 95 % interval of a share.
func bounds(p calibrate.Proportion) string {
	return fmt.Sprintf("%.0f to %.0f\u00a0%%", p.Lower*100, p.Upper*100)
}

// exact writes a number with every digit that it has, as rule files have it, and its unit.
func exact(v float64, unit string) string {
	format := byte('f')
	if size := math.Abs(v); size != 0 && (size < 1e-6 || size >= 1e15) {
		format = 'g'
	}
	text := strconv.FormatFloat(v, format, -1, 64)
	if unit = unitName(unit); unit != "" {
		text += "\u00a0" + unit
	}
	return text
}

// rough writes a number that is no measurement, such as 3.2 pages a day.
func rough(v float64) string {
	switch {
	case v != 0 && v < 0.1:
		return strconv.FormatFloat(v, 'f', 2, 64)
	case v < 10:
		return strconv.FormatFloat(v, 'f', 1, 64)
	}
	return strconv.FormatFloat(v, 'f', 0, 64)
}
