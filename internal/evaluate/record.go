package evaluate

import (
	"context"
	"errors"
	"fmt"
	"math"
	"time"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/histogram"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/value"
	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/storage"
	"github.com/prometheus/prometheus/tsdb/chunkenc"

	"github.com/otelcol-escalation/otelcol-escalation/internal/alert"
	"github.com/otelcol-escalation/otelcol-escalation/internal/evaluate/window"
)

// Recorded is one sample that a recording rule made, to be put into the pipeline where `emit_recorded` asks for it.
type Recorded struct {
	// Labels are the series', its name among them as __name__.
	Labels labels.Labels
	Time   time.Time
	Value  float64
	// Histogram is set where the rule made a native histogram.
	Histogram *histogram.FloatHistogram
}

// record writes the result of a recording rule into the window, where the rules after it find it.
func (e *Evaluator) record(g *groupState, r *exprRule, vector promql.Vector, ts, now time.Time) error {
	if g.limit > 0 && len(vector) > g.limit {
		return fmt.Errorf("the group's limit is %d series (got %d)", g.limit, len(vector))
	}
	w := writing{e: e, at: ts.UnixMilli(), now: now.UnixMilli(), before: r.written.get(), written: make(map[uint64]labels.Labels, len(vector))}
	builder := labels.NewBuilder(labels.EmptyLabels())
	made := make([]labels.Labels, len(vector))
	for i := range vector {
		builder.Reset(vector[i].Metric)
		builder.Set(model.MetricNameLabel, r.rule.Record)
		for name, v := range r.rule.Labels {
			builder.Set(name, v)
		}
		made[i] = builder.Labels()
		if !w.claim(made[i]) {
			return fmt.Errorf("several series of the result have the same labels once the rule's are set: %s", made[i])
		}
	}
	var refused error
	for i := range vector {
		if err := w.write(made[i], vector[i].F, vector[i].H); errors.Is(err, window.ErrLate) && !e.holds(made[i], w.at, vector[i].F, vector[i].H) {
			refused = fmt.Errorf("the series %s has another value at this time already: another rule records it, or it comes with the data", made[i])
		}
		if e.opts.EmitRecorded {
			e.queue.record(Recorded{Labels: made[i], Time: ts, Value: vector[i].F, Histogram: vector[i].H})
		}
	}
	r.written.set(w.close())
	return refused
}

// holds reports whether this very sample is the newest that the window has of its series: to say it again changes nothing.
func (e *Evaluator) holds(ls labels.Labels, at int64, v float64, h *histogram.FloatHistogram) bool {
	q, err := e.window.Querier(at, math.MaxInt64)
	if err != nil {
		return false
	}
	defer q.Close()
	var matchers []*labels.Matcher
	ls.Range(func(l labels.Label) {
		matchers = append(matchers, labels.MustNewMatcher(labels.MatchEqual, l.Name, l.Value))
	})
	set := q.Select(context.Background(), false, &storage.SelectHints{Start: at, End: math.MaxInt64}, matchers...)
	for set.Next() {
		if !labels.Equal(set.At().Labels(), ls) {
			continue // it has labels beyond these
		}
		samples := set.At().Iterator(nil)
		kind := samples.Seek(at)
		if kind == chunkenc.ValNone || samples.AtT() != at {
			return false
		}
		var same bool
		if kind == chunkenc.ValFloat {
			_, known := samples.At()
			same = h == nil && math.Float64bits(known) == math.Float64bits(v)
		} else {
			_, known := samples.AtFloatHistogram(nil)
			same = h != nil && h.Equals(known)
		}
		return same && samples.Next() == chunkenc.ValNone
	}
	return false
}

// writeAlerts writes Prometheus' own series about alerts, ALERTS and ALERTS_FOR_STATE, where some rule selects them.
func (e *Evaluator) writeAlerts(g *groupState, r *exprRule, ts, now time.Time) error {
	states, starts := e.window.Wants(seriesAlerts), e.window.Wants(seriesAlertsForState)
	if !states && !starts {
		return nil
	}
	type active struct {
		labels map[string]string
		state  alert.State
		start  int64
	}
	var all []active
	m := r.metric
	m.mu.Lock()
	for _, a := range m.rules[0].alerts {
		if a.state != alert.Inactive {
			ls, _ := e.expand(a, now)
			all = append(all, active{ls, a.state, a.earliest()})
		}
	}
	m.mu.Unlock()
	w := writing{e: e, at: ts.Add(-g.queryOffset).UnixMilli(), now: now.UnixMilli(), before: r.written.get(), written: make(map[uint64]labels.Labels, 2*len(all))}
	builder := labels.NewBuilder(labels.EmptyLabels())
	for _, a := range all {
		builder.Reset(labels.EmptyLabels())
		for name, v := range a.labels {
			builder.Set(name, v)
		}
		builder.Set(labels.AlertName, r.rule.Name)
		if starts {
			builder.Set(model.MetricNameLabel, seriesAlertsForState)
			if ls := builder.Labels(); w.claim(ls) {
				_ = w.write(ls, math.Trunc(float64(a.start)/1e9), nil)
			}
		}
		if states {
			builder.Set(model.MetricNameLabel, seriesAlerts)
			builder.Set(labelAlertState, a.state.String())
			if ls := builder.Labels(); w.claim(ls) {
				_ = w.write(ls, 1, nil)
			}
		}
	}
	r.written.set(w.close())
	return nil
}

// The names that Prometheus gives to its series about alerts.
const (
	seriesAlerts         = "ALERTS"
	seriesAlertsForState = "ALERTS_FOR_STATE"
	labelAlertState      = "alertstate"
)

// writing is what one evaluation of one rule writes into the window.
type writing struct {
	e       *Evaluator
	at, now int64
	// before are the series of the evaluation before, written those of this one.
	before, written map[uint64]labels.Labels
}

// claim notes a series; false where this evaluation has it already.
func (w *writing) claim(ls labels.Labels) bool {
	hash := ls.Hash()
	if _, twice := w.written[hash]; twice {
		return false
	}
	w.written[hash] = ls
	return true
}

// write puts one sample into the window, if some rule selects it. What the window refuses (its limits) it counts.
func (w *writing) write(ls labels.Labels, v float64, h *histogram.FloatHistogram) error {
	if !w.e.window.Wants(ls.Get(model.MetricNameLabel)) {
		return nil
	}
	return w.e.window.Append(ls, 0, w.at, v, nil, h, w.now)
}

// close marks the series as ended that were not written again, and returns those that were.
func (w *writing) close() map[uint64]labels.Labels {
	stale := math.Float64frombits(value.StaleNaN)
	for hash, ls := range w.before {
		if _, again := w.written[hash]; !again {
			_ = w.write(ls, stale, nil)
		}
	}
	if len(w.written) == 0 {
		return nil
	}
	return w.written
}
