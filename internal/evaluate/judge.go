package evaluate

import (
	"context"
	"math"
	"strings"
	"time"

	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/pmetric"

	"github.com/otelcol-escalation/otelcol-escalation/internal/alert"
	"github.com/otelcol-escalation/otelcol-escalation/internal/rule"
)

// batch is one call of Judge on its way through the points.
type batch struct {
	e             *Evaluator
	now           time.Time
	wall, elapsed int64
	// oldest and newest bound the event times that are judged.
	oldest, newest int64
	announcing     bool

	rm            pmetric.ResourceMetrics
	sm            pmetric.ScopeMetrics
	metric        pmetric.Metric
	origin        uint64
	originKnown   bool
	labels        resourceLabels
	resourceKnown bool

	judged, tagged int64
	// compared is set once a rule has compared the point at hand.
	compared bool
}

// attributes are a point's, with the hash of the stream that they make.
type attributes struct {
	of   pcommon.Map
	hash uint64
}

func (b *batch) resource() resourceLabels {
	if !b.resourceKnown {
		b.labels = b.e.labeler.resource(b.rm.Resource().Attributes())
		b.resourceKnown = true
	}
	return b.labels
}

func (b *batch) hash(attrs pcommon.Map) uint64 {
	if !b.originKnown {
		b.origin = hashOrigin(b.rm.Resource(), b.sm.Scope())
		b.originKnown = true
	}
	return mix(b.origin, hashAttributes(attrs))
}

// judge looks at one metric that rules name.
func (b *batch) judge(m *metricState, metric pmetric.Metric) {
	b.metric = metric
	m.lastSeen.Store(b.elapsed)
	switch metric.Type() {
	case pmetric.MetricTypeGauge:
		b.points(m, metric.Gauge().DataPoints(), b.e.opts.Tagging != TagNone)
	case pmetric.MetricTypeSum:
		sum := metric.Sum()
		if sum.IsMonotonic() && sum.AggregationTemporality() != pmetric.AggregationTemporalityDelta {
			m.unjudge(UnjudgedType, sum.DataPoints().Len())
			return
		}
		b.points(m, sum.DataPoints(), b.e.opts.Tagging == TagAll)
	case pmetric.MetricTypeHistogram:
		m.unjudge(UnjudgedType, metric.Histogram().DataPoints().Len())
	case pmetric.MetricTypeExponentialHistogram:
		m.unjudge(UnjudgedType, metric.ExponentialHistogram().DataPoints().Len())
	case pmetric.MetricTypeSummary:
		m.unjudge(UnjudgedType, metric.Summary().DataPoints().Len())
	}
}

// points passes quiet points over and takes the others one by one. The metric's lock is taken with the first of them.
func (b *batch) points(m *metricState, points pmetric.NumberDataPointSlice, tag bool) {
	pass := m.quiet
	if b.announcing {
		// Until recoveries from before the start have been announced, what lies between `clear` and the threshold
		// counts too, and every now and then whole batches are looked at.
		pass = m.clear
		if b.e.announce.scan(b.elapsed, points.Len()) {
			pass = band{low: 1, high: -1}
		}
	}
	if len(m.conditional) > 0 {
		b.probe(m, points)
	}
	if m.suspect {
		b.lookAt(m, points)
	}
	locked := false
	follow := m.tracks || m.kept.Load() > 0
	for i := range points.Len() {
		point := points.At(i)
		v, missing := number(point)
		at := int64(point.Timestamp())
		if !follow && pass.contains(v) && !missing && at >= b.oldest && at <= b.newest {
			b.judged++
			continue
		}
		if !locked {
			m.mu.Lock()
			locked = true
			m.unit = b.metric.Unit()
		}
		b.point(m, point, v, at, missing, tag)
		follow = m.tracks || len(m.streams) > 0
	}
	if locked {
		m.mu.Unlock()
	}
}

// number returns a point's value; missing is set for "no recorded value", NaN and points without a value.
func number(point pmetric.NumberDataPoint) (v float64, missing bool) {
	switch point.ValueType() {
	case pmetric.NumberDataPointValueTypeDouble:
		v = point.DoubleValue()
	case pmetric.NumberDataPointValueTypeInt:
		v = float64(point.IntValue())
	default:
		return math.NaN(), true
	}
	return v, v != v || point.Flags().NoRecordedValue()
}

// point takes one point that is not quiet, or whose series may be known.
func (b *batch) point(m *metricState, point pmetric.NumberDataPoint, v float64, at int64, missing, tag bool) {
	attrs := attributes{of: point.Attributes()}
	var st *stream
	hashed := false
	look := func() {
		if !hashed {
			attrs.hash = b.hash(attrs.of)
			st = m.streams[attrs.hash]
			hashed = true
		}
	}
	if len(m.streams) > 0 || m.tracks {
		look()
	}
	if reason := b.unjudgeable(v, at, missing); reason != "" {
		m.unjudge(reason, 1)
		if reason == UnjudgedMissing && st != nil {
			b.e.missing(m, st, b)
		}
		return
	}
	best := tagOf{}
	b.compared = false
	for _, r := range m.rules {
		breached := !r.quiet.contains(v)
		var s *series
		if st != nil && st.series[r.slot].seen() {
			s = &st.series[r.slot]
		}
		marking := b.announcing && (s == nil || s.live == nil)
		if s == nil && !breached && !r.tracks && !marking {
			b.compared = true
			continue
		}
		if !b.accepts(r, point) {
			continue
		}
		look()
		if marking {
			b.e.mark(r, attrs.hash, v, at, b.now, func() map[string]string {
				return b.e.labeler.labels(b.resource(), attrs.of)
			})
		}
		if s == nil && !breached && !r.tracks {
			b.compared = true
			continue
		}
		if s == nil {
			if !b.e.hasRoom(r, b.elapsed) {
				r.unjudge(UnjudgedLimit, 1)
				continue
			}
			if st = m.streams[attrs.hash]; st == nil { // making room may have dropped it
				st = m.enter(attrs.hash, pack(b.e.labeler.labels(b.resource(), attrs.of)))
			}
			b.e.occupy(r)
			s = &st.series[r.slot]
		}
		if b.series(r, st, s, v, at, breached) && breached && !r.rule.Silent {
			best.consider(r.rule, v)
		}
	}
	if b.compared {
		b.judged++
	}
	if tag && best.rule != nil {
		best.put(attrs.of)
		b.tagged++
	}
}

// series takes one point of a series whose state is kept, and reports whether it counts as judged: a repeated point
// does, so that a batch that is sent again is tagged again.
func (b *batch) series(r *ruleState, st *stream, s *series, v float64, at int64, breached bool) bool {
	if !s.fresh(at, b.wall) {
		r.unjudge(UnjudgedRepeated, 1)
		return true
	}
	eff, broken := s.take(at, b.wall, b.elapsed)
	if eff-s.first < int64(r.rule.WarmUp) {
		r.unjudge(UnjudgedWarmUp, 1)
		return false
	}
	b.compared = true
	s.value = v
	if s.live != nil || breached {
		b.e.advance(r, st, s, v, eff, broken, b.now)
	}
	return true
}

// unjudgeable says why a point cannot be judged by any rule, "" where it can.
func (b *batch) unjudgeable(v float64, at int64, missing bool) Unjudged {
	switch {
	case missing || isBlank(v, b.metric):
		return UnjudgedMissing
	case at == 0:
		return UnjudgedNoTime
	case at > b.newest || at < 0:
		return UnjudgedFuture
	case at < b.oldest:
		return UnjudgedOld
	}
	return ""
}

// blankDCGM is the least of the values that NVIDIA's DCGM gives for "blank", "not found", "not supported" and "not
// permitted" (0x7ffffffffffffff0 and up), as a double: exporters pass them on as if they were readings.
const blankDCGM = float64(1 << 63)

func isBlank(v float64, metric pmetric.Metric) bool {
	return v == blankDCGM && strings.HasPrefix(metric.Name(), "DCGM_FI_")
}

// accepts asks the rule's `where`. What it rejects, or cannot decide, the rule does not see.
func (b *batch) accepts(r *ruleState, point pmetric.NumberDataPoint) bool {
	if r.rule.Where != nil {
		ok, err := r.rule.Where.Match(context.Background(), b.rm, b.sm, b.metric, point)
		if err != nil {
			r.unjudge(UnjudgedWhere, 1)
		}
		if err != nil || !ok {
			return false
		}
	}
	r.matched.Store(b.elapsed)
	return true
}

// probeInterval is how often a rule whose `where` has accepted nothing for as long looks whether it accepts anything.
const probeInterval = int64(time.Minute)

// probe looks for a point that a rule's `where` accepts. While nothing breaches nobody asks `where`, so a condition that
// can never be met would not be noticed.
func (b *batch) probe(m *metricState, points pmetric.NumberDataPointSlice) {
	for _, r := range m.conditional {
		last := r.probed.Load()
		if b.elapsed-max(r.matched.Load(), last) < probeInterval && last != 0 || !r.probed.CompareAndSwap(last, max(b.elapsed, 1)) {
			continue
		}
		for i := range points.Len() {
			if b.accepts(r, points.At(i)) {
				break
			}
		}
	}
}

// lookAt notes the values of a batch, once in probeInterval.
func (b *batch) lookAt(m *metricState, points pmetric.NumberDataPointSlice) {
	last := m.looked.Load()
	if last != 0 && b.elapsed-last < probeInterval || !m.looked.CompareAndSwap(last, max(b.elapsed, 1)) {
		return
	}
	m.mu.Lock()
	m.unit = b.metric.Unit()
	m.mu.Unlock()
	m.values.mu.Lock()
	defer m.values.mu.Unlock()
	for i := range points.Len() {
		if v, missing := number(points.At(i)); !missing && !isBlank(v, b.metric) {
			m.values.note(v)
		}
	}
}

// tagOf is the tier that a point is tagged with: the highest whose condition it meets, over all rules.
type tagOf struct {
	rule     *rule.Rule
	severity alert.Severity
}

func (t *tagOf) consider(r *rule.Rule, v float64) {
	for i := range r.Tiers {
		if r.Tiers[i].Breached(v) {
			if r.Tiers[i].Severity > t.severity {
				t.rule, t.severity = r, r.Tiers[i].Severity
			}
			return
		}
	}
}

func (t *tagOf) put(attrs pcommon.Map) {
	attrs.EnsureCapacity(attrs.Len() + 3)
	attrs.PutStr(alert.AttrRule, t.rule.Name)
	attrs.PutStr(alert.AttrSeverity, t.severity.String())
	attrs.PutStr(alert.AttrOwner, t.rule.Owner)
}
