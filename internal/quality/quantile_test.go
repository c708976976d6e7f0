package quality

import (
	"math"
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/otelcol-escalation/otelcol-escalation/internal/ledger"
)

// A quantile lies in the bucket of the value that has the rank, and between the least and the greatest.
func TestQuantile(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		values := rapid.SliceOfN(rapid.Float64Range(0, 1e6), 1, 200).Draw(t, "values")
		scale := rapid.Int32Range(-2, 6).Draw(t, "scale")
		h := exact(values, scale)
		if rapid.Bool().Draw(t, "in two") { // of two resolutions
			n := len(values) / 2
			fine := rapid.Int32Range(0, 3).Draw(t, "finer")
			h = Merge([]ledger.Histogram{exact(values[:n], scale+fine), exact(values[n:], scale)})
		} else {
			h = Merge([]ledger.Histogram{h})
		}
		q := rapid.Float64Range(0, 1).Draw(t, "q")
		got, ok := Quantile(h, q)
		require.True(t, ok)
		slices.Sort(values)
		want := values[max(int(math.Ceil(q*float64(len(values))))-1, 0)]
		require.GreaterOrEqual(t, got, values[0])
		require.LessOrEqual(t, got, values[len(values)-1])
		if want == 0 {
			require.Zero(t, got)
			return
		}
		base := math.Exp2(math.Exp2(-float64(h.Scale)))
		require.LessOrEqual(t, math.Abs(math.Log(got)-math.Log(want)), math.Log(base)+1e-9, "%v for %v", got, want)
	})
	for _, q := range []float64{-0.1, 1.1, math.NaN()} {
		_, ok := Quantile(exact([]float64{1}, 4), q)
		assert.False(t, ok)
	}
	_, ok := Quantile(Merge(nil), 0.5)
	assert.False(t, ok, "of nothing")
	got, ok := Quantile(Merge([]ledger.Histogram{exact([]float64{60, 60, 60}, 4)}), 0.9)
	assert.True(t, ok)
	assert.Equal(t, 60.0, got, "all the same")
}

// exact is a histogram made the slow way: by the definition of the buckets.
func exact(values []float64, scale int32) ledger.Histogram {
	h := ledger.Histogram{Scale: scale, Buckets: map[int32]uint64{}, Min: math.Inf(1), Max: math.Inf(-1)}
	for _, v := range values {
		h.Count++
		h.Sum += v
		h.Min, h.Max = min(h.Min, v), max(h.Max, v)
		if v == 0 {
			h.Zero++
			continue
		}
		base := math.Exp2(math.Exp2(-float64(scale)))
		i := int32(math.Ceil(math.Log(v)/math.Log(base))) - 1
		h.Buckets[i]++
	}
	return h
}
