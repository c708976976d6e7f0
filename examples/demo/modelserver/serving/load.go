package serving

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"math/rand/v2"
	"net/http"
	"strings"
	"sync"
	"time"
)

// Load sends requests as many clients together do: each by itself, at random.
type Load struct {
	// URL is the server's, without a path.
	URL   string
	Model string
	// Rate is the mean number of requests in a second. They are a Poisson process: the time between two is exponential.
	Rate float64
	// Prompt and Answer are the lengths in tokens, [least, most], drawn evenly.
	Prompt, Answer [2]int
	Client         *http.Client
}

// maxInFlight bounds the goroutines; what arrives beyond it is left out, as a server of this size refuses it anyway.
const maxInFlight = 2048

// Run sends until ctx ends, and returns when every request has come back.
func (l *Load) Run(ctx context.Context) {
	var requests sync.WaitGroup
	defer requests.Wait()
	slots := make(chan struct{}, maxInFlight)
	next := time.NewTimer(l.pause())
	defer next.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-next.C:
			next.Reset(l.pause())
		}
		select {
		case slots <- struct{}{}:
			requests.Go(func() {
				l.send(ctx)
				<-slots
			})
		default:
		}
	}
}

func (l *Load) pause() time.Duration {
	return time.Duration(rand.ExpFloat64() / l.Rate * float64(time.Second))
}

// send makes one request. How it ends is the server's to count.
func (l *Load) send(ctx context.Context) {
	limit := draw(l.Answer)
	body, err := json.Marshal(completionRequest{
		Model: l.Model, Prompt: strings.Repeat("word ", draw(l.Prompt)), MaxTokens: &limit,
	})
	if err != nil {
		return
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, l.URL+"/v1/completions", bytes.NewReader(body))
	if err != nil {
		return
	}
	req.Header.Set("Content-Type", "application/json")
	res, err := l.Client.Do(req)
	if err != nil {
		return
	}
	_, _ = io.Copy(io.Discard, res.Body) // read to the end, so that the connection is used again
	_ = res.Body.Close()
}

func draw(between [2]int) int { return between[0] + rand.IntN(between[1]-between[0]+1) }
