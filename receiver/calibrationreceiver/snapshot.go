package calibrationreceiver

import (
	"maps"
	"slices"
	"time"

	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/pmetric"

	"github.com/otelcol-escalation/otelcol-escalation/internal/alert"
	"github.com/otelcol-escalation/otelcol-escalation/internal/calibrate"
	"github.com/otelcol-escalation/otelcol-escalation/internal/ledger"
)

// snapshot is what the ledger says at one time.
type snapshot struct {
	now, since time.Time
	counters   []ledger.Counter
	histograms []ledger.Histogram
	tallies    []ledger.Tally // over the window
	open       []ledger.Tally // over all time, for what is open
}

func take(tx ledger.Tx, window time.Duration) (s snapshot, err error) {
	s.now = tx.Now()
	if s.since, err = tx.CountersSince(); err != nil {
		return s, err
	}
	if s.counters, err = tx.Counters(); err != nil {
		return s, err
	}
	if s.histograms, err = tx.Histograms(); err != nil {
		return s, err
	}
	if s.tallies, err = tx.Tallies(s.now.Add(-window)); err != nil {
		return s, err
	}
	s.open, err = openTallies(tx)
	return s, err
}

// openTallies counts what is open, however long ago it opened.
func openTallies(tx ledger.Tx) ([]ledger.Tally, error) {
	open := true
	type key struct {
		rule, owner, metric string
		severity            alert.Severity
	}
	byKey := map[key]*ledger.Tally{}
	var order []key
	q := ledger.Query{Open: &open, Limit: 1000}
	for {
		episodes, err := tx.Episodes(q)
		if err != nil {
			return nil, err
		}
		for _, e := range episodes {
			k := key{e.Rule, e.Owner, e.SourceMetric, e.Highest}
			t := byKey[k]
			if t == nil {
				t = &ledger.Tally{Rule: e.Rule, Owner: e.Owner, SourceMetric: e.SourceMetric, Severity: e.Highest}
				byKey[k] = t
				order = append(order, k)
			}
			t.Open++
			if t.OldestOpen.IsZero() || e.OpenedAt.Before(t.OldestOpen) {
				t.OldestOpen = e.OpenedAt
			}
		}
		if len(episodes) < q.Limit {
			break
		}
		q.After = episodes[len(episodes)-1]
	}
	var all []ledger.Tally
	for _, k := range order {
		all = append(all, *byKey[k])
	}
	return all, nil
}

// metrics are the snapshot as OTLP.
func (s *snapshot) metrics() pmetric.Metrics {
	md := pmetric.NewMetrics()
	scope := md.ResourceMetrics().AppendEmpty().ScopeMetrics().AppendEmpty()
	scope.Scope().SetName(alert.Scope)
	w := &writer{snapshot: s, metrics: scope.Metrics(), byName: map[string]pmetric.Metric{}}
	for i := range s.counters {
		w.counter(&s.counters[i])
	}
	for i := range s.open {
		w.open(&s.open[i])
	}
	for i := range s.tallies {
		w.ratio(&s.tallies[i])
	}
	for i := range s.histograms {
		w.histogram(&s.histograms[i])
	}
	return md
}

// writer writes points, each into the metric of its name.
type writer struct {
	*snapshot
	metrics pmetric.MetricSlice
	byName  map[string]pmetric.Metric
}

// metric returns the metric with a name, made by shape the first time.
func (w *writer) metric(name, unit, description string, shape func(pmetric.Metric)) pmetric.Metric {
	if m, ok := w.byName[name]; ok {
		return m
	}
	m := w.metrics.AppendEmpty()
	m.SetName(name)
	m.SetUnit(unit)
	m.SetDescription(description)
	shape(m)
	w.byName[name] = m
	return m
}

func sum(monotonic bool) func(pmetric.Metric) {
	return func(m pmetric.Metric) {
		s := m.SetEmptySum()
		s.SetIsMonotonic(monotonic)
		s.SetAggregationTemporality(pmetric.AggregationTemporalityCumulative)
	}
}

func gauge(m pmetric.Metric) { m.SetEmptyGauge() }

func put(attrs pcommon.Map, rule, owner, metric string, severity alert.Severity) {
	attrs.PutStr(alert.AttrRule, rule)
	attrs.PutStr(alert.AttrSeverity, severity.String())
	attrs.PutStr(alert.AttrOwner, owner)
	attrs.PutStr(alert.AttrSourceMetric, metric)
}

func (w *writer) counter(c *ledger.Counter) {
	var m pmetric.Metric
	attr := ""
	switch c.Metric {
	case alert.MetricEpisodes:
		m = w.metric(c.Metric, "{episode}", "Alert episodes that have ended, by what became of them.", sum(true))
		attr = alert.AttrOutcome
	case alert.MetricVerdicts:
		m = w.metric(c.Metric, "{verdict}", "Verdicts of people that stand.", sum(false))
		attr = alert.AttrVerdict
	default:
		return
	}
	p := m.Sum().DataPoints().AppendEmpty()
	p.SetStartTimestamp(pcommon.NewTimestampFromTime(w.since))
	p.SetTimestamp(pcommon.NewTimestampFromTime(w.now))
	p.SetIntValue(c.N)
	put(p.Attributes(), c.Rule, c.Owner, c.SourceMetric, c.Severity)
	p.Attributes().PutStr(attr, c.Value)
}

func (w *writer) open(t *ledger.Tally) {
	count := w.metric(alert.MetricOpenCount, "{episode}", "Alert episodes that are open now.", gauge).Gauge().DataPoints().AppendEmpty()
	count.SetTimestamp(pcommon.NewTimestampFromTime(w.now))
	count.SetIntValue(t.Open)
	put(count.Attributes(), t.Rule, t.Owner, t.SourceMetric, t.Severity)

	age := w.metric(alert.MetricOpenAge, "s", "Age of the oldest open alert episode.", gauge).Gauge().DataPoints().AppendEmpty()
	age.SetTimestamp(pcommon.NewTimestampFromTime(w.now))
	age.SetDoubleValue(max(w.now.Sub(t.OldestOpen).Seconds(), 0))
	put(age.Attributes(), t.Rule, t.Owner, t.SourceMetric, t.Severity)
}

func (w *writer) ratio(t *ledger.Tally) {
	p, ok := calibrate.FalsePositives(t.Verdicts)
	if !ok {
		return
	}
	for _, one := range []struct {
		name, description string
		v                 float64
	}{
		{alert.MetricFalsePositiveRatio, "Share of false alarms among the episodes that people judged true or false.", p.Ratio},
		{alert.MetricFalsePositiveLower, "Lower 95 % bound of the false-positive ratio.", p.Lower},
		{alert.MetricFalsePositiveUpper, "Upper 95 % bound of the false-positive ratio.", p.Upper},
	} {
		point := w.metric(one.name, "1", one.description, gauge).Gauge().DataPoints().AppendEmpty()
		point.SetTimestamp(pcommon.NewTimestampFromTime(w.now))
		point.SetDoubleValue(one.v)
		put(point.Attributes(), t.Rule, t.Owner, t.SourceMetric, t.Severity)
	}
}

var durations = map[string]string{
	alert.MetricTimeToNotify:      "Time from an episode's firing to the first page that was accepted.",
	alert.MetricTimeToAcknowledge: "Time from the first page to the first acknowledgement.",
	alert.MetricTimeToResolve:     "Time from an episode's firing to its end.",
}

func (w *writer) histogram(h *ledger.Histogram) {
	description, ok := durations[h.Metric]
	if !ok {
		return
	}
	m := w.metric(h.Metric, "s", description, func(m pmetric.Metric) {
		m.SetEmptyExponentialHistogram().SetAggregationTemporality(pmetric.AggregationTemporalityCumulative)
	})
	p := m.ExponentialHistogram().DataPoints().AppendEmpty()
	p.SetStartTimestamp(pcommon.NewTimestampFromTime(w.since))
	p.SetTimestamp(pcommon.NewTimestampFromTime(w.now))
	p.SetScale(h.Scale)
	p.SetCount(h.Count)
	p.SetSum(h.Sum)
	p.SetMin(h.Min)
	p.SetMax(h.Max)
	p.SetZeroCount(h.Zero)
	put(p.Attributes(), h.Rule, h.Owner, h.SourceMetric, h.Severity)
	if len(h.Buckets) == 0 {
		return
	}
	indexes := slices.Sorted(maps.Keys(h.Buckets))
	first, last := indexes[0], indexes[len(indexes)-1]
	counts := make([]uint64, last-first+1)
	for i, n := range h.Buckets {
		counts[i-first] = n
	}
	p.Positive().SetOffset(first)
	p.Positive().BucketCounts().FromRaw(counts)
}
