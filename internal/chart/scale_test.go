package chart

import (
	"math"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

func TestTicks(t *testing.T) {
	for _, c := range []struct {
		low, high float64
		most      int
		want      []float64
		labels    []string
	}{
		{0, 1, 5, []float64{0, 0.2, 0.4, 0.6, 0.8, 1}, []string{"0.0", "0.2", "0.4", "0.6", "0.8", "1.0"}},
		{0, 24, 5, []float64{0, 5, 10, 15, 20}, []string{"0", "5", "10", "15", "20"}},
		{0.897, 0.9851, 4, []float64{0.9, 0.95}, []string{"0.90", "0.95"}},
		{-3, 3, 3, []float64{-2, 0, 2}, []string{"-2", "0", "2"}},
		{0, 42000, 4, []float64{0, 20000, 40000}, []string{"0", "20k", "40k"}},
		{7.9e10, 8.1e10, 4, []float64{7.9e10, 7.95e10, 8e10, 8.05e10, 8.1e10}, []string{"79.0G", "79.5G", "80.0G", "80.5G", "81.0G"}},
		{0, 3e-7, 3, []float64{0, 1e-7, 2e-7, 3e-7}, []string{"0", "1e-07", "2e-07", "3e-07"}},
		{1, 1, 4, nil, nil}, {2, 1, 4, nil, nil}, {math.NaN(), 1, 4, nil, nil}, {0, math.Inf(1), 4, nil, nil},
	} {
		got, step := Ticks(c.low, c.high, c.most)
		assert.Equal(t, c.want, got, "%g to %g", c.low, c.high)
		var labels []string
		for _, v := range got {
			labels = append(labels, tickLabel(v, step))
		}
		assert.Equal(t, c.labels, labels)
	}
}

// Ticks lie on the axis, rise evenly, are not too many, and their labels differ.
func TestTicksAreEven(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		low, high := rapid.Float64().Draw(t, "low"), rapid.Float64().Draw(t, "high")
		most := rapid.IntRange(2, 12).Draw(t, "most")
		from, to := Domain(min(low, high), max(low, high), rapid.Bool().Draw(t, "roomy"))
		require.Less(t, from, to)
		ticks, step := Ticks(from, to, most)
		require.LessOrEqual(t, len(ticks), max(most+1, 5))
		labels := map[string]bool{}
		for i, v := range ticks {
			require.True(t, from <= v && v <= to)
			if i > 0 {
				require.InEpsilon(t, step, v-ticks[i-1], 1e-3)
			}
			label := tickLabel(v, step)
			if step > 1e-3*max(math.Abs(from), math.Abs(to)) {
				require.False(t, labels[label], "%s twice in %v", label, ticks)
			}
			labels[label] = true
		}
		digits := strconv.FormatFloat(step, 'e', 3, 64)
		if step > 0 {
			require.Contains(t, []string{"1.000", "2.000", "5.000"}, digits[:5], "a round step")
			require.GreaterOrEqual(t, len(ticks), 2)
		}
	})
}

// A scale keeps the order, and its ends.
func TestScaleIsMonotone(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.Float64()
		low, high := n.Draw(t, "low"), n.Draw(t, "high")
		from, to := Domain(min(low, high), max(low, high), true)
		s := Scale{from, to, 40, 640}
		assert.InDelta(t, 40, s.At(from), 1e-6)
		assert.InDelta(t, 640, s.At(to), 1e-6)
		a, b := rapid.Float64Range(from, to).Draw(t, "a"), rapid.Float64Range(from, to).Draw(t, "b")
		if a > b {
			a, b = b, a
		}
		assert.True(t, s.Holds(a))
		assert.LessOrEqual(t, s.At(a), s.At(b))
		assert.GreaterOrEqual(t, s.At(a), 40-1e-6)
		assert.LessOrEqual(t, s.At(b), 640+1e-6)
	})
}

func TestDomain(t *testing.T) {
	for _, c := range []struct {
		low, high float64
		roomy     bool
		from, to  float64
	}{
		{0, 10, true, 0, 10.5}, {-10, 0, true, -10.5, 0}, {1, 2, true, 0.95, 2.05}, {1, 2, false, 1, 2}, {0, 0, true, 0, 1}, {0, 0, false, 0, 1}, {2, 2, false, 1.9, 2.1}, {-2, -2, true, -2.1, -1.9},
	} {
		from, to := Domain(c.low, c.high, c.roomy)
		assert.InDelta(t, c.from, from, 1e-9, c)
		assert.InDelta(t, c.to, to, 1e-9, c)
	}
	from, to := Domain(-math.MaxFloat64, math.MaxFloat64, true)
	assert.True(t, finite(from) && finite(to))
}

func TestTimeTicks(t *testing.T) {
	at := time.Date(2026, 11, 23, 3, 4, 5, 0, time.UTC)
	for _, c := range []struct {
		span   time.Duration
		most   int
		labels []string
		about  string
	}{
		{40 * time.Second, 5, []string{"03:04:10", "03:04:20", "03:04:30", "03:04:40"}, "2026-11-23, UTC"},
		{time.Hour, 6, []string{"03:15", "03:30", "03:45", "04:00"}, "2026-11-23, UTC"},
		{36 * time.Hour, 4, []string{"12:00", "Nov 24", "12:00"}, "2026-11-23 to 2026-11-24, UTC"},
		{5 * day, 6, []string{"Nov 24", "Nov 25", "Nov 26", "Nov 27", "Nov 28"}, "2026, UTC"},
		{30 * day, 6, []string{"Nov 30", "Dec 7", "Dec 14", "Dec 21"}, "2026, UTC"},
		{90 * day, 4, []string{"Dec 2026", "Jan 2027", "Feb 2027"}, "UTC"},
		{5 * 365 * day, 6, []string{"2027", "2028", "2029", "2030", "2031"}, "UTC"},
		{200 * 365 * day, 5, []string{"2050", "2100", "2150", "2200"}, "UTC"},
	} {
		ticks, about := timeTicks(At(at), At(at.Add(c.span)), c.most)
		var labels []string
		for _, tick := range ticks {
			labels = append(labels, tick.label)
		}
		assert.Equal(t, c.labels, labels, c.span)
		assert.Equal(t, c.about, about)
	}
}

func TestTimeTicksLieOnTheAxis(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		low := rapid.Float64Range(-7e10, 3e11).Draw(t, "low")
		high := low + rapid.OneOf(rapid.Float64Range(1, 1e5), rapid.Float64Range(1, 1e9), rapid.Float64Range(1, 3e11)).Draw(t, "span")
		most := rapid.IntRange(2, 12).Draw(t, "most")
		ticks, _ := timeTicks(low, high, most)
		require.LessOrEqual(t, len(ticks), most+1)
		for i, tick := range ticks {
			require.True(t, low <= tick.at && tick.at <= high, "%v", tick)
			if i > 0 {
				require.Less(t, ticks[i-1].at, tick.at)
			}
		}
	})
}
