package calibrationreceiver

import (
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

	b.sum(alert.MetricEpisodes, "Alert episodes that have ended, by what became of them as a page.",
		alert.AttrOutcome, s.counters)
	b.sum(alert.MetricVerdicts, "Verdicts that people have given; one that is changed moves.",
		alert.AttrVerdict, s.counters)
	b.sum(alert.MetricEscalations, "Escalation steps taken.", "", s.counters)

	openCount := b.gauge(alert.MetricOpenCount, "Alert episodes that are open.")
	openAge := b.gauge(alert.MetricOpenAge, "How long the oldest open alert episode has been open; 0 where none is.")
	for _, t := range s.all {
		openCount(tallyKey(t)).SetIntValue(t.Open)
		age := 0.0
		if t.Open > 0 {
			age = max(s.now.Sub(t.OldestOpen), 0).Seconds()
		}
		openAge(tallyKey(t)).SetDoubleValue(age)
	}

	ratio := b.gauge(alert.MetricFalsePositiveRatio, "False alarms among the episodes that people judged to be real or false.")
	lower := b.gauge(alert.MetricFalsePositiveLower, "Lower bound of the 95 % Wilson score interval of alert.false_positive.ratio.")
	upper := b.gauge(alert.MetricFalsePositiveUpper, "Upper bound of the 95 % Wilson score interval of alert.false_positive.ratio.")
	precision := b.gauge(alert.MetricPrecision, "Real ones among the episodes that people judged to be real or false.")
	coverage := b.gauge(alert.MetricVerdictCoverage, "Episodes with a verdict among those that people were paged for: how much the ratios rest on.")
	for _, t := range s.recent {
		if p, ok := calibrate.NewProportion(t.NotifiedJudged, t.Notified); ok {
			coverage(tallyKey(t)).SetDoubleValue(p.Ratio)
		}
		if p, ok := calibrate.Precision(t.Verdicts); ok {
			precision(tallyKey(t)).SetDoubleValue(p.Ratio)
		}
		if p, ok := calibrate.FalsePositives(t.Verdicts); ok {
			ratio(tallyKey(t)).SetDoubleValue(p.Ratio)
			lower(tallyKey(t)).SetDoubleValue(p.Lower)
			upper(tallyKey(t)).SetDoubleValue(p.Upper)
		}
	}

	s.noise(&b)
	s.thresholds(&b)
	budget := b.gauge(alert.MetricBudgetUsed, "Pages of an owner within the span of the owner's alert budget, over the budget.")
	for _, u := range s.budgets {
		budget(ledger.CounterKey{Owner: u.owner}).SetDoubleValue(u.used)
	}

	b.histogram(alert.MetricTimeToNotify, "From an alert's arrival to the first page that was accepted.", s.histograms)
	b.histogram(alert.MetricTimeToAcknowledge, "From the first page that was accepted, or the arrival where there was none, to the first acknowledgement.", s.histograms)
	b.histogram(alert.MetricTimeToResolve, "From an alert's arrival to its end.", s.histograms)

	scope.Metrics().RemoveIf(func(m pmetric.Metric) bool { return pointCount(m) == 0 })
	if scope.Metrics().Len() == 0 {
		return pmetric.NewMetrics()
	}
	return md
}

// noise is what can be told without a person.
func (s *snapshot) noise(b *builder) {
	transient := b.gauge(alert.MetricTransientRatio, "Ended episodes that recovered within 5 minutes, with nobody having taken them on.")
	flapping := b.gauge(alert.MetricFlappingRatio, "Episodes of alerts that flapped.")
	for _, t := range s.recent {
		if p, ok := calibrate.NewProportion(t.Transient, t.Episodes-t.Open); ok {
			transient(tallyKey(t)).SetDoubleValue(p.Ratio)
		}
		if p, ok := calibrate.NewProportion(t.Flapping, t.Episodes); ok {
			flapping(tallyKey(t)).SetDoubleValue(p.Ratio)
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
	for _, one := range s.assessed {
		put := func(gauge func(ledger.CounterKey) pmetric.NumberDataPoint) pmetric.NumberDataPoint {
			point := gauge(ledger.CounterKey{Rule: one.rule, Severity: one.Tier, Owner: one.Owner, SourceMetric: one.SourceMetric})
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
func (b *builder) sum(name, description, value string, counters []ledger.Counter) {
	sum := b.metric(name, description).SetEmptySum()
	sum.SetIsMonotonic(alert.Instruments[name].Kind == alert.Sum)
	sum.SetAggregationTemporality(pmetric.AggregationTemporalityCumulative)
	for _, c := range counters {
		if c.Metric != name {
			continue
		}
		point := sum.DataPoints().AppendEmpty()
		point.SetStartTimestamp(b.since)
		point.SetTimestamp(b.now)
		point.SetIntValue(c.N)
		putKey(point.Attributes(), c.CounterKey)
		if value != "" {
			point.Attributes().PutStr(value, c.Value)
		}
	}
}

// gauge appends a gauge and returns what appends a point to it.
func (b *builder) gauge(name, description string) func(ledger.CounterKey) pmetric.NumberDataPoint {
	points := b.metric(name, description).SetEmptyGauge().DataPoints()
	return func(key ledger.CounterKey) pmetric.NumberDataPoint {
		point := points.AppendEmpty()
		point.SetTimestamp(b.now)
		putKey(point.Attributes(), key)
		return point
	}
}

func tallyKey(t ledger.Tally) ledger.CounterKey {
	return ledger.CounterKey{Rule: t.Rule, Owner: t.Owner, SourceMetric: t.SourceMetric, Severity: t.Severity}
}

// putKey writes what every calibration metric carries.
func putKey(attrs pcommon.Map, key ledger.CounterKey) {
	attrs.EnsureCapacity(6)
	if key.Rule == "" { // of an owner as a whole
		attrs.PutStr(alert.AttrOwner, text(key.Owner))
		return
	}
	attrs.PutStr(alert.AttrRule, text(key.Rule))
	attrs.PutStr(alert.AttrSeverity, key.Severity.String())
	attrs.PutStr(alert.AttrOwner, text(key.Owner))
	attrs.PutStr(alert.AttrSourceMetric, text(key.SourceMetric))
}

// text makes valid what another sender may have put into an attribute: one record in another encoding would have the far
// side refuse the batch.
func text(s string) string { return strings.ToValidUTF8(s, "\uFFFD") }

func stamp(t time.Time) pcommon.Timestamp {
	if t.IsZero() {
		return 0
	}
	return pcommon.NewTimestampFromTime(t)
}
