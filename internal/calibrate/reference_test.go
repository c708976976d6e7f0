package calibrate

import (
	"math"
	"math/big"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/otelcol-escalation/otelcol-escalation/internal/ledger"
)

// The bounds are where the score test is just at its quantile: the two p with (k/n - p)² = z² p (1 - p) / n. Here they are found by
// halving, and not by the formula.
func TestWilsonSolvesItsEquation(t *testing.T) {
	excess := func(p, ratio, n float64) float64 { return (ratio-p)*(ratio-p) - z95*z95*p*(1-p)/n }
	root := func(inside, outside, ratio, n float64) float64 { // the sign changes between them
		for range 200 {
			if middle := (inside + outside) / 2; excess(middle, ratio, n) > 0 {
				outside = middle
			} else {
				inside = middle
			}
		}
		return (inside + outside) / 2
	}
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.Int64Range(1, 1_000_000).Draw(t, "n")
		k := rapid.Int64Range(0, n).Draw(t, "k")
		p, ok := NewProportion(k, n)
		require.True(t, ok)
		ratio := float64(k) / float64(n)
		if k > 0 {
			require.InDelta(t, root(ratio, 0, ratio, float64(n)), p.Lower, 1e-9)
		} else {
			require.Zero(t, p.Lower)
		}
		if k < n {
			require.InDelta(t, root(ratio, 1, ratio, float64(n)), p.Upper, 1e-9)
		} else {
			require.Equal(t, 1., p.Upper)
		}
	})
	// z itself: Φ(z) = 0.975.
	assert.InDelta(t, 0.975, (1+math.Erf(z95/math.Sqrt2))/2, 1e-15)
}

// More trials with the same share narrow the interval, and more hits move both bounds up.
func TestProportionIsMonotone(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.Int64Range(1, 1<<20).Draw(t, "n")
		k := rapid.Int64Range(0, n).Draw(t, "k")
		times := rapid.Int64Range(2, 1000).Draw(t, "times")
		p, _ := NewProportion(k, n)
		more, _ := NewProportion(k*times, n*times)
		require.Less(t, more.Upper-more.Lower, p.Upper-p.Lower)
		require.GreaterOrEqual(t, more.Lower, p.Lower-1e-12)
		require.LessOrEqual(t, more.Upper, p.Upper+1e-12)
		if k < n {
			next, _ := NewProportion(k+1, n)
			require.Greater(t, next.Lower, p.Lower)
			require.GreaterOrEqual(t, next.Upper, p.Upper)
		}
	})
}

// Published values: exercise 8.1 of C. D. Manning, P. Raghavan and H. Schütze, "Introduction to Information Retrieval", 2008 (8 relevant
// documents and 10 others were returned, of 20 relevant ones), and the example of a binary classification in scikit-learn's user guide.
func TestPublishedScores(t *testing.T) {
	for _, c := range []struct {
		hits, wrong, missed int64
		precision, recall   float64
		scores              map[float64]float64
	}{
		{8, 10, 12, 8. / 18, 8. / 20, map[float64]float64{1: 16. / 38}},
		{1, 0, 1, 1, 0.5, map[float64]float64{0.5: 0.8333, 1: 0.6667, 2: 0.5556}},
	} {
		p, ok := Precision(map[ledger.Verdict]int64{ledger.TruePositive: c.hits, ledger.FalsePositive: c.wrong})
		require.True(t, ok)
		assert.InDelta(t, c.precision, p.Ratio, 1e-12)
		wrong, _ := FalsePositives(map[ledger.Verdict]int64{ledger.TruePositive: c.hits, ledger.FalsePositive: c.wrong})
		assert.InDelta(t, 1-c.precision, wrong.Ratio, 1e-12)
		a := Assessment{Caught: int(c.hits), Missed: make([]*ledger.Miss, c.missed)}
		a.Before = Counts{Verified: int(c.hits), False: int(c.wrong)}
		r, ok := a.Recall()
		require.True(t, ok)
		assert.InDelta(t, c.recall, r.Ratio, 1e-12)
		for beta, want := range c.scores {
			assert.InDelta(t, want, FScore(p.Ratio, r.Ratio, beta), 5e-5, "F%g", beta)
		}
		f, ok := a.F1()
		require.True(t, ok)
		assert.InDelta(t, c.scores[1], f, 5e-5)
	}
	_, ok := (&Assessment{Caught: 3, Suggestion: Suggestion{Before: Counts{Verified: 3}}}).F1()
	assert.False(t, ok, "nobody has reported a miss: nobody may have looked")
	_, ok = (&Assessment{Missed: make([]*ledger.Miss, 1)}).F1()
	assert.False(t, ok, "nobody has judged")
}

// Against the definition in counts, computed exactly: (1 + β²) TP / ((1 + β²) TP + β² FN + FP).
func TestFScoreIsExact(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		count := rapid.Int64Range(0, 1_000_000)
		tp, fp, fn := count.Draw(t, "true positives"), count.Draw(t, "false positives"), count.Draw(t, "false negatives")
		beta := rapid.Int64Range(1, 5).Draw(t, "beta")
		precision, judged := NewProportion(tp, tp+fp)
		recall, known := NewProportion(tp, tp+fn)
		if !judged || !known {
			t.Skip("nothing to score")
		}
		weight := big.NewRat(beta*beta, 1)
		rat := func(n int64) *big.Rat { return big.NewRat(n, 1) }
		hits := new(big.Rat).Mul(new(big.Rat).Add(rat(1), weight), rat(tp))
		all := new(big.Rat).Add(hits, new(big.Rat).Add(new(big.Rat).Mul(weight, rat(fn)), rat(fp)))
		want := 0.
		if all.Sign() > 0 {
			want, _ = new(big.Rat).Quo(hits, all).Float64()
		}
		got := FScore(precision.Ratio, recall.Ratio, float64(beta))
		require.InDelta(t, want, got, 1e-12)
		require.GreaterOrEqual(t, got, min(precision.Ratio, recall.Ratio)-1e-12, "between the two")
		require.LessOrEqual(t, got, max(precision.Ratio, recall.Ratio)+1e-12)
		require.InDelta(t, got, FScore(recall.Ratio, precision.Ratio, 1/float64(beta)), 1e-12, "the other way round")
	})
	for _, c := range [][3]float64{{0, 0, 1}, {math.NaN(), 1, 1}, {1, math.NaN(), 1}, {2, 1, 1}, {-1, 1, 1}} {
		got := FScore(c[0], c[1], c[2])
		assert.False(t, math.IsNaN(got) || math.IsInf(got, 0), "%v", c)
	}
}
