package notify

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const hookSecret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"

var wanted = Rollback{
	ID: "a1", Target: "chat", EpisodeID: "e1", Rule: "R\" }] evil", Labels: map[string]string{"service": "chat\r\nX-Evil: 1"},
	At: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC),
}

func TestRollbackWebhook(t *testing.T) {
	now := time.Now()
	var got http.Header
	var body []byte
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		got = r.Header
		body, _ = io.ReadAll(r.Body)
	}))
	defer server.Close()
	h, err := NewWebhook(server.URL+"/hook", hookSecret, HookOptions{Name: "chat", Headers: map[string]string{"Authorization": "Bearer x"}})
	require.NoError(t, err)
	defer h.Close()
	require.NoError(t, h.Ask(t.Context(), wanted, now))
	verifier, err := standardwebhooks.NewWebhook(hookSecret)
	require.NoError(t, err)
	require.NoError(t, verifier.Verify(body, got))
	require.Equal(t, "a1", got.Get("webhook-id"), "the same each time: the far side can tell a repetition")
	require.Equal(t, "Bearer x", got.Get("Authorization"))
	require.Empty(t, got.Get("X-Evil"))
	var sent struct {
		Type, Timestamp string
		Data            Rollback
	}
	require.NoError(t, json.Unmarshal(body, &sent))
	require.Equal(t, "rollback.requested", sent.Type)
	require.Equal(t, "2026-01-02T03:04:05Z", sent.Timestamp)
	require.Equal(t, wanted, sent.Data)
}

func TestArgoRolloutsAbort(t *testing.T) {
	var got *http.Request
	var body []byte
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		got = r
		body, _ = io.ReadAll(r.Body)
	}))
	defer server.Close()
	h, err := NewArgoRollouts(server.URL+"/argo/", "models", "chat", HookOptions{Name: "chat"})
	require.NoError(t, err)
	defer h.Close()
	require.NoError(t, h.Ask(t.Context(), wanted, time.Now()))
	require.Equal(t, http.MethodPut, got.Method)
	require.Equal(t, "/argo/api/v1/rollouts/models/chat/abort", got.URL.Path)
	require.JSONEq(t, `{"namespace": "models", "name": "chat"}`, string(body))
}

func TestRetryAfter(t *testing.T) {
	now := time.Date(2026, 11, 24, 0, 0, 0, 0, time.UTC)
	for header, want := range map[string]time.Duration{
		"": 0, "0": 0, "70": 70 * time.Second, "-1": 0, "1.5": 0, "soon": 0, "99999999999": 0,
		"Tue, 24 Nov 2026 00:02:00 GMT": 2 * time.Minute, "Mon, 23 Nov 2026 00:02:00 GMT": 0,
	} {
		assert.Equal(t, want, retryAfter(header, now), header)
	}
}

func TestRollbackAnswers(t *testing.T) {
	followed := false
	for code, permanent := range map[int]bool{
		200: false, 202: false, 301: true, 307: true, 400: true, 401: true, 404: true, 408: false, 425: false, 429: false, 500: false, 503: false,
	} {
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/elsewhere" {
				followed = true
			}
			w.Header().Set("Location", "/elsewhere")
			w.Header().Set("Retry-After", "70")
			w.WriteHeader(code)
			_, _ = w.Write([]byte(strings.Repeat("x", 1000)))
		}))
		h, err := NewWebhook(server.URL+"/s3cret", hookSecret, HookOptions{Name: "chat"})
		require.NoError(t, err)
		err = h.Ask(t.Context(), wanted, time.Now())
		h.Close()
		server.Close()
		if code < 300 {
			require.NoError(t, err)
			continue
		}
		var failure *SendError
		require.ErrorAs(t, err, &failure)
		require.Equal(t, permanent, failure.Permanent, "%d", code)
		require.Equal(t, 70*time.Second, failure.RetryAfter)
		require.NotContains(t, err.Error(), "s3cret")
		require.Less(t, len(err.Error()), 600)
	}
	require.False(t, followed, "redirects are not followed")
}

func TestRollbacksGoNowhereNear(t *testing.T) {
	for _, endpoint := range []string{"http://169.254.169.254/latest", "http://[fe80::1]:80/", "http://0.0.0.0:1/", "http://[::ffff:169.254.169.254]/"} {
		h, err := NewWebhook(endpoint, hookSecret, HookOptions{Name: "chat"})
		require.NoError(t, err)
		require.ErrorContains(t, h.Ask(t.Context(), wanted, time.Now()), "is refused")
	}
	for _, endpoint := range []string{"", "ftp://x", "https://user:pw@x", "/x", "https://"} {
		_, err := NewWebhook(endpoint, hookSecret, HookOptions{})
		require.ErrorContains(t, err, "endpoint: must be", endpoint)
		require.NotContains(t, err.Error(), "pw")
	}
}

func TestRollbacksNeedTLS12(t *testing.T) {
	server := httptest.NewUnstartedServer(http.NotFoundHandler())
	server.TLS = &tls.Config{MaxVersion: tls.VersionTLS11} //nolint:gosec // what must be refused
	server.Config.ErrorLog = nil
	server.StartTLS()
	defer server.Close()
	config := server.Client().Transport.(*http.Transport).TLSClientConfig.Clone()
	config.MinVersion = tls.VersionTLS10 //nolint:gosec // the configuration asks for it in vain
	h, err := NewWebhook(server.URL, hookSecret, HookOptions{Name: "chat", TLS: config})
	require.NoError(t, err)
	require.ErrorContains(t, h.Ask(t.Context(), wanted, time.Now()), "protocol version")
}

func TestARollbackThatGetsNoAnswer(t *testing.T) {
	release := make(chan struct{})
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		select {
		case <-r.Context().Done():
		case <-release:
		}
	}))
	defer server.Close()
	defer close(release)
	h, err := NewWebhook(server.URL, hookSecret, HookOptions{Name: "chat"})
	require.NoError(t, err)
	defer h.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	var failure *SendError
	require.True(t, errors.As(h.Ask(ctx, wanted, time.Now()), &failure))
	require.False(t, failure.Permanent)
}
