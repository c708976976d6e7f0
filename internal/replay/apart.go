package replay

import (
	"math"
	"slices"
	"time"

	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/pmetric"
)

// together is how far apart the points of one batch may lie: a scrape's or an export's points are not taken apart.
const together = time.Second

// apart takes points apart by time, so that each is judged at its own. It returns them in order of time, and how many
// points have no time, or none that anybody means; those go with the newest others, so that they are counted where points are judged.
func apart(md pmetric.Metrics) ([]Batch, int) {
	var first, last pcommon.Timestamp
	points, untimed := 0, 0
	each(md, func(_, _ int, _ int, _ pmetric.Metric, t pcommon.Timestamp, _ func(to pmetric.Metric)) {
		points++
		if timeless(t) {
			untimed++
			return
		}
		if first == 0 || t < first {
			first = t
		}
		last = max(last, t)
	})
	switch {
	case points == untimed:
		return nil, untimed
	case last-first <= pcommon.Timestamp(together):
		return []Batch{{Time: last.AsTime(), Metrics: md, Points: points}}, untimed
	}
	parts := map[int64]*part{}
	each(md, func(r, s, m int, metric pmetric.Metric, t pcommon.Timestamp, moveTo func(to pmetric.Metric)) {
		at := t
		if timeless(t) {
			at = last
		}
		key := int64(at) / int64(together)
		p := parts[key]
		if p == nil {
			p = &part{md: pmetric.NewMetrics(), r: -1, s: -1, m: -1}
			parts[key] = p
		}
		p.newest = max(p.newest, at)
		p.points++
		moveTo(p.metric(md, r, s, m, metric))
	})
	batches := make([]Batch, 0, len(parts))
	for _, p := range parts {
		batches = append(batches, Batch{Time: p.newest.AsTime(), Metrics: p.md, Points: p.points})
	}
	slices.SortFunc(batches, func(a, b Batch) int { return a.Time.Compare(b.Time) })
	return batches, untimed
}

// timeless reports whether a point has no time, or one beyond 2262, where nanoseconds do not fit into 63 bits.
func timeless(t pcommon.Timestamp) bool { return t == 0 || t > math.MaxInt64 }

// part is what one batch gets of a document: r, s and m are where in the document the metric that it fills now stands.
type part struct {
	md      pmetric.Metrics
	newest  pcommon.Timestamp
	points  int
	r, s, m int
	filling pmetric.Metric
}

func (p *part) metric(md pmetric.Metrics, r, s, m int, like pmetric.Metric) pmetric.Metric {
	if p.r == r && p.s == s && p.m == m {
		return p.filling
	}
	from := md.ResourceMetrics().At(r)
	if p.r != r {
		rm := p.md.ResourceMetrics().AppendEmpty()
		from.Resource().CopyTo(rm.Resource())
		rm.SetSchemaUrl(from.SchemaUrl())
		p.s = -1
	}
	rm := p.md.ResourceMetrics().At(p.md.ResourceMetrics().Len() - 1)
	if p.s != s {
		sm := rm.ScopeMetrics().AppendEmpty()
		from.ScopeMetrics().At(s).Scope().CopyTo(sm.Scope())
	}
	p.r, p.s, p.m = r, s, m
	p.filling = rm.ScopeMetrics().At(rm.ScopeMetrics().Len() - 1).Metrics().AppendEmpty()
	p.filling.SetName(like.Name())
	p.filling.SetUnit(like.Unit())
	p.filling.SetDescription(like.Description())
	like.Metadata().CopyTo(p.filling.Metadata())
	switch like.Type() {
	case pmetric.MetricTypeGauge:
		p.filling.SetEmptyGauge()
	case pmetric.MetricTypeSum:
		sum := p.filling.SetEmptySum()
		sum.SetIsMonotonic(like.Sum().IsMonotonic())
		sum.SetAggregationTemporality(like.Sum().AggregationTemporality())
	case pmetric.MetricTypeHistogram:
		p.filling.SetEmptyHistogram().SetAggregationTemporality(like.Histogram().AggregationTemporality())
	case pmetric.MetricTypeExponentialHistogram:
		p.filling.SetEmptyExponentialHistogram().SetAggregationTemporality(like.ExponentialHistogram().AggregationTemporality())
	case pmetric.MetricTypeSummary:
		p.filling.SetEmptySummary()
	}
	return p.filling
}

// each calls f for every point, with where its metric stands and with what moves it into another metric of the kind.
func each(md pmetric.Metrics, f func(r, s, m int, metric pmetric.Metric, t pcommon.Timestamp, moveTo func(to pmetric.Metric))) {
	for r := range md.ResourceMetrics().Len() {
		scopes := md.ResourceMetrics().At(r).ScopeMetrics()
		for s := range scopes.Len() {
			metrics := scopes.At(s).Metrics()
			for m := range metrics.Len() {
				metric := metrics.At(m)
				switch metric.Type() {
				case pmetric.MetricTypeGauge:
					for _, p := range metric.Gauge().DataPoints().All() {
						f(r, s, m, metric, p.Timestamp(), func(to pmetric.Metric) { p.MoveTo(to.Gauge().DataPoints().AppendEmpty()) })
					}
				case pmetric.MetricTypeSum:
					for _, p := range metric.Sum().DataPoints().All() {
						f(r, s, m, metric, p.Timestamp(), func(to pmetric.Metric) { p.MoveTo(to.Sum().DataPoints().AppendEmpty()) })
					}
				case pmetric.MetricTypeHistogram:
					for _, p := range metric.Histogram().DataPoints().All() {
						f(r, s, m, metric, p.Timestamp(), func(to pmetric.Metric) { p.MoveTo(to.Histogram().DataPoints().AppendEmpty()) })
					}
				case pmetric.MetricTypeExponentialHistogram:
					for _, p := range metric.ExponentialHistogram().DataPoints().All() {
						f(r, s, m, metric, p.Timestamp(), func(to pmetric.Metric) {
							p.MoveTo(to.ExponentialHistogram().DataPoints().AppendEmpty())
						})
					}
				case pmetric.MetricTypeSummary:
					for _, p := range metric.Summary().DataPoints().All() {
						f(r, s, m, metric, p.Timestamp(), func(to pmetric.Metric) { p.MoveTo(to.Summary().DataPoints().AppendEmpty()) })
					}
				}
			}
		}
	}
}
