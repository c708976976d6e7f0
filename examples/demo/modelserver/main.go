// Command modelserver is a model server without a model, for the demo: real requests, a real queue, simulated decoding,
// vLLM's metrics, its own clients, and an incident every few minutes.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log"
	"net"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/otelcol-escalation/otelcol-escalation/examples/demo/modelserver/serving"
)

// The demo's model: at 5 requests in a second and 20 ms a token, about 20 requests run and a third of the cache is used.
// In an incident a token takes 150 ms: the cache is full within some 10 s, and then the queue grows by 3 to 4 a second.
var (
	size = serving.Size{Slots: 128, Blocks: 1024, Queue: 256, Tokens: 2048}
	pace = serving.Pace{Usual: 20 * time.Millisecond, Incident: 150 * time.Millisecond}
)

// grace is how long requests may take to end after a signal.
const grace = 3 * time.Second

func main() {
	log.SetFlags(log.Ltime)
	listen := flag.String("listen", "localhost:8000", "address to serve on")
	model := flag.String("model", "demo/chat-7b", "name of the model")
	rate := flag.Float64("rate", 5, "requests in a second that the server's own clients send; 0 for none")
	var incidents serving.Incidents
	flag.DurationVar(&incidents.First, "incident-first", 15*time.Second, "time before the first incident")
	flag.DurationVar(&incidents.Every, "incident-every", 3*time.Minute, "time from one incident to the next")
	flag.DurationVar(&incidents.Lasts, "incident-lasts", 45*time.Second, "length of an incident; 0 for none")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, *listen, *model, *rate, incidents); err != nil {
		log.Fatalf("modelserver: %v", err) //nolint:gocritic // there is nothing left to stop
	}
}

func run(ctx context.Context, listen, model string, rate float64, incidents serving.Incidents) error {
	if rate < 0 {
		return fmt.Errorf("-rate must not be negative (got %g)", rate)
	}
	if err := incidents.Validate(); err != nil {
		return err
	}
	registry := prometheus.NewRegistry()
	engine, err := serving.NewEngine(size, serving.NewMetrics(registry, model, "0"))
	if err != nil {
		return err
	}
	listener, err := new(net.ListenConfig).Listen(context.WithoutCancel(ctx), "tcp", listen)
	if err != nil {
		return err
	}
	api := &serving.API{Engine: engine, Model: model, Metrics: registry}
	server := &http.Server{Handler: api.Routes(), ReadHeaderTimeout: 5 * time.Second}
	url := "http://" + listener.Addr().String()
	log.Printf("serving %s on %s: POST /v1/completions, GET /metrics", model, url)

	// The engine outlives the server's last request, which waits for it.
	engineCtx, stopEngine := context.WithCancel(context.WithoutCancel(ctx))
	engineDone, loadDone, served := make(chan struct{}), make(chan struct{}), make(chan error, 1)
	go func() {
		defer close(engineDone)
		engine.Run(engineCtx, pace, incidents, func(s string) { log.Print(s) })
	}()
	go func() { served <- server.Serve(listener) }()
	loadCtx, stopLoad := context.WithCancel(ctx)
	go func() {
		defer close(loadDone)
		if rate > 0 {
			clients(url, model, rate).Run(loadCtx)
		}
	}()

	select {
	case <-ctx.Done():
		err = nil
	case err = <-served:
	}
	stopLoad()
	<-loadDone
	closing, cancel := context.WithTimeout(context.WithoutCancel(ctx), grace)
	defer cancel()
	if server.Shutdown(closing) != nil {
		_ = server.Close()
	}
	stopEngine()
	<-engineDone
	if errors.Is(err, http.ErrServerClosed) {
		return nil
	}
	return err
}

func clients(url, model string, rate float64) *serving.Load {
	return &serving.Load{
		URL: url, Model: model, Rate: rate, Prompt: [2]int{64, 256}, Answer: [2]int{120, 400},
		Client: &http.Client{
			Timeout:   3 * time.Minute, // longer than a request waits in the worst of an incident
			Transport: &http.Transport{MaxIdleConnsPerHost: 256, IdleConnTimeout: time.Minute},
		},
	}
}
