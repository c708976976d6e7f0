// Package evaluate judges data points: points and time in, transitions out. It keeps the state of every series that is
// not quiet, never reads a clock, never calls out, and loses nothing that it is told to store.
//
// A point is first held against the band of values in which no rule of its metric breaches. Only what lies outside, or
// belongs to a series whose state is kept, costs more than that comparison.
package evaluate

import (
	"sync"
	"sync/atomic"
	"time"

	"go.opentelemetry.io/collector/pdata/pmetric"

	"github.com/otelcol-escalation/otelcol-escalation/internal/alert"
	"github.com/otelcol-escalation/otelcol-escalation/internal/rule"
)

// Tagging says which breaching data points get attributes.
type Tagging string

// The choices of `tag_data_points`.
const (
	TagNone  Tagging = "none"
	TagGauge Tagging = "gauge"
	TagAll   Tagging = "all"
)

// Options are what the processor's configuration says beyond the rules.
type Options struct {
	Tagging        Tagging
	ExternalLabels map[string]string
	// ResendInterval is how often the state of an active alert is repeated.
	ResendInterval time.Duration
	// HoldFor is the processor's `hold_for`. Rules carry their own; this one bounds the time after a start without
	// stored state in which recoveries are announced.
	HoldFor      time.Duration
	NeverMatched time.Duration
	MaxAge       time.Duration
	MaxFuture    time.Duration
	// SeriesPerRule and Series bound the series whose state is kept.
	SeriesPerRule int
	Series        int
	// TranslationStrategy is Prometheus' name for how attribute names become label names.
	TranslationStrategy       string
	PromoteResourceAttributes []string
}

// Evaluator judges against a set of rules. Every method is safe for concurrent use.
//
// Locks are taken in this order: Evaluator.mu, metricState.mu, then queue.mu or shard.mu.
type Evaluator struct {
	opts    Options
	labeler labeler
	// base is the start; elapsed times count from it on the monotonic clock that it carries.
	base time.Time

	// mu is held for reading by whatever judges, for writing by what replaces the rules.
	mu      sync.RWMutex
	metrics map[string]*metricState
	rules   []*ruleState
	// retired rules are gone from the files; they stay until the ends of their alerts have been repeated.
	retired []*ruleState

	series         atomic.Int64 // series slots in use, over all rules
	judged, tagged atomic.Int64
	queue          queue
	shards         [Shards]shard
	announce       announcer
	problems       atomic.Pointer[[]Problem]
}

// New returns an evaluator of set. now is the start: nothing is concluded from absence before a rule's own time since.
func New(set *rule.Set, opts Options, now time.Time) *Evaluator {
	e := &Evaluator{
		opts:    opts,
		labeler: newLabeler(opts.TranslationStrategy, opts.PromoteResourceAttributes),
		base:    now,
	}
	e.announce.until = int64(opts.HoldFor)
	for i := range e.shards {
		e.shards[i].firing = map[*alertState]struct{}{}
	}
	e.index(set, 0)
	return e
}

// elapsed is the monotonic time since the start, in nanoseconds.
func (e *Evaluator) elapsed(now time.Time) int64 { return int64(now.Sub(e.base)) }

// index builds the rules' state from nothing; the caller holds mu or is alone.
func (e *Evaluator) index(set *rule.Set, elapsed int64) {
	e.metrics = map[string]*metricState{}
	e.rules = nil
	for _, r := range set.Rules() {
		if r.Metric == "" {
			continue // expr rules are evaluated elsewhere
		}
		m := e.metrics[r.Metric]
		if m == nil {
			m = newMetricState(elapsed)
			e.metrics[r.Metric] = m
		}
		e.rules = append(e.rules, m.add(r))
	}
}

// Judge checks every point of md against the rules that name its metric and tags what breaches, in place. It reports
// whether there is something to Take, or was meanwhile: then another caller has taken it, and may not have stored it yet.
func (e *Evaluator) Judge(md pmetric.Metrics, now time.Time) bool {
	e.mu.RLock()
	defer e.mu.RUnlock()
	queued := e.queue.queued.Load()
	b := batch{e: e, now: now, wall: now.UnixNano(), elapsed: e.elapsed(now)}
	b.oldest = b.wall - int64(e.opts.MaxAge)
	b.newest = b.wall + int64(e.opts.MaxFuture)
	b.announcing = e.announce.active(b.elapsed)
	for i := range md.ResourceMetrics().Len() {
		b.rm = md.ResourceMetrics().At(i)
		b.resourceKnown = false
		for j := range b.rm.ScopeMetrics().Len() {
			b.sm = b.rm.ScopeMetrics().At(j)
			b.originKnown = false
			metrics := b.sm.Metrics()
			for k := range metrics.Len() {
				metric := metrics.At(k)
				if m := e.metrics[metric.Name()]; m != nil {
					b.judge(m, metric)
				}
			}
		}
	}
	e.judged.Add(b.judged)
	e.tagged.Add(b.tagged)
	return e.queue.waiting() || e.queue.queued.Load() != queued
}

// Take hands over everything that Judge, Tick and Reload have queued since the last Take, of all callers, in the order
// in which it was judged. A shell that calls Take, stores the shards and queues the emissions under one lock keeps
// both promises of Result, and concurrent batches share a write: who waited for the lock and finds nothing to Take has
// been served by another.
func (e *Evaluator) Take() Result { return e.queue.take() }

// Result is what the evaluator asks of its shell. Shards must be stored before Emissions go out, and Emissions go out
// in their order.
type Result struct {
	Emissions []Emission
	// Shards lists the shards whose durable part (what fires) changed, sorted, each once.
	Shards []int
}

// Emission is one alert.state point to be sent.
type Emission struct {
	alert.Alert
	// Stale ends the series of an attribute set that the alert no longer has.
	Stale bool
	// Repeated says that nothing changed since the state was last said: of all points it can best be spared.
	Repeated bool
}

// Shards is the number of parts in which state is stored. It is part of the storage's format.
const Shards = 256

// queue holds what waits for Take.
type queue struct {
	mu        sync.Mutex
	emissions []Emission
	dirty     [Shards]bool
	changed   bool
	some      atomic.Bool
	// queued counts what was ever queued.
	queued atomic.Uint64
}

func (q *queue) waiting() bool { return q.some.Load() }

func (q *queue) emit(e Emission) {
	q.mu.Lock()
	q.emissions = append(q.emissions, e)
	q.queued.Add(1)
	q.some.Store(true)
	q.mu.Unlock()
}

func (q *queue) store(shard int) {
	q.mu.Lock()
	q.dirty[shard] = true
	q.changed = true
	q.queued.Add(1)
	q.some.Store(true)
	q.mu.Unlock()
}

func (q *queue) take() Result {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.some.Store(false)
	r := Result{Emissions: q.emissions}
	q.emissions = nil
	if q.changed {
		for i, dirty := range q.dirty {
			if dirty {
				r.Shards = append(r.Shards, i)
			}
		}
		q.dirty, q.changed = [Shards]bool{}, false
	}
	return r
}
