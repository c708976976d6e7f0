package bench

import (
	"fmt"
	"math/rand/v2"
	"time"

	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/pmetric"
)

// The workload: what a fleet of model servers sends through a gateway.
const (
	resources = 10
	gauges    = 10 // per resource, as are the others
	counters  = 5
	explicits = 3
	exponents = 2
	kinds     = gauges + counters + explicits + exponents
)

// name is that of a metric; gauges come first.
func name(kind int) string { return fmt.Sprintf("model.server.metric.%02d", kind) }

// fleet makes a batch of n points, n a multiple of resources × kinds, each with five attributes. The values of gauges
// are spread evenly over [0, 1).
func fleet(n int) pmetric.Metrics {
	random := rand.New(rand.NewPCG(7, 11))
	md := pmetric.NewMetrics()
	for r := range resources {
		rm := md.ResourceMetrics().AppendEmpty()
		attrs := rm.Resource().Attributes()
		attrs.PutStr("service.name", fmt.Sprintf("server-%02d", r))
		attrs.PutStr("service.namespace", "serving")
		attrs.PutStr("service.instance.id", fmt.Sprintf("5f0c1a52-0000-4000-8000-%012d", r))
		attrs.PutStr("host.name", fmt.Sprintf("gpu-%02d", r))
		attrs.PutStr("deployment.environment.name", "prod")
		sm := rm.ScopeMetrics().AppendEmpty()
		sm.Scope().SetName("github.com/example/server")
		for kind := range kinds {
			m := sm.Metrics().AppendEmpty()
			m.SetName(name(kind))
			m.SetUnit("1")
			m.SetDescription("One of the things that a model server says about itself.")
			for i := range n / (resources * kinds) {
				addPoint(m, kind, i, random)
			}
		}
	}
	stamp(md, time.Now())
	return md
}

// addPoint adds the i-th point of a metric.
func addPoint(m pmetric.Metric, kind, i int, random *rand.Rand) {
	switch {
	case kind < gauges:
		if i == 0 {
			m.SetEmptyGauge()
		}
		p := m.Gauge().DataPoints().AppendEmpty()
		p.SetDoubleValue(random.Float64())
		describe(p.Attributes(), i)
	case kind < gauges+counters:
		if i == 0 {
			m.SetEmptySum().SetIsMonotonic(true)
			m.Sum().SetAggregationTemporality(pmetric.AggregationTemporalityCumulative)
		}
		p := m.Sum().DataPoints().AppendEmpty()
		p.SetIntValue(random.Int64N(1 << 20))
		describe(p.Attributes(), i)
	case kind < gauges+counters+explicits:
		if i == 0 {
			m.SetEmptyHistogram().SetAggregationTemporality(pmetric.AggregationTemporalityCumulative)
		}
		p := m.Histogram().DataPoints().AppendEmpty()
		p.ExplicitBounds().FromRaw([]float64{.001, .005, .02, .05, .1, .3, .7, 1.5, 3, 7, 15})
		counts, total := buckets(12, 900, random)
		p.BucketCounts().FromRaw(counts)
		p.SetCount(total)
		p.SetSum(float64(total) / 3)
		describe(p.Attributes(), i)
	default:
		if i == 0 {
			m.SetEmptyExponentialHistogram().SetAggregationTemporality(pmetric.AggregationTemporalityCumulative)
		}
		p := m.ExponentialHistogram().DataPoints().AppendEmpty()
		p.SetScale(3)
		counts, total := buckets(40, 60, random)
		p.Positive().SetOffset(-12)
		p.Positive().BucketCounts().FromRaw(counts)
		p.SetCount(total)
		p.SetSum(float64(total) / 3)
		describe(p.Attributes(), i)
	}
}

func buckets(n int, most uint64, random *rand.Rand) (counts []uint64, total uint64) {
	for range n {
		c := random.Uint64N(most)
		counts = append(counts, c)
		total += c
	}
	return counts, total
}

func describe(attrs pcommon.Map, i int) {
	attrs.EnsureCapacity(5)
	attrs.PutStr("model.name", fmt.Sprintf("model-%d", i%8))
	attrs.PutStr("model.version", fmt.Sprintf("v%d", i%4))
	attrs.PutStr("tenant", fmt.Sprintf("tenant-%03d", i%50))
	attrs.PutStr("region", fmt.Sprintf("region-%d", i%3))
	attrs.PutInt("shard", int64(i))
}

// stamp sets the time of every point: a batch that comes twice with the same times is a repetition, not data.
func stamp(md pmetric.Metrics, at time.Time) {
	now, start := pcommon.NewTimestampFromTime(at), pcommon.NewTimestampFromTime(at.Add(-time.Hour))
	for _, rm := range md.ResourceMetrics().All() {
		for _, m := range rm.ScopeMetrics().At(0).Metrics().All() {
			switch m.Type() {
			case pmetric.MetricTypeGauge:
				stampAll(m.Gauge().DataPoints().All(), start, now)
			case pmetric.MetricTypeSum:
				stampAll(m.Sum().DataPoints().All(), start, now)
			case pmetric.MetricTypeHistogram:
				stampAll(m.Histogram().DataPoints().All(), start, now)
			case pmetric.MetricTypeExponentialHistogram:
				stampAll(m.ExponentialHistogram().DataPoints().All(), start, now)
			}
		}
	}
}

type stamped interface {
	SetTimestamp(pcommon.Timestamp)
	SetStartTimestamp(pcommon.Timestamp)
}

func stampAll[P stamped](points func(yield func(int, P) bool), start, now pcommon.Timestamp) {
	for _, p := range points {
		p.SetStartTimestamp(start)
		p.SetTimestamp(now)
	}
}
