package unittest

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/otelcol-escalation/otelcol-escalation/internal/alert"
)

// TestPair holds pair against trying everything.
func TestPair(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n, m := rapid.IntRange(0, 5).Draw(t, "expected"), rapid.IntRange(0, 5).Draw(t, "got")
		matches := rapid.SliceOfN(rapid.Bool(), n*m, n*m).Draw(t, "matches")
		match := func(i, j int) bool { return matches[i*m+j] }
		partner := pair(n, m, match)
		paired := 0
		used := map[int]bool{}
		for i, j := range partner {
			if j < 0 {
				continue
			}
			require.True(t, match(i, j))
			require.False(t, used[j], "used twice")
			used[j] = true
			paired++
		}
		require.Equal(t, most(0, n, m, make([]bool, m), match), paired)
		missing, unexpected := unpaired(partner, m)
		require.Len(t, missing, n-paired)
		require.Len(t, unexpected, m-paired)
	})
}

// most is how many of the expected things from i on can be paired.
func most(i, n, m int, taken []bool, match func(i, j int) bool) int {
	if i == n {
		return 0
	}
	best := most(i+1, n, m, taken, match)
	for j := range m {
		if !taken[j] && match(i, j) {
			taken[j] = true
			best = max(best, 1+most(i+1, n, m, taken, match))
			taken[j] = false
		}
	}
	return best
}

// TestWhatSaysLittleLeavesTheRest: an expectation that any of two alerts meets must not take the one that another needs.
func TestWhatSaysLittleLeavesTheRest(t *testing.T) {
	got := []gotAlert{
		{labels: map[string]string{"alertname": "A", "severity": "critical"}, tiered: true, tier: alert.Critical, state: alert.Firing},
		{labels: map[string]string{"alertname": "A", "severity": "high"}, tiered: true, tier: alert.High, state: alert.Firing},
	}
	a := AlertTest{Alertname: "A", Expected: []ExpectedAlert{{State: alert.Firing}, {State: alert.Firing, Tier: alert.Critical}}}
	assert.Nil(t, a.compare(got))
	a.Expected[0].Tier = alert.Critical
	failed := a.compare(got)
	require.NotNil(t, failed)
	assert.Equal(t, `A at 0s: expected 2 alerts, got 2 alerts, of which 1 as expected
~ different:  {alertname="A", severity="high"}
    exp_tier
      - expected critical
      + got      high`, failed.Msg)
}
