package evaluate

import (
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/otelcol-escalation/otelcol-escalation/internal/alert"
	"github.com/otelcol-escalation/otelcol-escalation/internal/rule"
)

// However points arrive, repeated, behind newer ones, in other batches, what is said is what would have been said had
// each arrived once and in order. The rule tracks its series: see docs/decisions.md, 9.
func TestRepeatedAndReorderedPointsChangeNothing(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		r := ruleOf("R", above(alert.Critical, 20, 15, time.Minute), above(alert.High, 10, 8, 30*time.Second))
		r.NoData = rule.NoData{Action: rule.NoDataRaise, After: time.Hour, Tier: alert.High, HoldFor: time.Hour}
		r.KeepFiringFor = time.Duration(rapid.IntRange(0, 1).Draw(t, "keep")) * time.Minute
		clean := New(setOf(r), testOptions(), t0)
		noisy := New(setOf(r), testOptions(), t0)
		_ = clean.Restore(nil, nil, true, time.Time{}, t0)
		_ = noisy.Restore(nil, nil, true, time.Time{}, t0)
		var sent []testPoint
		now := t0
		for range rapid.IntRange(1, 40).Draw(t, "rounds") {
			now = now.Add(time.Duration(rapid.IntRange(1, 30).Draw(t, "seconds")) * time.Second)
			p := testPoint{strconv.Itoa(rapid.IntRange(0, 2).Draw(t, "series")), float64(rapid.IntRange(0, 25).Draw(t, "value")), now}
			sent = append(sent, p)
			clean.Judge(gauge(p), now)
			noisy.Judge(gauge(p), now)
			for range rapid.IntRange(0, 3).Draw(t, "repeats") {
				old := sent[rapid.IntRange(0, len(sent)-1).Draw(t, "which")]
				noisy.Judge(gauge(old), now)
			}
			require.Equal(t, clean.Take(), noisy.Take())
		}
	})
}
