package calibrate

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/otelcol-escalation/otelcol-escalation/internal/ledger"
)

func onDay(day float64) time.Time { return epoch.Add(time.Duration(day * 24 * float64(time.Hour))) }

func TestEffects(t *testing.T) {
	alarms := []Alarm{
		{ID: "a", At: onDay(0), Verdict: ledger.FalsePositive}, {ID: "b", At: onDay(1), Verdict: ledger.FalsePositive},
		{ID: "quiet", At: onDay(2), Silent: true}, {ID: "c", At: onDay(3), Verdict: ledger.TruePositive}, {ID: "d", At: onDay(3.5)},
		{ID: "e", At: onDay(4), Verdict: ledger.FalsePositive}, // of the new threshold, at the moment of the change
		{ID: "f", At: onDay(8), Verdict: ledger.Expected}, {ID: "g", At: onDay(10)},
	}
	moves := []Move{{At: onDay(4), From: 0.9, To: 0.93, By: "anna"}, {At: onDay(9), From: 0.93, To: 0.95}}
	effects := Effects(alarms, moves, onDay(10), 10)
	require.Len(t, effects, 2)
	assert.Equal(t, moves[0], effects[0].Move)
	before := effects[0].Before
	assert.Equal(t, Stretch{From: onDay(0), Until: onDay(4), Counts: Counts{Episodes: 4, False: 2, Verified: 1, Unjudged: 1}}, before)
	assert.Equal(t, 4.0, before.Days())
	perDay, ok := before.PerDay()
	assert.True(t, ok)
	assert.Equal(t, 1.0, perDay)
	share, ok := before.FalseShare()
	assert.True(t, ok)
	assert.InDelta(t, 2.0/3, share.Ratio, 1e-9)

	after := effects[0].After
	assert.Equal(t, Stretch{From: onDay(4), Until: onDay(9), Counts: Counts{Episodes: 2, False: 1, Other: 1}}, after)
	assert.Equal(t, after, effects[1].Before, "one change ends where the next begins")
	assert.Equal(t, Counts{Episodes: 1, Unjudged: 1}, effects[1].After.Counts, "up to and with now")
	_, ok = effects[1].After.FalseShare()
	assert.False(t, ok, "nobody has judged")

	assert.Equal(t, effects[1:], Effects(alarms, moves, onDay(10), 1), "the newest")
	assert.Empty(t, Effects(alarms, nil, onDay(10), 10))
	assert.Empty(t, Effects(alarms, moves, onDay(10), 0))

	// A change that was told of before any page came, and one that is as old as a minute.
	early := Effects(alarms[7:], []Move{{At: onDay(9), From: 1, To: 2}, {At: onDay(10).Add(-time.Minute), From: 2, To: 3}}, onDay(10), 10)
	assert.Zero(t, early[0].Before.Days())
	_, ok = early[0].Before.PerDay()
	assert.False(t, ok)
	_, ok = early[1].After.PerDay()
	assert.False(t, ok, "too short to say")
}

// Whatever changes there were, every page counts in one stretch.
func TestEffectsCountEveryPageOnce(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var alarms []Alarm
		at := 0.0
		told := 0
		for range rapid.IntRange(0, 30).Draw(t, "alarms") {
			at += rapid.Float64Range(0, 2).Draw(t, "gap")
			silent := rapid.Bool().Draw(t, "silent")
			alarms = append(alarms, Alarm{At: onDay(at), Silent: silent})
			if !silent {
				told++
			}
		}
		now := onDay(at)
		var moves []Move
		at = 0
		for range rapid.IntRange(1, 5).Draw(t, "moves") {
			at += rapid.Float64Range(0, 5).Draw(t, "gap")
			moves = append(moves, Move{At: onDay(at)})
			if onDay(at).After(now) {
				now = onDay(at)
			}
		}
		effects := Effects(alarms, moves, now, 100)
		require.Len(t, effects, len(moves))
		sum := effects[0].Before.Episodes
		for _, e := range effects {
			sum += e.After.Episodes
		}
		require.Equal(t, told, sum)
	})
}
