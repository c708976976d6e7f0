package escalationexporter

import (
	"sync"

	"github.com/otelcol-escalation/otelcol-escalation/internal/alert"
)

// journalLimit bounds the transitions that wait for the ledger: about a kilobyte each.
const journalLimit = 50_000

// journal keeps transitions in order while the ledger does not take them.
type journal struct {
	limit int

	mu    sync.Mutex
	items []alert.Alert
	// filled is signalled when there is something to drain.
	filled chan struct{}
}

func newJournal(limit int) *journal {
	return &journal{limit: limit, filled: make(chan struct{}, 1)}
}

// follow appends transitions if others wait already, behind which they belong. It reports whether others do, and
// whether there was room for all: of transitions without room none is taken.
func (j *journal) follow(transitions []alert.Alert) (waiting, taken bool) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if len(j.items) == 0 {
		return false, false
	}
	return true, j.append(transitions)
}

// add appends transitions, or none of them.
func (j *journal) add(transitions []alert.Alert) bool {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.append(transitions)
}

func (j *journal) append(transitions []alert.Alert) bool {
	if len(j.items)+len(transitions) > j.limit {
		return false
	}
	j.items = append(j.items, transitions...)
	select {
	case j.filled <- struct{}{}:
	default:
	}
	return true
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
	if len(j.items) == 0 {
		j.items = nil // gives the memory of a long outage back
	}
}

func (j *journal) size() int {
	j.mu.Lock()
	defer j.mu.Unlock()
	return len(j.items)
}
