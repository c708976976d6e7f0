package evaluate

import (
	"time"

	"github.com/otelcol-escalation/otelcol-escalation/internal/rule"
)

// dueTimes says when the streams of a metric have to be looked at for missing data, so that a Tick costs what is due and
// not what there is. Every stream of the metric stands in it once, at a second before which none of its series can have
// been silent for long enough. Points do not touch it: when its second comes, a stream that has had some is put off.
//
// The zero value is that of a metric without rules that raise: nothing is noted. Times are elapsed nanoseconds.
type dueTimes struct {
	// after is the shortest silence that raises an alert, 0 where none does.
	after int64
	// passed is the last second that was looked at.
	passed  int64
	streams map[int64][]*stream // by second
}

// spread is the part of a wait by which streams are looked at early, each by its own share of it: what came in one batch
// is not looked at in one second.
const spread = 4

// watch notes that a rule raises after this silence.
func (d *dueTimes) watch(after time.Duration) {
	if d.after == 0 || int64(after) < d.after {
		d.after = max(int64(after), 1)
	}
}

// put notes a stream that has to be looked at when due, or before.
func (d *dueTimes) put(st *stream, due, elapsed int64) {
	if d.after == 0 {
		return
	}
	if early := d.after / spread; early > 0 && due-elapsed > early {
		due -= int64(st.hash % uint64(early))
	}
	second := max((due+int64(time.Second)-1)/int64(time.Second), d.passed+1) // never before it is due
	if d.streams == nil {
		d.streams = map[int64][]*stream{}
	}
	d.streams[second] = append(d.streams[second], st)
}

// pass calls look for every stream whose second has come. What look puts comes later.
func (d *dueTimes) pass(elapsed int64, look func(*stream)) {
	if d.after == 0 {
		return
	}
	for now := elapsed / int64(time.Second); d.passed < now; {
		d.passed++
		due := d.streams[d.passed]
		delete(d.streams, d.passed)
		for _, st := range due {
			look(st)
		}
	}
}

// start is a time that is not in the future: the last second that was looked at.
func (d *dueTimes) start() int64 { return d.passed * int64(time.Second) }

// dueOf is when the first of a stream's series may have been silent for too long. One that comes after elapsed, or comes
// back, cannot have been so before the shortest silence has passed; one that is pending may be quiet at any time.
func (m *metricState) dueOf(st *stream, elapsed int64) int64 {
	due := elapsed + m.due.after
	for i, r := range m.rules {
		if s := &st.series[i]; r.raises(s) {
			due = min(due, s.arrived+int64(r.rule.NoData.After))
		}
	}
	return due
}

// raises reports whether the silence of this series will raise an alert: it is known, and has not done so.
func (r *ruleState) raises(s *series) bool {
	return r.rule.NoData.Action == rule.NoDataRaise && s.seen() && (s.live == nil || !s.live.noData)
}

// miss raises what is quiet but has stopped coming.
func (e *Evaluator) miss(m *metricState, now time.Time, elapsed int64) {
	m.due.pass(elapsed, func(st *stream) {
		if m.streams[st.hash] != st {
			return // released meanwhile
		}
		for i, r := range m.rules {
			if s := &st.series[i]; r.raises(s) && s.live == nil && elapsed-s.arrived >= int64(r.rule.NoData.After) {
				s.live = &live{machine: newMachine(), noData: true, stream: st, rule: r}
				s.live.start = s.eff
				e.settle(s.live, "", now)
			}
		}
		m.due.put(st, m.dueOf(st, elapsed), elapsed)
	})
}
