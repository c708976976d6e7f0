package serving

import (
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// maxBody is far beyond the longest prompt.
const maxBody = 1 << 20

// API serves an engine over HTTP: completions as OpenAI's API has them, and /metrics.
type API struct {
	Engine  *Engine
	Model   string
	Metrics prometheus.Gatherer

	served atomic.Uint64
}

// Routes returns the paths that the API answers.
func (a *API) Routes() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("POST /v1/completions", a.complete)
	mux.HandleFunc("GET /v1/models", a.models)
	mux.HandleFunc("GET /health", func(http.ResponseWriter, *http.Request) {})
	mux.Handle("GET /metrics", promhttp.HandlerFor(a.Metrics, promhttp.HandlerOpts{}))
	return mux
}

type completionRequest struct {
	Model     string `json:"model"`
	Prompt    string `json:"prompt"`
	MaxTokens *int   `json:"max_tokens"`
	Stream    bool   `json:"stream"`
}

type completion struct {
	ID      string   `json:"id"`
	Object  string   `json:"object"`
	Created int64    `json:"created"`
	Model   string   `json:"model"`
	Choices []choice `json:"choices"`
	Usage   usage    `json:"usage"`
}

type choice struct {
	Index        int    `json:"index"`
	Text         string `json:"text"`
	FinishReason Reason `json:"finish_reason"`
}

type usage struct {
	PromptTokens     int `json:"prompt_tokens"`
	CompletionTokens int `json:"completion_tokens"`
	TotalTokens      int `json:"total_tokens"`
}

// defaultMaxTokens is what OpenAI's completions take where the request does not say.
const defaultMaxTokens = 16

func (a *API) complete(w http.ResponseWriter, r *http.Request) {
	var in completionRequest
	if err := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxBody)).Decode(&in); err != nil {
		refuse(w, http.StatusBadRequest, fmt.Sprintf("the request must be a JSON object: %v", err))
		return
	}
	limit := defaultMaxTokens
	if in.MaxTokens != nil {
		limit = *in.MaxTokens
	}
	switch {
	case in.Model != "" && in.Model != a.Model:
		refuse(w, http.StatusNotFound, fmt.Sprintf("there is no model %q: this is %q", in.Model, a.Model))
		return
	case in.Stream:
		refuse(w, http.StatusBadRequest, "stream is not supported: leave it out")
		return
	case limit < 1:
		refuse(w, http.StatusBadRequest, fmt.Sprintf("max_tokens must be at least 1 (got %d)", limit))
		return
	}
	prompt := len(strings.Fields(in.Prompt)) // a word is a token: good enough where nobody reads them
	req, err := a.Engine.Submit(time.Now(), prompt, limit, answerLength(limit))
	switch {
	case errors.Is(err, ErrQueueFull):
		w.Header().Set("Retry-After", "1")
		refuse(w, http.StatusServiceUnavailable, err.Error())
		return
	case err != nil:
		refuse(w, http.StatusBadRequest, err.Error())
		return
	}
	select {
	case <-req.Done():
	case <-r.Context().Done():
		a.Engine.Cancel(time.Now(), req)
		return
	}
	tokens, reason := req.Answer()
	answer(w, http.StatusOK, completion{
		ID: "cmpl-" + strconv.FormatUint(a.served.Add(1), 10), Object: "text_completion", Created: time.Now().Unix(), Model: a.Model,
		Choices: []choice{{Text: strings.Repeat(" token", tokens), FinishReason: reason}},
		Usage:   usage{PromptTokens: prompt, CompletionTokens: tokens, TotalTokens: prompt + tokens},
	})
}

// answerLength draws where the model ends its answer: in one case of five it would go on beyond the limit.
func answerLength(limit int) int {
	if rand.IntN(5) == 0 {
		return limit
	}
	return 1 + limit/2 + rand.IntN((limit+1)/2)
}

func (a *API) models(w http.ResponseWriter, _ *http.Request) {
	answer(w, http.StatusOK, map[string]any{"object": "list", "data": []any{map[string]any{"id": a.Model, "object": "model"}}})
}

func refuse(w http.ResponseWriter, code int, message string) {
	answer(w, code, map[string]any{"error": map[string]any{"message": message, "code": code}})
}

func answer(w http.ResponseWriter, code int, body any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(code)
	// A client that has gone away does not need to be told.
	_ = json.NewEncoder(w).Encode(body)
}
