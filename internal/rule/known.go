package rule

import (
	"strings"
)

// fact is what is known about a metric without seeing its data.
type fact struct {
	kind kind
	// fraction says that its values lie between 0 and 1; guessed that only its name does, which a ratio of 3 to 1 may have.
	fraction, guessed bool
	// latched says that it keeps the last of some codes, whatever happens afterwards.
	latched bool
	// last is the last finite bucket of a histogram, in the metric's unit; 0 where it is not known or can be configured.
	last float64
	// now says what takes its place where current versions do not expose it any more, and since when.
	now string
}

type kind uint8

const (
	unknownKind kind = iota
	gauge
	counter
	histogramKind
)

// The names are those that Prometheus has them under; a counter's without _total, a histogram's without _bucket. All of
// it was read in the servers' sources and documents:
//   - vLLM: vllm/v1/metrics/loggers.py (2026-05). The names of the v0 engine are gone since 0.11.
//   - SGLang: python/sglang/srt/metrics/collector.py
//   - TGI: router/src/server.rs. TEI: core/src/infer.rs. Both expose counters without _total.
//   - Triton: docs/user_guide/metrics.md. Counters without _total.
//   - Gateway API inference extension: renamed from inference_model_* on 2025-10-27.
//   - DCGM exporter: etc/default-counters.csv
//   - OpenTelemetry GenAI semantic conventions: the buckets that they advise, which instrumentations use by default.
//   - OpenTelemetry Collector: documentation/internal-telemetry, counters whose OTLP names have no suffix.
var facts = func() map[string]fact {
	all := map[string]fact{}
	add := func(f fact, names ...string) {
		for _, name := range names {
			all[name] = f
		}
	}
	// vLLM
	add(fact{kind: gauge}, "vllm:num_requests_running", "vllm:num_requests_waiting", "vllm:num_requests_waiting_by_reason",
		"vllm:engine_sleep_state", "vllm:lora_requests_info", "vllm:cache_config_info")
	add(fact{kind: gauge, fraction: true}, "vllm:kv_cache_usage_perc")
	add(fact{kind: counter}, "vllm:prefix_cache_queries", "vllm:prefix_cache_hits", "vllm:external_prefix_cache_queries",
		"vllm:external_prefix_cache_hits", "vllm:mm_cache_queries", "vllm:mm_cache_hits", "vllm:num_preemptions",
		"vllm:prompt_tokens", "vllm:prompt_tokens_by_source", "vllm:prompt_tokens_cached", "vllm:generation_tokens",
		"vllm:request_success", "vllm:corrupted_requests", "vllm:spec_decode_num_drafts", "vllm:spec_decode_num_draft_tokens",
		"vllm:spec_decode_num_accepted_tokens", "vllm:spec_decode_num_accepted_tokens_per_pos",
		"vllm:nixl_num_failed_transfers", "vllm:nixl_num_kv_expired_reqs")
	add(fact{kind: histogramKind, last: 2560}, "vllm:time_to_first_token_seconds")
	add(fact{kind: histogramKind, last: 80}, "vllm:inter_token_latency_seconds", "vllm:request_time_per_output_token_seconds")
	add(fact{kind: histogramKind, last: 7680}, "vllm:e2e_request_latency_seconds", "vllm:request_queue_time_seconds",
		"vllm:request_inference_time_seconds", "vllm:request_prefill_time_seconds", "vllm:request_decode_time_seconds")
	add(fact{kind: histogramKind, last: 16384}, "vllm:iteration_tokens_total")
	add(fact{kind: histogramKind, last: 20}, "vllm:request_params_n")
	add(fact{kind: gauge, fraction: true, now: "vllm:kv_cache_usage_perc"}, "vllm:gpu_cache_usage_perc")
	add(fact{kind: histogramKind, now: "vllm:request_time_per_output_token_seconds (a request's mean) and vllm:inter_token_latency_seconds (each token)"},
		"vllm:time_per_output_token_seconds")
	add(fact{kind: gauge, fraction: true, now: "the ratio of the rates of vllm:prefix_cache_hits_total and vllm:prefix_cache_queries_total"},
		"vllm:gpu_prefix_cache_hit_rate")
	add(fact{kind: gauge, now: "the rate of vllm:generation_tokens_total"}, "vllm:avg_generation_throughput_toks_per_s")
	add(fact{kind: gauge, now: "the rate of vllm:prompt_tokens_total"}, "vllm:avg_prompt_throughput_toks_per_s")
	add(fact{kind: gauge, fraction: true, now: "nothing: there is no swapping to the CPU any more"}, "vllm:cpu_cache_usage_perc")
	add(fact{kind: gauge, now: "nothing: there is no swapping to the CPU any more"}, "vllm:num_requests_swapped")
	// SGLang
	add(fact{kind: gauge}, "sglang:num_running_reqs", "sglang:num_queue_reqs", "sglang:gen_throughput", "sglang:num_used_tokens",
		"sglang:spec_accept_length", "sglang:num_retracted_reqs", "sglang:eplb_balancedness", "sglang:engine_startup_time")
	add(fact{kind: gauge, fraction: true}, "sglang:token_usage", "sglang:cache_hit_rate", "sglang:utilization", "sglang:lora_pool_utilization")
	add(fact{kind: counter}, "sglang:prompt_tokens", "sglang:generation_tokens", "sglang:cached_tokens", "sglang:num_requests",
		"sglang:num_aborted_requests", "sglang:num_retracted_requests", "sglang:num_transfer_failed_reqs", "sglang:http_requests")
	add(fact{kind: histogramKind, now: "sglang:inter_token_latency_seconds"}, "sglang:time_per_output_token_seconds")
	// Text Generation Inference, Text Embeddings Inference: durations see factOf
	add(fact{kind: gauge}, "tgi_queue_size", "tgi_batch_current_size", "tgi_batch_current_max_tokens", "tgi_batch_max_total_tokens", "te_queue_size")
	add(fact{kind: counter}, "tgi_request_count", "tgi_request_success", "tgi_request_failure", "tgi_batch_inference_count",
		"tgi_batch_inference_success", "tgi_batch_inference_failure", "tgi_batch_concat", "te_request_count", "te_request_success",
		"te_request_failure", "te_embed_count", "te_embed_success", "te_predict_count", "te_predict_success")
	// Triton, NIM, llama.cpp
	add(fact{kind: counter}, "nv_inference_request_success", "nv_inference_request_failure", "nv_inference_count", "nv_inference_exec_count",
		"nv_inference_request_duration_us", "nv_inference_queue_duration_us", "nv_inference_compute_input_duration_us",
		"nv_inference_compute_infer_duration_us", "nv_inference_compute_output_duration_us", "nv_energy_consumption")
	add(fact{kind: gauge}, "nv_inference_pending_request_count", "nv_gpu_memory_total_bytes", "nv_gpu_memory_used_bytes",
		"nv_gpu_power_usage", "nv_gpu_power_limit")
	add(fact{kind: gauge, fraction: true}, "nv_gpu_utilization", "nv_cpu_utilization", "gpu_cache_usage_perc", "llamacpp:kv_cache_usage_ratio")
	add(fact{kind: gauge}, "llamacpp:requests_processing", "llamacpp:requests_deferred")
	// Gateway API inference extension
	add(fact{kind: gauge, fraction: true}, "inference_pool_average_kv_cache_utilization")
	add(fact{kind: gauge}, "inference_pool_average_queue_size", "inference_pool_average_running_requests")
	for _, name := range []string{
		"request_total", "request_error_total", "request_duration_seconds", "request_sizes", "response_sizes", "input_tokens",
		"output_tokens", "normalized_time_per_output_token_seconds", "running_requests",
	} {
		add(fact{now: "inference_objective_" + name}, "inference_model_"+name)
	}
	// GPUs
	add(fact{kind: gauge}, "DCGM_FI_DEV_GPU_UTIL", "DCGM_FI_DEV_MEM_COPY_UTIL", "DCGM_FI_DEV_GPU_TEMP", "DCGM_FI_DEV_MEMORY_TEMP",
		"DCGM_FI_DEV_POWER_USAGE", "DCGM_FI_DEV_FB_USED", "DCGM_FI_DEV_FB_FREE", "DCGM_FI_DEV_SM_CLOCK", "DCGM_FI_DEV_MEM_CLOCK")
	add(fact{kind: gauge, fraction: true}, "DCGM_FI_PROF_GR_ENGINE_ACTIVE", "DCGM_FI_PROF_PIPE_TENSOR_ACTIVE", "DCGM_FI_PROF_DRAM_ACTIVE",
		"DCGM_FI_PROF_SM_ACTIVE", "DCGM_FI_PROF_SM_OCCUPANCY")
	add(fact{kind: gauge, latched: true}, "DCGM_FI_DEV_XID_ERRORS")
	// OpenTelemetry GenAI
	add(fact{kind: histogramKind, last: 81.92}, "gen_ai_client_operation_duration", "gen_ai_client_operation_time_to_first_chunk",
		"gen_ai_client_operation_time_per_output_chunk", "gen_ai_server_request_duration")
	add(fact{kind: histogramKind, last: 2.5}, "gen_ai_server_time_per_output_token")
	add(fact{kind: histogramKind, last: 10}, "gen_ai_server_time_to_first_token")
	add(fact{kind: histogramKind, last: 67108864}, "gen_ai_client_token_usage")
	// OpenTelemetry Collector
	for _, signal := range []string{"spans", "metric_points", "log_records"} {
		for _, name := range []string{
			"receiver_accepted_", "receiver_refused_", "receiver_failed_", "processor_accepted_", "processor_refused_", "processor_dropped_",
			"exporter_sent_", "exporter_send_failed_", "exporter_enqueue_failed_", "scraper_scraped_", "scraper_errored_",
		} {
			add(fact{kind: counter}, "otelcol_"+name+signal)
		}
	}
	add(fact{kind: gauge}, "otelcol_exporter_queue_size", "otelcol_exporter_queue_capacity")
	return all
}()

// factOf is what is known about a metric by the name that a rule gives it: its own, that of one of a histogram's series,
// or the OTLP name.
func factOf(name string) fact {
	if f, ok := facts[name]; ok {
		return f
	}
	if base, ok := histogramOf(name); ok {
		if f := factOf(base); f.kind == histogramKind || f.now != "" {
			return f
		}
	}
	if base, ok := strings.CutSuffix(name, "_total"); ok {
		if f := facts[base]; f.kind == counter {
			return f
		}
	}
	switch plain := strings.ReplaceAll(name, ".", "_"); {
	case strings.HasPrefix(plain, "gen_ai_"):
		if f, ok := facts[strings.TrimSuffix(plain, "_seconds")]; ok {
			return f
		}
	case (strings.HasPrefix(name, "tgi_") || strings.HasPrefix(name, "te_")) && strings.HasSuffix(name, "_duration"):
		return fact{kind: histogramKind, last: 14.56} // 35 buckets from 15 µs, each 1.5 times the one before
	case strings.HasSuffix(name, ".utilization"): // OpenTelemetry's convention: the fraction of usage out of its limit
		return fact{kind: gauge, fraction: true}
	case strings.HasSuffix(name, "_ratio"): // Prometheus' base unit "ratio", 0 to 1
		return fact{kind: gauge, fraction: true, guessed: true}
	}
	return fact{}
}

// percentage reports whether a bound looks like one in percent of a metric whose values, multiplied by factor, are a
// fraction.
func (f fact) percentage(bound, factor float64) bool {
	least := factor
	if f.guessed {
		least = 10 * factor
	}
	return f.fraction && bound > least && bound <= 100*factor
}

// histogramOf is the name of the histogram or summary that a series' name belongs to by its suffix.
func histogramOf(name string) (string, bool) {
	for _, suffix := range []string{"_bucket", "_sum", "_count"} {
		if base, ok := strings.CutSuffix(name, suffix); ok {
			return base, true
		}
	}
	return name, false
}
