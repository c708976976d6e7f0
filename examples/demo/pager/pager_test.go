package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"time"
	"unicode"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

var noon = time.Date(2026, 11, 23, 12, 0, 0, 0, time.Local)

func deliver(t *testing.T, p *pager, method, body string) *httptest.ResponseRecorder {
	t.Helper()
	w := httptest.NewRecorder()
	p.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), method, "/", strings.NewReader(body)))
	return w
}

func newPager(colour bool) (*pager, *bytes.Buffer) {
	var out bytes.Buffer
	return &pager{now: func() time.Time { return noon }, printer: printer{out: &out, colour: colour}}, &out
}

func firing() webhook {
	return webhook{Version: "4", Receiver: "terminal", Alerts: []pagedAlert{{
		Status: "firing",
		Labels: map[string]string{
			"alertname": "KVCacheNearlyFull", "severity": "critical", "owner": "inference-platform",
			"alert_id": "abc", "episode_id": "def", "model_name": "demo/chat-7b", "engine": "0",
		},
		Annotations: map[string]string{
			"summary": "KV cache 99 % full", "value": "0.9951171875", "threshold": "0.95", "step": "1",
			"response": "Drain the replica.", "page_url": "http://localhost:9195/alerts/def",
		},
		StartsAt: noon.Add(-7 * time.Second),
	}}}
}

func text(t *testing.T, page webhook) string {
	t.Helper()
	b, err := json.Marshal(page)
	require.NoError(t, err)
	return string(b)
}

func TestFiring(t *testing.T) {
	p, out := newPager(false)
	require.Equal(t, http.StatusOK, deliver(t, p, http.MethodPost, text(t, firing())).Code)
	assert.Equal(t, `12:00:00  FIRING CRITICAL  KVCacheNearlyFull  owner inference-platform
                    KV cache 99 % full
          value     0.9951 against a threshold of 0.95
          since     11:59:53 (7s)
          response  Drain the replica.
          labels    engine=0  model_name=demo/chat-7b
          paged     terminal (step 1)
          page      http://localhost:9195/alerts/def
`, out.String())
}

func TestResolved(t *testing.T) {
	p, out := newPager(false)
	page := firing()
	page.Alerts[0].Status = "resolved"
	page.Alerts[0].EndsAt = noon.Add(-time.Second)
	page.TruncatedAlerts = 3
	require.Equal(t, http.StatusOK, deliver(t, p, http.MethodPost, text(t, page)).Code)
	assert.Contains(t, out.String(), "12:00:00  RESOLVED CRITICAL  KVCacheNearlyFull")
	assert.Contains(t, out.String(), "since     11:59:53 until 11:59:59 (6s)")
	assert.Contains(t, out.String(), "and 3 alerts more")
}

func TestColours(t *testing.T) {
	p, out := newPager(true)
	page := firing()
	high := firing().Alerts[0]
	high.Labels["severity"] = "high"
	over := firing().Alerts[0]
	over.Status = "resolved"
	page.Alerts = append(page.Alerts, high, over)
	deliver(t, p, http.MethodPost, text(t, page))
	assert.Contains(t, out.String(), red+" FIRING CRITICAL "+reset)
	assert.Contains(t, out.String(), yellow+" FIRING HIGH "+reset)
	assert.Contains(t, out.String(), green+" RESOLVED CRITICAL "+reset)
}

// Everything that comes from elsewhere is printed without what could steer the terminal.
func TestHostileText(t *testing.T) {
	const evil = "a\x1b[2J\x1b]0;title\x07b\nFIRING\r\u009bc\u202ed\u200b\xffe"
	p, out := newPager(false)
	page := webhook{Version: "4", Receiver: evil, Alerts: []pagedAlert{{
		Status: evil, Labels: map[string]string{"alertname": evil, "severity": evil, "owner": evil, evil: evil},
		Annotations: map[string]string{
			"summary": evil, "value": evil, "threshold": evil, "response": evil, "page_url": evil, "step": evil,
		},
	}}}
	require.NoError(t, p.printer.print(noon, &page))
	for _, r := range out.String() {
		if r != '\n' && (unicode.IsControl(r) || unicode.Is(unicode.Cf, r)) {
			t.Errorf("%U came through", r)
		}
	}
	assert.Equal(t, 7, strings.Count(out.String(), "\n"), "the text cannot begin a line of its own")
	assert.Equal(t, "a[2J]0;titleb FIRING cd\uFFFDe", clean(evil))
}

func TestWhatIsNotAPage(t *testing.T) {
	p, out := newPager(false)
	assert.Equal(t, http.StatusMethodNotAllowed, deliver(t, p, http.MethodGet, "").Code)
	assert.Equal(t, http.StatusBadRequest, deliver(t, p, http.MethodPost, "{").Code)
	assert.Equal(t, http.StatusBadRequest, deliver(t, p, http.MethodPost, `{"version": "3"}`).Code)
	assert.Empty(t, out.String())
}

type closed struct{}

func (closed) Write([]byte) (int, error) { return 0, errors.New("closed") }

// A page that nobody saw is not acknowledged to the sender.
func TestTerminalIsGone(t *testing.T) {
	p := &pager{now: func() time.Time { return noon }, printer: printer{out: closed{}}}
	assert.Equal(t, http.StatusInternalServerError, deliver(t, p, http.MethodPost, text(t, firing())).Code)
}

func TestColourIsAskedFor(t *testing.T) {
	file, err := os.Create(t.TempDir() + "/out")
	require.NoError(t, err)
	defer file.Close()
	t.Setenv("NO_COLOR", "")
	t.Setenv("CLICOLOR_FORCE", "")
	assert.False(t, colour(file), "a file is no terminal")
	t.Setenv("CLICOLOR_FORCE", "1")
	assert.True(t, colour(file))
	t.Setenv("NO_COLOR", "1")
	assert.False(t, colour(file))
}

func TestRunUntilCancelled(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	var out bytes.Buffer
	require.NoError(t, run(ctx, "127.0.0.1:0", &out, false))
	assert.Contains(t, out.String(), "waiting for pages on http://127.0.0.1:")
	assert.Error(t, run(ctx, "127.0.0.1:-1", &out, false))
}
