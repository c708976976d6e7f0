package serving

import (
	"net/http"
	"net/http/httptest"
	"testing"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// What vLLM's v1 engine exposes, from its source, typed in by hand a second time.
func TestExpositionIsThatOfVLLM(t *testing.T) {
	e, _, registry := newEngine(t, Size{Slots: 1, Blocks: 4, Queue: 4, Tokens: 64})
	recorder := httptest.NewRecorder()
	(&API{Engine: e, Model: "m", Metrics: registry}).Routes().ServeHTTP(recorder, httptest.NewRequest(http.MethodGet, "/metrics", nil))
	require.Equal(t, 200, recorder.Code)
	parser := expfmt.NewTextParser(model.LegacyValidation)
	families, err := parser.TextToMetricFamilies(recorder.Body)
	require.NoError(t, err)

	request := []float64{0.3, 0.5, 0.8, 1, 1.5, 2, 2.5, 5, 10, 15, 20, 30, 40, 50, 60, 120, 240, 480, 960, 1920, 7680}
	want := map[string]struct {
		kind    dto.MetricType
		buckets []float64
	}{
		"vllm:num_requests_running":    {kind: dto.MetricType_GAUGE},
		"vllm:num_requests_waiting":    {kind: dto.MetricType_GAUGE},
		"vllm:kv_cache_usage_perc":     {kind: dto.MetricType_GAUGE},
		"vllm:prompt_tokens_total":     {kind: dto.MetricType_COUNTER},
		"vllm:generation_tokens_total": {kind: dto.MetricType_COUNTER},
		"vllm:request_success_total":   {kind: dto.MetricType_COUNTER},
		"vllm:num_preemptions_total":   {kind: dto.MetricType_COUNTER},
		"vllm:time_to_first_token_seconds": {dto.MetricType_HISTOGRAM, []float64{
			0.001, 0.005, 0.01, 0.02, 0.04, 0.06, 0.08, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10, 20, 40, 80, 160, 640, 2560,
		}},
		"vllm:inter_token_latency_seconds": {dto.MetricType_HISTOGRAM, []float64{
			0.01, 0.025, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.75, 1, 2.5, 5, 7.5, 10, 20, 40, 80,
		}},
		"vllm:e2e_request_latency_seconds": {dto.MetricType_HISTOGRAM, request},
		"vllm:request_queue_time_seconds":  {dto.MetricType_HISTOGRAM, request},
	}
	assert.Len(t, families, len(want))
	for name, w := range want {
		f := families[name]
		if !assert.NotNil(t, f, name) {
			continue
		}
		assert.Equal(t, w.kind, f.GetType(), name)
		for _, m := range f.GetMetric() {
			labels := map[string]string{}
			for _, l := range m.GetLabel() {
				labels[l.GetName()] = l.GetValue()
			}
			assert.Equal(t, "m", labels["model_name"], name)
			assert.Equal(t, "0", labels["engine"], name)
			if name == "vllm:request_success_total" {
				assert.Contains(t, []string{"stop", "length", "abort"}, labels["finished_reason"])
				assert.Len(t, labels, 3)
			} else {
				assert.Len(t, labels, 2, name)
			}
			var bounds []float64
			for _, b := range m.GetHistogram().GetBucket() {
				bounds = append(bounds, b.GetUpperBound())
			}
			if w.buckets != nil {
				require.NotEmpty(t, bounds, name)
				assert.Equal(t, w.buckets, bounds[:len(bounds)-1], name) // the last one is +Inf
			}
		}
	}
	assert.Len(t, families["vllm:request_success_total"].GetMetric(), 3)
}
