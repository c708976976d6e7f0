package rules_test

// source is what the metric names of a pack are checked against.
type source struct {
	// expositions are files of real servers, in expositions.
	expositions []string
	// documented are the names that none of the expositions has, because they are of another version or because a
	// feature was off, with where they are documented.
	documented map[string]string
	// last is the last finite bound of histograms that no exposition shows, or that newer versions extended.
	last map[string]float64
}

const (
	scraper         = "written by whoever scrapes: prometheus.io/docs/concepts/jobs_instances"
	processMetrics  = "the process collector of Prometheus' Python client"
	vllmMetrics     = "docs.vllm.ai/en/stable/usage/metrics and vllm/v1/metrics/loggers.py"
	vllmHTTP        = "prometheus-fastapi-instrumentator, which vLLM's API server mounts with its defaults"
	sglangMetrics   = "python/sglang/srt/metrics/collector.py of sgl-project/sglang"
	sglangHTTP      = "python/sglang/srt/utils/common.py of sgl-project/sglang"
	tgiMetrics      = "docs/source/reference/metrics.md of huggingface/text-generation-inference"
	tgiFailures     = "router/src/infer and router/src/server.rs of huggingface/text-generation-inference"
	teiMetrics      = "core/src/infer.rs and router/src/http/server.rs of huggingface/text-embeddings-inference"
	tritonHistogram = "docs/user_guide/metrics.md of triton-inference-server/server, which writes it without _bucket"
	nimMetrics      = "docs.nvidia.com/nim/large-language-models/latest/observability.html"
	kserveMetrics   = "python/kserve/kserve/metrics.py of kserve/kserve"
	knativeMetrics  = "knative.dev/docs/serving/observability/metrics/serving-metrics (1.19 and later)"
	knativeBefore   = "knative.dev/docs/serving/services/service-metrics (before 1.19)"
	rayServeMetrics = "docs.ray.io/en/latest/serve/monitoring.html, built-in Ray Serve metrics"
)

// rustDurations is the last of 35 bounds that begin at 0.00001 s × 1.5 and grow by 1.5.
const rustDurations = 14.561096060497131

var sources = map[string]source{
	"vllm": {
		expositions: []string{"vllm-0.5-kubeai.prom"},
		documented: map[string]string{
			"up":                       scraper,
			"vllm:kv_cache_usage_perc": vllmMetrics,
			"vllm:inter_token_latency_seconds_bucket": vllmMetrics,
			"http_requests_total":                     vllmHTTP,
		},
		last: map[string]float64{
			"vllm:time_to_first_token_seconds_bucket": 2560,
			"vllm:inter_token_latency_seconds_bucket": 80,
			"vllm:e2e_request_latency_seconds_bucket": 7680,
		},
	},
	"sglang": {
		expositions: []string{"sglang-0.4-docs.prom"},
		documented: map[string]string{
			"up": scraper,
			"sglang:inter_token_latency_seconds_bucket": sglangMetrics,
			"sglang:inter_token_latency_seconds_count":  sglangMetrics,
			"sglang:num_requests_total":                 sglangMetrics,
			"sglang:num_aborted_requests_total":         sglangMetrics,
			"sglang:num_retracted_requests_total":       sglangMetrics,
			"sglang:num_transfer_failed_reqs_total":     sglangMetrics,
			"sglang:num_bootstrap_failed_reqs_total":    sglangMetrics,
			"sglang:http_responses_total":               sglangHTTP,
		},
		last: map[string]float64{
			"sglang:inter_token_latency_seconds_bucket": 8,
			"sglang:e2e_request_latency_seconds_bucket": 2400,
		},
	},
	"tgi": {
		documented: map[string]string{
			"up":                                scraper,
			"tgi_request_count":                 tgiMetrics,
			"tgi_request_success":               tgiMetrics,
			"tgi_request_failure":               tgiFailures,
			"tgi_queue_size":                    tgiMetrics,
			"tgi_batch_current_size":            tgiMetrics,
			"tgi_batch_inference_success":       tgiMetrics,
			"tgi_request_queue_duration_bucket": tgiMetrics,
			"tgi_request_mean_time_per_token_duration_bucket": tgiMetrics,
			"tgi_request_duration_sum":                        tgiMetrics,
			"tgi_request_duration_count":                      tgiMetrics,
		},
		last: map[string]float64{
			"tgi_request_queue_duration_bucket":               rustDurations,
			"tgi_request_mean_time_per_token_duration_bucket": rustDurations,
		},
	},
	"tei": {
		documented: map[string]string{
			"up":                         scraper,
			"te_request_count":           teiMetrics,
			"te_request_success":         teiMetrics,
			"te_request_failure":         teiMetrics,
			"te_queue_size":              teiMetrics,
			"te_request_duration_bucket": teiMetrics,
		},
		last: map[string]float64{"te_request_duration_bucket": rustDurations},
	},
	"triton": {
		expositions: []string{"triton-datadog-fixture-part.prom", "triton-trtllm-backend-readme.prom"},
		documented: map[string]string{
			"up": scraper,
			"nv_inference_first_response_histogram_ms_bucket": tritonHistogram,
		},
		last: map[string]float64{"nv_inference_first_response_histogram_ms_bucket": 5000},
	},
	"nim": {
		documented: map[string]string{
			"up":                                   scraper,
			"process_start_time_seconds":           processMetrics,
			"gpu_cache_usage_perc":                 nimMetrics,
			"num_requests_waiting":                 nimMetrics,
			"num_requests_running":                 nimMetrics,
			"generation_tokens_total":              nimMetrics,
			"request_success_total":                nimMetrics,
			"request_failure_total":                nimMetrics,
			"time_to_first_token_seconds_bucket":   nimMetrics,
			"time_per_output_token_seconds_bucket": nimMetrics,
			"e2e_request_latency_seconds_bucket":   nimMetrics,
		},
		// Not documented: those of the vLLM releases that NIM was built on first, the shortest that it can have.
		last: map[string]float64{
			"time_to_first_token_seconds_bucket":   10,
			"time_per_output_token_seconds_bucket": 2.5,
			"e2e_request_latency_seconds_bucket":   60,
		},
	},
	"kserve": {
		documented: map[string]string{
			"up":                                           scraper,
			"process_start_time_seconds":                   processMetrics,
			"request_predict_seconds_bucket":               kserveMetrics,
			"request_predict_seconds_sum":                  kserveMetrics,
			"request_predict_seconds_count":                kserveMetrics,
			"request_preprocess_seconds_sum":               kserveMetrics,
			"request_preprocess_seconds_count":             kserveMetrics,
			"request_postprocess_seconds_sum":              kserveMetrics,
			"kn_serving_invocation_duration_seconds_count": knativeMetrics,
			"kn_serving_queue_depth":                       knativeMetrics,
			"revision_request_count":                       knativeBefore,
			"revision_queue_depth":                         knativeBefore,
		},
		last: map[string]float64{"request_predict_seconds_bucket": 10}, // the Python client's default buckets
	},
	"ray-serve": {
		documented: map[string]string{
			"up":                                         scraper,
			"ray_serve_application_status":               rayServeMetrics,
			"ray_serve_deployment_replica_healthy":       rayServeMetrics,
			"ray_serve_health_check_failures_total":      rayServeMetrics,
			"ray_serve_num_http_requests_total":          rayServeMetrics,
			"ray_serve_num_http_error_requests_total":    rayServeMetrics,
			"ray_serve_deployment_request_counter_total": rayServeMetrics,
			"ray_serve_deployment_error_counter_total":   rayServeMetrics,
			"ray_serve_http_request_latency_ms_bucket":   rayServeMetrics,
			"ray_serve_deployment_queued_queries":        rayServeMetrics,
			"ray_serve_replica_processing_queries":       rayServeMetrics,
			"ray_serve_autoscaling_target_replicas":      rayServeMetrics,
			"ray_serve_controller_num_control_loops":     rayServeMetrics,
		},
		last: map[string]float64{"ray_serve_http_request_latency_ms_bucket": 600000},
	},
}
