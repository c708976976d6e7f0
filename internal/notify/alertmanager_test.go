package notify

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestPeerTakesWhatIsPosted(t *testing.T) {
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	var posts [][]postable
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/am/api/v2/alerts" || r.Header.Get("Authorization") != "Bearer x" {
			http.Error(w, "not here", http.StatusNotFound)
			return
		}
		var alerts []postable
		if err := json.NewDecoder(r.Body).Decode(&alerts); err == nil {
			posts = append(posts, alerts)
		}
	}))
	defer server.Close()
	p, err := NewPeer(server.URL+"/am", HookOptions{Name: "alertmanagers[0]", Headers: map[string]string{"Authorization": "Bearer x"}})
	require.NoError(t, err)
	defer p.Close()
	alerts := []Alert{
		{Labels: map[string]string{"alertname": "Fires", "empty": ""}, Annotations: map[string]string{"summary": "x"}, StartsAt: now, GeneratorURL: "https://alerts.example.com/alerts/1"},
		{Labels: map[string]string{"alertname": "Ended"}, StartsAt: now, EndsAt: now.Add(time.Minute)},
	}
	for i := range 300 {
		alerts = append(alerts, Alert{Labels: map[string]string{"alertname": fmt.Sprint(i)}, StartsAt: now})
	}
	require.NoError(t, p.Post(t.Context(), alerts, now.Add(4*time.Minute)))
	require.Len(t, posts, 2, "bounded")
	require.Equal(t, postable{
		Labels: map[string]string{"alertname": "Fires"}, Annotations: map[string]string{"summary": "x"}, StartsAt: now, EndsAt: now.Add(4 * time.Minute),
		GeneratorURL: "https://alerts.example.com/alerts/1",
	}, posts[0][0])
	require.Equal(t, now.Add(time.Minute), posts[0][1].EndsAt)

	wrong, err := NewPeer(server.URL, HookOptions{Name: "alertmanagers[1]"})
	require.NoError(t, err)
	defer wrong.Close()
	var failure *SendError
	require.ErrorAs(t, wrong.Post(t.Context(), alerts[:1], now), &failure)
	require.True(t, failure.Permanent)
}

func TestLabelsThatEveryAlertmanagerTakes(t *testing.T) {
	hostile := map[string]string{
		"alertname": "R", "severity": "high", "ok_1": "v", "1st": "v", "service.name": "v", "größe": "v", "": "v", "empty": "",
		"long": strings.Repeat("ä", 2000), "bad": "\xff\r\nX: y",
	}
	for i := range 100 {
		hostile[fmt.Sprint("x", i)] = "v"
	}
	got := postableLabels(hostile)
	require.LessOrEqual(t, len(got), mostLabels+5)
	require.Equal(t, "R", got["alertname"])
	for name, value := range got {
		require.Regexp(t, `^[a-zA-Z_][a-zA-Z0-9_]*$`, name)
		require.NotEmpty(t, value)
		require.LessOrEqual(t, len(value), longestLabel)
	}
	require.Equal(t, "service_name", labelName("service.name"))
	require.Equal(t, "_st", labelName("1st"))
	require.Equal(t, "_", labelName(""))
}
