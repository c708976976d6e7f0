package web

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
)

// span writes a duration for people: its two largest units.
func span(d time.Duration) string {
	d = max(d, 0)
	switch {
	case d < time.Minute:
		return fmt.Sprintf("%ds", d/time.Second)
	case d < time.Hour:
		return fmt.Sprintf("%dm", d/time.Minute)
	case d < 24*time.Hour:
		return two(int64(d/time.Hour), "h", int64(d%time.Hour/time.Minute), "m")
	}
	const day = 24 * time.Hour
	return two(int64(d/day), "d", int64(d%day/time.Hour), "h")
}

func two(a int64, unitA string, b int64, unitB string) string {
	if b == 0 {
		return fmt.Sprintf("%d%s", a, unitA)
	}
	return fmt.Sprintf("%d%s %d%s", a, unitA, b, unitB)
}

// quantity writes a number of a metric with its unit (UCUM, as OTLP has it), to four significant digits.
func quantity(n *Number, unit string) string {
	if n == nil {
		return ""
	}
	v := float64(*n)
	text := strconv.FormatFloat(v, 'g', 4, 64)
	if size := math.Abs(v); size >= 1e4 && size < 1e15 {
		text = strconv.FormatFloat(v, 'f', 0, 64) // "123456", not "1.235e+05"
	}
	if unit = unitName(unit); unit != "" {
		text += "\u00a0" + unit // not to be torn apart at a line's end
	}
	return text
}

// unitNames are units that people know by another sign.
var unitNames = map[string]string{"1": "", "Cel": "°C", "By": "B", "KiBy": "KiB", "MiBy": "MiB", "GiBy": "GiB"}

// unitName writes a unit for people: what is counted stands in braces, and "1" is no unit.
func unitName(unit string) string {
	if name, ok := unitNames[unit]; ok {
		return name
	}
	return strings.NewReplacer("{", "", "}", "").Replace(unit)
}
