package notify

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// shapeOf reads the schema of PagerDuty's events, with what it refers to put in place.
func shapeOf(t *testing.T) (shape func(path string) map[string]any) {
	path := filepath.Join("..", "..", "..", "shared", "testdata", "webhooks", "pagerduty", "events-v2-openapiv3.json")
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Skipf("the schema is not there: %v", err)
	}
	var document map[string]any
	require.NoError(t, json.Unmarshal(raw, &document))
	return func(path string) map[string]any {
		node := document
		for _, part := range strings.Split(path, "|") {
			next, ok := node[part].(map[string]any)
			require.True(t, ok, "%s in %s", part, path)
			node = next
		}
		return node
	}
}

// What PagerDuty is sent, in every state and tier, is what its schema says: no field that it does not know, all that it
// requires, severities of its list, lengths within its limits.
func TestPagerDutyFields(t *testing.T) {
	shape := shapeOf(t)
	payload := shape("components|schemas|Payload")
	required := payload["required"].([]any)
	known := payload["properties"].(map[string]any)
	severities := known["severity"].(map[string]any)["enum"].([]any)
	s := serve(t, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusAccepted) })
	r := build(t, "receivers: [{name: a, pagerduty_configs: [{routing_key: "+strings.Repeat("k", 32)+", url: '"+s.URL+"'}]}]")
	wants := map[string]string{"critical": "critical", "high": "error", "medium": "warning", "low": "info", "none": "info"}
	for tier, want := range wants {
		for _, action := range []string{"trigger", "resolve"} {
			m := message()
			m.Alerts[0].Labels["severity"] = tier
			m.Alerts[0].Annotations["summary"] = strings.Repeat("ß", 3000)
			m.GroupLabels["alertname"] = strings.Repeat("ü", 3000)
			if action == "resolve" {
				m.Alerts[0].EndsAt = now
			}
			require.NoError(t, r.Send(t.Context(), "a/pagerduty[0]", m))
			var event map[string]any
			require.NoError(t, json.Unmarshal([]byte(s.bodies[len(s.bodies)-1]), &event))
			for field := range event {
				assert.Contains(t, []string{"payload", "routing_key", "event_action", "dedup_key", "client", "client_url", "links", "images"}, field)
			}
			assert.Equal(t, action, event["event_action"])
			assert.LessOrEqual(t, len(event["dedup_key"].(string)), 255)
			got := event["payload"].(map[string]any)
			for _, field := range required {
				assert.NotEmpty(t, got[field.(string)], field)
			}
			for field := range got {
				assert.Contains(t, known, field)
			}
			assert.Contains(t, severities, got["severity"])
			assert.Equal(t, want, got["severity"], tier)
			assert.LessOrEqual(t, len([]rune(got["summary"].(string))), 1024)
		}
	}
	own := build(t, "receivers: [{name: a, pagerduty_configs: [{routing_key: k, severity: warning, url: '"+s.URL+"'}]}]")
	require.NoError(t, own.Send(t.Context(), "a/pagerduty[0]", message()))
	assert.Contains(t, s.bodies[len(s.bodies)-1], `"severity":"warning"`, "what is configured stands")
}

// What comes from telemetry is text in Slack: it mentions nobody, links nowhere, and is not longer than Slack takes, whatever
// the template.
func TestHostileTextInSlack(t *testing.T) {
	s := serve(t, func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "ok") })
	r := build(t, `
receivers:
  - name: a
    slack_configs:
      - {channel: c, api_url: '`+s.URL+`'}
      - channel: c
        api_url: '`+s.URL+`'
        title: '{{ .CommonLabels.model_name }} {{ .GroupLabels.alertname }}'
        text: '{{ range .Alerts }}{{ .Labels.model_name }} {{ .Annotations.summary }}{{ end }}'`)
	m := message()
	hostile := "<!channel> <https://evil.example|all is well> & {{ .ExternalURL }} *b*"
	m.Alerts[0].Labels["model_name"], m.Alerts[0].Annotations["summary"] = hostile, hostile
	m.GroupLabels["alertname"] = hostile
	m.Alerts = m.Alerts[:1]
	for i := range 2 {
		require.NoError(t, r.Send(t.Context(), fmt.Sprintf("a/slack[%d]", i), m))
		var sent struct {
			Attachments []map[string]any
		}
		require.NoError(t, json.Unmarshal([]byte(s.bodies[i]), &sent))
		for _, field := range []string{"title", "text", "fallback"} {
			text, _ := sent.Attachments[0][field].(string)
			assert.NotContains(t, text, "<", field)
			assert.NotContains(t, text, ">", field)
		}
	}
	assert.Contains(t, s.bodies[1], `\u0026lt;!channel\u0026gt;`)
	assert.Contains(t, s.bodies[1], "{{ .ExternalURL }}", "a value is never a template")

	m = message()
	for i := range 5000 {
		one := m.Alerts[0]
		one.Labels = map[string]string{"alertname": "Full", "severity": "low", "model_name": fmt.Sprint("model-", i)}
		one.Annotations = map[string]string{"summary": strings.Repeat("x", 100)}
		m.Alerts = append(m.Alerts, one)
	}
	require.NoError(t, r.Send(t.Context(), "a/slack[1]", m))
	assert.Less(t, len(s.bodies[2]), 40_000)
}
