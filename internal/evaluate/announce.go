package evaluate

import (
	"sync"
	"time"

	"github.com/otelcol-escalation/otelcol-escalation/internal/alert"
)

// After a start for which no stored state could be loaded, alerts may still be open elsewhere that this evaluator knows
// nothing of: what was fixed meanwhile has to end. So for the first hold_for every series that is past `clear` of every
// tier on two points running, and for the rule's keep_firing_for, is announced once as inactive.
//
// Looking at every point for an hour would cost what the quiet path saves, so whole batches are looked at only as a
// budget of points allows, and in between only values that are not past `clear`, which take a mark back. A mark that
// stands at two looks was true on every point between them.

// mark is what is known of a quiet series meanwhile.
type mark struct {
	// since is the effective time of the first healthy point, last the event time of the latest.
	since, last int64
	announced   bool
}

// scanBudget is how many points a second are looked at: at some 200 ns each 1 % of a processor. scanBurst bounds what
// may be saved up, in seconds.
const (
	scanBudget = 50_000
	scanBurst  = 2
)

// announcer says whether recoveries are announced, and when a batch is looked at whole.
type announcer struct {
	// until is when the time for announcements ends (elapsed); 0: never was any.
	until int64

	mu      sync.Mutex
	tokens  float64
	filled  int64
	cleared bool
}

func (a *announcer) active(elapsed int64) bool { return elapsed < a.until }

// scan takes n points from the budget, if it has them.
func (a *announcer) scan(elapsed int64, n int) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	if elapsed >= a.filled {
		a.tokens = min(a.tokens+float64(elapsed-a.filled)/1e9*scanBudget, scanBudget*scanBurst)
	}
	a.filled = elapsed
	if a.tokens < float64(n) && a.tokens < scanBudget {
		return false
	}
	a.tokens -= float64(n)
	return true
}

// tick drops all marks when the time for announcements is over.
func (a *announcer) tick(elapsed int64, e *Evaluator) {
	a.mu.Lock()
	over := !a.cleared && !a.active(elapsed)
	a.cleared = a.cleared || over
	a.mu.Unlock()
	if !over {
		return
	}
	e.all(func(m *metricState) {
		m.mu.Lock()
		defer m.mu.Unlock()
		for _, r := range m.rules {
			clear(r.marks)
		}
	})
}

// mark notes one point of a series that is neither pending nor firing here, and announces the series when its time has come.
func (e *Evaluator) mark(r *ruleState, hash uint64, v float64, at int64, now time.Time, labels func() map[string]string) {
	if r.rule.Silent {
		return
	}
	known, ok := r.marks[hash]
	if known.announced {
		return
	}
	if !r.clear.contains(v) {
		delete(r.marks, hash)
		return
	}
	eff := min(at, now.UnixNano())
	if !ok {
		if len(r.marks) < e.opts.SeriesPerRule {
			r.marks[hash] = mark{since: eff, last: at}
		}
		return
	}
	if at <= known.last {
		return
	}
	known.last = at
	if eff-known.since >= int64(r.rule.KeepFiringFor) {
		known.announced = true
		e.announceRecovered(r, labels(), v, at, now)
	}
	r.marks[hash] = known
}

// announceRecovered says that an alert is inactive which this evaluator has not seen active.
func (e *Evaluator) announceRecovered(r *ruleState, labels map[string]string, v float64, at int64, now time.Time) {
	id := e.identity(r, labels)
	if r.alerts[id] != nil {
		return // known here: its own end is said when it comes
	}
	own, _ := r.rule.Expand(labels, v, e.opts.ExternalLabels, now)
	e.queue.emit(Emission{Alert: alert.Alert{
		ID: id, Group: r.rule.Group, Rule: r.rule.Name,
		Severity: r.rule.Tiers[0].Severity, Owner: r.rule.Owner,
		Labels:       e.withExternal(own),
		State:        alert.Inactive,
		Time:         now.Truncate(0),
		Value:        &v,
		ObservedAt:   timeOf(at),
		ValidFor:     validIntervals * e.opts.ResendInterval,
		Reason:       alert.ReasonRecovered,
		SourceMetric: r.source(),
		SourceUnit:   e.sourceUnit(r.metric),
	}})
}
