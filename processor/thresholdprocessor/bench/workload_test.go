package bench

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/pdata/pmetric"

	"github.com/otelcol-escalation/otelcol-escalation/internal/alert"
)

// The names of the benchmarks say what the workload is; this holds them to it.
func TestWorkload(t *testing.T) {
	const points = 10_000
	tagged := func(s step) (n int) {
		md := copies(fleet(points), 1)[0]
		require.Equal(t, points, md.DataPointCount())
		s(md)
		require.Equal(t, points, md.DataPointCount(), "nothing is dropped")
		for _, rm := range md.ResourceMetrics().All() {
			for _, m := range rm.ScopeMetrics().At(0).Metrics().All() {
				if m.Type() != pmetric.MetricTypeGauge {
					continue
				}
				for _, p := range m.Gauge().DataPoints().All() {
					require.GreaterOrEqual(t, p.Attributes().Len(), 5)
					if _, ok := p.Attributes().Get(alert.AttrSeverity); ok {
						n++
					}
				}
			}
		}
		return n
	}
	assert.Zero(t, tagged(threshold(t, rules(50, never, nil))), "quiet")
	assert.InDelta(t, points/10, tagged(threshold(t, rules(gauges, 0.8, nil))), points/200, "10 % breach")
	assert.Zero(t, tagged(filter(t, 50)))
	assert.Equal(t, points/2, tagged(insertAttribute(t)), "all gauges, which are half of the points")
}

// Nothing is allocated for a batch in which nothing breaches, over the whole way through the processor.
func TestQuietPathAllocatesNothing(t *testing.T) {
	for name, more := range map[string]map[string]any{"quiet": nil, "tracked": noData} {
		t.Run(name, func(t *testing.T) {
			s := threshold(t, rules(50, never, more))
			batches := copies(fleet(1_000), 12)
			s(batches[0])
			i := 0
			// An average of less than one is a whole number of none: the ticking goroutine allocates, too.
			assert.Zero(t, testing.AllocsPerRun(10, func() { i++; s(batches[i]) }))
		})
	}
}
