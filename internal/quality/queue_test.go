package quality

import (
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/otelcol-escalation/otelcol-escalation/internal/alert"
	"github.com/otelcol-escalation/otelcol-escalation/internal/ledger"
)

func inQueue(queue []Waiting) []string {
	out := []string{}
	for _, w := range queue {
		out = append(out, w.Rule)
	}
	return out
}

func anything(*ledger.Tally) bool { return true }

// The rule that is nearest to a suggestion comes first, then what is judged least.
func TestQueue(t *testing.T) {
	tally := func(rule string, unjudged, real, wrong, expected int64) ledger.Tally {
		return ledger.Tally{Rule: rule, Owner: "o", Severity: alert.High, Unjudged: unjudged, Verdicts: map[ledger.Verdict]int64{
			ledger.TruePositive: real, ledger.FalsePositive: wrong, ledger.Expected: expected,
		}}
	}
	tallies := []ledger.Tally{
		tally("a: enough, half judged", 20, 10, 10, 0),
		tally("b: enough, little judged", 80, 20, 0, 0),
		tally("c: lacks 19", 5, 1, 0, 0),
		tally("d: lacks 2, expected ones do not count", 3, 9, 9, 30),
		tally("e: all judged", 0, 0, 0, 5),
		tally("f: lacks 20", 1, 0, 0, 0),
	}
	queue := Queue(tallies, 20, anything)
	assert.Equal(t, []string{
		"d: lacks 2, expected ones do not count", "c: lacks 19", "f: lacks 20", "b: enough, little judged", "a: enough, half judged",
	}, inQueue(queue))
	assert.Equal(t, Waiting{Rule: "d: lacks 2, expected ones do not count", Unjudged: 3, Labelled: 18, Wanted: 2, Judged: 48, Told: 51}, queue[0])
	assert.Equal(t, Waiting{Rule: "b: enough, little judged", Unjudged: 80, Labelled: 20, Judged: 20, Told: 100}, queue[3])

	// What is asked for decides what waits, not how a rule stands.
	other := tally("c: lacks 19", 7, 17, 0, 0)
	other.Owner = "p"
	asked := Queue(append(tallies, other), 20, func(t *ledger.Tally) bool { return t.Owner == "p" })
	assert.Equal(t, []Waiting{{Rule: "c: lacks 19", Unjudged: 7, Labelled: 18, Wanted: 2, Judged: 18, Told: 30}}, asked)
}
