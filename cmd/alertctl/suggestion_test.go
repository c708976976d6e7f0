package main

import (
	"bytes"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/otelcol-escalation/otelcol-escalation/internal/alert"
)

const suggested = `{"rules": [
  {"rule": "Full", "thresholds": [
    {"group": "vllm", "severity": "high", "current": 0.9, "suggested": 0.985, "sentence": "14 of 23 pages would have gone"},
    {"group": "vllm", "severity": "critical", "current": 0.98, "suggested": 0.99, "sentence": "3 of 9 pages would have gone"}]},
  {"rule": "Drift", "thresholds": [
    {"group": "vllm", "severity": "high", "bound": "high", "current": 0.9, "suggested": 0.93, "sentence": "1 page"},
    {"group": "vllm", "severity": "high", "bound": "low", "current": 0.1, "sentence": "4 of 20 labelled episodes"}]},
  {"rule": "Moved", "thresholds": [{"group": "vllm", "severity": "high", "current": 5, "suggested": 6, "sentence": "2 pages"}]},
  {"rule": "Elsewhere", "thresholds": [{"group": "other", "severity": "high", "current": 5, "suggested": 6, "sentence": "2 pages"}]}
]}`

// What a receiver suggests is written, in an order that every file on the way is right in, and the receiver is told.
func TestCalibrateFrom(t *testing.T) {
	heard := map[string]told{}
	status := http.StatusOK
	receiver := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		user, password, _ := r.BasicAuth()
		assert.Equal(t, "anna:secret", user+":"+password)
		if r.Method == http.MethodGet {
			assert.Equal(t, "/api/v1/rules", r.URL.Path)
			_, _ = w.Write([]byte(suggested))
			return
		}
		var c told
		assert.NoError(t, json.NewDecoder(r.Body).Decode(&c))
		assert.Equal(t, "application/json", r.Header.Get("Content-Type"))
		c.By = ""
		heard[r.URL.Path+" "+c.Severity.String()+c.Bound] = c
		w.WriteHeader(status)
		_, _ = w.Write([]byte("{}"))
	}))
	defer receiver.Close()
	from := strings.Replace(receiver.URL, "http://", "http://anna:secret@", 1)
	file := filepath.Join(t.TempDir(), "rules.yaml")
	put := func() {
		require.NoError(t, os.WriteFile(file, []byte(tuned+"      - {alert: Moved, metric: m, tiers: {high: {above: 7}}}\n"), 0o600))
	}
	call := func(args ...string) (code int, out, errs string) {
		var stdout, stderr bytes.Buffer
		code = run(append(append([]string{"calibrate", "--from", from}, args...), file), strings.NewReader(""), &stdout, &stderr)
		return code, stdout.String(), stderr.String()
	}

	put()
	code, out, errs := call()
	assert.Equal(t, exitOK, code, errs)
	for _, want := range []string{
		"vllm/Full/critical: 0.98 → 0.99: 3 of 9 pages would have gone\n", "vllm/Full/high: 0.9 → 0.985: 14 of 23 pages would have gone\n",
		"vllm/Drift/high:high: 0.9 → 0.93: 1 page\n", "vllm/Drift/high:low stays at 0.1: 4 of 20 labelled episodes\n",
		"vllm/Moved/high: alerts stood at 5, which " + file + " does not say any more", "other/Elsewhere/high: is in none of these files\n",
		"+          critical: {above: 0.99, clear: 0.96}\n", "nothing is written without --write",
	} {
		assert.Contains(t, out, want)
	}
	assert.Empty(t, heard)

	code, _, errs = call("--write", "--yes", "--note", "noise")
	assert.Equal(t, exitOK, code, errs)
	assert.Empty(t, errs)
	content, err := os.ReadFile(file)
	require.NoError(t, err)
	for _, want := range []string{"critical: {above: 0.99, clear: 0.96}", "high: {above: 0.985}", "outside: [0.1, 0.93]", "metric: kv   # a fraction", "above: 7"} {
		assert.Contains(t, string(content), want)
	}
	assert.Equal(t, map[string]told{
		"/api/v1/rules/Full/changes critical":  {Group: "vllm", Severity: alert.Critical, From: 0.98, To: 0.99, Note: "noise"},
		"/api/v1/rules/Full/changes high":      {Group: "vllm", Severity: alert.High, From: 0.9, To: 0.985, Note: "noise"},
		"/api/v1/rules/Drift/changes highhigh": {Group: "vllm", Severity: alert.High, Bound: "high", From: 0.9, To: 0.93, Note: "noise"},
	}, heard)

	put()
	clear(heard)
	code, out, errs = call("--rule", "Drift", "--write", "--yes")
	assert.Equal(t, exitOK, code, errs)
	assert.NotContains(t, out, "Full")
	assert.Len(t, heard, 1)

	put()
	clear(heard)
	code, _, errs = call("--set", "Full/high=0.95", "--write", "--yes") // one's own, and the receiver is told
	assert.Equal(t, exitOK, code, errs)
	assert.Equal(t, map[string]told{"/api/v1/rules/Full/changes high": {Group: "vllm", Severity: alert.High, From: 0.9, To: 0.95}}, heard)

	put()
	status = http.StatusServiceUnavailable
	code, _, errs = call("--rule", "Drift", "--write", "--yes")
	assert.Equal(t, exitOK, code, "the files are written")
	assert.Contains(t, errs, "could not be told")
	assert.NotContains(t, errs, "secret")
	content, err = os.ReadFile(file)
	require.NoError(t, err)
	assert.Contains(t, string(content), "outside: [0.1, 0.93]")

	for want, args := range map[string][]string{
		`no alert of "Nobody" has fired`:   {"--rule", "Nobody"},
		"--rule chooses among suggestions": {"--rule", "Full", "--set", "Full/high=1"},
		"must be a URL such as":            {"--from", "localhost"},
	} {
		code, _, errs = call(args...)
		assert.NotEqual(t, exitOK, code)
		assert.Contains(t, errs, want)
	}
	receiver.Close()
	code, _, errs = call()
	assert.Equal(t, exitErrors, code)
	assert.Contains(t, errs, "connect")
	assert.NotContains(t, errs, "secret")
}
