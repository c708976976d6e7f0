package evaluate

import (
	"cmp"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/prometheus/model/labels"

	"github.com/otelcol-escalation/otelcol-escalation/internal/rule"
)

// Group is a group of rules that are evaluated on the clock: those in PromQL.
type Group struct {
	// Key tells groups apart over reloads: file and name.
	Key        string
	File, Name string
	Interval   time.Duration
	// Offset spreads groups of one interval over it, so that they do not all run at once.
	Offset time.Duration
}

// Next returns the group's first evaluation time after t: a multiple of the interval since the epoch, moved by Offset,
// whatever t was. So evaluators that run beside each other evaluate at the same times.
func (g Group) Next(t time.Time) time.Time {
	since := t.UnixNano() - int64(g.Offset)
	passed := since % int64(g.Interval)
	if passed < 0 {
		passed += int64(g.Interval)
	}
	return time.Unix(0, since-passed+int64(g.Interval)+int64(g.Offset)).UTC()
}

// groupState is a group at work.
type groupState struct {
	Group
	queryOffset time.Duration
	limit       int
	rules       []*exprRule

	// evaluating lets one evaluation of the group run at a time.
	evaluating sync.Mutex
	// evaluations counts those that were begun, failures the rules' that failed, missed the intervals that passed without
	// one; took is how long the last one took. The shell says the last two, which has the clock.
	evaluations, failures, missed atomic.Int64
	took                          atomic.Int64
}

// exprRule is a rule of a group: an alert, or a recording rule.
type exprRule struct {
	rule *rule.Rule
	// metric holds the state of an alert's series, of the rule itself and of its silent track; nil for a recording rule.
	metric *metricState
	// partial says that a value may come from a part of what it should come from, as long as the window has not covered
	// what the rule looks at: it takes many samples, or what other rules record.
	partial bool
	// failure is what the last evaluation failed with, "" where it did not; since is when the failures began (elapsed).
	failure atomic.Pointer[failure]
	// claims and observed are what problems.go goes by: what the expression takes for granted, and the range of the
	// signal's values. came is when the rule came (elapsed).
	claims   claims
	observed observed
	came     int64
	// unmatched says what the rule selects in vain, as of when that was last checked (elapsed).
	unmatched struct {
		mu      sync.Mutex
		checked int64
		text    string
	}
	// written is shared with the rule that this one replaced.
	written *written
}

// written are the series that the last evaluation of a rule wrote into the window, by hash: what is not written again
// gets a stale marker.
type written struct {
	mu     sync.Mutex
	series map[uint64]labels.Labels
}

func (w *written) get() map[uint64]labels.Labels {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.series
}

func (w *written) set(series map[uint64]labels.Labels) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.series = series
}

// key says whose place a rule takes after a reload.
func (r *exprRule) key() string { return r.rule.Record + "\x00" + stateKey(r.rule) }

// failure is an evaluation that failed.
type failure struct {
	text  string
	since int64
}

// defaultInterval is that of a group which was made without one, as Prometheus' is.
const defaultInterval = time.Minute

func newGroupState(g *rule.Group) *groupState {
	s := &groupState{
		Group: Group{
			Key: g.File + ";" + g.Name, File: g.File, Name: g.Name, Interval: cmp.Or(g.Interval, defaultInterval),
		},
		queryOffset: g.QueryOffset,
		limit:       g.Limit,
	}
	at := labels.FromStrings("file", g.File, "name", g.Name).Hash()
	s.Offset = time.Duration(at % uint64(s.Interval))
	return s
}

// Groups returns the groups that are evaluated on the clock, in the order of the files.
func (e *Evaluator) Groups() []Group {
	e.mu.RLock()
	defer e.mu.RUnlock()
	groups := make([]Group, 0, len(e.order))
	for _, key := range e.order {
		groups = append(groups, e.groups[key].Group)
	}
	return groups
}

func (e *Evaluator) group(key string) *groupState {
	e.mu.RLock()
	defer e.mu.RUnlock()
	return e.groups[key]
}

// Evaluated notes how long a group's evaluation took, and how many intervals have passed without one since the one
// before it.
func (e *Evaluator) Evaluated(key string, took time.Duration, missed int) {
	if g := e.group(key); g != nil {
		g.took.Store(int64(took))
		g.missed.Add(int64(missed))
	}
}
