package evaluate

import (
	"time"

	"github.com/otelcol-escalation/otelcol-escalation/internal/alert"
	"github.com/otelcol-escalation/otelcol-escalation/internal/rule"
)

// Absence is judged on the evaluator's own clock: how long ago the last point of a series was taken. A start and a
// restore count as a point, so that nothing is concluded from what could not have been seen.

// sweepInterval is how often series that only remember a past breach are looked through.
const sweepInterval = int64(time.Minute)

// Tick does what time alone brings: absence, holds that run out, repetition. The shell calls it every second. It
// reports whether there is something to Take.
func (e *Evaluator) Tick(now time.Time) bool {
	e.window.Prune(now)
	e.dropRetired()
	e.mu.RLock()
	defer e.mu.RUnlock()
	elapsed := e.elapsed(now)
	e.announce.tick(elapsed, e)
	e.all(func(m *metricState) {
		m.mu.Lock()
		defer m.mu.Unlock()
		e.tick(m, now, elapsed)
	})
	for _, r := range e.retired {
		r.metric.mu.Lock()
		e.repeat(r, now, elapsed)
		r.metric.mu.Unlock()
	}
	return e.queue.waiting()
}

// dropRetired lets go of rules whose alerts have nothing more to say. Where there are none nobody is held up: who waits
// to write keeps all readers waiting for the slowest of them.
func (e *Evaluator) dropRetired() {
	e.mu.RLock()
	none := len(e.retired) == 0
	e.mu.RUnlock()
	if none {
		return
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	kept := e.retired[:0]
	for _, r := range e.retired {
		if len(r.alerts) > 0 {
			kept = append(kept, r)
		}
	}
	clear(e.retired[len(kept):])
	e.retired = kept
}

func (e *Evaluator) tick(m *metricState, now time.Time, elapsed int64) {
	for st := range m.live {
		for i := range st.series {
			if l := st.series[i].live; l != nil && !l.lapses() {
				e.absent(l, now, elapsed)
			}
		}
	}
	e.miss(m, now, elapsed)
	if m.forgets && elapsed-m.swept >= sweepInterval {
		m.swept = elapsed
		e.sweep(m, elapsed)
	}
	for _, r := range m.rules {
		e.repeat(r, now, elapsed)
	}
}

// absent judges the silence of a series that is pending or firing.
func (e *Evaluator) absent(l *live, now time.Time, elapsed int64) {
	s := l.series()
	silent := elapsed - s.arrived
	if silent > s.patience() && !l.firing && !l.noData {
		l.dropPending()
		l.triggers = nil
		e.settle(l, alert.ReasonSeriesGone, now)
		return
	}
	if silent > s.patience() {
		l.triggers = l.triggers.pause()
	}
	noData := &l.rule.rule.NoData
	switch noData.Action {
	case rule.NoDataResolve:
		if silent > s.patience() {
			e.end(l, now)
		}
	case rule.NoDataRaise:
		if silent >= int64(noData.After+noData.HoldFor) {
			e.gone(l, now)
		} else if silent >= int64(noData.After) && !l.noData {
			l.noData = true
			e.settle(l, "", now)
		}
	default:
		if silent >= int64(noData.HoldFor) {
			e.gone(l, now)
		}
	}
}

// lapses reports whether it is the evaluation that concludes from absence, not the clock: what the result does not hold
// has recovered. An alert that was raised for missing data has an end by the clock all the same.
func (l *live) lapses() bool {
	q := l.rule.rule.Query
	return q != nil && q.Filters && !l.noData
}

// gone ends an alert whose series has been away for as long as it is held, and forgets the series: should it come back,
// it is a new one.
func (e *Evaluator) gone(l *live, now time.Time) {
	st, slot := l.stream, l.rule.slot
	e.end(l, now)
	l.rule.metric.release(e, st, slot)
}

// sweep forgets series that breached once and have been quiet for so long that no late point of theirs could be taken
// for a new breach.
func (e *Evaluator) sweep(m *metricState, elapsed int64) {
	for _, st := range m.streams {
		for i := range st.series {
			s, r := &st.series[i], m.rules[i]
			if s.seen() && s.live == nil && r.rule.NoData.Action != rule.NoDataRaise &&
				elapsed-s.arrived > int64(e.opts.MaxAge) {
				m.release(e, st, i)
			}
		}
	}
}

// repeat says again what is active, and for a while what has ended.
func (e *Evaluator) repeat(r *ruleState, now time.Time, elapsed int64) {
	if r.rule.Silent {
		return
	}
	for _, a := range r.alerts {
		if a.state == alert.Inactive && elapsed-a.ended > endRepeated {
			e.forget(a)
			continue
		}
		if elapsed-a.emitted >= int64(e.opts.ResendInterval) {
			e.say(a, now, true)
		}
	}
}
