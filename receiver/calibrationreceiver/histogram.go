package calibrationreceiver

import (
	"maps"
	"math"
	"slices"

	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/pmetric"

	"github.com/otelcol-escalation/otelcol-escalation/internal/ledger"
)

// maxBuckets is how many buckets one exponential histogram may span: what OpenTelemetry's SDKs keep to by default, and
// backends therefore take.
const maxBuckets = 160

// histogram appends the distributions of a metric, in seconds.
func (s *snapshot) histogram(b *builder, name, description string) {
	metric := b.metric(name, description).SetEmptyExponentialHistogram()
	metric.SetAggregationTemporality(pmetric.AggregationTemporalityCumulative)
	put := func(k series, h *ledger.Histogram, since pcommon.Timestamp) {
		if h.Count == 0 {
			return
		}
		point := metric.DataPoints().AppendEmpty()
		point.SetStartTimestamp(since)
		point.SetTimestamp(b.now)
		putKey(point.Attributes(), k)
		fill(point, h)
	}
	for i := range s.histograms {
		if h := &s.histograms[i]; h.Metric == name {
			put(seriesOf(h.CounterKey), h, b.since)
		}
	}
	if s.rest != nil && s.rest.histograms[name] != nil {
		put(series{of: ofRest}, s.rest.histograms[name], stamp(s.restSince))
	}
}

// fill writes a distribution into a point. One that spans more than maxBuckets is told at a coarser scale: halving the
// scale merges each two neighbouring buckets, exactly.
func fill(point pmetric.ExponentialHistogramDataPoint, h *ledger.Histogram) {
	point.SetCount(h.Count)
	point.SetZeroCount(h.Zero)
	point.SetSum(h.Sum)
	if !math.IsNaN(h.Min) { // nobody knows those of a part
		point.SetMin(h.Min)
		point.SetMax(h.Max)
	}
	point.SetScale(h.Scale)
	if len(h.Buckets) == 0 {
		return
	}
	indexes := slices.Sorted(maps.Keys(h.Buckets))
	first, last := indexes[0], indexes[len(indexes)-1]
	shift := 0
	for int64(last>>shift)-int64(first>>shift) >= maxBuckets {
		shift++
	}
	point.SetScale(h.Scale - int32(shift))
	point.Positive().SetOffset(first >> shift)
	counts := make([]uint64, (last>>shift)-(first>>shift)+1)
	for _, i := range indexes {
		counts[(i>>shift)-(first>>shift)] += h.Buckets[i]
	}
	point.Positive().BucketCounts().FromRaw(counts)
}
