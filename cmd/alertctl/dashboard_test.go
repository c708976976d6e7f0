package main

import (
	"bytes"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/otelcol-escalation/otelcol-escalation/internal/dashboard/dashboardtest"
)

// TestDashboardsAreCommitted holds dashboards/ against the command: `go generate ./cmd/alertctl` writes it.
func TestDashboardsAreCommitted(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "new")
	code, stdout, stderr := alertctl("", "dashboard", "--rules", "../../rules/*.yaml", "--out", dir+"/")
	require.Equal(t, 0, code, stderr)
	assert.Empty(t, stdout)
	made, err := filepath.Glob(dir + "/*")
	require.NoError(t, err)
	committed, err := filepath.Glob("../../dashboards/*.json")
	require.NoError(t, err)
	require.Len(t, committed, len(made), "a pack has come or gone: run go generate ./cmd/alertctl, and remove what no pack makes")
	for _, path := range made {
		want, err := os.ReadFile(path) //nolint:gosec // made above
		require.NoError(t, err)
		got, err := os.ReadFile(filepath.Join("../../dashboards", filepath.Base(path)))
		require.NoError(t, err)
		assert.True(t, bytes.Equal(want, got), "%s: run go generate ./cmd/alertctl and commit the result", filepath.Base(path))
	}
}

const drawn = `groups:
  - name: vllm
    rules:
      - {alert: First, metric: kv, tiers: {high: {above: 0.9}}}
      - {alert: Second, expr: queue, tiers: {high: {above: 5}}}
`

func TestDashboard(t *testing.T) {
	dir := t.TempDir()
	one, two := filepath.Join(dir, "one.yaml"), filepath.Join(dir, "two.yaml")
	require.NoError(t, os.WriteFile(one, []byte(drawn), 0o600))
	require.NoError(t, os.WriteFile(two, []byte(strings.ReplaceAll(drawn, "name: vllm", "name: other")), 0o600))
	title := func(args ...string) string {
		t.Helper()
		code, stdout, stderr := alertctl("", append([]string{"dashboard"}, args...)...)
		require.Equal(t, 0, code, stderr)
		assert.Empty(t, stderr)
		return dashboardtest.Read(t, []byte(stdout)).Title
	}
	assert.Equal(t, "Alert quality", title())
	assert.Equal(t, "Alerts: one", title("--rules", one))
	assert.Equal(t, "Alerts", title("--rules", filepath.Join(dir, "*.yaml")))
	assert.Equal(t, "Mine", title("--rules", one, "--rules", two, "--title", "Mine"))

	_, want, _ := alertctl("", "dashboard", "--rules", one, "--translation-strategy", "NoTranslation")
	assert.Contains(t, want, "alert.episodes")
	out := filepath.Join(dir, "d.json")
	code, stdout, _ := alertctl("", "dashboard", "--rules", one, "--translation-strategy", "NoTranslation", "--out", out)
	assert.Equal(t, 0, code)
	assert.Empty(t, stdout)
	got, err := os.ReadFile(out) //nolint:gosec // written above
	require.NoError(t, err)
	assert.Equal(t, want, string(got))

	for _, c := range []struct {
		code int
		says string
		args []string
	}{
		{1, `no file matches "none.yaml"`, []string{"--rules", "none.yaml"}},
		{1, "d.json:2:3: annotations: unknown key", []string{"--rules", out}},
		{1, "not a directory", []string{"--out", filepath.Join(one, "below")}},
		{1, "its dashboard would take the place of another", []string{"--rules", one, "--rules", dir + "/sub/one.yaml", "--out", dir}},
		{2, "--title is that of one dashboard", []string{"--rules", one, "--title", "a", "--out", dir}},
		{2, "--translation-strategy: translation strategy must be one of", []string{"--translation-strategy", "a"}},
		{2, "--from: must be a URL such as", []string{"--from", "localhost:9195"}},
		{2, "--from: must be a URL such as", []string{"--from", "http://a:secret@[::1"}},
		{2, "--from: must end with the host or a path", []string{"--from", "http://localhost:9195/?a=b"}},
		{2, "unknown command", []string{"file.yaml"}},
	} {
		if strings.Contains(strings.Join(c.args, " "), "/sub/") {
			require.NoError(t, os.Mkdir(dir+"/sub", 0o700))
			require.NoError(t, os.WriteFile(dir+"/sub/one.yaml", []byte(strings.ReplaceAll(drawn, "name: vllm", "name: third")), 0o600))
		}
		code, _, stderr := alertctl("", append([]string{"dashboard"}, c.args...)...)
		assert.Equal(t, c.code, code, c.args)
		assert.Contains(t, stderr, c.says)
		assert.NotContains(t, stderr, "secret")
	}
	assert.Equal(t, exitErrors, run([]string{"dashboard"}, nil, closed{}, io.Discard))
}

func TestDashboardAsksTheReceiver(t *testing.T) {
	file := filepath.Join(t.TempDir(), "one.yaml")
	require.NoError(t, os.WriteFile(file, []byte(drawn), 0o600))
	status, answer := http.StatusOK, ""
	var asked *http.Request
	mux := http.NewServeMux()
	mux.HandleFunc("/below/api/v1/rules", func(w http.ResponseWriter, r *http.Request) {
		asked = r
		if status == http.StatusFound {
			w.Header().Set("Location", "/elsewhere")
		}
		w.WriteHeader(status)
		_, _ = io.WriteString(w, answer)
	})
	mux.HandleFunc("/elsewhere", func(http.ResponseWriter, *http.Request) { t.Error("a redirect was followed") })
	server := httptest.NewServer(mux)
	defer server.Close()
	from := strings.Replace(server.URL, "http://", "http://anna:secret@", 1) + "/below/"
	ask := func() (int, string, string) { return alertctl("", "dashboard", "--rules", file, "--from", from) }

	answer = `{"rules": [{"rule": "Second", "notified": 3, "false_positive_ratio": {"ratio": 1, "lower": 0.4, "upper": 1, "of": 3},
		"thresholds": [{"severity": "high", "current": 5, "suggested": 7, "sentence": "2 of 3 pages would have gone"}]}]}`
	code, stdout, stderr := ask()
	require.Equal(t, 0, code, stderr)
	d := dashboardtest.Read(t, []byte(stdout))
	assert.Contains(t, d.Find(t, "Second").Description, "Suggestion for high, 7 instead of 5: 2 of 3 pages would have gone.")
	assert.Less(t, d.Find(t, "Second").GridPos.Y, d.Find(t, "First").GridPos.Y, "the worst comes first")
	user, password, _ := asked.BasicAuth()
	assert.Equal(t, "anna secret", user+" "+password)
	assert.Equal(t, http.MethodGet, asked.Method)

	t.Setenv(authorization, "Bearer token")
	_, _, _ = ask()
	assert.Equal(t, "Bearer token", asked.Header.Get("Authorization"))

	for _, c := range []struct {
		status       int
		answer, says string
	}{
		{http.StatusUnauthorized, "", "it answers 401 Unauthorized: put user and password into the URL"},
		{http.StatusNotFound, "", "it answers 404 Not Found: is this a calibration receiver?"},
		{http.StatusFound, "", "it answers 302 Found"},
		{http.StatusOK, "<html>", "is not what a calibration receiver does"},
		{http.StatusOK, `{"rules": {}}`, "is not what a calibration receiver does"},
		{http.StatusOK, strings.Repeat(" ", maxAnswer+1), "its answer is longer than"},
	} {
		status, answer = c.status, c.answer
		code, stdout, stderr := ask()
		assert.Equal(t, 1, code)
		assert.Empty(t, stdout)
		assert.Contains(t, stderr, c.says)
		assert.NotContains(t, stderr, "secret")
	}
	server.Close()
	code, _, stderr = ask()
	assert.Equal(t, 1, code)
	assert.Contains(t, stderr, "connection refused")
	assert.NotContains(t, stderr, "secret")
}
