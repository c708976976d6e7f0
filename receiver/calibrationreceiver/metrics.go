package calibrationreceiver

import (
	"iter"
	"maps"
	"slices"
	"strings"
	"time"

	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/pmetric"

	"github.com/otelcol-escalation/otelcol-escalation/internal/alert"
	"github.com/otelcol-escalation/otelcol-escalation/internal/calibrate"
	"github.com/otelcol-escalation/otelcol-escalation/internal/ledger"
)

// metrics are what one moment's numbers look like in OTLP. Sums and histograms count from the ledger's first start, which
// a restart of the Collector does not change.
func (s *snapshot) metrics() pmetric.Metrics {
	md := pmetric.NewMetrics()
	scope := md.ResourceMetrics().AppendEmpty().ScopeMetrics().AppendEmpty()
	scope.Scope().SetName(alert.Scope)
	b := builder{metrics: scope.Metrics(), now: stamp(s.now), since: stamp(s.since)}

	s.sum(&b, alert.MetricEpisodes, "Alert episodes that have ended, by what became of them as a page.", alert.AttrOutcome)
	s.sum(&b, alert.MetricVerdicts, "Verdicts that people have given; one that is changed moves.", alert.AttrVerdict)
	s.sum(&b, alert.MetricEscalations, "Escalation steps taken.", "")

	openCount := b.gauge(alert.MetricOpenCount, "Alert episodes that are open.")
	openAge := b.gauge(alert.MetricOpenAge, "How long the oldest open alert episode has been open; 0 where none is.")
	for k, t := range s.tallies(false) {
		openCount(k).SetIntValue(t.Open)
		age := 0.0
		if t.Open > 0 {
			age = max(s.now.Sub(t.OldestOpen), 0).Seconds()
		}
		openAge(k).SetDoubleValue(age)
	}

	s.verdicts(&b)
	s.noise(&b)
	s.thresholds(&b)
	budget := b.gauge(alert.MetricBudgetUsed, "Pages of an owner within the span of the owner's alert budget, over the budget.")
	for _, u := range s.budgets {
		budget(series{owner: u.owner, of: ofOwner}).SetDoubleValue(u.used)
	}

	s.histogram(&b, alert.MetricTimeToNotify, "From an alert's arrival to the first page that was accepted.")
	s.histogram(&b, alert.MetricTimeToAcknowledge, "From the first page that was accepted, or the arrival where there was none, to the first acknowledgement.")
	s.histogram(&b, alert.MetricTimeToResolve, "From an alert's arrival to its end.")

	scope.Metrics().RemoveIf(func(m pmetric.Metric) bool { return pointCount(m) == 0 })
	if scope.Metrics().Len() == 0 {
		return pmetric.NewMetrics()
	}
	return md
}

// tallies are those of every episode, or of the window's, and the rest's last.
func (s *snapshot) tallies(recent bool) iter.Seq2[series, *ledger.Tally] {
	all, together := s.all, (*ledger.Tally)(nil)
	if recent {
		all = s.recent
	}
	if s.rest != nil {
		if together = s.rest.all; recent {
			together = s.rest.recent
		}
	}
	return func(yield func(series, *ledger.Tally) bool) {
		for i := range all {
			if !yield(tallySeries(&all[i]), &all[i]) {
				return
			}
		}
		if together != nil {
			yield(series{of: ofRest}, together)
		}
	}
}

// verdicts is what people have said, and how much that is.
func (s *snapshot) verdicts(b *builder) {
	ratio := b.gauge(alert.MetricFalsePositiveRatio, "False alarms among the episodes that people judged to be real or false.")
	lower := b.gauge(alert.MetricFalsePositiveLower, "Lower bound of the 95 % Wilson score interval of alert.false_positive.ratio.")
	upper := b.gauge(alert.MetricFalsePositiveUpper, "Upper bound of the 95 % Wilson score interval of alert.false_positive.ratio.")
	precision := b.gauge(alert.MetricPrecision, "Real ones among the episodes that people judged to be real or false.")
	coverage := b.gauge(alert.MetricVerdictCoverage, "Episodes with a verdict among those that people were paged for: how much the ratios rest on; 0 where nobody was paged.")
	for k, t := range s.tallies(true) {
		wrong, judged := calibrate.FalsePositives(t.Verdicts)
		if p, ok := calibrate.NewProportion(t.NotifiedJudged, t.Notified); ok {
			coverage(k).SetDoubleValue(p.Ratio)
		} else if judged { // beside every ratio
			coverage(k).SetDoubleValue(0)
		}
		if !judged {
			continue
		}
		ratio(k).SetDoubleValue(wrong.Ratio)
		lower(k).SetDoubleValue(wrong.Lower)
		upper(k).SetDoubleValue(wrong.Upper)
		if p, ok := calibrate.Precision(t.Verdicts); ok {
			precision(k).SetDoubleValue(p.Ratio)
		}
	}
}

// noise is what can be told without a person, of all that has ended: it rests on everything.
func (s *snapshot) noise(b *builder) {
	transient := b.gauge(alert.MetricTransientRatio, "Ended episodes that recovered within 5 minutes, with nobody having taken them on.")
	flapping := b.gauge(alert.MetricFlappingRatio, "Episodes of alerts that flapped.")
	unacknowledged := b.gauge(alert.MetricUnacknowledgedRatio, "Ended episodes that nobody acknowledged, resolved or judged, among those that people were paged for.")
	for k, t := range s.tallies(true) {
		for _, one := range []struct {
			gauge func(series) pmetric.NumberDataPoint
			k, n  int64
		}{{transient, t.Transient, t.Episodes - t.Open}, {flapping, t.Flapping, t.Episodes}, {unacknowledged, t.Unacknowledged, t.NotifiedEnded}} {
			if p, ok := calibrate.NewProportion(one.k, one.n); ok {
				one.gauge(k).SetDoubleValue(p.Ratio)
			}
		}
	}
}

// thresholds are those in force and the suggested ones.
func (s *snapshot) thresholds(b *builder) {
	current := b.gauge(alert.MetricThresholdCurrent, "The threshold in force, in alert.source.unit.")
	suggested := b.gauge(alert.MetricThresholdSuggested, "The suggested threshold, in alert.source.unit, where one stands.")
	precision := b.gauge(alert.MetricSuggestionPrecision, "Precision that the suggestion would have had on the recorded episodes.")
	recall := b.gauge(alert.MetricSuggestionRecall, "Verified episodes that the suggestion would have kept.")
	episodes := b.gauge(alert.MetricSuggestionEpisodes, "Episodes that the suggestion would have left.")
	caught := b.gauge(alert.MetricRecall, "Verified incidents that were caught, among those and the reported misses.")
	for _, one := range s.unassessed {
		if p, ok := calibrate.NewProportion(one.caught, one.caught+one.missed); ok {
			caught(one.series).SetDoubleValue(p.Ratio)
		}
	}
	for _, one := range s.assessed {
		put := func(gauge func(series) pmetric.NumberDataPoint) pmetric.NumberDataPoint {
			point := gauge(series{rule: one.rule, severity: one.Tier, owner: one.Owner, source: one.SourceMetric})
			if one.Unit != "" {
				point.Attributes().PutStr(alert.AttrSourceUnit, text(one.Unit))
			}
			if one.Band {
				point.Attributes().PutStr(alert.AttrThresholdBound, one.Bound())
			}
			return point
		}
		put(current).SetDoubleValue(one.Current)
		if p, ok := one.Recall(); ok {
			put(caught).SetDoubleValue(p.Ratio)
		}
		if one.Reason != calibrate.Stands {
			continue
		}
		put(suggested).SetDoubleValue(one.Threshold)
		put(episodes).SetIntValue(int64(one.After.Episodes))
		if p, ok := one.After.Precision(); ok {
			put(precision).SetDoubleValue(p.Ratio)
		}
		if p, ok := one.After.Recall(one.Before); ok {
			put(recall).SetDoubleValue(p.Ratio)
		}
	}
}

func pointCount(m pmetric.Metric) int {
	switch m.Type() {
	case pmetric.MetricTypeSum:
		return m.Sum().DataPoints().Len()
	case pmetric.MetricTypeExponentialHistogram:
		return m.ExponentialHistogram().DataPoints().Len()
	default:
		return m.Gauge().DataPoints().Len()
	}
}

// builder appends metrics.
type builder struct {
	metrics    pmetric.MetricSlice
	now, since pcommon.Timestamp
}

func (b *builder) metric(name, description string) pmetric.Metric {
	m := b.metrics.AppendEmpty()
	m.SetName(name)
	m.SetUnit(alert.Instruments[name].Unit)
	m.SetDescription(description)
	return m
}

// sum appends the counters of a metric; value is the attribute that tells them apart, "" where none does.
func (s *snapshot) sum(b *builder, name, description, value string) {
	sum := b.metric(name, description).SetEmptySum()
	sum.SetIsMonotonic(alert.Instruments[name].Kind == alert.Sum)
	sum.SetAggregationTemporality(pmetric.AggregationTemporalityCumulative)
	put := func(k series, of string, n int64, since pcommon.Timestamp) {
		point := sum.DataPoints().AppendEmpty()
		point.SetStartTimestamp(since)
		point.SetTimestamp(b.now)
		point.SetIntValue(n)
		putKey(point.Attributes(), k)
		if value != "" {
			point.Attributes().PutStr(value, of)
		}
	}
	for i := range s.counters {
		if c := &s.counters[i]; c.Metric == name {
			put(seriesOf(c.CounterKey), c.Value, c.N, b.since)
		}
	}
	if s.rest == nil {
		return
	}
	of := map[string]int64{}
	for key, n := range s.rest.counters {
		if key[0] == name {
			of[key[1]] = n
		}
	}
	for _, v := range slices.Sorted(maps.Keys(of)) {
		put(series{of: ofRest}, v, of[v], stamp(s.restSince))
	}
}

// gauge appends a gauge and returns what appends a point to it.
func (b *builder) gauge(name, description string) func(series) pmetric.NumberDataPoint {
	points := b.metric(name, description).SetEmptyGauge().DataPoints()
	return func(k series) pmetric.NumberDataPoint {
		point := points.AppendEmpty()
		point.SetTimestamp(b.now)
		putKey(point.Attributes(), k)
		return point
	}
}

// putKey writes what every calibration metric carries.
func putKey(attrs pcommon.Map, k series) {
	switch k.of {
	case ofRest:
		attrs.PutBool(alert.AttrOverflow, true)
	case ofOwner:
		attrs.PutStr(alert.AttrOwner, text(k.owner))
	case ofRule:
		attrs.PutStr(alert.AttrRule, text(k.rule))
	default:
		attrs.EnsureCapacity(6)
		attrs.PutStr(alert.AttrRule, text(k.rule))
		attrs.PutStr(alert.AttrSeverity, k.severity.String())
		attrs.PutStr(alert.AttrOwner, text(k.owner))
		attrs.PutStr(alert.AttrSourceMetric, text(k.source))
	}
}

// longestText bounds an attribute, in bytes: more than the names in the ledger have, and a note has its own.
const (
	longestText = 1 << 10
	longestNote = 16 << 10
)

// text makes valid, and bounds, what another sender may have put into an attribute: one record in another encoding would have the
// far side refuse the batch.
func text(s string) string { return bounded(s, longestText) }

func bounded(s string, longest int) string {
	if s = strings.ToValidUTF8(s, "\uFFFD"); len(s) <= longest {
		return s
	}
	return strings.ToValidUTF8(s[:longest-len("…")], "") + "…"
}

func stamp(t time.Time) pcommon.Timestamp {
	if t.IsZero() {
		return 0
	}
	return pcommon.NewTimestampFromTime(t)
}
