// Package evaluate judges data points: points and time in, transitions out. It keeps the state of every series that is
// not quiet, never reads a clock, never calls out, and loses nothing that it is told to store.
//
// A point is first held against the band of values in which no rule of its metric breaches. Only what lies outside, or
// belongs to a series whose state is kept, costs more than that comparison.
package evaluate

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/prometheus/promql"
	"go.opentelemetry.io/collector/pdata/pmetric"

	"github.com/otelcol-escalation/otelcol-escalation/internal/alert"
	"github.com/otelcol-escalation/otelcol-escalation/internal/evaluate/translate"
	"github.com/otelcol-escalation/otelcol-escalation/internal/evaluate/window"
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
	// Lookback is PromQL's look-back: how long a sample holds. EvaluationInterval is the step of subqueries without one.
	Lookback, EvaluationInterval time.Duration
	// EmitRecorded hands over what recording rules make, see Result.Recorded.
	EmitRecorded bool
	// WholeHistory says that what is given is all there is, so that absence means something from the first moment on:
	// tests and replays.
	WholeHistory bool
	// ExternalLabelsKept says that external labels are for templates alone and alerts do not go out with them: unit
	// tests, which compare the labels that a rule gives.
	ExternalLabelsKept bool
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
	// exprs is the state of the alerts in PromQL; groups are what is evaluated on the clock, order their keys.
	exprs  []*metricState
	groups map[string]*groupState
	order  []string
	// retired rules are gone from the files; they stay until the ends of their alerts have been repeated.
	retired []*ruleState

	engine     *promql.Engine
	window     *window.Window
	translator *translate.Translator
	// untranslated counts what rules in PromQL select and what did not reach the window.
	untranslated untranslated

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
	e.engine = newEngine(opts.Lookback, opts.EvaluationInterval)
	e.window = window.New(window.Options{Series: opts.Series, Lookback: opts.Lookback})
	e.translator = translate.New(translate.Options{
		Strategy: opts.TranslationStrategy, Promote: opts.PromoteResourceAttributes,
		Lookback: opts.Lookback, MaxAge: opts.MaxAge, MaxFuture: opts.MaxFuture,
	}, e.window)
	e.index(set, 0)
	e.keep(selectors(set))
	return e
}

// Window is what PromQL is evaluated on. What is appended to it directly is as if it had come in a batch.
func (e *Evaluator) Window() *window.Window { return e.window }

// elapsed is the monotonic time since the start, in nanoseconds.
func (e *Evaluator) elapsed(now time.Time) int64 { return int64(now.Sub(e.base)) }

// index builds the rules' state from nothing; the caller holds mu or is alone.
func (e *Evaluator) index(set *rule.Set, elapsed int64) {
	e.metrics = map[string]*metricState{}
	e.rules, e.exprs = nil, nil
	e.groups, e.order = map[string]*groupState{}, nil
	far := reachesOf(set)
	for _, g := range set.Groups {
		state := newGroupState(g)
		for _, r := range g.Rules {
			if r.Query != nil {
				state.rules = append(state.rules, e.indexExpr(r, far, g.QueryOffset, elapsed))
				continue
			}
			m := e.metrics[r.Metric]
			if m == nil {
				m = newMetricState(elapsed)
				e.metrics[r.Metric] = m
			}
			e.add(m, r)
		}
		if len(state.rules) > 0 {
			e.groups[state.Key] = state
			e.order = append(e.order, state.Key)
		}
	}
}

// indexExpr gives a rule in PromQL its place: the series of each alert are a metric of their own.
func (e *Evaluator) indexExpr(r *rule.Rule, far reaches, queryOffset time.Duration, elapsed int64) *exprRule {
	at := &exprRule{rule: r, written: &written{}, claims: claimsOf(r.Query.Signal), came: elapsed}
	if r.Record == "" {
		at.metric = newMetricState(elapsed)
		at.metric.unitOf = at.claims.unitOf()
		e.exprs = append(e.exprs, at.metric)
		e.add(at.metric, r)
		reach, recorded := far.of(r, queryOffset)
		at.partial = recorded || !r.Query.Pointwise
		for _, own := range at.metric.rules {
			own.reach = int64(reach)
		}
	}
	return at
}

// add puts a rule to work on a metric, and its silent track beside it.
func (e *Evaluator) add(m *metricState, r *rule.Rule) {
	e.rules = append(e.rules, m.add(r))
	if silent := r.Explored(); silent != nil {
		e.rules = append(e.rules, m.add(silent))
	}
}

// all calls f for the state of every metric and of every alert in PromQL.
func (e *Evaluator) all(f func(m *metricState)) {
	for _, m := range e.metrics {
		f(m)
	}
	for _, m := range e.exprs {
		f(m)
	}
}

// selectors are what the window keeps for a set of rules.
func selectors(set *rule.Set) []window.Selector {
	var all []window.Selector
	for _, g := range set.Groups {
		for _, r := range g.Rules {
			if r.Query != nil {
				all = appendSelectors(all, r.Query, g.QueryOffset)
			}
		}
	}
	return all
}

// appendSelectors adds what a query reads, seen from the time at which its group is evaluated.
func appendSelectors(to []window.Selector, q *rule.Query, offset time.Duration) []window.Selector {
	for _, s := range q.Selectors {
		s.Before += offset
		to = append(to, window.Selector(s))
	}
	return to
}

// Judge checks every point of md against the rules that name its metric and tags what breaches, in place. It reports
// whether there is something to Take, or was meanwhile: then another caller has taken it, and may not have stored it yet.
func (e *Evaluator) Judge(md pmetric.Metrics, now time.Time) bool {
	e.untranslated.add(e.translator.Consume(context.Background(), md, now)) // before any point is tagged
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
	// Recorded are the results of recording rules, where they are asked for.
	Recorded []Recorded
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
	// Silent says that the point belongs to the silent track: alert.explore.
	Silent bool
}

// Shards is the number of parts in which state is stored. It is part of the storage's format.
const Shards = 256

// queue holds what waits for Take.
type queue struct {
	mu        sync.Mutex
	emissions []Emission
	recorded  []Recorded
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

// maxRecorded bounds the samples of recording rules that wait for Take: they are data, not states, and can be spared.
const maxRecorded = 200_000

func (q *queue) record(r Recorded) {
	q.mu.Lock()
	if len(q.recorded) < maxRecorded {
		q.recorded = append(q.recorded, r)
		q.queued.Add(1)
		q.some.Store(true)
	}
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
	r := Result{Emissions: q.emissions, Recorded: q.recorded}
	q.emissions, q.recorded = nil, nil
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
