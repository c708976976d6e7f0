package rule

import (
	"fmt"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/otelcol-escalation/otelcol-escalation/internal/alert"
)

// loadTiers reads a rule with the given tiers, a YAML mapping.
func loadTiers(tiers string) (*Rule, error) {
	groups, err := LoadFile("f.yaml", []byte("groups: [{name: g, rules: [{alert: A, metric: m, owner: o, tiers: "+tiers+"}]}]"), Defaults{})
	if err != nil {
		return nil, err
	}
	return groups[0].Rules[0], nil
}

// bounds are few and close together, so that thresholds meet, overlap and swap.
var bounds = rapid.IntRange(-3, 3)

// drawThreshold writes a threshold as a rule file does, with `clear` on the right side.
func drawThreshold(t *rapid.T, label string) string {
	op := Op(rapid.IntRange(0, 4).Draw(t, label+" op"))
	bound := bounds.Draw(t, label+" bound")
	width := rapid.IntRange(1, 3).Draw(t, label+" width")
	inward := rapid.IntRange(0, 2).Draw(t, label+" clear")
	forMinutes := rapid.IntRange(0, 2).Draw(t, label+" for")
	var text string
	switch op {
	case Above, AtLeast:
		text = fmt.Sprintf("%s: %d, clear: %d", op, bound, bound-inward)
	case Below, AtMost:
		text = fmt.Sprintf("%s: %d, clear: %d", op, bound, bound+inward)
	default:
		low, high := bound, bound+width
		text = fmt.Sprintf("%s: [%d, %d], clear: [%d, %d]", op, low, high, min(low+inward, high), high)
	}
	return fmt.Sprintf("{%s, for: %dm}", text, forMinutes)
}

// probes are values at, just beside and between all bounds, and beyond them: whatever can be told apart by these
// thresholds is told apart by one of them.
func probes() []float64 {
	var all []float64
	for b := -9.0; b <= 9; b++ {
		all = append(all, math.Nextafter(b, math.Inf(-1)), b, math.Nextafter(b, math.Inf(1)), b+0.5)
	}
	return append(all, math.Inf(-1), math.Inf(1), -math.MaxFloat64, math.MaxFloat64, math.Copysign(0, -1))
}

func TestThresholdProperties(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		text := drawThreshold(t, "threshold")
		r, err := loadTiers("{high: " + text + "}")
		require.NoError(t, err, text)
		th := &r.Tiers[0].Threshold
		assert.False(t, th.Breached(math.NaN()), "NaN breaches nothing")
		assert.False(t, th.Held(math.NaN()), "NaN holds nothing")
		same := th.ClearLow == th.Low && th.ClearHigh == th.High
		for _, v := range probes() {
			if th.Breached(v) {
				assert.True(t, th.Held(v), "%s at %v is breached and not held", text, v)
				want := th.High
				if th.Op == Below || th.Op == AtMost || (th.Op == Outside && v < th.Low) {
					want = th.Low
				}
				assert.Equal(t, want, th.Bound(v), "%s at %v", text, v)
			}
			if same {
				assert.Equal(t, th.Breached(v), th.Held(v), "%s at %v without clear", text, v)
			}
		}
	})
}

func TestThresholdsAtTheirBounds(t *testing.T) {
	tests := []struct {
		threshold                string
		breached, held, released float64
	}{
		{"{above: 10, clear: 8}", 10.5, 8.5, 8},
		{"{at_least: 10, clear: 8}", 10, 8, 7.5},
		{"{below: 10, clear: 12}", 9.5, 11.5, 12},
		{"{at_most: 10, clear: 12}", 10, 12, 12.5},
		{"{outside: [10, 20], clear: [12, 18]}", 9.5, 11.5, 12},
		{"{outside: [10, 20], clear: [12, 18]}", 20.5, 18.5, 18},
	}
	for _, tt := range tests {
		r, err := loadTiers("{low: " + tt.threshold + "}")
		require.NoError(t, err)
		th := &r.Tiers[0].Threshold
		assert.True(t, th.Breached(tt.breached), "%s breached at %v", tt.threshold, tt.breached)
		assert.False(t, th.Breached(tt.held), "%s not breached at %v", tt.threshold, tt.held)
		assert.True(t, th.Held(tt.held), "%s held at %v", tt.threshold, tt.held)
		assert.False(t, th.Held(tt.released), "%s not held at %v", tt.threshold, tt.released)
	}
}

// TestCovers holds the comparison of bounds against what it means.
func TestCovers(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		first, second := drawThreshold(t, "first"), drawThreshold(t, "second")
		a, b := parsed(t, first), parsed(t, second)
		covers, covered := true, true
		for _, v := range probes() {
			covers = covers && (a.Breached(v) || !b.Breached(v))
			covered = covered && (b.Breached(v) || !a.Breached(v))
		}
		assert.Equal(t, covers, a.covers(b), "%s covers %s", first, second)
		assert.Equal(t, covers && !covered, b.beyond(a), "%s beyond %s", second, first)
	})
}

func parsed(t require.TestingT, threshold string) *Threshold {
	r, err := loadTiers("{high: " + threshold + "}")
	require.NoError(t, err)
	return &r.Tiers[0].Threshold
}

// TestTierOrder holds the checks of tiers against each other to what a reader expects: every tier of a rule that is
// accepted can at some moment be the alert's severity, and every rule has a value at which nothing is wrong. Rules
// that are refused lack one of them.
func TestTierOrder(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		urgent, lower := drawThreshold(t, "critical"), drawThreshold(t, "low")
		tiers := fmt.Sprintf("{low: %s, critical: %s}", lower, urgent)
		_, err := loadTiers(tiers)
		u, l := parsed(t, urgent), parsed(t, lower)

		healthy, rises, falls, laxer := false, false, false, false
		for _, v := range probes() {
			healthy = healthy || (!u.Breached(v) && !l.Breached(v))
			// On its way up the alert stands at low where only low is breached, or where both are and low is due sooner.
			rises = rises || (l.Breached(v) && (!u.Breached(v) || l.For < u.For))
			laxer = laxer || (u.Breached(v) && !l.Breached(v))
			// On its way down it stands at low where only low is still held.
			falls = falls || (l.Held(v) && !u.Held(v))
		}
		reachable := rises || (falls && !laxer)
		switch {
		case healthy && reachable:
			require.NoError(t, err, tiers)
		case !reachable:
			require.ErrorContains(t, err, "tiers.low: can never be reached", tiers)
		default:
			require.ErrorContains(t, err, "every value breaches", tiers)
		}
	})
}

func TestTiersAreMostUrgentFirst(t *testing.T) {
	r, err := loadTiers("{low: {above: 1}, critical: {above: 4}, medium: {above: 2}, high: {above: 3}}")
	require.NoError(t, err)
	var order []alert.Severity
	for _, tier := range r.Tiers {
		order = append(order, tier.Severity)
	}
	assert.Equal(t, alert.Severities[:], order)
}

// TestUrgentOrLong is the shape that must not be mistaken for a swapped order.
func TestUrgentOrLong(t *testing.T) {
	r, err := loadTiers("{critical: {above: 0.8, for: 1h}, high: {above: 0.9, for: 5m}}")
	require.NoError(t, err)
	assert.Equal(t, time.Hour, r.Tiers[0].For)
	_, err = loadTiers("{critical: {above: 95, for: 1m}, medium: {below: 5, for: 1m}}")
	require.NoError(t, err, "two directions are two ways to be wrong")
}

func TestOpString(t *testing.T) {
	assert.Equal(t, "above at_least below at_most outside",
		strings.Join([]string{Above.String(), AtLeast.String(), Below.String(), AtMost.String(), Outside.String()}, " "))
}
