package e2e

import (
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// episode is what the API says of an alert.
type episode struct {
	ID, Rule, Severity, Owner, State, Verdict, Outcome string
	Labels                                             map[string]string
	Acknowledgement                                    *struct{ By string }
	AcknowledgedBy                                     string    `json:"acknowledged_by"`
	NotifiedAt                                         time.Time `json:"notified_at"`
	Value, Threshold                                   float64
}

func (s *settings) alerts(t testing.TB, query string) []episode {
	t.Helper()
	resp, err := http.Get("http://" + s.page + "/api/v1/alerts" + query)
	require.NoError(t, err)
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	require.Equal(t, http.StatusOK, resp.StatusCode, string(body))
	var list struct{ Alerts []episode }
	require.NoError(t, json.Unmarshal(body, &list), string(body))
	return list.Alerts
}

// post does a deed and returns the status.
func (s *settings) post(t testing.TB, path, body string) int {
	t.Helper()
	resp, err := http.Post("http://"+s.page+path, "application/json", strings.NewReader(body))
	require.NoError(t, err)
	defer func() { _ = resp.Body.Close() }()
	answer, _ := io.ReadAll(resp.Body)
	if resp.StatusCode/100 != 2 {
		t.Logf("POST %s: %s: %s", path, resp.Status, answer)
	}
	return resp.StatusCode
}
