package serving

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// Bucket bounds of vLLM's histograms (vllm/v1/metrics/loggers.py), in seconds.
var (
	firstTokenBuckets = []float64{
		0.001, 0.005, 0.01, 0.02, 0.04, 0.06, 0.08, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10, 20, 40, 80, 160, 640, 2560,
	}
	interTokenBuckets = []float64{
		0.01, 0.025, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.75, 1, 2.5, 5, 7.5, 10, 20, 40, 80,
	}
	requestBuckets = []float64{
		0.3, 0.5, 0.8, 1, 1.5, 2, 2.5, 5, 10, 15, 20, 30, 40, 50, 60, 120, 240, 480, 960, 1920, 7680,
	}
)

// Metrics are those of vLLM that a server of this kind has, under vLLM's names.
type Metrics struct {
	running, waiting, cache        prometheus.Gauge
	prompt, generation, preemption prometheus.Counter
	success                        map[Reason]prometheus.Counter
	firstToken, interToken         prometheus.Observer
	endToEnd, queued               prometheus.Observer
}

// NewMetrics registers the metrics of one engine.
func NewMetrics(to prometheus.Registerer, model, engine string) *Metrics {
	to = prometheus.WrapRegistererWith(prometheus.Labels{"model_name": model, "engine": engine}, to)
	gauge := func(name, help string) prometheus.Gauge {
		g := prometheus.NewGauge(prometheus.GaugeOpts{Name: name, Help: help})
		to.MustRegister(g)
		return g
	}
	counter := func(name, help string) prometheus.Counter {
		c := prometheus.NewCounter(prometheus.CounterOpts{Name: name, Help: help})
		to.MustRegister(c)
		return c
	}
	histogram := func(name, help string, buckets []float64) prometheus.Observer {
		h := prometheus.NewHistogram(prometheus.HistogramOpts{Name: name, Help: help, Buckets: buckets})
		to.MustRegister(h)
		return h
	}
	success := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "vllm:request_success_total", Help: "Requests that finished, by reason.",
	}, []string{"finished_reason"})
	to.MustRegister(success)
	m := &Metrics{
		running:    gauge("vllm:num_requests_running", "Requests that are being decoded."),
		waiting:    gauge("vllm:num_requests_waiting", "Requests that wait for a slot or for room in the KV cache."),
		cache:      gauge("vllm:kv_cache_usage_perc", "Share of the KV cache in use; 1 is all of it."),
		prompt:     counter("vllm:prompt_tokens_total", "Prompt tokens that were read."),
		generation: counter("vllm:generation_tokens_total", "Tokens that were generated."),
		preemption: counter("vllm:num_preemptions_total", "Requests pushed out of the KV cache by others."),
		firstToken: histogram("vllm:time_to_first_token_seconds", "From a request's arrival to its first token.", firstTokenBuckets),
		interToken: histogram("vllm:inter_token_latency_seconds", "From one token of a request to its next.", interTokenBuckets),
		endToEnd:   histogram("vllm:e2e_request_latency_seconds", "From a request's arrival to its end.", requestBuckets),
		queued:     histogram("vllm:request_queue_time_seconds", "From a request's arrival to its first admission.", requestBuckets),
		success:    map[Reason]prometheus.Counter{},
	}
	for _, r := range Reasons {
		m.success[r] = success.WithLabelValues(string(r))
	}
	return m
}

func (m *Metrics) load(running, waiting int, cache float64) {
	m.running.Set(float64(running))
	m.waiting.Set(float64(waiting))
	m.cache.Set(cache)
}

// token counts one more token of a request, before its lastToken moves.
func (m *Metrics) token(now time.Time, r *Request) {
	m.generation.Inc()
	if r.lastToken.IsZero() {
		m.firstToken.Observe(now.Sub(r.arrived).Seconds())
	} else {
		m.interToken.Observe(now.Sub(r.lastToken).Seconds())
	}
}

func (m *Metrics) scheduled(now time.Time, r *Request) {
	m.queued.Observe(now.Sub(r.arrived).Seconds())
	m.prompt.Add(float64(r.prompt))
}

func (m *Metrics) preempted() { m.preemption.Inc() }

func (m *Metrics) finished(now time.Time, r *Request) {
	m.success[r.reason].Inc()
	m.endToEnd.Observe(now.Sub(r.arrived).Seconds())
}
