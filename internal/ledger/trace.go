package ledger

import (
	"encoding/json"
	"fmt"
	"math"
	"time"
)

// TracePoint is one observed value of an episode.
type TracePoint struct {
	At    time.Time // event time, in milliseconds
	Value float64
}

// Trace is how the observed value went while an episode was open, in order of time: what a drawing of it needs, and no
// more than maxTrace points.
type Trace []TracePoint

// maxTrace bounds a trace. An hour of states that are repeated every minute fits whole.
const maxTrace = 96

// With returns the trace with a point more. What is not newer than the last point, and what is no finite number, is left
// out. A full trace loses a point for it, so that peaks and dips stay.
func (t Trace) With(at time.Time, value float64) Trace {
	at = at.Truncate(time.Millisecond).UTC()
	if at.IsZero() || math.IsNaN(value) || math.IsInf(value, 0) || len(t) > 0 && !at.After(t[len(t)-1].At) {
		return t
	}
	if len(t) >= maxTrace {
		t = t.thinned()
	}
	return append(t[:len(t):len(t)], TracePoint{at, value}) // never into what another holds
}

// Merge returns the trace with newer points behind it.
func (t Trace) Merge(newer Trace) Trace {
	for _, p := range newer {
		t = t.With(p.At, p.Value)
	}
	return t
}

// thinned is the trace without the point that a drawing misses least: of the smallest triangle with its neighbours (M.
// Visvalingam and J. D. Whyatt, "Line generalisation by repeated elimination of points", 1993). Neither end goes.
func (t Trace) thinned() Trace {
	least, smallest := 1, math.Inf(1)
	for i := 1; i < len(t)-1; i++ {
		if area := triangle(t[i-1], t[i], t[i+1]); area < smallest {
			least, smallest = i, area
		}
	}
	kept := make(Trace, 0, maxTrace)
	return append(append(kept, t[:least]...), t[least+1:]...)
}

// triangle is twice the area of one, in seconds times the values' unit.
func triangle(a, b, c TracePoint) float64 {
	return math.Abs(b.At.Sub(a.At).Seconds()*(c.Value-a.Value) - c.At.Sub(a.At).Seconds()*(b.Value-a.Value))
}

// MarshalJSON writes a point as [milliseconds since 1970, value].
func (p TracePoint) MarshalJSON() ([]byte, error) {
	return json.Marshal([2]any{p.At.UnixMilli(), p.Value})
}

// UnmarshalJSON reads what MarshalJSON writes.
func (p *TracePoint) UnmarshalJSON(raw []byte) error {
	var parts []float64
	if err := json.Unmarshal(raw, &parts); err != nil {
		return err
	}
	if len(parts) != 2 {
		return fmt.Errorf("a point of a trace is a time and a value (got %d numbers)", len(parts))
	}
	*p = TracePoint{time.UnixMilli(int64(parts[0])).UTC(), parts[1]}
	return nil
}
