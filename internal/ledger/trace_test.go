package ledger

import (
	"encoding/json"
	"math"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

func TestTraceIsBoundedAndInOrder(t *testing.T) {
	begin := time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC)
	rapid.Check(t, func(t *rapid.T) {
		var trace Trace
		var first, last TracePoint
		at := begin
		for range rapid.IntRange(1, 500).Draw(t, "points") {
			at = at.Add(time.Duration(rapid.IntRange(-5, 60).Draw(t, "later")) * time.Second)
			v := rapid.Float64Range(-1e9, 1e9).Draw(t, "value")
			before := slices.Clone(trace)
			next := trace.With(at, v)
			require.Equal(t, before, trace, "what another holds is left alone")
			if len(trace) == 0 {
				first = TracePoint{at, v}
			}
			if len(trace) == 0 || at.After(last.At) {
				last = TracePoint{at, v}
			}
			trace = next
		}
		require.LessOrEqual(t, len(trace), maxTrace)
		require.Equal(t, first, trace[0])
		require.Equal(t, last, trace[len(trace)-1])
		require.True(t, slices.IsSortedFunc(trace, func(a, b TracePoint) int { return a.At.Compare(b.At) }))
		raw, err := json.Marshal(trace)
		require.NoError(t, err)
		var again Trace
		require.NoError(t, json.Unmarshal(raw, &again))
		require.Equal(t, trace, again)
	})
}

// A peak of one point is still there after a day.
func TestTraceKeepsPeaks(t *testing.T) {
	at := time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC)
	var trace Trace
	for i := range 24 * 60 {
		v := 0.91
		switch i {
		case 77:
			v = 0.999
		case 700:
			v = 0.1
		}
		trace = trace.With(at.Add(time.Duration(i)*time.Minute), v)
	}
	assert.Len(t, trace, maxTrace)
	values := map[float64]bool{}
	for _, p := range trace {
		values[p.Value] = true
	}
	assert.True(t, values[0.999])
	assert.True(t, values[0.1])
}

func TestTraceTakesNoNonsense(t *testing.T) {
	at := time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC)
	trace := Trace{}.With(at, 1)
	for _, v := range []float64{math.NaN(), math.Inf(1), math.Inf(-1)} {
		assert.Equal(t, trace, trace.With(at.Add(time.Minute), v))
	}
	assert.Equal(t, trace, trace.With(at, 2), "not newer")
	assert.Equal(t, trace, trace.With(time.Time{}, 2), "of no time")
	var p TracePoint
	require.Error(t, json.Unmarshal([]byte(`[1,2,3]`), &p))
	require.Error(t, json.Unmarshal([]byte(`["a",2]`), &p))
}
