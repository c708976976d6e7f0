package calibrationreceiver

import (
	"maps"
	"slices"

	"go.opentelemetry.io/collector/pdata/pmetric"

	"github.com/otelcol-escalation/otelcol-escalation/internal/ledger"
)

// maxBuckets is how many buckets one exponential histogram may span: what OpenTelemetry's SDKs keep to by default, and
// backends therefore take.
const maxBuckets = 160

// histogram appends the distributions of a metric.
func (b *builder) histogram(name, description string, all []ledger.Histogram) {
	h := b.metric(name, description).SetEmptyExponentialHistogram()
	h.SetAggregationTemporality(pmetric.AggregationTemporalityCumulative)
	for i := range all {
		if all[i].Metric != name || all[i].Count == 0 {
			continue
		}
		point := h.DataPoints().AppendEmpty()
		point.SetStartTimestamp(b.since)
		point.SetTimestamp(b.now)
		putKey(point.Attributes(), all[i].CounterKey)
		fill(point, &all[i])
	}
}

// fill writes a distribution into a point. One that spans more than maxBuckets is told at a coarser scale: halving the
// scale merges each two neighbouring buckets, exactly.
func fill(point pmetric.ExponentialHistogramDataPoint, h *ledger.Histogram) {
	point.SetCount(h.Count)
	point.SetZeroCount(h.Zero)
	point.SetSum(h.Sum)
	point.SetMin(h.Min)
	point.SetMax(h.Max)
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
