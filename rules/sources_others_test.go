package rules_test

const (
	litellmMetrics  = "docs.litellm.ai/docs/proxy/prometheus"
	llamacppMetrics = "tools/server/README.md of ggml-org/llama.cpp"
	dcgmFields      = "docs.nvidia.com/datacenter/dcgm/latest/dcgm-api/dcgm-api-field-ids.html"
	genaiMetrics    = "opentelemetry.io/docs/specs/semconv/gen-ai/gen-ai-metrics"
	openlitMetrics  = "docs.openlit.io: OpenLIT's own metrics beyond the conventions"
	ourName         = "for the user's evaluation job to emit: listed in README.md"
)

// genaiDurations is the last bound that the conventions recommend for durations.
const genaiDurations = 81.92

func init() {
	sources["litellm"] = source{
		expositions: []string{"litellm-1.95-datadog-fixture-part.prom"},
		documented: map[string]string{
			"up":                                            scraper,
			"litellm_remaining_team_budget_metric":          litellmMetrics,
			"litellm_team_max_budget_metric":                litellmMetrics,
			"litellm_deployment_state":                      litellmMetrics,
			"litellm_deployment_failed_fallbacks_total":     litellmMetrics,
			"litellm_deployment_successful_fallbacks_total": litellmMetrics,
			"litellm_overhead_latency_metric_bucket":        litellmMetrics,
			"litellm_spend_metric_total":                    litellmMetrics,
		},
		last: map[string]float64{"litellm_overhead_latency_metric_bucket": 30}, // the bounds of all its latencies
	}
	sources["llamacpp"] = source{
		documented: map[string]string{
			"up":                                      scraper,
			"llamacpp:kv_cache_usage_ratio":           llamacppMetrics,
			"llamacpp:requests_deferred":              llamacppMetrics,
			"llamacpp:requests_processing":            llamacppMetrics,
			"llamacpp:n_decode_total":                 llamacppMetrics,
			"llamacpp:prompt_seconds_total":           llamacppMetrics,
			"llamacpp:prompt_tokens_total":            llamacppMetrics,
			"llamacpp:tokens_predicted_seconds_total": llamacppMetrics,
			"llamacpp:tokens_predicted_total":         llamacppMetrics,
		},
	}
	sources["dcgm"] = source{
		expositions: []string{"dcgm-default-counters.csv", "dcgm-dcp-metrics-included.csv", "dcgm-exporter-readme.prom"},
		documented: map[string]string{
			"DCGM_FI_DEV_THERMAL_VIOLATION": dcgmFields,
			"DCGM_FI_DEV_POWER_VIOLATION":   dcgmFields,
			"DCGM_FI_DEV_ECC_DBE_VOL_TOTAL": dcgmFields,
		},
	}
	sources["genai"] = source{
		documented: map[string]string{
			"gen_ai_client_operation_duration_seconds_count":             genaiMetrics,
			"gen_ai_client_operation_duration_seconds_bucket":            genaiMetrics,
			"gen_ai_client_operation_time_to_first_chunk_seconds_bucket": genaiMetrics,
			"gen_ai_client_token_usage_sum":                              genaiMetrics,
			"gen_ai_server_request_duration_seconds_count":               genaiMetrics,
			"gen_ai_server_request_duration_seconds_bucket":              genaiMetrics,
			"gen_ai_server_time_to_first_token_seconds_bucket":           genaiMetrics,
			"gen_ai_server_time_per_output_token_seconds_bucket":         genaiMetrics,
		},
		last: map[string]float64{
			"gen_ai_client_operation_duration_seconds_bucket":            genaiDurations,
			"gen_ai_client_operation_time_to_first_chunk_seconds_bucket": genaiDurations,
			"gen_ai_server_request_duration_seconds_bucket":              genaiDurations,
			"gen_ai_server_time_to_first_token_seconds_bucket":           10,
			"gen_ai_server_time_per_output_token_seconds_bucket":         2.5,
		},
	}
	sources["quality"] = source{
		documented: map[string]string{
			"gen_ai.evaluation.score.value":    ourName,
			"model.quality.hallucination.rate": ourName,
			"model.quality.toxicity.rate":      ourName,
			"model.answer.acceptance.ratio":    ourName,
			"model.answer.length.ratio":        ourName,
			"model.drift.embedding.auc":        ourName,
			"model.drift.ks.p_value":           ourName,
			"model.drift.psi":                  ourName,
			"gen_ai_usage_cost_USD_sum":        openlitMetrics,
			"gen_ai_usage_cost_USD_count":      openlitMetrics,
		},
	}
}
