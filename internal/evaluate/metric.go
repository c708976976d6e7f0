package evaluate

import (
	"math"
	"sync"
	"sync/atomic"
	"time"

	"github.com/otelcol-escalation/otelcol-escalation/internal/alert"
	"github.com/otelcol-escalation/otelcol-escalation/internal/rule"
)

// band is a closed interval of values; empty where low > high. NaN lies in none.
type band struct{ low, high float64 }

func (b band) contains(v float64) bool { return v >= b.low && v <= b.high }

func (b band) intersect(o band) band {
	return band{low: max(b.low, o.low), high: min(b.high, o.high)}
}

var (
	everything = band{low: math.Inf(-1), high: math.Inf(1)}
	nothing    = band{low: 1, high: -1}
)

// metricState is everything about the rules that name one metric.
type metricState struct {
	// quiet are the values at which no rule breaches, clear (within it) those at which every tier is past its `clear`.
	quiet, clear band
	// tracks is set where some rule keeps every series, not only those that have breached.
	tracks bool
	rules  []*ruleState
	// conditional are those of the rules that have a `where`.
	conditional []*ruleState
	// suspect is set where a threshold looks like a percentage: then values are looked at now and then, see problems.go.
	suspect bool
	looked  atomic.Int64 // when that was (elapsed)
	// lastSeen is when a point of the metric last came (elapsed).
	lastSeen atomic.Int64
	// kept is len(streams), to be read without the lock.
	kept atomic.Int64

	mu sync.Mutex
	// unit is the metric's, as last seen. unitOf is the name of the series whose unit the signal of a rule in PromQL has.
	unit, unitOf string
	// values is their range, where suspect is set.
	values  observed
	streams map[uint64]*stream
	// live holds the streams that have a pending or firing series.
	live map[*stream]struct{}
	// due says when streams have to be looked at for missing data.
	due dueTimes
	// forgets is set where some rule remembers a past breach for a while only; swept is when that was last looked at
	// (elapsed).
	forgets bool
	swept   int64
}

func newMetricState(elapsed int64) *metricState {
	m := &metricState{
		quiet: everything, clear: everything,
		streams: map[uint64]*stream{}, live: map[*stream]struct{}{},
		swept: elapsed, due: dueTimes{passed: elapsed / int64(time.Second)},
	}
	m.lastSeen.Store(elapsed)
	return m
}

// ruleState is one rule at work.
type ruleState struct {
	rule   *rule.Rule
	metric *metricState
	slot   int // index in metric.rules and stream.series
	// quiet and clear are as in metricState, for this rule.
	quiet, clear band
	// tracks is set where the rule needs every series: to miss it (no_data) or to know how long it has been there (warm_up).
	tracks bool
	// key says whose state this is over reloads and restarts, see stateKey.
	key string
	// own are the rule's own labels as far as they are part of an alert's identity.
	own map[string]string
	// since is when the rule came (elapsed), reach how far it looks back: nothing is concluded from absence before the
	// window has covered that. Both are of `expr` rules only.
	since, reach int64

	unjudged [len(unjudgedReasons)]atomic.Int64
	matched  atomic.Int64 // elapsed time of the last point that `where` was known to accept
	probed   atomic.Int64 // elapsed time of the last look whether it accepts any

	// Below: under metric.mu.
	series      int // slots in use
	evictAfter  int64
	alerts      map[string]*alertState
	marks       map[uint64]mark // series that may have been firing before a start without stored state
	transitions [3]int64        // by alert.State
}

// add gives a rule its place.
func (m *metricState) add(r *rule.Rule) *ruleState {
	s := &ruleState{
		rule:   r,
		metric: m,
		slot:   len(m.rules),
		quiet:  everything,
		clear:  everything,
		tracks: r.NoData.Action == rule.NoDataRaise || r.WarmUp > 0,
		key:    stateKey(r),
		own:    ownLabels(r),
		alerts: map[string]*alertState{},
		marks:  map[uint64]mark{},
	}
	for i := range r.Tiers {
		s.quiet = s.quiet.intersect(quietBand(&r.Tiers[i].Threshold))
		s.clear = s.clear.intersect(clearBand(&r.Tiers[i].Threshold))
	}
	s.since = m.lastSeen.Load()
	m.rules = append(m.rules, s)
	m.quiet = m.quiet.intersect(s.quiet)
	m.clear = m.clear.intersect(s.clear)
	m.tracks = m.tracks || s.tracks
	if r.NoData.Action == rule.NoDataRaise {
		m.due.watch(r.NoData.After)
	} else {
		m.forgets = true
	}
	m.suspect = m.suspect || r.Metric != "" && percent(r.Tiers) != nil
	if r.Where != nil {
		m.conditional = append(m.conditional, s)
	}
	s.matched.Store(m.lastSeen.Load())
	return s
}

// quietBand is where Breached is false.
func quietBand(t *rule.Threshold) band { return complement(t.Op, t.Low, t.High) }

// clearBand is where Held is false.
func clearBand(t *rule.Threshold) band {
	return complement(t.Op, t.ClearLow, t.ClearHigh).intersect(quietBand(t))
}

func complement(op rule.Op, low, high float64) band {
	switch op {
	case rule.Above:
		return band{low: math.Inf(-1), high: high}
	case rule.AtLeast:
		return band{low: math.Inf(-1), high: math.Nextafter(high, math.Inf(-1))}
	case rule.Below:
		return band{low: low, high: math.Inf(1)}
	case rule.AtMost:
		return band{low: math.Nextafter(low, math.Inf(1)), high: math.Inf(1)}
	case rule.Always:
		return nothing
	default:
		return band{low: low, high: high}
	}
}

// stream is one OTLP stream (resource, scope, attributes) of a metric whose state some rule keeps.
type stream struct {
	hash   uint64
	labels labelSet
	series []series // by ruleState.slot
}

// series is one stream under one rule. The zero value is one that the rule has not seen.
type series struct {
	timing
	value float64
	live  *live // nil while quiet
}

// live is what a series has while it is pending or firing.
type live struct {
	machine
	// noData is set where the alert was raised because its data stopped.
	noData bool
	// restored is set where it was pending or firing before the start.
	restored bool
	// absent is set where the last evaluation did not hold it, which is a recovery.
	absent bool
	stream *stream
	rule   *ruleState
	alert  *alertState
	levels levels
	// triggers are nil while no condition of the rule's triggers has begun.
	triggers *triggers
}

func (l *live) series() *series { return &l.stream.series[l.rule.slot] }

// held reports whether a value would end what fired before the start, or let it fall.
func (l *live) held(v float64) bool {
	top := l.top()
	return l.restored && l.firing && top != noTier && !l.rule.rule.Tiers[top].Held(v)
}

// state and severity are what this series alone would make of the alert.
func (l *live) state() alert.State {
	switch {
	case l.firing || l.noData:
		return alert.Firing
	case l.pending():
		return alert.Pending
	}
	return alert.Inactive
}

func (l *live) severity() alert.Severity {
	var s alert.Severity
	if i := l.tier(); i != noTier && (l.firing || !l.noData) {
		s = l.rule.rule.Tiers[i].Severity
	}
	if l.noData {
		s = max(s, l.rule.rule.NoData.Tier)
	}
	return s
}

// hasRoom reports whether the limits allow r one more series.
func (e *Evaluator) hasRoom(r *ruleState, elapsed int64) bool {
	if r.series < e.opts.SeriesPerRule && e.series.Load() < int64(e.opts.Series) {
		return true
	}
	r.metric.evict(e, r, elapsed)
	return r.series < e.opts.SeriesPerRule && e.series.Load() < int64(e.opts.Series)
}

// enter makes the record of a stream that is not known yet.
func (m *metricState) enter(hash uint64, labels labelSet) *stream {
	st := &stream{hash: hash, labels: labels, series: make([]series, len(m.rules))}
	m.keep(st)
	return st
}

// keep takes a stream's record in.
func (m *metricState) keep(st *stream) {
	m.streams[st.hash] = st
	m.kept.Store(int64(len(m.streams)))
	m.due.put(st, m.due.start()+m.due.after, m.due.start())
}

// occupy counts one more series for r.
func (e *Evaluator) occupy(r *ruleState) {
	r.series++
	e.series.Add(1)
}

// release gives a series' slot back, and the stream when it was the last. What is pending or firing is never released.
func (m *metricState) release(e *Evaluator, st *stream, slot int) {
	if !st.series[slot].seen() || st.series[slot].live != nil {
		return
	}
	st.series[slot] = series{}
	m.rules[slot].series--
	e.series.Add(-1)
	for i := range st.series {
		if st.series[i].seen() {
			return
		}
	}
	delete(m.streams, st.hash)
	m.kept.Store(int64(len(m.streams)))
}

// evict makes room for a breach: series of r that only remember that they breached once are dropped, all at once, so
// that the next ones find room too; at most once a second, so that a flood of new series costs no more than that.
func (m *metricState) evict(e *Evaluator, r *ruleState, elapsed int64) {
	if r.tracks || elapsed < r.evictAfter {
		return
	}
	r.evictAfter = elapsed + int64(time.Second)
	for _, st := range m.streams {
		m.release(e, st, r.slot)
	}
}

// sourceUnit is the unit of the values that the rule judges, "" where nobody can say. The caller holds metric.mu.
func (e *Evaluator) sourceUnit(m *metricState) string {
	if m.unitOf == "" {
		return m.unit
	}
	_, unit, _ := e.translator.TypeOf(m.unitOf)
	return unit
}

// source is the name of the metric that the rule looks at, "" where it is not one alone.
func (r *ruleState) source() string {
	if r.rule.Query == nil {
		return r.rule.Metric
	}
	return r.rule.Query.Source()
}
