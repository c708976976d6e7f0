package translate

import (
	"math"
	"strings"

	"github.com/prometheus/prometheus/model/histogram"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/value"
	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/pmetric"
)

// taken is a wanted metric that a session works on.
type taken struct {
	*choice
	// key is what all of its streams' keys are made from.
	key uint64
	// delta is set where points have to be added up.
	delta bool
	// tagged is set where attributes can be tags.
	tagged bool
}

// metric appends the points of streams that are known, copies the others, and reports whether there are any of those.
// What is copied is cumulative.
func (s *session) metric(m, to pmetric.Metric, c *choice, o *origin) bool {
	to.SetName(m.Name())
	to.SetUnit(m.Unit())
	w := taken{choice: c, key: o.metric(m, c.kind), tagged: !strings.HasPrefix(m.Name(), ownPrefix)}
	switch m.Type() {
	case pmetric.MetricTypeGauge:
		points := to.SetEmptyGauge().DataPoints()
		s.numbers(m, m.Gauge().DataPoints(), points, w)
		return points.Len() > 0
	case pmetric.MetricTypeSum:
		sum := to.SetEmptySum()
		sum.SetIsMonotonic(m.Sum().IsMonotonic())
		sum.SetAggregationTemporality(pmetric.AggregationTemporalityCumulative)
		if !s.temporality(m.Sum().AggregationTemporality(), &w) {
			return false
		}
		s.numbers(m, m.Sum().DataPoints(), sum.DataPoints(), w)
		return sum.DataPoints().Len() > 0
	case pmetric.MetricTypeHistogram:
		h := to.SetEmptyHistogram()
		h.SetAggregationTemporality(pmetric.AggregationTemporalityCumulative)
		if !s.temporality(m.Histogram().AggregationTemporality(), &w) {
			return false
		}
		s.histograms(m.Histogram().DataPoints(), h.DataPoints(), w)
		return h.DataPoints().Len() > 0
	case pmetric.MetricTypeExponentialHistogram:
		h := to.SetEmptyExponentialHistogram()
		h.SetAggregationTemporality(pmetric.AggregationTemporalityCumulative)
		if !s.temporality(m.ExponentialHistogram().AggregationTemporality(), &w) {
			return false
		}
		s.exponentials(m.ExponentialHistogram().DataPoints(), h.DataPoints(), w)
		return h.DataPoints().Len() > 0
	case pmetric.MetricTypeSummary:
		points := to.SetEmptySummary().DataPoints()
		s.summaries(m.Summary().DataPoints(), points, w)
		return points.Len() > 0
	}
	return false
}

func (s *session) temporality(of pmetric.AggregationTemporality, w *taken) bool {
	w.delta = of == pmetric.AggregationTemporalityDelta
	if !w.delta && of != pmetric.AggregationTemporalityCumulative {
		s.counts.Untranslatable++
		return false
	}
	return true
}

// known returns a stream whose labels are known.
func (s *session) known(key uint64, w taken) (stream, bool) {
	st, ok := s.t.known.get(key, w.wanted, s.out.now.Unix())
	if ok && len(s.missed) > 0 {
		_, missed := s.missed[key]
		ok = !missed
	}
	if !ok {
		s.missed[key] = struct{}{}
	}
	return st, ok
}

func (s *session) numbers(m pmetric.Metric, from, to pmetric.NumberDataPointSlice, w taken) {
	blanks := strings.HasPrefix(m.Name(), blankPrefix)
	for _, p := range from.All() {
		if !s.timed(p.Timestamp()) {
			continue
		}
		none := p.Flags().NoRecordedValue()
		if !none && (p.ValueType() == pmetric.NumberDataPointValueTypeEmpty || blanks && isBlank(p)) {
			s.counts.Missing++
			continue
		}
		reading := numberTotal{integer: p.IntValue(), double: p.DoubleValue(), isDouble: p.ValueType() == pmetric.NumberDataPointValueTypeDouble}
		v, start := reading.value(), p.StartTimestamp()
		key := mix(w.key, hashAttributes(p.Attributes(), w.tagged))
		if none {
			v = stale
		} else if w.delta {
			var o outcome
			if v, start, o = s.t.deltas.number(key, start, p.Timestamp(), reading, s.now); !s.counted(o) {
				continue
			}
		}
		if known, ok := s.known(key, w); ok {
			s.out.put(known.labels, ms(start), ms(p.Timestamp()), v, nil)
			continue
		}
		if !s.translatable(p.Attributes()) {
			continue
		}
		made := to.AppendEmpty()
		w.attributes(p.Attributes(), made.Attributes())
		made.SetTimestamp(p.Timestamp())
		made.SetStartTimestamp(s.out.place(pending{key: key, start: ms(start), wanted: w.wanted, keep: true}))
		made.SetFlags(p.Flags())
		made.SetDoubleValue(v)
	}
}

// stale is Prometheus' marker for a series that has ended.
var stale = math.Float64frombits(value.StaleNaN)

// blankPrefix begins the names of DCGM's fields, as its exporter names them.
const blankPrefix = "DCGM_FI_"

// DCGM gives 0x7ffffffffffffff0 and up for "blank", "not found", "not supported" and "not permitted". Exporters pass
// them on as if they were readings, most as a double: there they all are 2^63.
const (
	blankInt    = 0x7ffffffffffffff0
	blankDouble = float64(1 << 63)
)

func isBlank(p pmetric.NumberDataPoint) bool {
	if p.ValueType() == pmetric.NumberDataPointValueTypeInt {
		return p.IntValue() >= blankInt
	}
	return p.DoubleValue() == blankDouble
}

func (s *session) histograms(from, to pmetric.HistogramDataPointSlice, w taken) {
	for _, p := range from.All() {
		if !s.timed(p.Timestamp()) {
			continue
		}
		if w.wanted&partBucket != 0 {
			if bound, ok := lastFinite(p.ExplicitBounds()); ok {
				w.family.saw(bound)
			}
		}
		key := mix(w.key, hashAttributes(p.Attributes(), w.tagged))
		point := p
		if w.delta && !p.Flags().NoRecordedValue() {
			point = pmetric.NewHistogramDataPoint()
			w.histogram(p, point)
			if !s.counted(s.t.deltas.histogram(key, point, s.now)) {
				continue
			}
		}
		if known, ok := s.known(key, w); ok && known.parts.fit(point, w.wanted) {
			s.series(known.parts, point, w.wanted)
			continue
		}
		// Bounds that are new are new series; whatever else of this stream is in the batch stays behind them.
		s.missed[key] = struct{}{}
		if !s.translatable(p.Attributes()) {
			continue
		}
		made := to.AppendEmpty()
		w.histogram(point, made)
		w.attributes(p.Attributes(), made.Attributes())
		labels := &partLabels{}
		if w.wanted&partBucket != 0 {
			labels.bounds = point.ExplicitBounds().AsRaw()[:boundsOf(point)]
		}
		made.SetStartTimestamp(s.out.place(pending{key: key, start: ms(point.StartTimestamp()), wanted: w.wanted, keep: true, parts: labels}))
	}
}

// histogram copies what is wanted of a point, without its attributes.
func (w taken) histogram(from, to pmetric.HistogramDataPoint) {
	to.SetTimestamp(from.Timestamp())
	to.SetStartTimestamp(from.StartTimestamp())
	to.SetFlags(from.Flags())
	to.SetCount(from.Count())
	if from.HasSum() {
		to.SetSum(from.Sum())
	}
	if w.wanted&partBucket != 0 {
		from.ExplicitBounds().CopyTo(to.ExplicitBounds())
		from.BucketCounts().CopyTo(to.BucketCounts())
	}
}

// series appends a histogram as the library does.
func (s *session) series(to *partLabels, p pmetric.HistogramDataPoint, wanted parts) {
	start, at := ms(p.StartTimestamp()), ms(p.Timestamp())
	none := p.Flags().NoRecordedValue()
	put := func(ls labels.Labels, v float64) {
		if none {
			v = stale
		}
		s.out.put(ls, start, at, v, nil)
	}
	if wanted&partSum != 0 && p.HasSum() {
		put(to.sum, p.Sum())
	}
	if wanted&partCount != 0 {
		put(to.count, float64(p.Count()))
	}
	if wanted&partBucket != 0 {
		cumulative := uint64(0)
		for i := range to.bounds {
			cumulative += p.BucketCounts().At(i)
			put(to.buckets[i], float64(cumulative))
		}
		put(to.buckets[len(to.bounds)], float64(p.Count()))
	}
}

func lastFinite(bounds pcommon.Float64Slice) (float64, bool) {
	for i := bounds.Len() - 1; i >= 0; i-- {
		if b := bounds.At(i); !math.IsInf(b, 0) && b == b {
			return b, true
		}
	}
	return 0, false
}

// exponentials and summaries all go to the library: their buckets are more work than their labels, or their number is
// small.
func (s *session) exponentials(from, to pmetric.ExponentialHistogramDataPointSlice, w taken) {
	for _, p := range from.All() {
		if !s.timed(p.Timestamp()) {
			continue
		}
		if p.Scale() < histogram.ExponentialSchemaMin {
			s.counts.Untranslatable++
			continue
		}
		if !s.translatable(p.Attributes()) {
			continue
		}
		made := pmetric.NewExponentialHistogramDataPoint()
		made.SetTimestamp(p.Timestamp())
		made.SetStartTimestamp(p.StartTimestamp())
		made.SetFlags(p.Flags())
		made.SetCount(p.Count())
		made.SetZeroCount(p.ZeroCount())
		made.SetZeroThreshold(p.ZeroThreshold())
		made.SetScale(p.Scale())
		if p.HasSum() {
			made.SetSum(p.Sum())
		}
		p.Positive().CopyTo(made.Positive())
		p.Negative().CopyTo(made.Negative())
		if w.delta && !p.Flags().NoRecordedValue() &&
			!s.counted(s.t.deltas.exponential(mix(w.key, hashAttributes(p.Attributes(), w.tagged)), made, s.now)) {
			continue
		}
		w.attributes(p.Attributes(), made.Attributes())
		made.SetStartTimestamp(s.out.place(pending{start: ms(made.StartTimestamp())}))
		made.MoveTo(to.AppendEmpty())
	}
}

func (s *session) summaries(from, to pmetric.SummaryDataPointSlice, w taken) {
	for _, p := range from.All() {
		if !s.timed(p.Timestamp()) || !s.translatable(p.Attributes()) {
			continue
		}
		made := to.AppendEmpty()
		w.attributes(p.Attributes(), made.Attributes())
		made.SetTimestamp(p.Timestamp())
		made.SetStartTimestamp(s.out.place(pending{start: ms(p.StartTimestamp())}))
		made.SetFlags(p.Flags())
		made.SetCount(p.Count())
		made.SetSum(p.Sum())
		if w.wanted&plain != 0 {
			p.QuantileValues().CopyTo(made.QuantileValues())
		}
	}
}

// counted takes note of what became of a delta point, and reports whether it was added.
func (s *session) counted(o outcome) bool {
	switch o {
	case repeated:
		s.counts.Repeated++
	case overflow:
		s.counts.Overflow++
	case unmergeable:
		s.counts.Untranslatable++
	}
	return o == added
}
