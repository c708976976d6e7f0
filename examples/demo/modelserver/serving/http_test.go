package serving

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func serve(t *testing.T, size Size, steps bool) (*httptest.Server, *Engine, *Metrics) {
	e, m, registry := newEngine(t, size)
	server := httptest.NewServer((&API{Engine: e, Model: "m", Metrics: registry}).Routes())
	t.Cleanup(server.Close)
	if steps {
		ctx, cancel := context.WithCancel(context.Background())
		done := make(chan struct{})
		go func() {
			defer close(done)
			e.Run(ctx, Pace{Usual: time.Millisecond}, Incidents{Every: time.Hour}, func(string) {})
		}()
		t.Cleanup(func() { cancel(); <-done })
	}
	return server, e, m
}

func TestCompletion(t *testing.T) {
	server, _, _ := serve(t, Size{Slots: 2, Blocks: 8, Queue: 4, Tokens: 64}, true)
	res, err := http.Post(server.URL+"/v1/completions", "application/json", strings.NewReader(`{"model": "m", "prompt": "one two three", "max_tokens": 20}`))
	require.NoError(t, err)
	defer res.Body.Close()
	require.Equal(t, http.StatusOK, res.StatusCode)
	var got completion
	require.NoError(t, json.NewDecoder(res.Body).Decode(&got))
	assert.Equal(t, "text_completion", got.Object)
	assert.Equal(t, 3, got.Usage.PromptTokens)
	assert.GreaterOrEqual(t, got.Usage.CompletionTokens, 11)
	assert.LessOrEqual(t, got.Usage.CompletionTokens, 20)
	require.Len(t, got.Choices, 1)
	assert.Len(t, strings.Fields(got.Choices[0].Text), got.Usage.CompletionTokens)
	assert.Contains(t, []Reason{Stop, Length}, got.Choices[0].FinishReason)
}

func TestRefused(t *testing.T) {
	server, e, _ := serve(t, Size{Slots: 1, Blocks: 8, Queue: 1, Tokens: 64}, false)
	_, err := e.Submit(time.Now(), 1, 1, 1) // nobody steps: the queue stays full
	require.NoError(t, err)
	for body, want := range map[string]int{
		`{`: 400, `{"prompt": ""}`: 400, `{"prompt": "x", "max_tokens": 0}`: 400, `{"prompt": "x", "max_tokens": 65}`: 400,
		`{"prompt": "x", "stream": true}`: 400, `{"model": "other", "prompt": "x"}`: 404, `{"prompt": "x"}`: 503,
	} {
		res, err := http.Post(server.URL+"/v1/completions", "application/json", strings.NewReader(body))
		require.NoError(t, err)
		assert.Equal(t, want, res.StatusCode, body)
		var got struct {
			Error struct{ Message string } `json:"error"`
		}
		require.NoError(t, json.NewDecoder(res.Body).Decode(&got))
		assert.NotEmpty(t, got.Error.Message, body)
		_ = res.Body.Close()
	}
}

func TestClientThatGoesAway(t *testing.T) {
	server, _, m := serve(t, Size{Slots: 1, Blocks: 8, Queue: 4, Tokens: 64}, false)
	ctx, cancel := context.WithCancel(t.Context())
	gone := make(chan struct{})
	go func() {
		defer close(gone)
		req, err := http.NewRequestWithContext(ctx, http.MethodPost, server.URL+"/v1/completions", strings.NewReader(`{"prompt": "x"}`))
		if err != nil {
			return
		}
		if res, err := http.DefaultClient.Do(req); err == nil {
			_ = res.Body.Close()
		}
	}()
	require.Eventually(t, func() bool { return testutil.ToFloat64(m.waiting) == 1 }, 10*time.Second, time.Millisecond)
	cancel()
	<-gone
	require.Eventually(t, func() bool { return testutil.ToFloat64(m.success[Abort]) == 1 }, 10*time.Second, time.Millisecond)
	assert.InDelta(t, 0, testutil.ToFloat64(m.waiting), 0)
}

func TestLoadIsServed(t *testing.T) {
	server, _, m := serve(t, Size{Slots: 8, Blocks: 64, Queue: 64, Tokens: 64}, true)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		(&Load{URL: server.URL, Model: "m", Rate: 500, Prompt: [2]int{1, 8}, Answer: [2]int{1, 4}, Client: server.Client()}).Run(ctx)
	}()
	finished := func() float64 { return testutil.ToFloat64(m.success[Stop]) + testutil.ToFloat64(m.success[Length]) }
	require.Eventually(t, func() bool { return finished() >= 50 }, 30*time.Second, time.Millisecond)
	cancel()
	<-done
}
