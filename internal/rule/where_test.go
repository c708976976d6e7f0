package rule

import (
	"context"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/pdata/pmetric"
)

// point is one data point with everything around it.
func point(value float64) (pmetric.ResourceMetrics, pmetric.ScopeMetrics, pmetric.Metric, pmetric.NumberDataPoint) {
	rm := pmetric.NewMetrics().ResourceMetrics().AppendEmpty()
	rm.Resource().Attributes().PutStr("deployment.environment.name", "prod")
	sm := rm.ScopeMetrics().AppendEmpty()
	sm.Scope().SetName("vllm")
	m := sm.Metrics().AppendEmpty()
	m.SetName("vllm:kv_cache_usage_perc")
	m.SetUnit("1")
	dp := m.SetEmptyGauge().DataPoints().AppendEmpty()
	dp.SetDoubleValue(value)
	dp.Attributes().PutStr("model_name", "llama-70b")
	dp.Attributes().PutInt("engine", 3)
	return rm, sm, m, dp
}

func TestWhere(t *testing.T) {
	tests := []struct {
		where string
		want  bool
	}{
		{`resource.attributes["deployment.environment.name"] == "prod"`, true},
		{`resource.attributes["deployment.environment.name"] == "dev"`, false},
		{`resource.attributes["missing"] == "dev"`, false},
		{`resource.attributes["missing"] == nil`, true},
		{`datapoint.attributes["engine"] >= 3 and scope.name == "vllm"`, true},
		{`datapoint.attributes["engine"] == "3"`, false},
		{`IsMatch(datapoint.attributes["model_name"], "^(llama|qwen)-")`, true},
		{`not IsMatch(datapoint.attributes["model_name"], "^mistral")`, true},
		{`datapoint.value_double > 0.5 or metric.unit == "%"`, true},
		{`metric.type == METRIC_DATA_TYPE_GAUGE`, true},
		{`Len(datapoint.attributes["model_name"]) == 9`, true},
	}
	for _, tt := range tests {
		t.Run(tt.where, func(t *testing.T) {
			r := load(t, "where: '"+tt.where+"'")
			rm, sm, m, dp := point(0.97)
			got, err := r.Where.Match(context.Background(), rm, sm, m, dp)
			require.NoError(t, err)
			assert.Equal(t, tt.want, got)
			assert.Equal(t, tt.where, r.Where.String())
		})
	}
}

// TestWhereError is a condition that can only be decided to be wrong when a point comes.
func TestWhereError(t *testing.T) {
	r := load(t, `where: 'Len(datapoint.attributes["engine"]) > 1'`)
	rm, sm, m, dp := point(0.97)
	_, err := r.Where.Match(context.Background(), rm, sm, m, dp)
	require.Error(t, err)
}

// TestWhereAllocates counts what OTTL itself allocates per point: the point and its context as interfaces. Pooling the
// context keeps it at that.
func TestWhereAllocates(t *testing.T) {
	r := load(t, `where: 'resource.attributes["deployment.environment.name"] == "prod" and datapoint.attributes["engine"] == 3'`)
	rm, sm, m, dp := point(0.97)
	allocs := testing.AllocsPerRun(1000, func() {
		if ok, err := r.Where.Match(context.Background(), rm, sm, m, dp); !ok || err != nil {
			t.Fatal(ok, err)
		}
	})
	assert.LessOrEqual(t, allocs, 3.0, "two, and one more where the race detector empties pools")
}

func BenchmarkWhere(b *testing.B) {
	d := newDecoder("", Defaults{})
	w := d.where(d.root(scalar("!!str", `resource.attributes["deployment.environment.name"] == "prod"`), "where"))
	require.Empty(b, d.errs)
	rm, sm, m, dp := point(0.97)
	b.ReportAllocs()
	for b.Loop() {
		if ok, err := w.Match(context.Background(), rm, sm, m, dp); !ok || err != nil {
			b.Fatal(ok, err)
		}
	}
}
