package translate

import (
	"context"
	"fmt"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/pmetric"
	"pgregory.net/rapid"
)

func stamp(t time.Time) pcommon.Timestamp { return pcommon.NewTimestampFromTime(t) }

// draws make random metrics. Names, units and attributes are those that translation has to do something about.
type draws struct {
	*rapid.T
	// odd allows what Prometheus' endpoint rejects a whole batch for.
	odd bool
	// deltas allows delta temporality.
	deltas bool
	metric int
}

var (
	metricNames = []string{"http.server.request.duration", "queue_size", "0.starts.with.digit", "process.cpu.time.total", "müll.menge", "a:b", "temp_ratio", "x__y", "DCGM_FI_DEV_GPU_UTIL", "requests_count", "alert.state"}
	units       = []string{"", "1", "s", "ms", "By", "By/s", "{request}", "{request}/s", "%", "Cel", "m/s", "foo/bar"}
	attributes  = []string{"http.method", "http_method", "_private", "__reserved__", "9lives", "le", "quantile", "job", "instance", "k8s.pod.name", "größe", "__name__", "a..b", "code"}
	resources   = []string{"service.name", "service.namespace", "service.instance.id", "service.version", "host.name", "k8s.pod.name", "team-name"}
	texts       = []string{"", "GET", "a b", "ü", "x;y"}
	odd         = []string{"", "___", "。"}
)

func (d *draws) attributes(label string, m pcommon.Map) {
	names := attributes
	if d.odd {
		names = append(names[:len(names):len(names)], odd...)
	}
	for _, name := range rapid.SliceOfNDistinct(rapid.SampledFrom(names), 0, 4, rapid.ID).Draw(d.T, label) {
		switch rapid.IntRange(0, 5).Draw(d.T, "type") {
		case 0:
			m.PutInt(name, rapid.Int64().Draw(d.T, "int"))
		case 1:
			m.PutDouble(name, rapid.Float64().Draw(d.T, "double"))
		case 2:
			m.PutBool(name, rapid.Bool().Draw(d.T, "bool"))
		case 3:
			m.PutEmptySlice(name).AppendEmpty().SetStr("in a list")
		default:
			m.PutStr(name, rapid.SampledFrom(texts).Draw(d.T, "text"))
		}
	}
}

func (d *draws) metrics() pmetric.Metrics {
	md := pmetric.NewMetrics()
	for range rapid.IntRange(1, 3).Draw(d.T, "resources") {
		rm := md.ResourceMetrics().AppendEmpty()
		names := resources
		if d.odd {
			names = append(names[:len(names):len(names)], "ß")
		}
		for _, name := range rapid.SliceOfNDistinct(rapid.SampledFrom(names), 0, 5, rapid.ID).Draw(d.T, "resource") {
			rm.Resource().Attributes().PutStr(name, rapid.SampledFrom(texts).Draw(d.T, "value"))
		}
		for range rapid.IntRange(1, 2).Draw(d.T, "scopes") {
			sm := rm.ScopeMetrics().AppendEmpty()
			sm.SetSchemaUrl("https://opentelemetry.io/schemas/1.27.0")
			sm.Scope().SetName(rapid.SampledFrom([]string{"", "lib"}).Draw(d.T, "scope"))
			sm.Scope().SetVersion(rapid.SampledFrom([]string{"", "1.2"}).Draw(d.T, "version"))
			sm.Scope().Attributes().PutStr("build", "x")
			for range rapid.IntRange(0, 3).Draw(d.T, "metrics") {
				d.one(sm.Metrics().AppendEmpty())
			}
		}
	}
	// What has been sent is what can be compared: the wire has no -0, for one.
	sent, err := (&pmetric.ProtoUnmarshaler{}).UnmarshalMetrics([]byte(wire(d.T, md)))
	require.NoError(d.T, err)
	return sent
}

func (d *draws) temporality() pmetric.AggregationTemporality {
	if d.deltas && rapid.Bool().Draw(d.T, "delta") {
		return pmetric.AggregationTemporalityDelta
	}
	if d.odd && rapid.IntRange(0, 9).Draw(d.T, "temporality") == 0 {
		return pmetric.AggregationTemporalityUnspecified
	}
	return pmetric.AggregationTemporalityCumulative
}

// one fills a metric. Names carry a number, so that no two make the same series: of two samples at one time storage
// keeps one and the endpoint takes back both.
func (d *draws) one(m pmetric.Metric) {
	d.metric++
	m.SetName(fmt.Sprintf("%s.n%d", rapid.SampledFrom(metricNames).Draw(d.T, "name"), d.metric))
	if d.odd && rapid.IntRange(0, 9).Draw(d.T, "odd name") == 0 {
		m.SetName(rapid.SampledFrom(odd[1:]).Draw(d.T, "name")) // not "": nobody can select what has no name
	}
	m.SetUnit(rapid.SampledFrom(units).Draw(d.T, "unit"))
	m.SetDescription("what nobody needs")
	points := rapid.IntRange(1, 4).Draw(d.T, "points")
	if d.odd && rapid.IntRange(0, 9).Draw(d.T, "none") == 0 {
		points = 0
	}
	switch rapid.IntRange(0, 4).Draw(d.T, "type") {
	case 0:
		g := m.SetEmptyGauge()
		for i := range points {
			d.number(g.DataPoints().AppendEmpty(), i)
		}
	case 1:
		s := m.SetEmptySum()
		s.SetIsMonotonic(rapid.Bool().Draw(d.T, "monotonic"))
		s.SetAggregationTemporality(d.temporality())
		for i := range points {
			d.number(s.DataPoints().AppendEmpty(), i)
		}
	case 2:
		h := m.SetEmptyHistogram()
		h.SetAggregationTemporality(d.temporality())
		for i := range points {
			d.histogram(h.DataPoints().AppendEmpty(), i)
		}
	case 3:
		h := m.SetEmptyExponentialHistogram()
		h.SetAggregationTemporality(d.temporality())
		for i := range points {
			d.exponential(h.DataPoints().AppendEmpty(), i)
		}
	case 4:
		s := m.SetEmptySummary()
		for i := range points {
			d.summary(s.DataPoints().AppendEmpty(), i)
		}
	}
}

// timed is what all points have; d.T draws the rest. Attribute "n" keeps the points of a metric apart.
func (d *draws) timed(p interface {
	SetTimestamp(pcommon.Timestamp)
	SetStartTimestamp(pcommon.Timestamp)
	SetFlags(pmetric.DataPointFlags)
	Attributes() pcommon.Map
}, i int) {
	at := noon.Add(-time.Duration(rapid.IntRange(0, 600_000).Draw(d.T, "ms")) * time.Millisecond)
	p.SetTimestamp(stamp(at))
	if rapid.Bool().Draw(d.T, "start") {
		p.SetStartTimestamp(stamp(at.Add(-time.Hour)))
	}
	if rapid.IntRange(0, 9).Draw(d.T, "stale") == 0 {
		p.SetFlags(pmetric.DefaultDataPointFlags.WithNoRecordedValue(true))
	}
	d.attributes("attributes", p.Attributes())
	p.Attributes().PutInt("n", int64(i))
}

var doubles = rapid.OneOf(rapid.Float64Range(-1e6, 1e6), rapid.SampledFrom([]float64{0, math.NaN(), math.Inf(1), math.Inf(-1), math.MaxFloat64}))

func (d *draws) number(p pmetric.NumberDataPoint, i int) {
	d.timed(p, i)
	switch {
	case rapid.Bool().Draw(d.T, "int"):
		p.SetIntValue(rapid.Int64Range(-1e15, 1e15).Draw(d.T, "value"))
	default:
		p.SetDoubleValue(doubles.Draw(d.T, "value"))
	}
	if rapid.IntRange(0, 4).Draw(d.T, "exemplar") == 0 {
		e := p.Exemplars().AppendEmpty()
		e.SetTimestamp(p.Timestamp())
		e.SetDoubleValue(1)
		e.SetTraceID([16]byte{1})
	}
}

func (d *draws) histogram(p pmetric.HistogramDataPoint, i int) {
	d.timed(p, i)
	bound := rapid.Float64Range(-10, 10).Draw(d.T, "bound")
	n := rapid.IntRange(0, 4).Draw(d.T, "bounds")
	count := uint64(0)
	for j := range n + 1 {
		if j < n {
			p.ExplicitBounds().Append(bound)
			bound += rapid.Float64Range(0.1, 100).Draw(d.T, "width")
		}
		c := rapid.Uint64Range(0, 1000).Draw(d.T, "count")
		p.BucketCounts().Append(c)
		count += c
	}
	p.SetCount(count)
	if rapid.Bool().Draw(d.T, "sum") {
		p.SetSum(doubles.Draw(d.T, "value"))
	}
}

func (d *draws) exponential(p pmetric.ExponentialHistogramDataPoint, i int) {
	d.timed(p, i)
	lowest := -4
	if d.odd {
		lowest = -6
	}
	p.SetScale(int32(rapid.IntRange(lowest, 12).Draw(d.T, "scale")))
	p.SetZeroCount(rapid.Uint64Range(0, 10).Draw(d.T, "zero"))
	count := p.ZeroCount()
	for _, side := range []pmetric.ExponentialHistogramDataPointBuckets{p.Positive(), p.Negative()} {
		side.SetOffset(rapid.Int32Range(-300, 300).Draw(d.T, "offset"))
		for range rapid.IntRange(0, 12).Draw(d.T, "buckets") {
			c := rapid.SampledFrom([]uint64{0, 0, 0, 1, 5, 100}).Draw(d.T, "count")
			side.BucketCounts().Append(c)
			count += c
		}
	}
	p.SetCount(count)
	if d.odd && rapid.IntRange(0, 9).Draw(d.T, "miscounted") == 0 {
		p.SetCount(count + 1)
	}
	if rapid.Bool().Draw(d.T, "sum") {
		p.SetSum(rapid.Float64Range(-1e6, 1e6).Draw(d.T, "value"))
	}
}

func (d *draws) summary(p pmetric.SummaryDataPoint, i int) {
	d.timed(p, i)
	p.SetCount(rapid.Uint64Range(0, 1000).Draw(d.T, "count"))
	p.SetSum(doubles.Draw(d.T, "sum"))
	for _, quantile := range rapid.SliceOfNDistinct(rapid.SampledFrom([]float64{0, 0.5, 0.9, 0.99, 1}), 0, 3, rapid.ID).Draw(d.T, "quantiles") {
		q := p.QuantileValues().AppendEmpty()
		q.SetQuantile(quantile)
		q.SetValue(doubles.Draw(d.T, "value"))
	}
}

// Random metrics of all types become sample by sample what Prometheus' endpoint makes of them, and the batch stays as it
// was.
func TestRandomMetricsAreWhatPrometheusMakesOfThem(t *testing.T) {
	all := configurations()
	rapid.Check(t, func(r *rapid.T) {
		opts := rapid.SampledFrom(all).Draw(r, "options")
		md := (&draws{T: r}).metrics()
		want, got := &recorder{}, &recorder{}
		theirs := newEndpoint(opts, want, false)
		theirs.send(r, md)
		require.Empty(r, theirs.said, "nothing in it that the endpoint rejects")
		before := wire(r, md)
		counts := New(opts, got).Consume(context.Background(), md, noon)
		require.Equal(r, want.sorted(), got.sorted())
		assert.True(r, before == wire(r, md))
		assert.Equal(r, Counts{Appended: len(got.samples)}, counts)
	})
}

// The same through Prometheus' storage: what can be read is equal too.
func TestRandomMetricsInPrometheusStorage(t *testing.T) {
	all := configurations()
	theirStorage, ourStorage := storageOf(t), storageOf(t)
	sink := &stored{to: ourStorage}
	batch := 0
	rapid.Check(t, func(r *rapid.T) {
		opts := rapid.SampledFrom(all).Draw(r, "options")
		d := &draws{T: r, metric: batch * 1000}
		batch++
		md := d.metrics()
		theirs := newEndpoint(opts, theirStorage, false)
		theirs.send(r, md)
		if theirs.said != "" {
			r.Skip("samples of target_info at one time, or labels that are the same after translation: " + theirs.said)
		}
		New(opts, sink).Consume(context.Background(), md, noon)
		sink.commit(r)
	})
	require.Equal(t, contents(t, theirStorage), contents(t, ourStorage))
}

// Of batches that the endpoint would reject as a whole everything is taken that it would take if it came by itself.
func TestOnePointThatCannotBeTranslatedCostsOnlyItself(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		opts := rapid.SampledFrom(configurations()).Draw(r, "options")
		md := (&draws{T: r, odd: true}).metrics()
		want, got := &recorder{}, &recorder{}
		theirs := newEndpoint(opts, want, false)
		for _, single := range singles(md) {
			theirs.send(r, single)
		}
		New(opts, got).Consume(context.Background(), md, noon)
		// target_info's samples depend on what else is in a batch.
		alone := func(sample string) bool { return !strings.Contains(sample, `__name__="target_info"`) }
		require.Equal(r, only(want.sorted(), alone), only(got.sorted(), alone))
	})
}
