package rule

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// remarks are the warnings about a rule, given as a flow mapping, in a group that is evaluated every minute.
func remarks(t *testing.T, rule string) []string {
	t.Helper()
	groups, err := LoadFile("f.yaml", []byte("groups:\n- name: g\n  interval: 1m\n  rules:\n  - {"+rule+"}\n"), Defaults{DefaultOwner: "o"})
	require.NoError(t, err, rule)
	var all []string
	for _, w := range groups[0].Rules[0].warnings {
		assert.Equal(t, 5, w.Line)
		if !strings.Contains(w.Msg, "nobody owns") {
			all = append(all, strings.TrimPrefix(w.Path, "groups[0].rules[0].")+": "+w.Msg)
		}
	}
	return all
}

func TestWhatCannotWork(t *testing.T) {
	const alert = "alert: A, "
	for rule, want := range map[string]string{
		// a percentage of a fraction
		alert + "expr: 'vllm:kv_cache_usage_perc > 90'":                                     "expr: above 90 looks like a percentage, and vllm:kv_cache_usage_perc is a fraction between 0 and 1: write 0.9",
		alert + "expr: 'max by (i) (disk_used_ratio) >= 80'":                                "expr: at_least 80 looks like a percentage, and disk_used_ratio is a fraction between 0 and 1: write 0.8",
		alert + "expr: '90 < avg_over_time(vllm:kv_cache_usage_perc[5m])'":                  "expr: above 90 looks like a percentage, and vllm:kv_cache_usage_perc is a fraction between 0 and 1: write 0.9",
		alert + "expr: 'sglang:token_usage > 95 and on () up'":                              "expr: above 95 looks like a percentage, and sglang:token_usage is a fraction between 0 and 1: write 0.95",
		alert + "expr: '{\"system.memory.utilization\"} > 90'":                              "expr: above 90 looks like a percentage, and system.memory.utilization is a fraction between 0 and 1: write 0.9",
		alert + "expr: max(x_ratio), tiers: {high: {above: 90, for: 5m}}":                   "tiers.high.above: above 90 looks like a percentage, and x_ratio is a fraction between 0 and 1: write 0.9",
		alert + "expr: x_ratio, tiers: {high: {outside: [0.1, 90], for: 5m}}":               "tiers.high.outside: outside [0.1, 90] looks like a percentage, and x_ratio is a fraction between 0 and 1: write 0.9",
		alert + "expr: 'sum(rate(r_total{code=\"500\"}[5m])) / sum(rate(r_total[5m])) > 5'": "expr: above 5 looks like a percentage, and a share of r_total is a fraction between 0 and 1: write 0.05",
		// rates
		alert + "expr: 'rate(vllm:num_requests_waiting[5m]) > 1'":        "expr: takes rate() of vllm:num_requests_waiting, which is a gauge: whenever it falls that counts as a restart; use its value, or deriv() or delta()",
		alert + "expr: 'sum(increase(x_ratio[5m])) > 1'":                 "expr: takes increase() of x_ratio, which is a gauge: whenever it falls that counts as a restart; use its value, or deriv() or delta()",
		alert + "expr: 'irate(x_usage_perc[5m]) > 1'":                    "expr: takes irate() of x_usage_perc, which is a gauge: whenever it falls that counts as a restart; use its value, or deriv() or delta()",
		"record: r, expr: 'rate(sglang:num_queue_reqs[5m])'":             "expr: takes rate() of sglang:num_queue_reqs, which is a gauge: whenever it falls that counts as a restart; use its value, or deriv() or delta()",
		alert + "expr: 'increase(DCGM_FI_DEV_XID_ERRORS[5m]) > 0'":       "expr: takes increase() of DCGM_FI_DEV_XID_ERRORS, which keeps the code of the last error: a second error of the same kind changes nothing, and a lower code looks like a restart; write changes(DCGM_FI_DEV_XID_ERRORS[…]) > 0 or DCGM_FI_DEV_XID_ERRORS > 0",
		alert + "expr: 'sum(rate(vllm:num_preemptions[5m])) > 1'":        "expr: reads vllm:num_preemptions, which is a counter: Prometheus' translation of OTLP gives those _total, unless translation_strategy leaves suffixes out; write vllm:num_preemptions_total",
		alert + "expr: 'rate(otelcol_receiver_refused_spans[5m]) > 0'":   "expr: reads otelcol_receiver_refused_spans, which is a counter: Prometheus' translation of OTLP gives those _total, unless translation_strategy leaves suffixes out; write otelcol_receiver_refused_spans_total",
		alert + "expr: 'rate(vllm:time_to_first_token_seconds[5m]) > 0'": "expr: takes rate() of vllm:time_to_first_token_seconds, which is a histogram: as a classic one it has the series vllm:time_to_first_token_seconds_count, vllm:time_to_first_token_seconds_sum and vllm:time_to_first_token_seconds_bucket",
		// renamed
		alert + "expr: 'vllm:gpu_cache_usage_perc > 0.9'":                                   "expr: reads vllm:gpu_cache_usage_perc, which current versions do not expose: what there is now is vllm:kv_cache_usage_perc",
		alert + "expr: 'rate(inference_model_request_error_total[5m]) > 1'":                 "expr: reads inference_model_request_error_total, which current versions do not expose: what there is now is inference_objective_request_error_total",
		alert + "expr: 'rate(inference_model_request_duration_seconds_sum[5m]) > 1'":        "expr: reads inference_model_request_duration_seconds_sum, which current versions do not expose: what there is now is inference_objective_request_duration_seconds_sum",
		alert + "metric: 'vllm:gpu_cache_usage_perc', tiers: {high: {above: 0.9, for: 1m}}": "metric: current versions do not expose it: what there is now is vllm:kv_cache_usage_perc",
		// quantiles
		alert + "expr: 'histogram_quantile(0.9, sum by (le) (rate(gen_ai_server_time_to_first_token_seconds_bucket[5m]))) > 15'":                    "expr: above 15 can never be met: a quantile of gen_ai_server_time_to_first_token_seconds is never more than its last finite bucket, which is 10",
		alert + "expr: 'histogram_quantile(0.9, rate(vllm:inter_token_latency_seconds_bucket[5m])) * 1000', tiers: {high: {above: 80000, for: 5m}}": "tiers.high.above: above 80000 can never be met: a quantile of vllm:inter_token_latency_seconds is never more than its last finite bucket, which is 80000",
		alert + "expr: 'histogram_quantile(0.9, sum by (job) (rate(x_bucket[5m]))) > 1'":                                                            "expr: takes a quantile of what sum has left without le, so that there is never a result: write sum by (le, …)",
		alert + "expr: 'histogram_quantile(0.9, sum without (le) (rate(x_bucket[5m]))) > 1'":                                                        "expr: takes a quantile of what sum has left without le, so that there is never a result: write sum by (le, …)",
		alert + "expr: 'histogram_quantile(0.9, sum by (le) (x_bucket)) > 1'":                                                                       "expr: takes a quantile of all that x_bucket has counted since its start, which new observations move less and less: write rate(x_bucket[5m])",
		// denominators
		alert + "expr: 'sum(rate(e_total[5m])) / clamp_min(sum(rate(r_total[5m])), 1) > 0.05'":  "expr: divides by at least 1 a second: with less traffic than that it reads too low, so that a total failure of few requests stays hidden; divide by the rate itself, and ask for traffic with and … > 0",
		alert + "expr: 'sum(rate(e_total[5m])) / (sum(rate(r_total[5m])) or vector(1)) > 0.05'": "expr: divides by 1 where its denominator is missing, so that a total failure stays hidden: divide by the rate itself",
		// absence
		alert + "expr: 'absent(sum(up{job=\"vllm\"}))'":                    "expr: gives an alert without labels: absent() takes them from a selector that stands in it alone; leave sum out",
		alert + "expr: 'count(up{job=\"vllm\"}) == 0'":                     "expr: can never be met: of nothing there is no count, not a count of 0; use absent()",
		alert + "expr: 'count(up) < 1'":                                    "expr: can never be met: of nothing there is no count, not a count of 0; use absent()",
		alert + "expr: 'count(up == 1) < 2'":                               "expr: counts what meets a comparison, and where nothing does there is no count and no alert: write sum(… == bool …)",
		alert + "expr: count(up == 0), tiers: {high: {above: 2, for: 5m}}": "expr: has no value where nothing meets the comparison within count, which counts as missing data and not as 0: write sum(… > bool …), or add or vector(0)",
		// time
		alert + "expr: 'up < 1', for: 30s":                      "for: is shorter than the group's interval of 1m, which it takes in any case: write for: 1m",
		alert + "expr: up, tiers: {high: {below: 1, for: 10s}}": "tiers.high.for: is shorter than the group's interval of 1m, which it takes in any case: write for: 1m",
		alert + "expr: 'rate(x_total[1m]) > 1'":                 "expr: rate() needs two samples, and a range of 1m holds two only where they come more often than the group's interval of 1m: write at least [2m]",
		// comparisons
		alert + "expr: 'm > bool 5'":                                                    "expr: with bool it gives 0 or 1 for every series and drops none, so that it fires for all of them: leave bool out",
		alert + "expr: '(m > bool 5) >= 0'":                                             "expr: 0 and 1 both meet it, so that it fires for every series: leave bool out",
		alert + "expr: m > 5, tiers: {high: {above: 5, for: 5m}}":                       "expr: compares already (above 5), and so do the tiers: a value that it drops counts as recovered, whatever clear says; leave the comparison to the tiers",
		alert + "expr: m > 5, labels: {value: '{{ $value }}'}":                          "labels.value: changes with every value: in Prometheus that makes another alert each time, whose for begins anew; put the value into an annotation",
		alert + "expr: m > 0, explore: 20%":                                             "explore: is a share of the threshold, which is 0: the silent track of medium has the same",
		alert + "expr: m, tiers: {high: {above: 5, for: 5m}}, labels: {severity: page}": "labels.severity: has no effect: the tiers say how severe the alert is",
	} {
		assert.Equal(t, []string{want}, remarks(t, rule), rule)
	}
}

// TestWhatCanWork is the other side: what is near to what is warned about, and is right.
func TestWhatCanWork(t *testing.T) {
	for _, rule := range []string{
		"expr: 'vllm:kv_cache_usage_perc > 0.9'", "expr: 'vllm:kv_cache_usage_perc * 100 > 90'", "expr: '100 * vllm:kv_cache_usage_perc > 90'",
		"expr: 'vllm:kv_cache_usage_perc / 0.01 > 90'", "expr: 'vllm:kv_cache_usage_perc >= 1'", "expr: 'sum(vllm:kv_cache_usage_perc) > 2'",
		"expr: 'DCGM_FI_DEV_GPU_UTIL > 90'", "expr: 'x_ratio > 1000'", "expr: 'compression_ratio > 3'", "expr: 'a / b > 5'",
		"expr: 'sum(rate(r_total[5m])) / sum(rate(r_total{code=\"200\"}[5m])) > 5'", "expr: 'avg(m{a=\"b\"}) / avg(m) > 3'",
		"expr: 'rate(x[5m]) > 1'", "expr: '(rate(tgi_request_count_total[5m]) or rate(tgi_request_count[5m])) > 1'", "expr: 'rate(vllm:request_success_total[5m]) > 1'", "expr: 'changes(DCGM_FI_DEV_XID_ERRORS[5m]) > 0'",
		"expr: 'rate(vllm:time_to_first_token_seconds_count[5m]) > 1'", "expr: 'rate(vllm:iteration_tokens_total_sum[5m]) > 1'", "expr: 'deriv(vllm:num_requests_waiting[5m]) > 1'",
		"expr: 'vllm:kv_cache_usage_perc or vllm:gpu_cache_usage_perc', tiers: {high: {above: 0.9, for: 1m}}",
		"expr: 'histogram_quantile(0.9, sum by (le) (rate(vllm:time_to_first_token_seconds_bucket[5m]) or rate(vllm:x_bucket[5m]))) > 2500'",
		"expr: 'histogram_quantile(0.9, sum by (le) (rate(gen_ai_server_time_to_first_token_seconds_bucket[5m]))) > 9'",
		"expr: 'histogram_quantile(0.9, sum without (pod) (rate(x_bucket[5m]))) > 1'", "expr: 'histogram_quantile(0.9, sum(rate(x[5m]))) > 1'",
		"expr: 'histogram_quantile(0.9, sum by (le) (increase(x_bucket[1h]))) > 1'",
		"expr: 'sum(rate(h_total[5m])) / clamp_min(sum(rate(q_total[5m])), 1e-9) > 0.05'", "expr: '100 * a / clamp_min(a + b, 1) > 90'",
		"expr: '(sum(rate(e_total[5m])) or vector(0)) / sum(rate(r_total[5m])) > 0.05'",
		"expr: 'absent(up{job=\"vllm\"})'", "expr: 'absent(sum(up))'", "expr: 'count(up) > 5'", "expr: 'count(up) < 2'", "expr: 'count by (job) (up == 1) < 2'",
		"expr: 'count(up == 0) > 2'", "expr: max(m < 1e15), tiers: {high: {above: 5, for: 5m}}", "expr: 'up == 0', for: 1m", "expr: 'up == 0'",
		"expr: 'rate(x_total[2m]) > 1'", "expr: 'max_over_time(x[30s]) > 1'", "expr: '(m > bool 5) == 1'", "expr: 'vector(1)'",
		"expr: m > 5, labels: {job: '{{ $labels.job }}'}", "expr: m > 1, explore: 20%", "expr: m > 5, labels: {severity: page}, response: x, annotations: {runbook_url: x}",
	} {
		assert.Empty(t, remarks(t, "alert: A, "+rule), rule)
	}
}

// yardstick are published rules that do not do what they are there for, each with the mark of the warning that finds it.
var yardstick = map[string]map[string]string{
	"semantic-router/rules.yaml": {"HighRequestErrorRate": "a total failure of few requests stays hidden"},
	"awesome-prometheus-alerts/opentelemetry-collector.yml": {
		"OpenTelemetryCollectorReceiverRefusedSpans":        "write otelcol_receiver_refused_spans_total",
		"OpenTelemetryCollectorReceiverRefusedMetricPoints": "write otelcol_receiver_refused_metric_points_total",
		"OpenTelemetryCollectorReceiverRefusedLogRecords":   "write otelcol_receiver_refused_log_records_total",
		"OpenTelemetryCollectorExporterFailedSpans":         "write otelcol_exporter_send_failed_spans_total",
		"OpenTelemetryCollectorExporterFailedMetricPoints":  "write otelcol_exporter_send_failed_metric_points_total",
		"OpenTelemetryCollectorExporterFailedLogRecords":    "write otelcol_exporter_send_failed_log_records_total",
		"OpenTelemetryCollectorProcessorRefusedSpans":       "write otelcol_processor_refused_spans_total",
		"OpenTelemetryCollectorOTLPReceiverErrors":          "write otelcol_receiver_accepted_spans_total",
	},
	"k8s-ai-observability/gpu-prometheusrule.yaml":     {},
	"k8s-ai-observability/llm-prometheusrule.yaml":     {},
	"gateway-api-inference-extension/alert.yaml":       {},
	"gpu-operator/1000_prometheus_rule_openshift.yaml": {},
	"seldon-core-v1/mem-usage.rules.yml":               {},
}

// TestYardstick reads them. A file with an empty list has nothing that is wrong, and nothing may be found in it.
func TestYardstick(t *testing.T) {
	for file, want := range yardstick {
		t.Run(file, func(t *testing.T) {
			content, err := os.ReadFile(filepath.Join(publishedRules, "rules", file))
			if err != nil {
				t.Skipf("NOT TESTED: %v", err)
			}
			content, _ = prometheusFile(content)
			groups, err := LoadFile(file, content, Defaults{})
			require.NoError(t, err)
			found := map[string]string{}
			for _, g := range groups {
				for _, r := range g.Rules {
					for _, w := range r.warnings {
						if strings.HasSuffix(w.Path, ".expr") || strings.HasSuffix(w.Path, ".for") {
							found[r.Name+r.Record] += w.Msg + "\n"
						}
					}
				}
			}
			for name, mark := range want {
				assert.Contains(t, strings.ToLower(strings.Join(said(found, name), "\n")), strings.ToLower(mark), name)
			}
			if len(want) == 0 {
				assert.Empty(t, found)
			}
		})
	}
}

func said(found map[string]string, name string) []string {
	var all []string
	for rule, text := range found {
		if strings.EqualFold(rule, name) {
			all = append(all, text)
		}
	}
	return all
}

// TestCatalogue loads published alerts and counts what becomes of them.
func TestCatalogue(t *testing.T) {
	content, err := os.ReadFile(filepath.Join(publishedRules, "rules/catalogue.dev.json"))
	if err != nil {
		t.Skipf("NOT TESTED: %v", err)
	}
	var catalogue []struct{ Source, Alert, Expr, Note string }
	require.NoError(t, json.Unmarshal(content, &catalogue))
	// Other query languages, and one whose PromQL lacks a brace as it was published.
	other := map[string]string{
		"DataDog/integrations-core": "another language", "GCP google-gke": "another language", "otel-genai-workflow-p95-latency": "another language",
		"otel-genai-agent-tool-error-rate": "not PromQL as published",
	}
	counts := map[string]int{}
	warned := map[string]string{}
	for _, c := range catalogue {
		if why := other[c.Source] + other[c.Alert]; why != "" {
			counts[why]++
			continue
		}
		expr, err := json.Marshal(c.Expr)
		require.NoError(t, err)
		groups, err := LoadFile("f.yaml", []byte("groups: [{name: g, rules: [{alert: A, owner: o, expr: "+string(expr)+"}]}]"), Defaults{})
		if !assert.NoError(t, err, c.Alert) {
			continue
		}
		r := groups[0].Rules[0]
		switch {
		case r.Query.Split:
			counts["split"]++
		case r.Query.Unsplit != "":
			counts["marked: "+r.Query.Unsplit]++
		default:
			counts["nothing to split"]++
		}
		for _, w := range r.warnings {
			warned[c.Alert] = w.Msg
		}
	}
	for _, what := range sortedKeys(counts) {
		t.Logf("%3d %s", counts[what], what)
	}
	assert.Equal(t, map[string]int{
		"split": 71, "nothing to split": 2, "another language": 7, "not PromQL as published": 1,
		"marked: == has no side on which more values would meet it":                                         14,
		"marked: != has no side on which more values would meet it":                                         2,
		"marked: it joins conditions with or, which have no threshold in common":                            2,
		"marked: the comparison stands on the right of and, which only says which series on its left count": 1,
	}, counts)
	for alert, mark := range map[string]string{
		"LLMDHighPreemptions": "write vllm:num_preemptions_total", "LLMDHighErrorRate": "inference_objective_request_total",
		"LLMDHighLatencyP99": "inference_objective_request_duration_seconds_bucket", "LLMDLowReplicaCount": "no count and no alert",
		"HighRequestErrorRate":                     "a total failure of few requests stays hidden",
		"OpentelemetryCollectorOtlpReceiverErrors": "otelcol_receiver_refused_spans_total",
	} {
		assert.Contains(t, warned[alert], mark, alert)
	}
	t.Logf("%d of them have warnings", len(warned))
}
