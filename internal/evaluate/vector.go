package evaluate

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql"

	"github.com/otelcol-escalation/otelcol-escalation/internal/alert"
)

// errDuplicate is Prometheus' too: which of the two the alert stands for nobody could say.
var errDuplicate = errors.New("the result holds several series with the same labels once the metric's name is taken away: " +
	"aggregate, or keep the name with label_replace")

// judgeVector takes the result of an alert's signal as of ts: every sample is a point of its series, and what is not in
// it may have recovered.
func (e *Evaluator) judgeVector(ctx context.Context, g *groupState, r *exprRule, vector promql.Vector, ts, now time.Time) error {
	j := judgement{e: e, ctx: ctx, g: g, r: r, at: ts.UnixNano(), now: now, elapsed: e.elapsed(now)}
	j.announcing = e.announce.active(j.elapsed)
	settled := e.settled(r, now)
	j.holding = r.partial && !settled
	r.observed.lookAt(vector)
	for len(vector) > 0 {
		part := vector[:min(applied, len(vector))]
		vector = vector[len(part):]
		if err := j.locked(func(m *metricState) { j.samples(m, part) }); err != nil {
			return err
		}
	}
	if err := j.locked(func(m *metricState) {
		m.lastSeen.Store(j.elapsed)
		if r.rule.Query.Filters {
			j.lapse(m, settled)
		}
	}); err != nil {
		return err
	}
	if j.duplicates > 0 {
		return errDuplicate
	}
	return e.writeAlerts(g, r, ts, now)
}

// judgement is one evaluation of one alert on its way through the result.
type judgement struct {
	e          *Evaluator
	ctx        context.Context
	g          *groupState
	r          *exprRule
	at         int64
	now        time.Time
	elapsed    int64
	announcing bool
	// holding says that what was restored goes on firing at its tier: the values are not whole yet.
	holding    bool
	buf        []byte
	duplicates int
}

// locked runs f under the locks that judging needs, if the rules are still the same.
func (j *judgement) locked(f func(m *metricState)) error {
	j.e.mu.RLock()
	defer j.e.mu.RUnlock()
	if j.e.groups[j.g.Key] != j.g {
		return errReplaced
	}
	m := j.r.metric
	m.mu.Lock()
	defer m.mu.Unlock()
	f(m)
	return nil
}

// samples judges some samples: value first, identity only for what is or may become active, or is tracked.
func (j *judgement) samples(m *metricState, vector promql.Vector) {
	pass := m.quiet
	if j.announcing {
		pass = m.clear
	}
	judged := int64(0)
	for i := range vector {
		s := &vector[i]
		v, missing := j.value(s)
		if missing {
			if !j.r.rule.Query.Plain {
				m.unjudge(UnjudgedMissing, 1)
			}
			continue
		}
		judged++
		if !m.tracks && len(m.streams) == 0 && !j.announcing && pass.contains(v) {
			continue
		}
		j.sample(m, s.Metric, v, pass.contains(v))
	}
	j.e.judged.Add(judged)
}

// value is what a sample is judged by. Where a plain expression alone decides, whatever it gives counts: a native
// histogram as 0, as in Prometheus. Otherwise a histogram has no value, and NaN is missing: Prometheus' comparison would
// have dropped both.
func (j *judgement) value(s *promql.Sample) (v float64, missing bool) {
	q := j.r.rule.Query
	decides := q.Plain && !q.Split
	if s.H != nil {
		return 0, !decides
	}
	return s.F, s.F != s.F && !decides
}

// sample judges one sample under the rule, and under its silent track.
func (j *judgement) sample(m *metricState, ls labels.Labels, v float64, quiet bool) {
	var hash uint64
	hash, j.buf = ls.HashWithoutLabels(j.buf) // the metric's name never counts
	st := m.streams[hash]
	if st == nil && quiet && !m.tracks && !j.announcing {
		return
	}
	if st != nil && st.takenAt(j.at) {
		j.duplicates++
		return
	}
	for _, r := range m.rules {
		breached := !r.quiet.contains(v)
		var s *series
		if st != nil && st.series[r.slot].seen() {
			s = &st.series[r.slot]
		}
		if j.announcing && (s == nil || s.live == nil) {
			j.e.mark(r, hash, v, j.at, j.now, func() map[string]string { return packLabels(ls).unpack() })
		}
		if s == nil && !breached && !r.tracks {
			continue
		}
		if breached && (s == nil || s.live == nil) && j.full(r) || s == nil && !j.e.hasRoom(r, j.elapsed) {
			r.unjudge(UnjudgedLimit, 1)
			continue
		}
		if s == nil {
			if st = m.streams[hash]; st == nil {
				st = m.enter(hash, packLabels(ls))
			}
			j.e.occupy(r)
			s = &st.series[r.slot]
		}
		j.take(r, st, s, v, breached)
	}
}

// full reports whether the group's `limit` forbids one more active alert. What is active stays. A silent track has the
// same limit for itself.
func (j *judgement) full(r *ruleState) bool {
	if j.g.limit == 0 || len(r.metric.live) < j.g.limit {
		return false
	}
	active := 0
	for st := range r.metric.live {
		if st.series[r.slot].live != nil {
			active++
		}
	}
	return active >= j.g.limit
}

// take moves a series whose state is kept by one sample.
func (j *judgement) take(r *ruleState, st *stream, s *series, v float64, breached bool) {
	wall := max(j.now.UnixNano(), j.at)
	if !s.fresh(j.at, wall) {
		r.unjudge(UnjudgedRepeated, 1) // the clock was set back
		return
	}
	eff, broken := s.timing.take(j.at, wall, j.elapsed)
	if j.r.rule.Query.Plain {
		broken = false // Prometheus' `for` runs on over evaluations that were missed
	}
	if eff-s.first < int64(r.rule.WarmUp) {
		r.unjudge(UnjudgedWarmUp, 1)
		return
	}
	if l := s.live; j.holding && l != nil && l.held(v) {
		return
	}
	before := s.value
	s.value = v
	if s.live != nil || breached {
		j.e.advance(r, st, s, v, eff, broken, j.now)
	}
	if j.r.rule.Query.Plain && !breached && s.live != nil {
		s.value = before // during keep_firing_for Prometheus shows the last value that was in the result
	}
	if s.live == nil && !r.tracks {
		r.metric.release(j.e, st, r.slot) // on the clock nothing comes late: there is nothing to remember
	}
}

// lapse lets recover what the result does not hold any more: what was restored only as soon as the window is settled, for
// it may be that its samples have not come yet. Of everything else they were there when it began.
func (j *judgement) lapse(m *metricState, settled bool) {
	var gone []*live
	for st := range m.live {
		for i := range st.series {
			if l := st.series[i].live; l != nil && st.series[i].last != j.at && !l.noData && (settled || !l.restored) {
				gone = append(gone, l)
			}
		}
	}
	for _, l := range gone {
		r, st := l.rule, l.stream
		l.lapse(r.rule.KeepFiringFor, j.at)
		l.absent = true
		l.levels.interrupt()
		l.triggers = nil
		j.e.settle(l, alert.ReasonRecovered, j.now)
		if st.series[r.slot].live == nil && !r.tracks {
			m.release(j.e, st, r.slot)
		}
	}
}

// takenAt reports whether a point of the stream was taken at an event time.
func (st *stream) takenAt(at int64) bool {
	for i := range st.series {
		if st.series[i].last == at {
			return true
		}
	}
	return false
}

// lapse takes the absence of a series as recovery: no tier's condition holds any more.
func (m *machine) lapse(keepFiringFor time.Duration, at int64) {
	top := m.top()
	m.active = 0
	m.since = [maxTiers]int64{}
	m.settle(top, keepFiringFor, at)
}

// packLabels makes the labels of a sample small. The metric's name is kept for templates, and is no part of an alert.
func packLabels(ls labels.Labels) labelSet {
	all := make(map[string]string, ls.Len())
	ls.Range(func(l labels.Label) { all[l.Name] = l.Value })
	return pack(all)
}

// observed is the range of values that a signal has shown.
type observed struct {
	mu        sync.Mutex
	low, high float64 // 0 counts as seen
	// parts is set once a value lay between 0 and 1.
	parts bool
}
