package e2e

import (
	"io"
	"net"
	"net/http"
	"os"
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
	gatewayData := t.TempDir()
	rules, err := filepath.Abs(filepath.Join("..", "examples", "rules"))
	require.NoError(t, err)
	packs, err := filepath.Abs(filepath.Join("..", "rules"))
	require.NoError(t, err)
	for name, value := range map[string]string{
		"RULES_DIR": rules, "PACKS_DIR": packs, "DATA_DIR": gatewayData,
		"GATEWAY_GRPC": p[0], "GATEWAY_HTTP": p[1], "GATEWAY_UNJUDGED_GRPC": p[2], "GATEWAY_UNJUDGED_HTTP": p[3],
		"GATEWAY_HEALTH": p[4], "GATEWAY_METRICS": p[5], "GATEWAY_SELF_PORT": port(6), "PAGE_ENDPOINT": p[7],
		"PAGE_USER": "oncall", "PAGE_PASSWORD": "0012345", "EXTERNAL_URL": "http://" + p[7],
		"WEBHOOK_URL": people.URL, "WATCHDOG_URL": people.URL, "SLACK_API_URL": people.URL, "PAGERDUTY_ROUTING_KEY": "0012345",
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

	side := &settings{http: p[9]}
	side.sendHTTP(t, gauge("DCGM_FI_DEV_ROW_REMAP_FAILURE", "llama", 1))
	eventually(t, "the owner is paged", func() bool { return people.told("GPUWithoutSpareRows", "firing") == 1 })
	told := find(people.all(), "GPUWithoutSpareRows")
	assert.Equal(t, "hardware-tickets", told.Receiver)
	assert.Equal(t, "critical", told.Alerts[0].Labels["severity"])
	assert.Equal(t, "hardware", told.Alerts[0].Labels["owner"])
	assert.Equal(t, "Drain the node and have the GPU replaced.", told.Alerts[0].Annotations["response"], "it came in an exemplar")

	resp, err := http.Get("http://" + p[7] + "/")
	require.NoError(t, err)
	_ = resp.Body.Close()
	assert.Equal(t, http.StatusUnauthorized, resp.StatusCode)
	assert.Contains(t, resp.Header.Get("WWW-Authenticate"), "Basic")
	req, err := http.NewRequest(http.MethodPost,
		"http://"+p[7]+"/api/v1/alerts/"+told.Alerts[0].Labels["episode_id"]+"/acknowledge", strings.NewReader(`{"by": "somebody else"}`))
	require.NoError(t, err)
	req.Header.Set("Content-Type", "application/json")
	req.SetBasicAuth("oncall", "0012345")
	resp, err = http.DefaultClient.Do(req)
	require.NoError(t, err)
	_ = resp.Body.Close()
	assert.Equal(t, 2, resp.StatusCode/100, "a password keeps its zeros")
	events := filepath.Join(gatewayData, "alert-events.jsonl")
	eventually(t, "the user's name is in the alert events", func() bool {
		lines, _ := os.ReadFile(events)
		for line := range strings.Lines(string(lines)) {
			if strings.Contains(line, "alert.acknowledged") && strings.Contains(line, `"oncall"`) {
				return true
			}
		}
		return false
	})
}
