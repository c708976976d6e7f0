package replay

import (
	"math"
	"strconv"
	"strings"
	"time"
)

// layouts are how recordings write times; those without a zone are UTC.
var layouts = []string{
	time.RFC3339Nano,
	"2006-01-02 15:04:05.999999999Z07:00",
	"2006-01-02 15:04:05.999999999",
	"2006-01-02T15:04:05.999999999",
	"2006/01/02 15:04:05.999999999",
	"2006-01-02 15:04",
	"2006-01-02",
}

// clockFace reads times of one kind; it tries first what it read last.
type clockFace struct{ layout string }

func (c *clockFace) parse(text string) (time.Time, bool) {
	if c.layout != "" {
		if t, err := time.Parse(c.layout, text); err == nil {
			return t.UTC(), placeable(t)
		}
	}
	if t, ok := unixTime(text); ok {
		return t, true
	}
	for _, layout := range layouts {
		if t, err := time.Parse(layout, text); err == nil {
			c.layout = layout
			return t.UTC(), placeable(t)
		}
	}
	return time.Time{}, false
}

// placeable reports whether OTLP can say the time: it counts nanoseconds from 1970 on, in 64 bits.
func placeable(t time.Time) bool { return t.Unix() > 0 && t.Unix() < math.MaxInt64/int64(time.Second) }

// Unix times are told apart by their size: whole units of what is below the bound have been seconds since 1973 and will
// be until 5138, and so on.
const (
	secondsBelow = 1e11
	millisBelow  = 1e14
	microsBelow  = 1e17
)

// unixTime reads a Unix time in seconds, with or without a fraction, milliseconds, microseconds or nanoseconds.
func unixTime(text string) (time.Time, bool) {
	if text == "" || text[0] != '-' && text[0] != '+' && (text[0] < '0' || text[0] > '9') {
		return time.Time{}, false
	}
	if n, err := strconv.ParseInt(text, 10, 64); err == nil {
		var t time.Time
		switch size := math.Abs(float64(n)); {
		case size < secondsBelow:
			t = time.Unix(n, 0)
		case size < millisBelow:
			t = time.UnixMilli(n)
		case size < microsBelow:
			t = time.UnixMicro(n)
		default:
			t = time.Unix(0, n)
		}
		return t.UTC(), placeable(t)
	}
	if strings.ContainsAny(text, "xXpP_") {
		return time.Time{}, false
	}
	f, err := strconv.ParseFloat(text, 64)
	if err != nil || math.IsNaN(f) || math.IsInf(f, 0) || math.Abs(f) >= microsBelow {
		return time.Time{}, false
	}
	switch {
	case math.Abs(f) >= millisBelow:
		f /= 1e6
	case math.Abs(f) >= secondsBelow:
		f /= 1e3
	}
	whole, fraction := math.Modf(f)
	t := time.Unix(int64(whole), int64(math.Round(fraction*1e6))*1e3)
	return t.UTC(), placeable(t)
}
