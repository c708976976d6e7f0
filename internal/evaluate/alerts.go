package evaluate

import (
	"context"
	"maps"
	"math"
	"time"

	"github.com/prometheus/common/model"

	"github.com/otelcol-escalation/otelcol-escalation/internal/alert"
	"github.com/otelcol-escalation/otelcol-escalation/internal/rule"
)

// alertState is one alert: usually one series, or several streams whose labels are the same.
type alertState struct {
	id    string
	rule  *ruleState
	lives []*live
	// past are the levels of series that recovered in this episode while others went on.
	past levels

	// What was last said about the alert. There may be very many: texts are made when they are said, not kept.
	state    alert.State
	severity alert.Severity
	actions  uint8
	noData   bool
	said     heard
	// final is the end of an alert that is inactive: it is repeated.
	final *alert.Alert
	// emitted is when it was last said (elapsed); ended when it became inactive: the end is repeated for a while.
	emitted, ended int64
}

// heard is what must be known of the last thing said: the series of alert.state that the alert had, and when.
type heard struct {
	labels   labelSet
	owner    string
	severity alert.Severity
	start    int64
	at       int64 // 0: nothing was said yet
}

func hear(a *alert.Alert) heard {
	h := heard{labels: pack(a.Labels), owner: a.Owner, severity: a.Severity}
	if !a.Time.IsZero() {
		h.at = a.Time.UnixNano()
	}
	if !a.Start.IsZero() {
		h.start = a.Start.UnixNano()
	}
	return h
}

// endRepeated is how long the end of an alert is repeated, as Prometheus does with resolved alerts.
const endRepeated = int64(15 * time.Minute)

// validIntervals is how many resend intervals a state holds without being repeated.
const validIntervals = 3

// advance moves one series of a rule by one judged point.
func (e *Evaluator) advance(r *ruleState, st *stream, s *series, v float64, eff int64, broken bool, now time.Time) {
	l := s.live
	if l == nil {
		l = &live{machine: newMachine(), stream: st, rule: r}
		s.live = l
	}
	l.take(v, eff, broken)
	l.absent = false
	if l.noData && (l.firing || !l.pending()) {
		// An alert raised for missing data stays until its data have been judged one way or the other.
		l.noData = false
	}
	reason := alert.ReasonRecovered
	if l.state() == alert.Inactive && l.alert == nil {
		s.live = nil
		return
	}
	e.settle(l, reason, now)
}

// settle brings the alert of a series in line with it; reason is why, should the alert be over.
func (e *Evaluator) settle(l *live, reason alert.Reason, now time.Time) {
	m := l.rule.metric
	a := l.alert
	if a == nil {
		a = e.attach(l)
	}
	var final *alert.Alert
	if l.state() == alert.Inactive {
		if len(a.lives) == 1 {
			final = e.ending(a, reason, now)
		} else {
			a.past = a.past.merge(l.rule.rule.Tiers, l.levels)
		}
		m.detach(l)
		if len(a.lives) == 0 && e.unsure(a, l, reason, now) {
			e.forget(a)
			return
		}
	}
	e.refresh(a, final, now)
}

// ending is the alert as its end will be said, while its last series is still there.
func (e *Evaluator) ending(a *alertState, reason alert.Reason, now time.Time) *alert.Alert {
	final := e.describe(a, now)
	final.State, final.Severity, final.Reason, final.Start = alert.Inactive, a.severity, reason, timeOf(a.said.start)
	final.Actions = nil
	for i := range a.rule.rule.Tiers {
		if t := &a.rule.rule.Tiers[i]; t.Severity == a.severity {
			final.Threshold = bound(&t.Threshold, *final.Value)
		}
	}
	a.putLevels(&final)
	return &final
}

// unsure reports whether the recovery of an alert's last series must not be said yet: after a start without stored state
// an alert that only was pending here may have been firing before, and holds until its value is past `clear` (see
// announcer). That its data stopped says nothing at all; that a query does not hold it any more is a recovery, and it has
// no value that could come past anything.
func (e *Evaluator) unsure(a *alertState, l *live, reason alert.Reason, now time.Time) bool {
	if a.state != alert.Pending || !e.announce.active(e.elapsed(now)) {
		return false
	}
	switch reason {
	case alert.ReasonSeriesGone:
		return true
	case alert.ReasonRecovered:
		return !l.absent && !l.rule.clear.contains(l.series().value)
	}
	return false
}

// attach finds or makes the alert of a series that became pending or firing.
func (e *Evaluator) attach(l *live) *alertState {
	r := l.rule
	id := e.identity(r, l.stream.labels.unpack())
	a := r.alerts[id]
	if a == nil {
		a = &alertState{id: id, rule: r}
		r.alerts[id] = a
	}
	a.lives = append(a.lives, l)
	l.alert = a
	r.metric.live[l.stream] = struct{}{}
	return a
}

// identity is the alert.id of a series with these labels. The metric's name, which templates may use, is no part of it.
func (e *Evaluator) identity(r *ruleState, labels map[string]string) string {
	if _, named := labels[model.MetricNameLabel]; named {
		labels = maps.Clone(labels)
		delete(labels, model.MetricNameLabel)
	}
	return alert.Identity(r.rule.Group, r.rule.Name, labels, r.own, e.opts.ExternalLabels)
}

// detach takes a quiet series from its alert.
func (m *metricState) detach(l *live) {
	a := l.alert
	for i, other := range a.lives {
		if other == l {
			a.lives = append(a.lives[:i], a.lives[i+1:]...)
			break
		}
	}
	l.alert = nil
	st := l.stream
	st.series[l.rule.slot].live = nil
	for i := range st.series {
		if st.series[i].live != nil {
			return
		}
	}
	delete(m.live, st)
}

// forget drops an alert of which nothing more has to be said, without saying so.
func (e *Evaluator) forget(a *alertState) {
	if len(a.lives) == 0 {
		delete(a.rule.alerts, a.id)
		if e.shardOf(a.id).forget(a) {
			e.queue.store(shardIndex(a.id))
		}
	}
}

// worst is the series at which the alert stands: firing before pending, then the higher tier, then the earlier start.
func (a *alertState) worst() *live {
	var worst *live
	for _, l := range a.lives {
		switch {
		case worst == nil || l.state() > worst.state():
			worst = l
		case l.state() < worst.state():
		case l.severity() > worst.severity(), l.severity() == worst.severity() && l.start < worst.start:
			worst = l
		}
	}
	return worst
}

// refresh says what changed about an alert, if anything did, and marks what must be stored. final is how its end is
// said, should it be over.
func (e *Evaluator) refresh(a *alertState, final *alert.Alert, now time.Time) {
	var next struct {
		state    alert.State
		severity alert.Severity
		actions  uint8
		noData   bool
	}
	if l := a.worst(); l != nil {
		next.state, next.severity, next.noData = l.state(), l.severity(), l.noData
		next.actions = a.wanted()
	}
	if next.state == alert.Inactive {
		next.severity = a.severity
	}
	wasFiring, isFiring := a.state == alert.Firing, next.state == alert.Firing
	if next.state == a.state && next.severity == a.severity && next.noData == a.noData && next.actions == a.actions {
		return
	}
	if next.state != a.state {
		a.rule.transitions[next.state]++
	}
	silent := a.rule.rule.Silent
	heard := !silent || wasFiring != isFiring // a silent track speaks at start and end only
	a.state, a.severity, a.noData, a.actions = next.state, next.severity, next.noData, next.actions
	if a.final = nil; a.state == alert.Inactive {
		a.ended = e.elapsed(now)
		a.final, a.past = final, nil
	}
	if heard {
		e.say(a, now, false)
	}
	if silent && a.state == alert.Inactive {
		delete(a.rule.alerts, a.id)
	}
	if (wasFiring || isFiring) && !silent {
		e.shardOf(a.id).keep(a) // its end, too, until that has been repeated: see forget
		e.queue.store(shardIndex(a.id))
	}
}

// say queues the alert as it is now.
func (e *Evaluator) say(a *alertState, now time.Time, repeated bool) {
	before := a.said
	var out alert.Alert
	if a.state == alert.Inactive {
		out = *a.final
	} else {
		out = e.describe(a, now)
	}
	at := max(now.UnixNano(), before.at+1)
	out.Time = timeOf(at) // the wall clock alone: it goes out
	a.said = hear(&out)
	silent := a.rule.rule.Silent
	if before.at != 0 && !silent && !before.sameSeries(&a.said) {
		e.queue.emit(Emission{Alert: alert.Alert{
			ID: a.id, Group: out.Group, Rule: out.Rule, Severity: before.severity, Owner: before.owner,
			Labels: before.labels.unpack(), Time: out.Time,
		}, Stale: true})
	}
	a.emitted = e.elapsed(now)
	e.queue.emit(Emission{Alert: out, Repeated: repeated, Silent: silent})
}

// sameSeries reports whether two states of an alert have the same attributes.
func (h *heard) sameSeries(o *heard) bool {
	return h.severity == o.severity && h.owner == o.owner && h.labels == o.labels
}

// describe makes the alert as it goes out from its worst series.
func (e *Evaluator) describe(a *alertState, now time.Time) alert.Alert {
	l := a.worst()
	r := l.rule.rule
	s := l.series()
	value := s.value
	labels, annotations := e.expand(a, now)
	out := alert.Alert{
		ID: a.id, Group: r.Group, Rule: r.Name,
		Severity: a.severity, Owner: r.Owner,
		Labels:       e.withExternal(labels),
		State:        a.state,
		Start:        timeOf(a.earliest()),
		Value:        &value,
		ObservedAt:   timeOf(s.last),
		ValidFor:     validIntervals * e.opts.ResendInterval,
		Reason:       alert.ReasonThreshold,
		SourceMetric: l.rule.source(),
		SourceUnit:   e.sourceUnit(l.rule.metric),
		Response:     r.Response,
		Annotations:  annotations,
		Actions:      listActions(a.actions),
	}
	if l.noData {
		out.Reason = alert.ReasonNoData
	}
	if i := l.tier(); i != noTier {
		out.Threshold = bound(&r.Tiers[i].Threshold, value)
	}
	a.putLevels(&out)
	return out
}

// bound is what v is compared with, nil where there is nothing.
func bound(t *rule.Threshold, v float64) *float64 {
	b := t.Bound(v)
	if math.IsNaN(b) {
		return nil
	}
	return &b
}

// expand expands the templates of an alert for its worst series.
func (e *Evaluator) expand(a *alertState, now time.Time) (labels, annotations map[string]string) {
	l := a.worst()
	r, shown, series := l.rule.rule, l.series().value, l.stream.labels.unpack()
	if r.Query == nil {
		return r.Expand(series, shown, e.opts.ExternalLabels, now)
	}
	if r.Query.Shown != nil {
		shown = *r.Query.Shown
	}
	ctx, cancel := context.WithTimeout(context.Background(), templateTimeout)
	defer cancel()
	return r.ExpandQuerying(ctx, e.query, series, shown, e.opts.ExternalLabels, now)
}

// templateTimeout bounds the queries in the templates of one alert.
const templateTimeout = 100 * time.Millisecond

// withExternal adds the external labels that are not taken, in place.
func (e *Evaluator) withExternal(labels map[string]string) map[string]string {
	if e.opts.ExternalLabelsKept {
		return labels
	}
	for name, value := range e.opts.ExternalLabels {
		if _, ok := labels[name]; !ok {
			labels[name] = value
		}
	}
	return labels
}

// earliest is when the alert's breach began: the earliest start among the series that are as bad as the alert.
func (a *alertState) earliest() int64 {
	var start int64
	for _, l := range a.lives {
		if l.state() != a.state {
			continue
		}
		s := l.start
		if s == 0 {
			s = l.series().eff
		}
		if start == 0 || s < start {
			start = s
		}
	}
	return start
}

// missing ends at once what a rule with `no_data: resolve` has firing on a stream whose source says that there is no value.
func (e *Evaluator) missing(m *metricState, st *stream, b *batch) {
	for i := range st.series {
		if l := st.series[i].live; l != nil && m.rules[i].rule.NoData.Action == rule.NoDataResolve && l.firing {
			e.end(l, b.now)
		}
	}
}

// end ends a series whose data are gone.
func (e *Evaluator) end(l *live, now time.Time) {
	l.machine = newMachine()
	l.noData = false
	l.triggers = nil
	e.settle(l, alert.ReasonSeriesGone, now)
}
