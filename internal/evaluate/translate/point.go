package translate

import (
	"math"
	"strings"

	"github.com/prometheus/prometheus/model/histogram"
	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/pmetric"

	"github.com/otelcol-escalation/otelcol-escalation/internal/alert"
)

// metric copies a wanted metric's points, deltas added up, and reports whether there are any.
func (s *session) metric(m, to pmetric.Metric, c *choice, o *origin) bool {
	to.SetName(m.Name())
	to.SetUnit(m.Unit())
	tagged := !strings.HasPrefix(m.Name(), ownPrefix)
	switch m.Type() {
	case pmetric.MetricTypeGauge:
		points := to.SetEmptyGauge().DataPoints()
		s.numbers(m, m.Gauge().DataPoints(), points, tagged, nil)
		return points.Len() > 0
	case pmetric.MetricTypeSum:
		sum := to.SetEmptySum()
		sum.SetIsMonotonic(m.Sum().IsMonotonic())
		delta, ok := s.temporality(m.Sum().AggregationTemporality(), o, m, c)
		if !ok {
			return false
		}
		sum.SetAggregationTemporality(pmetric.AggregationTemporalityCumulative)
		s.numbers(m, m.Sum().DataPoints(), sum.DataPoints(), tagged, delta)
		return sum.DataPoints().Len() > 0
	case pmetric.MetricTypeHistogram:
		delta, ok := s.temporality(m.Histogram().AggregationTemporality(), o, m, c)
		if !ok {
			return false
		}
		h := to.SetEmptyHistogram()
		h.SetAggregationTemporality(pmetric.AggregationTemporalityCumulative)
		s.histograms(m.Histogram().DataPoints(), h.DataPoints(), c, tagged, delta)
		return h.DataPoints().Len() > 0
	case pmetric.MetricTypeExponentialHistogram:
		delta, ok := s.temporality(m.ExponentialHistogram().AggregationTemporality(), o, m, c)
		if !ok {
			return false
		}
		h := to.SetEmptyExponentialHistogram()
		h.SetAggregationTemporality(pmetric.AggregationTemporalityCumulative)
		s.exponentials(m.ExponentialHistogram().DataPoints(), h.DataPoints(), tagged, delta)
		return h.DataPoints().Len() > 0
	case pmetric.MetricTypeSummary:
		points := to.SetEmptySummary().DataPoints()
		s.summaries(m.Summary().DataPoints(), points, c, tagged)
		return points.Len() > 0
	}
	return false
}

// temporality returns the key of a delta metric's streams, nil for a cumulative one.
func (s *session) temporality(of pmetric.AggregationTemporality, o *origin, m pmetric.Metric, c *choice) (delta *uint64, ok bool) {
	switch of {
	case pmetric.AggregationTemporalityCumulative:
		return nil, true
	case pmetric.AggregationTemporalityDelta:
		key := o.metric(m, c.kind)
		return &key, true
	default:
		s.counts.Untranslatable++
		return nil, false
	}
}

// ownPrefix begins the names of metrics that this project emits. The attributes that are tags on other metrics' points
// are the identity of theirs.
const ownPrefix = "alert."

// attributes copies a point's attributes without this project's tags, and reports false for a point that has one
// without a valid character in its name: the library would leave out the rest of the metric with it.
func (s *session) attributes(from, to pcommon.Map, tagged bool) bool {
	tags, escaped := false, !s.t.settings.AllowUTF8
	for key := range from.All() {
		if escaped && !s.t.nameable(key) {
			s.counts.Untranslatable++
			return false
		}
		tags = tags || isTag(key)
	}
	from.CopyTo(to)
	if tagged && tags {
		to.RemoveIf(func(key string, _ pcommon.Value) bool { return isTag(key) })
	}
	return true
}

// nameable says whether an attribute's name can become a label's.
func (t *Translator) nameable(key string) bool {
	if key != "" {
		if c := key[0]; 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' {
			return true
		}
	}
	_, err := t.labels.Build(key)
	return err == nil
}

func isTag(key string) bool {
	switch key {
	case alert.AttrRule, alert.AttrSeverity, alert.AttrOwner:
		return true
	}
	return false
}

func (s *session) numbers(m pmetric.Metric, from, to pmetric.NumberDataPointSlice, tagged bool, delta *uint64) {
	blanks := strings.HasPrefix(m.Name(), blankPrefix)
	to.EnsureCapacity(from.Len())
	for _, p := range from.All() {
		if !s.timed(p.Timestamp()) {
			continue
		}
		none := p.Flags().NoRecordedValue()
		if !none && (p.ValueType() == pmetric.NumberDataPointValueTypeEmpty || blanks && isBlank(p)) {
			s.counts.Missing++
			continue
		}
		made := pmetric.NewNumberDataPoint()
		if !s.attributes(p.Attributes(), made.Attributes(), tagged) {
			continue
		}
		made.SetTimestamp(p.Timestamp())
		made.SetStartTimestamp(p.StartTimestamp())
		made.SetFlags(p.Flags())
		switch p.ValueType() {
		case pmetric.NumberDataPointValueTypeInt:
			made.SetIntValue(p.IntValue())
		case pmetric.NumberDataPointValueTypeDouble:
			made.SetDoubleValue(p.DoubleValue())
		}
		if delta != nil && !none && !s.counted(s.t.deltas.number(mix(*delta, hashAttributes(made.Attributes())), made, s.now)) {
			continue
		}
		made.MoveTo(to.AppendEmpty())
	}
}

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

func (s *session) histograms(from, to pmetric.HistogramDataPointSlice, c *choice, tagged bool, delta *uint64) {
	to.EnsureCapacity(from.Len())
	for _, p := range from.All() {
		if !s.timed(p.Timestamp()) {
			continue
		}
		made := pmetric.NewHistogramDataPoint()
		if !s.attributes(p.Attributes(), made.Attributes(), tagged) {
			continue
		}
		made.SetTimestamp(p.Timestamp())
		made.SetStartTimestamp(p.StartTimestamp())
		made.SetFlags(p.Flags())
		made.SetCount(p.Count())
		if p.HasSum() {
			made.SetSum(p.Sum())
		}
		if c.wanted&partBucket != 0 {
			p.ExplicitBounds().CopyTo(made.ExplicitBounds())
			p.BucketCounts().CopyTo(made.BucketCounts())
			if bound, ok := lastFinite(p.ExplicitBounds()); ok {
				c.family.saw(bound)
			}
		}
		if delta != nil && !p.Flags().NoRecordedValue() &&
			!s.counted(s.t.deltas.histogram(mix(*delta, hashAttributes(made.Attributes())), made, s.now)) {
			continue
		}
		made.MoveTo(to.AppendEmpty())
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

func (s *session) exponentials(from, to pmetric.ExponentialHistogramDataPointSlice, tagged bool, delta *uint64) {
	to.EnsureCapacity(from.Len())
	for _, p := range from.All() {
		if !s.timed(p.Timestamp()) {
			continue
		}
		if p.Scale() < histogram.ExponentialSchemaMin {
			s.counts.Untranslatable++
			continue
		}
		made := pmetric.NewExponentialHistogramDataPoint()
		if !s.attributes(p.Attributes(), made.Attributes(), tagged) {
			continue
		}
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
		if delta != nil && !p.Flags().NoRecordedValue() &&
			!s.counted(s.t.deltas.exponential(mix(*delta, hashAttributes(made.Attributes())), made, s.now)) {
			continue
		}
		made.MoveTo(to.AppendEmpty())
	}
}

func (s *session) summaries(from, to pmetric.SummaryDataPointSlice, c *choice, tagged bool) {
	to.EnsureCapacity(from.Len())
	for _, p := range from.All() {
		if !s.timed(p.Timestamp()) {
			continue
		}
		made := to.AppendEmpty()
		if !s.attributes(p.Attributes(), made.Attributes(), tagged) {
			made.SetTimestamp(0)
			continue
		}
		made.SetTimestamp(p.Timestamp())
		made.SetStartTimestamp(p.StartTimestamp())
		made.SetFlags(p.Flags())
		made.SetCount(p.Count())
		made.SetSum(p.Sum())
		if c.wanted&plain != 0 {
			p.QuantileValues().CopyTo(made.QuantileValues())
		}
	}
	to.RemoveIf(func(p pmetric.SummaryDataPoint) bool { return p.Timestamp() == 0 })
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
