package quality

import (
	"cmp"
	"slices"

	"github.com/otelcol-escalation/otelcol-escalation/internal/ledger"
)

// Waiting is a rule with alerts that wait for a verdict.
type Waiting struct {
	Rule string
	// Unjudged is how many wait, of those that are asked for.
	Unjudged int64
	// Labelled is how many of the rule are judged to be real or false, Wanted how many more a suggestion wants; 0: there are enough.
	Labelled, Wanted int64
	// Judged is how many of the rule have any verdict, Told how many could have one: those, and all that wait.
	Judged, Told int64
}

// enough is the rank from which on a rule has enough labelled episodes; more than any number that is wanted.
const enough = 100_000

// rank says when a rule's turn is, the lowest first: first those that lack a few labelled episodes until a suggestion can
// stand, the fewest first, then the others by how few of their alerts are judged, in thousandths.
func (w *Waiting) rank() int {
	if w.Wanted > 0 {
		return int(min(w.Wanted, enough-1))
	}
	return enough + int(1000*w.Judged/max(w.Told, 1))
}

// Queue returns the rules of which alerts wait, in the order in which verdicts help calibration most. wanted is how many
// labelled episodes a suggestion wants; asked says which of the tallied alerts are asked for.
func Queue(tallies []ledger.Tally, wanted int, asked func(*ledger.Tally) bool) []Waiting {
	var queue []Waiting
	at := map[string]int{}
	for i := range tallies {
		t := &tallies[i]
		n, known := at[t.Rule]
		if !known {
			n, at[t.Rule] = len(queue), len(queue)
			queue = append(queue, Waiting{Rule: t.Rule})
		}
		w := &queue[n]
		if asked(t) {
			w.Unjudged += t.Unjudged
		}
		w.Told += t.Unjudged
		for v, n := range t.Verdicts {
			w.Judged += n
			w.Told += n
			if v == ledger.TruePositive || v == ledger.FalsePositive {
				w.Labelled += n
			}
		}
	}
	for i := range queue {
		queue[i].Wanted = max(int64(wanted)-queue[i].Labelled, 0)
	}
	queue = slices.DeleteFunc(queue, func(w Waiting) bool { return w.Unjudged == 0 })
	slices.SortFunc(queue, func(a, b Waiting) int { return cmp.Or(cmp.Compare(a.rank(), b.rank()), cmp.Compare(a.Rule, b.Rule)) })
	return queue
}
