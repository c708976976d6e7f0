package e2e

import (
	"io"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// The examples are complete: sidecar and gateway start as they stand, metrics go from one through the other, and the
// page asks for a name and a password.
func TestTheExamplesRun(t *testing.T) {
	people := newPager(t)
	p := freePorts(t, 12)
	port := func(i int) string { _, number, _ := net.SplitHostPort(p[i]); return number }
	server := serve(t, "# TYPE vllm:num_requests_waiting gauge\nvllm:num_requests_waiting{model_name=\"llama\"} 3\n")
	rules, err := filepath.Abs(filepath.Join("..", "examples", "rules"))
	require.NoError(t, err)
	for name, value := range map[string]string{
		"RULES_DIR": rules, "DATA_DIR": t.TempDir(),
		"GATEWAY_GRPC": p[0], "GATEWAY_HTTP": p[1], "GATEWAY_UNJUDGED_GRPC": p[2], "GATEWAY_UNJUDGED_HTTP": p[3],
		"GATEWAY_HEALTH": p[4], "GATEWAY_METRICS": p[5], "GATEWAY_SELF_PORT": port(6), "PAGE_ENDPOINT": p[7],
		"PAGE_USER": "oncall", "PAGE_PASSWORD": "0012345", "EXTERNAL_URL": "http://" + p[7],
		"WEBHOOK_URL": people.URL, "SLACK_API_URL": people.URL, "PAGERDUTY_ROUTING_KEY": "0012345",
	} {
		t.Setenv(name, value)
	}
	run(t, filepath.Join("..", "examples", "gateway.yaml"), p[4])
	t.Setenv("DATA_DIR", t.TempDir())
	for name, value := range map[string]string{
		"GATEWAY_ENDPOINT": p[0], "GATEWAY_INSECURE": "true", "MODEL_SERVER": server.address(), "HOSTNAME": "replica-1",
		"OTLP_GRPC_PORT": port(8), "OTLP_HTTP_PORT": port(9), "SIDECAR_HEALTH": p[10], "SIDECAR_SELF_PORT": port(11),
	} {
		t.Setenv(name, value)
	}
	run(t, filepath.Join("..", "examples", "sidecar.yaml"), p[10])

	eventually(t, "the model server's metrics come out of the gateway", func() bool {
		resp, err := http.Get("http://" + p[5] + "/metrics")
		if err != nil {
			return false
		}
		defer func() { _ = resp.Body.Close() }()
		body, _ := io.ReadAll(resp.Body)
		return strings.Contains(string(body), "num_requests_waiting")
	})
	resp, err := http.Get("http://" + p[7] + "/")
	require.NoError(t, err)
	_ = resp.Body.Close()
	assert.Equal(t, http.StatusUnauthorized, resp.StatusCode)
	assert.Contains(t, resp.Header.Get("WWW-Authenticate"), "Basic")
	req, err := http.NewRequest(http.MethodGet, "http://"+p[7]+"/api/v1/alerts", nil)
	require.NoError(t, err)
	req.SetBasicAuth("oncall", "0012345")
	resp, err = http.DefaultClient.Do(req)
	require.NoError(t, err)
	_ = resp.Body.Close()
	assert.Equal(t, http.StatusOK, resp.StatusCode, "a password keeps its zeros")
}
