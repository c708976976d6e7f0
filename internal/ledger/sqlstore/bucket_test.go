package sqlstore

import (
	"context"
	"math"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	"pgregory.net/rapid"
)

// sdkBucket asks OpenTelemetry's own implementation for the bucket of a value.
func sdkBucket(t testing.TB, v float64) int32 {
	reader := metric.NewManualReader()
	provider := metric.NewMeterProvider(metric.WithReader(reader), metric.WithView(metric.NewView(
		metric.Instrument{Name: "h"},
		metric.Stream{Aggregation: metric.AggregationBase2ExponentialHistogram{MaxSize: 160, MaxScale: bucketScale}},
	)))
	h, err := provider.Meter("test").Float64Histogram("h")
	require.NoError(t, err)
	h.Record(context.Background(), v)
	var got metricdata.ResourceMetrics
	require.NoError(t, reader.Collect(context.Background(), &got))
	point := got.ScopeMetrics[0].Metrics[0].Data.(metricdata.ExponentialHistogram[float64]).DataPoints[0]
	require.Equal(t, int32(bucketScale), point.Scale)
	require.Equal(t, []uint64{1}, point.PositiveBucket.Counts)
	return point.PositiveBucket.Offset
}

func TestBucketsAreOpenTelemetrys(t *testing.T) {
	values := []float64{shortest, 0.001, 0.5, 1, 1.5, 2, 3, 60, 900, 3600, 86400, longest}
	for e := -29; e < 33; e++ {
		// Around powers of two, where rounding may go to the wrong side.
		p := math.Ldexp(1, e)
		values = append(values, p, math.Nextafter(p, 0), math.Nextafter(p, math.Inf(1)))
	}
	for _, v := range values {
		got, zero := bucketOf(v)
		assert.False(t, zero)
		assert.Equal(t, sdkBucket(t, v), got, "%v", v)
	}
	rapid.Check(t, func(t *rapid.T) {
		v := rapid.Float64Range(shortest, longest).Draw(t, "seconds")
		got, _ := bucketOf(v)
		// Right at a bound between two powers of two the SDK's logarithm may round; a value apart from it may not.
		base := math.Exp2(1.0 / (1 << bucketScale))
		lower := math.Exp2(float64(got) / (1 << bucketScale))
		if v < lower*(1-1e-12) || v > lower*base*(1+1e-12) {
			t.Fatalf("%v is not in (%v, %v]", v, lower, lower*base)
		}
	})
}

func TestBucketsOfDurations(t *testing.T) {
	for v, want := range map[float64]struct {
		index int32
		zero  bool
	}{
		0:                                        {0, true},
		1e-10:                                    {0, true},
		1:                                        {-1, false}, // bounds above are included
		2:                                        {15, false},
		1e300:                                    {bucketIndex(longest), false}, // clamped
		longest:                                  {bucketIndex(longest), false},
		(time.Duration(math.MaxInt64)).Seconds(): {bucketIndex(longest), false},
	} {
		index, zero := bucketOf(v)
		assert.Equal(t, want.index, index, "%v", v)
		assert.Equal(t, want.zero, zero, "%v", v)
	}
	before := int32(math.MinInt32)
	for v := shortest; v < 1e6; v *= 1.01 {
		index, _ := bucketOf(v)
		require.GreaterOrEqual(t, index, before, "monotonic")
		before = index
	}
}

func bucketIndex(v float64) int32 {
	index, _ := bucketOf(v)
	return index
}
