package notify

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"
)

// Hook asks a deployment system for a rollback. Addresses, headers and secrets come from configuration alone.
type Hook struct {
	name        string
	method      string
	url         string
	header      http.Header
	signer      *standardwebhooks.Webhook // nil: not signed
	client      *http.Client
	connections *connections
	body        func(Rollback) any
}

// HookOptions are what all hooks have.
type HookOptions struct {
	// Name is the target's, for errors.
	Name    string
	Headers map[string]string
	// TLS may be nil.
	TLS   *tls.Config
	Guard Guard
}

// Rollback is what a deployment system is told.
type Rollback struct {
	// ID identifies the request, over repetitions, too.
	ID         string            `json:"action_id"`
	Target     string            `json:"target"`
	EpisodeID  string            `json:"episode_id"`
	AlertID    string            `json:"alert_id"`
	Rule       string            `json:"rule"`
	Severity   string            `json:"severity"`
	Owner      string            `json:"owner"`
	Labels     map[string]string `json:"labels"`
	Value      *float64          `json:"value,omitempty"`
	Threshold  *float64          `json:"threshold,omitempty"`
	ApprovedBy string            `json:"approved_by,omitempty"` // empty: nobody had to
	PageURL    string            `json:"page_url,omitempty"`
	// At is when it was asked for.
	At time.Time `json:"requested_at"`
}

// rollbackType is the event's type on the wire.
const rollbackType = "rollback.requested"

// NewWebhook returns a hook that posts a rollback as JSON, signed as the Standard Webhooks specification says; secret is
// base64, with or without "whsec_" before it.
func NewWebhook(endpoint, secret string, opts HookOptions) (*Hook, error) {
	h, err := newHook(http.MethodPost, endpoint, opts)
	if err != nil {
		return nil, err
	}
	if h.signer, err = standardwebhooks.NewWebhook(secret); err != nil || secret == "" {
		return nil, errors.New(`signing_secret: must be base64, such as "whsec_" and what head -c 32 /dev/urandom | base64 prints`)
	}
	h.body = func(r Rollback) any {
		return map[string]any{"type": rollbackType, "timestamp": r.At.UTC().Format(time.RFC3339Nano), "data": r}
	}
	return h, nil
}

// NewArgoRollouts returns a hook that aborts a rollout by the HTTP API of Argo Rollouts' dashboard.
func NewArgoRollouts(endpoint, namespace, rollout string, opts HookOptions) (*Hook, error) {
	for _, part := range [][2]string{{"namespace", namespace}, {"rollout", rollout}} {
		if part[1] == "" || strings.ContainsAny(part[1], "/?#% ") {
			return nil, fmt.Errorf("%s: must be the name of a Kubernetes object (got %q)", part[0], part[1])
		}
	}
	h, err := newHook(http.MethodPut, endpoint, opts)
	if err != nil {
		return nil, err
	}
	h.url = strings.TrimSuffix(h.url, "/") + "/api/v1/rollouts/" + namespace + "/" + rollout + "/abort"
	h.body = func(Rollback) any { return map[string]string{"namespace": namespace, "name": rollout} }
	return h, nil
}

func newHook(method, endpoint string, opts HookOptions) (*Hook, error) {
	u, err := url.Parse(endpoint)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.User != nil {
		return nil, errors.New("endpoint: must be an absolute http or https address without a user")
	}
	h := &Hook{name: opts.Name, method: method, url: endpoint, header: http.Header{}, connections: &connections{open: map[*bounded]struct{}{}}}
	for name, value := range opts.Headers {
		h.header.Set(name, value)
	}
	config := opts.TLS
	if config == nil {
		config = &tls.Config{MinVersion: tls.VersionTLS12}
	}
	config.MinVersion = max(config.MinVersion, tls.VersionTLS12)
	h.client = &http.Client{
		Transport: &http.Transport{
			DialContext: opts.Guard.dialer(h.connections), TLSClientConfig: config, ForceAttemptHTTP2: true,
			TLSHandshakeTimeout: 10 * time.Second, MaxIdleConns: 2, IdleConnTimeout: time.Minute,
		},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	return h, nil
}

// Close closes the connections that are open.
func (h *Hook) Close() { h.connections.close() }

// maxAnswer bounds what is read of an answer.
const maxAnswer = 64 << 10

// Ask sends a rollback once. A *SendError says whether asking again makes sense.
func (h *Hook) Ask(ctx context.Context, r Rollback, now time.Time) error {
	fail := func(permanent bool, err error) error {
		return &SendError{Destination: h.name, Permanent: permanent && ctx.Err() == nil, Err: redact(err)}
	}
	body, err := json.Marshal(h.body(r))
	if err != nil {
		return fail(true, err)
	}
	request, err := http.NewRequestWithContext(ctx, h.method, h.url, bytes.NewReader(body))
	if err != nil {
		return fail(true, err)
	}
	request.Header = h.header.Clone()
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set("User-Agent", "otelcol-escalation")
	if h.signer != nil {
		signature, err := h.signer.Sign(r.ID, now, body)
		if err != nil {
			return fail(true, err)
		}
		request.Header.Set(standardwebhooks.HeaderWebhookID, r.ID)
		request.Header.Set(standardwebhooks.HeaderWebhookTimestamp, strconv.FormatInt(now.Unix(), 10))
		request.Header.Set(standardwebhooks.HeaderWebhookSignature, signature)
	}
	response, err := h.client.Do(request)
	if err != nil {
		return fail(false, err)
	}
	defer response.Body.Close()
	return refusal(ctx, h.name, response, time.Now())
}

// refusal reads an answer: nil where it accepts.
func refusal(ctx context.Context, destination string, response *http.Response, now time.Time) error {
	answer, _ := io.ReadAll(io.LimitReader(response.Body, maxAnswer))
	code := response.StatusCode
	if code >= 200 && code < 300 {
		return nil
	}
	again := code >= 500 || code == http.StatusRequestTimeout || code == http.StatusTooEarly || code == http.StatusTooManyRequests
	return &SendError{
		Destination: destination, Permanent: !again && ctx.Err() == nil, RetryAfter: retryAfter(response.Header.Get("Retry-After"), now),
		Err: redact(fmt.Errorf("unexpected status code %d: %s", code, strings.TrimSpace(string(answer[:min(len(answer), 200)])))),
	}
}

// retryAfter reads the header of that name: seconds, or a date.
func retryAfter(header string, now time.Time) time.Duration {
	if seconds, err := strconv.ParseUint(header, 10, 31); err == nil {
		return time.Duration(seconds) * time.Second
	}
	if date, err := http.ParseTime(header); err == nil {
		return max(date.Sub(now), 0)
	}
	return 0
}
