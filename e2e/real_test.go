package e2e

import (
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/pdata/pmetric"

	"github.com/otelcol-escalation/otelcol-escalation/internal/alert"
)

const serverRules = `
groups:
  - name: servers
    rules:
      - alert: VLLMCacheFull
        metric: vllm:gpu_cache_usage_perc
        tiers: {critical: {above: 0.95, clear: 0.9}, high: {above: 0.85}}
        owner: platform
        response: Drain the replica, then add one.
      - alert: SGLangCacheFull
        metric: sglang:token_usage
        tiers: {critical: {above: 0.95}}
        owner: platform
      - alert: SGLangQueue
        metric: sglang:num_queue_reqs
        tiers: {high: {above: 5000}}
        owner: platform
      - alert: TritonPending
        metric: nv_inference_pending_request_count
        tiers: {high: {above: 100}}
        owner: platform
      - alert: TritonFailures
        metric: nv_inference_request_failure
        tiers: {high: {above: 0}}
      - alert: GPUMemoryHot
        metric: DCGM_FI_DEV_MEMORY_TEMP
        tiers: {critical: {above: 95}}
        owner: platform
      - alert: GPUClockLow
        metric: DCGM_FI_DEV_SM_CLOCK
        tiers: {medium: {below: 100}}
        owner: platform
      - alert: TemperatureOfNothing
        metric: my.gauge
        tiers: {high: {at_least: 10}}
        owner: platform
      - alert: MemoryFull
        metric: system.memory.utilization
        where: datapoint.attributes["state"] == "used"
        tiers: {high: {above: %s}}
        owner: platform
`

// The expositions of vLLM, SGLang, Triton and DCGM are scraped, and real OTLP comes in by gRPC and HTTP: exactly what
// crosses a threshold fires, is tagged, paged, acknowledged and ended, and measured.
func TestRealModelServers(t *testing.T) {
	s, people, out := prepare(t, strings.ReplaceAll(serverRules, "%s", "0.99"))
	vllm := serve(t, read(t, "vllm-0.5-kubeai.prom"))
	sglang := serve(t, read(t, "sglang-0.4-docs.prom"))
	triton := serve(t, read(t, "triton-datadog-fixture-part.prom"))
	dcgm := serve(t, read(t, "dcgm-exporter-readme.prom"))
	s.scrape = []string{vllm.address(), sglang.address(), triton.address(), dcgm.address()}
	s.rules = s.write(t, "rules.yaml", strings.ReplaceAll(serverRules, "%s", "0.99"))
	launch(t, s.dir, s.health, s.whole())

	scraped := func(metric string) int {
		n := 0
		out.each(func(_ pmetric.ResourceMetrics, m pmetric.Metric) {
			if m.Name() == metric {
				n++
			}
		})
		return n
	}
	for _, metric := range []string{"vllm:gpu_cache_usage_perc", "sglang:token_usage", "nv_inference_pending_request_count", "DCGM_FI_DEV_SM_CLOCK"} {
		eventually(t, metric+" comes twice", func() bool { return scraped(metric) >= 2 })
	}
	require.Empty(t, s.alerts(t, ""), "as they are, nothing fires: not the blank of DCGM, not a counter")

	const model = `{model_name="neuralmagic/Meta-Llama-3.1-8B-Instruct-FP8"}`
	vllm.set("vllm:gpu_cache_usage_perc"+model, "0.97")
	sglang.set(`sglang:token_usage{model_name="meta-llama/Llama-3.1-8B-Instruct"}`, "0.99")
	triton.set(`nv_inference_pending_request_count{model="simple",version="1"}`, "250")
	triton.set(`nv_inference_pending_request_count{model="densenet_onnx",version="1"}`, "101")
	dcgm.set(`DCGM_FI_DEV_SM_CLOCK{gpu="0", UUID="GPU-604ac76c-d9cf-fef3-62e9-d92044ab6e52"}`, "90")
	const opened = 5
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("alerts: %+v", s.alerts(t, ""))
		}
	})
	eventually(t, "five alerts fire", func() bool { return len(s.alerts(t, "?open=true")) == opened })
	eventually(t, "vLLM's is paged", func() bool { return people.told("VLLMCacheFull", "firing") == 1 })
	eventually(t, "SGLang's is paged", func() bool { return people.told("SGLangCacheFull", "firing") == 1 })
	eventually(t, "Triton's two are paged", func() bool { return len(people.paged("TritonPending")) == 2 })
	assert.Empty(t, people.paged("GPUClockLow"), "its window is open")

	page := find(people.all(), "VLLMCacheFull")
	assert.Equal(t, "oncall", page.Receiver)
	assert.Equal(t, "/oncall", page.path)
	labels, annotations := page.Alerts[0].Labels, page.Alerts[0].Annotations
	assert.Equal(t, "critical", labels["severity"])
	assert.Equal(t, "platform", labels["owner"])
	assert.Equal(t, "server-0", labels["job"])
	assert.Equal(t, vllm.address(), labels["instance"])
	assert.Equal(t, "neuralmagic/Meta-Llama-3.1-8B-Instruct-FP8", labels["model_name"])
	assert.NotEmpty(t, labels["alert_id"])
	assert.NotEmpty(t, labels["episode_id"])
	assert.Equal(t, "Drain the replica, then add one.", annotations["response"])
	assert.Equal(t, "0.97", annotations["value"])
	assert.Equal(t, "0.95", annotations["threshold"])
	assert.Equal(t, "http://"+s.page+"/alerts/"+labels["episode_id"], annotations["page_url"])
	resp, err := http.Get(annotations["page_url"])
	require.NoError(t, err)
	_ = resp.Body.Close()
	assert.Equal(t, http.StatusOK, resp.StatusCode, "the page's address leads to the alert")

	// One is acknowledged and judged.
	id := labels["episode_id"]
	for range 2 {
		assert.Equal(t, 2, s.post(t, "/api/v1/alerts/"+id+"/acknowledge", `{"by": "ada"}`)/100)
		assert.Equal(t, 2, s.post(t, "/api/v1/alerts/"+id+"/verdict", `{"by": "ada", "verdict": "true_positive"}`)/100)
	}
	// All end.
	vllm.set("vllm:gpu_cache_usage_perc"+model, "0.5")
	sglang.set(`sglang:token_usage{model_name="meta-llama/Llama-3.1-8B-Instruct"}`, "0.5")
	triton.set(`nv_inference_pending_request_count{model="simple",version="1"}`, "0")
	triton.set(`nv_inference_pending_request_count{model="densenet_onnx",version="1"}`, "0")
	dcgm.set(`DCGM_FI_DEV_SM_CLOCK{gpu="0", UUID="GPU-604ac76c-d9cf-fef3-62e9-d92044ab6e52"}`, "139")
	eventually(t, "all have ended", func() bool { return len(s.alerts(t, "?open=true")) == 0 })
	eventually(t, "the end of vLLM's is told", func() bool { return people.told("VLLMCacheFull", "resolved") == 1 })
	require.Len(t, s.alerts(t, ""), opened, "one episode each")

	// Real OTLP, by gRPC and by HTTP.
	example := pmetricJSON(t, shared(t, "otlp", "proto-examples-metrics.json"))
	rebase(example)
	s.sendHTTP(t, example[0])
	eventually(t, "the example's gauge fires", func() bool { return len(s.alerts(t, "?open=true&rule=TemperatureOfNothing")) == 1 })
	s.sendHTTP(t, example[0])
	s.sendGRPC(t, example[0])

	// What came of it, in the metrics about the alerts.
	eventually(t, "outcomes are counted", func() bool {
		outcomes := out.latest("alert.episodes", "alert.outcome")
		return outcomes["notified"] == opened-1 && outcomes["self_resolved"] == 1
	})
	assert.Equal(t, map[string]float64{"true_positive": 1}, out.latest("alert.verdicts", "alert.verdict"))
	assert.Equal(t, map[string]float64{"VLLMCacheFull": 0}, out.latest("alert.false_positive.ratio", "alert.rule.name"))
	eventually(t, "one is open", func() bool { return out.latest("alert.open.count", "alert.rule.name")["TemperatureOfNothing"] == 1 })
	eventually(t, "the events are out", func() bool {
		e := out.events()
		return e["alert.fired"] == opened+1 && e["alert.resolved"] == opened && e["alert.acknowledged"] == 1 && e["alert.verdict"] == 1
	})
	for name, n := range map[string]uint64{"alert.time_to_notify": opened, "alert.time_to_acknowledge": 1, "alert.time_to_resolve": opened} {
		eventually(t, name, func() bool { return out.histogramCount(name) == n })
	}

	// The tags: every breaching gauge point of the scrapes has them, and no other point.
	tagged, wrong := 0, 0
	out.each(func(_ pmetric.ResourceMetrics, m pmetric.Metric) {
		if strings.HasPrefix(m.Name(), "alert.") || m.Type() != pmetric.MetricTypeGauge {
			return
		}
		for _, p := range m.Gauge().DataPoints().All() {
			_, has := p.Attributes().Get(alert.AttrRule)
			if has {
				tagged++
			}
			if has != breaches(m.Name(), p) {
				wrong++
			}
		}
	})
	assert.Zero(t, wrong, "points tagged wrongly")
	assert.Greater(t, tagged, opened)
	figures("real model servers: %d alerts fired, %d points tagged, %d pages, outcomes %v",
		opened+1, tagged, len(people.all()), out.latest("alert.episodes", "alert.outcome"))
}

// breaches is the rules above, said by hand.
func breaches(metric string, p pmetric.NumberDataPoint) bool {
	v := p.DoubleValue()
	if p.ValueType() == pmetric.NumberDataPointValueTypeInt {
		v = float64(p.IntValue())
	}
	if p.Flags().NoRecordedValue() {
		return false
	}
	switch metric {
	case "vllm:gpu_cache_usage_perc":
		return v > 0.85
	case "sglang:token_usage":
		return v > 0.95
	case "sglang:num_queue_reqs":
		return v > 5000
	case "nv_inference_pending_request_count":
		return v > 100
	case "DCGM_FI_DEV_SM_CLOCK":
		return v < 100
	case "my.gauge":
		return v >= 10
	case "system.memory.utilization":
		state, _ := p.Attributes().Get("state")
		return v > 0.99 && state.AsString() == "used"
	}
	return false
}
