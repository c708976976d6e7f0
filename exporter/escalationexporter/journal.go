package escalationexporter

import (
	"sync"

	"github.com/otelcol-escalation/otelcol-escalation/internal/alert"
)

// journalLimit bounds the transitions that wait for the ledger: about a kilobyte each.
const journalLimit = 50_000

// journal keeps transitions in order while the ledger does not take them. Each has a number: a keeper, where there is
// one, stores them under it.
type journal struct {
	limit int

	mu    sync.Mutex
	items []alert.Alert
	// oldest is the number of items[0], or of the next item where there is none.
	oldest uint64
	// filled is signalled when there is something to drain, changed when there is something to store or to delete.
	filled, changed chan struct{}
}

func newJournal(limit int) *journal {
	return &journal{limit: limit, filled: make(chan struct{}, 1), changed: make(chan struct{}, 1)}
}

// follow appends transitions if others wait already, behind which they belong. It reports whether others do, and
// whether there was room for all: of transitions without room none is taken. until is the number behind the last.
func (j *journal) follow(transitions []alert.Alert) (until uint64, waiting, taken bool) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if len(j.items) == 0 {
		return 0, false, false
	}
	until, taken = j.append(transitions)
	return until, true, taken
}

// add appends transitions, or none of them.
func (j *journal) add(transitions []alert.Alert) (until uint64, taken bool) {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.append(transitions)
}

func (j *journal) append(transitions []alert.Alert) (until uint64, taken bool) {
	if len(j.items)+len(transitions) > j.limit {
		return 0, false
	}
	j.items = append(j.items, transitions...)
	signal(j.filled)
	signal(j.changed)
	return j.oldest + uint64(len(j.items)), true
}

// restore puts transitions of an earlier run into an empty journal, whatever its limit.
func (j *journal) restore(oldest uint64, transitions []alert.Alert) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.oldest, j.items = oldest, transitions
	signal(j.filled)
	signal(j.changed)
}

// from returns the transitions from a number on, with the number of the first of them, and the oldest that is left.
func (j *journal) from(number uint64) (first uint64, transitions []alert.Alert, oldest uint64) {
	j.mu.Lock()
	defer j.mu.Unlock()
	first = max(number, j.oldest)
	n := len(j.items)
	skip := int(min(first-j.oldest, uint64(n)))
	return first, j.items[skip:n:n], j.oldest
}

// first returns the oldest transitions, at most n. They stay until they are removed, so that what comes meanwhile
// queues up behind them.
func (j *journal) first(n int) []alert.Alert {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.items[:min(n, len(j.items)):min(n, len(j.items))]
}

// remove removes the oldest n.
func (j *journal) remove(n int) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.items = j.items[n:]
	j.oldest += uint64(n)
	if len(j.items) == 0 {
		j.items = nil // gives the memory of a long outage back
	}
	signal(j.changed)
}

func (j *journal) size() int {
	j.mu.Lock()
	defer j.mu.Unlock()
	return len(j.items)
}

func signal(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}
