package web

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/otelcol-escalation/otelcol-escalation/internal/alert"
	"github.com/otelcol-escalation/otelcol-escalation/internal/ledger"
)

// send asks with a body; headers come in pairs.
func send(t testing.TB, s http.Handler, method, path, body string, headers ...string) *httptest.ResponseRecorder {
	t.Helper()
	var content io.Reader
	if body != "" {
		content = strings.NewReader(body)
	}
	r := httptest.NewRequest(method, "http://localhost:9195"+path, content)
	for i := 0; i < len(headers); i += 2 {
		if headers[i] == "Host" {
			r.Host = headers[i+1]
			continue
		}
		r.Header.Set(headers[i], headers[i+1])
	}
	w := httptest.NewRecorder()
	s.ServeHTTP(w, r)
	return w
}

func postJSON(t testing.TB, s http.Handler, path, body string, headers ...string) *httptest.ResponseRecorder {
	t.Helper()
	return send(t, s, http.MethodPost, path, body, append([]string{"Content-Type", "application/json"}, headers...)...)
}

// Every path with every method: what it answers, in which form, and what is counted for it.
func TestEveryRoute(t *testing.T) {
	l := newTown(t)
	ids := l.seed()
	var route string
	var counted int
	s := newSite(t, l, func(o *Options) {
		o.Answered = func(r string, code int) { route, counted = r, code }
	})
	open, ended := ids["kv"], ids["p1"]
	methods := []string{"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "BREW"}
	for _, c := range []struct {
		path, route string
		page        bool
		codes       map[string]int
		allow       string
	}{
		{"/", "/", true, map[string]int{"GET": 200, "HEAD": 200}, "GET, HEAD"},
		{"/alerts/" + open, "/alerts/{id}", true, map[string]int{"GET": 200, "HEAD": 200}, "GET, HEAD"},
		{"/alerts/" + ended, "/alerts/{id}", true, map[string]int{"GET": 200, "HEAD": 200}, "GET, HEAD"},
		{"/alerts/unknown", "/alerts/{id}", true, map[string]int{"GET": 404, "HEAD": 404}, "GET, HEAD"},
		{"/judge", "/judge", true, map[string]int{"GET": 200, "HEAD": 200}, "GET, HEAD"},
		{"/owners", "/owners", true, map[string]int{"GET": 200, "HEAD": 200}, "GET, HEAD"},
		{"/missed", "/missed", true, map[string]int{"GET": 200, "HEAD": 200}, "GET, HEAD"},
		{"/script.js", "/script.js", false, map[string]int{"GET": 200, "HEAD": 200}, "GET, HEAD"},
		{"/style.css", "/style.css", false, map[string]int{"GET": 200, "HEAD": 200}, "GET, HEAD"},
		{"/icon.svg", "/icon.svg", false, map[string]int{"GET": 200, "HEAD": 200}, "GET, HEAD"},
		{"/api/v1/alerts", "/api/v1/alerts", false, map[string]int{"GET": 200, "HEAD": 200}, "GET, HEAD"},
		{"/api/v1/alerts/" + open, "/api/v1/alerts/{id}", false, map[string]int{"GET": 200, "HEAD": 200}, "GET, HEAD"},
		{"/api/v1/alerts/unknown", "/api/v1/alerts/{id}", false, map[string]int{"GET": 404, "HEAD": 404}, "GET, HEAD"},
		{"/api/v1/alerts/" + open + "/acknowledge", "/api/v1/alerts/{id}/acknowledge", false, map[string]int{"POST": 200}, "POST"},
		{"/api/v1/alerts/" + ended + "/acknowledge", "/api/v1/alerts/{id}/acknowledge", false, map[string]int{"POST": 409}, "POST"},
		{"/api/v1/alerts/unknown/acknowledge", "/api/v1/alerts/{id}/acknowledge", false, map[string]int{"POST": 404}, "POST"},
		{"/api/v1/alerts/" + ended + "/snooze", "/api/v1/alerts/{id}/snooze", false, map[string]int{"POST": 422}, "POST"},
		{"/api/v1/alerts/" + ended + "/verdict", "/api/v1/alerts/{id}/verdict", false, map[string]int{"POST": 422}, "POST"},
		{"/api/v1/alerts/" + ended + "/resolve", "/api/v1/alerts/{id}/resolve", false, map[string]int{"POST": 200}, "POST"},
		{"/api/v1/alerts/unknown/resolve", "/api/v1/alerts/{id}/resolve", false, map[string]int{"POST": 404}, "POST"},
		{"/rules", "/rules", true, map[string]int{"GET": 200, "HEAD": 200}, "GET, HEAD"},
		{"/rules/KVCacheNearlyFull", "/rules/{name}", true, map[string]int{"GET": 200, "HEAD": 200}, "GET, HEAD"},
		{"/rules/unknown", "/rules/{name}", true, map[string]int{"GET": 404, "HEAD": 404}, "GET, HEAD"},
		{"/api/v1/rules", "/api/v1/rules", false, map[string]int{"GET": 200, "HEAD": 200}, "GET, HEAD"},
		{"/api/v1/rules/unknown", "/api/v1/rules/{name}", false, map[string]int{"GET": 404, "HEAD": 404}, "GET, HEAD"},
		{"/api/v1/rules/unknown/changes", "/api/v1/rules/{name}/changes", false, map[string]int{"POST": 422}, "POST"},
		{"/api/v1/owners", "/api/v1/owners", false, map[string]int{"GET": 200, "HEAD": 200}, "GET, HEAD"},
		{"/api/v1/missed", "/api/v1/missed", false, map[string]int{"POST": 422}, "POST"},
		{"/silences", "/silences", true, map[string]int{"GET": 200, "HEAD": 200}, "GET, HEAD"},
		{"/receivers", "/receivers", true, map[string]int{"GET": 200, "HEAD": 200}, "GET, HEAD"},
		{"/api/v1/silences", "/api/v1/silences", false, map[string]int{"GET": 200, "HEAD": 200, "POST": 422}, "GET, HEAD, POST"},
		{"/api/v1/silences/unknown", "/api/v1/silences/{id}", false, map[string]int{"GET": 404, "HEAD": 404, "DELETE": 404}, "DELETE, GET, HEAD"},
		{"/api/v1/silences/unknown/expire", "/api/v1/silences/{id}/expire", false, map[string]int{"POST": 404}, "POST"},
		{"/api/v1/receivers", "/api/v1/receivers", false, map[string]int{"GET": 200, "HEAD": 200}, "GET, HEAD"},
		{"/api/v1/receivers/unknown/test", "/api/v1/receivers/{id}/test", false, map[string]int{"POST": 404}, "POST"},
		{"/api/v1/actions", "/api/v1/actions", false, map[string]int{"GET": 200, "HEAD": 200}, "GET, HEAD"},
		{"/api/v1/actions/unknown/approve", "/api/v1/actions/{id}/approve", false, map[string]int{"POST": 404}, "POST"},
		{"/api/v1/actions/unknown/reject", "/api/v1/actions/{id}/reject", false, map[string]int{"POST": 404}, "POST"},
		{"/api/v1/actions/stop", "/api/v1/actions/stop", false, map[string]int{"POST": 200}, "POST"},
		{"/api/v1/actions/resume", "/api/v1/actions/resume", false, map[string]int{"POST": 200}, "POST"},
		{"/api/v2/alerts", "none", false, nil, ""},
		{"/api/v1/alerts/", "none", false, nil, ""},
		{"/alerts/", "none", true, nil, ""},
		{"/rules/", "none", true, nil, ""},
		{"/rules/a/b", "none", true, nil, ""},
		{"/alerts/" + open + "/more", "none", true, nil, ""},
		{"/favicon.ico", "none", true, nil, ""},
	} {
		for _, method := range methods {
			name := method + " " + c.path
			w := send(t, s, method, c.path, "{}", "Content-Type", "application/json")
			want := c.codes[method]
			switch {
			case c.codes == nil:
				want = http.StatusNotFound
			case want == 0:
				want = http.StatusMethodNotAllowed
				assert.Equal(t, c.allow, w.Header().Get("Allow"), name)
			}
			assert.Equal(t, want, w.Code, "%s: %s", name, w.Body)
			assert.Equal(t, c.route, route, name)
			assert.Equal(t, want, counted, name)
			if want < 400 {
				continue
			}
			if c.page {
				assert.Equal(t, "text/html; charset=utf-8", w.Header().Get("Content-Type"), name)
			} else {
				assert.Equal(t, "application/json", w.Header().Get("Content-Type"), name)
				assert.Regexp(t, `^\{"error":".+"\}\n$`, w.Body.String(), name)
			}
		}
	}
}

// What a POST may get wrong.
func TestRefusedPosts(t *testing.T) {
	l := newTown(t)
	ids := l.seed()
	s := newSite(t, l, nil)
	path := func(deed string) string { return "/api/v1/alerts/" + ids["kv"] + "/" + deed }
	before := l.episode(ids["kv"])
	long := strings.Repeat("ä", longestNote+1)
	for name, c := range map[string]struct {
		deed, kind, body string
		code             int
		text             string
	}{
		"no content type":     {"acknowledge", "", "", 415, "the Content-Type must be application/json"},
		"text":                {"acknowledge", "text/plain", "{}", 415, "the Content-Type must be application/json"},
		"multipart":           {"acknowledge", "multipart/form-data; boundary=x", "--x--", 415, "the Content-Type must be application/json"},
		"broken type":         {"acknowledge", "application/json; charset", "{}", 415, "the Content-Type must be application/json"},
		"broken":              {"acknowledge", "application/json", `{"by":`, 400, "the body must be a JSON object of strings: unexpected EOF"},
		"an array":            {"acknowledge", "application/json", `[]`, 400, "the body must be a JSON object of strings"},
		"a number":            {"acknowledge", "application/json", `{"by": 1}`, 400, "the body must be a JSON object of strings"},
		"two values":          {"acknowledge", "application/json", `{} {}`, 400, "there is more after it"},
		"unknown field":       {"acknowledge", "application/json", `{"who": "anna"}`, 400, `unknown field "who": must be one of by, note`},
		"another's field":     {"acknowledge", "application/json", `{"verdict": "expected"}`, 400, `unknown field "verdict": must be one of by, note`},
		"a form's field":      {"acknowledge", "application/json", `{"token": "x"}`, 400, `unknown field "token"`},
		"control character":   {"acknowledge", "application/json", `{"by": "an\u0000na"}`, 422, `by: must not contain control characters (got '\x00')`},
		"a line in a name":    {"acknowledge", "application/json", `{"by": "an\nna"}`, 422, `by: must not contain control characters`},
		"escape in a note":    {"acknowledge", "application/json", `{"note": "\u001b[2J"}`, 422, `note: must not contain control characters`},
		"a long name":         {"acknowledge", "application/json", `{"by": "` + long[:2*longestName+2] + `"}`, 422, "by: must not be longer than 200 characters (got 201)"},
		"a long note":         {"acknowledge", "application/json", `{"note": "` + long + `"}`, 422, "note: must not be longer than 4000 characters (got 4001)"},
		"too large":           {"acknowledge", "application/json", `{"note": "` + strings.Repeat(" ", MaxBody) + `"}`, 413, "the body must not be larger than 262144 bytes"},
		"no verdict":          {"verdict", "application/json", `{}`, 422, `verdict: must be one of true_positive, false_positive, expected, duplicate (got "")`},
		"unknown verdict":     {"verdict", "application/json", `{"verdict": "real"}`, 422, `verdict: must be one of true_positive, false_positive, expected, duplicate (got "real")`},
		"no snooze":           {"snooze", "application/json", `{}`, 422, "give either for or until"},
		"two snoozes":         {"snooze", "application/json", `{"for": "1h", "until": "2026-01-03T00:00:00Z"}`, 422, "give either for or until"},
		"snooze of no length": {"snooze", "application/json", `{"for": "0s"}`, 422, "for: must be at least 1m (got 0s)"},
		"snooze of nonsense":  {"snooze", "application/json", `{"for": "soon"}`, 422, `for: must be a duration such as 30m or 1h30m (got "soon")`},
		"snooze backwards":    {"snooze", "application/json", `{"for": "-1h"}`, 422, `for: must be a duration such as 30m or 1h30m (got "-1h")`},
		"snooze for ever":     {"snooze", "application/json", `{"for": "1y"}`, 422, "a snooze must not be longer than 30d"},
		"snooze until past":   {"snooze", "application/json", `{"until": "2026-01-02T00:00:00Z"}`, 422, "the end must lie in the future"},
		"snooze until then":   {"snooze", "application/json", `{"until": "tomorrow"}`, 422, `until: must be a time such as 2026-01-02T15:04:05Z (got "tomorrow")`},
	} {
		headers := []string{"Content-Type", c.kind}
		if c.kind == "" {
			headers = nil
		}
		w := send(t, s, http.MethodPost, path(c.deed), c.body, headers...)
		assert.Equal(t, c.code, w.Code, name)
		assert.Equal(t, "application/json", w.Header().Get("Content-Type"), name)
		assert.Contains(t, strings.ReplaceAll(w.Body.String(), `\"`, `"`), strings.ReplaceAll(c.text, `\x00`, `\\x00`), name)
	}
	assert.Equal(t, before, l.episode(ids["kv"]), "refused posts change nothing")
}

// What every answer says about itself, whatever it is.
func TestHeaders(t *testing.T) {
	l := newTown(t)
	ids := l.seed()
	s := newSite(t, l, func(o *Options) { o.LoopbackHosts = true })
	for _, w := range []*httptest.ResponseRecorder{
		get(t, s, "/"), get(t, s, "/alerts/"+ids["kv"]), get(t, s, "/nothing"), get(t, s, "/style.css"), get(t, s, "/script.js"), get(t, s, "/api/v1/alerts"),
		get(t, s, "/judge"), get(t, s, "/owners"), get(t, s, "/missed"),
		send(t, s, http.MethodPost, "/", ""), send(t, s, http.MethodGet, "/", "", "Host", "evil.example"),
	} {
		h := w.Header()
		assert.Equal(t, "default-src 'none'; style-src 'self'; img-src 'self'; script-src 'self'; connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'", h.Get("Content-Security-Policy"))
		assert.Equal(t, "nosniff", h.Get("X-Content-Type-Options"))
		assert.Equal(t, "DENY", h.Get("X-Frame-Options"))
		assert.Equal(t, "same-origin", h.Get("Referrer-Policy"))
		assert.Equal(t, "same-origin", h.Get("Cross-Origin-Resource-Policy"))
		if !strings.Contains(h.Get("Content-Type"), "css") && !strings.Contains(h.Get("Content-Type"), "javascript") {
			assert.Equal(t, "no-store", h.Get("Cache-Control"))
		}
	}
}

// A page from anywhere can have its own name resolve to 127.0.0.1: without authentication the name must be this machine's.
func TestHosts(t *testing.T) {
	l := newTown(t)
	s := newSite(t, l, func(o *Options) { o.LoopbackHosts = true })
	for host, code := range map[string]int{
		"localhost": 200, "localhost:9195": 200, "LOCALHOST:1": 200, "127.0.0.1:9195": 200, "127.3.4.5": 200, "[::1]:9195": 200, "[::1]": 200,
		"evil.example": 421, "evil.example:9195": 421, "localhost.evil.example": 421, "192.168.1.2:9195": 421, "0.0.0.0:9195": 421,
		"[::]": 421, "127.0.0.1.nip.io": 421, "localhost:9195:1": 421, "": 421,
	} {
		w := send(t, s, http.MethodGet, "/api/v1/alerts", "", "Host", host)
		assert.Equal(t, code, w.Code, host)
	}
	open := newSite(t, l, nil)
	assert.Equal(t, 200, send(t, open, http.MethodGet, "/", "", "Host", "alerts.example.com").Code)
}

// broken is a ledger that cannot be used.
type broken struct{ ledger.Ledger }

var errDisk = errors.New("disk /var/secret/alerts.db is full")

func (broken) View(context.Context, time.Time, func(ledger.Tx) error) error   { return errDisk }
func (broken) Update(context.Context, time.Time, func(ledger.Tx) error) error { return errDisk }

func TestLedgerFails(t *testing.T) {
	l := newTown(t)
	ids := l.seed()
	var failed []error
	s := newSite(t, l, func(o *Options) { o.Failed = func(err error) { failed = append(failed, err) } })
	s.opts.Ledger = broken{l}
	for _, w := range []*httptest.ResponseRecorder{
		get(t, s, "/"), get(t, s, "/alerts/"+ids["kv"]), get(t, s, "/api/v1/alerts"), get(t, s, "/api/v1/alerts/"+ids["kv"]),
		postJSON(t, s, "/api/v1/alerts/"+ids["kv"]+"/acknowledge", ""),
	} {
		assert.Equal(t, http.StatusServiceUnavailable, w.Code)
		assert.Equal(t, "5", w.Header().Get("Retry-After"))
		assert.Contains(t, w.Body.String(), "the alert ledger cannot be used now")
		assert.NotContains(t, w.Body.String(), "secret")
	}
	require.Len(t, failed, 5)
	for _, err := range failed {
		assert.ErrorIs(t, err, errDisk)
	}

	unprepared := New(Options{Ledger: l, Now: func() time.Time { return l.now }})
	assert.Equal(t, http.StatusServiceUnavailable, get(t, unprepared, "/").Code, "a form that could not be taken is not shown")
	assert.Equal(t, http.StatusOK, get(t, unprepared, "/api/v1/alerts").Code)
	require.NoError(t, unprepared.Prepare(context.Background()))
	assert.Equal(t, http.StatusOK, get(t, unprepared, "/").Code)
}

// A misspelt filter must not select everything.
func TestFilters(t *testing.T) {
	l := newTown(t)
	ids := l.seed()
	s := newSite(t, l, nil)
	assert.Equal(t, 200, postJSON(t, s, "/api/v1/alerts/"+ids["p1"]+"/verdict", `{"verdict":"expected"}`).Code)
	names := map[string]string{}
	for name, id := range ids {
		names[id] = name
	}
	for query, want := range map[string][]string{
		"":                                {"kv", "ttft", "queue", "p2", "p1", "gpu"},
		"?open=true":                      {"kv", "ttft", "queue", "gpu"},
		"?open=false":                     {"p2", "p1"},
		"?owner=hardware":                 {"gpu"},
		"?owner=nobody":                   {},
		"?rule=KVCacheNearlyFull":         {"kv", "p2", "p1"},
		"?severity=high":                  {"ttft", "p2", "p1"},
		"?verdict=expected":               {"p1"},
		"?verdict=none&open=false":        {"p2"},
		"?severity=high&open=true":        {"ttft"},
		"?limit=2":                        {"kv", "ttft"},
		"?limit=2&after=" + ids["ttft"]:   {"queue", "p2"},
		"?after=" + ids["gpu"]:            {},
		"?open=true&after=" + ids["ttft"]: {"queue", "gpu"},
	} {
		list := getList(t, s, query)
		got := []string{}
		for _, a := range list.Alerts {
			got = append(got, names[a.ID])
			assert.Nil(t, a.Events)
		}
		if strings.Contains(query, "limit") { // two episodes that opened at once come by their ids, which are random
			assert.Len(t, got, len(want), query)
			continue
		}
		assert.ElementsMatch(t, want, got, query)
	}
	for query, text := range map[string]string{
		"?opne=false":      `unknown parameter "opne": must be one of open, rule, owner, severity, verdict, limit, after`,
		"?open=maybe":      `open: must be true or false (got "maybe")`,
		"?open=true&open=": "open: must be given once (got 2)",
		"?severity=page":   `severity: must be one of critical, high, medium, low (got "page")`,
		"?verdict=real":    `verdict: must be one of`,
		"?limit=0":         `limit: must be a number from 1 to 1000 (got "0")`,
		"?limit=1001":      `limit: must be a number from 1 to 1000 (got "1001")`,
		"?limit=x":         `limit: must be a number`,
		"?after=nothing":   `after: must be the id of an alert (got "nothing")`,
	} {
		w := get(t, s, "/api/v1/alerts"+query)
		assert.Contains(t, []int{400, 422}, w.Code, query)
		assert.Contains(t, strings.ReplaceAll(w.Body.String(), `\"`, `"`), text, query)
	}
	for _, path := range []string{"/?opne=false", "/?severity=page", "/?refresh=1", "/?owner=a&owner=b", "/alerts/" + ids["kv"] + "?x=1"} {
		assert.Contains(t, []int{400, 422}, get(t, s, path).Code, path)
	}
}

// Following `next` shows every alert once, also where many opened in the same moment.
func TestPaging(t *testing.T) {
	l := newTown(t)
	want := map[string]bool{}
	for i := range 25 {
		if i%5 == 0 {
			l.now = l.now.Add(time.Second)
		}
		want[l.record(firing(string(rune('a'+i)), "R", alert.High, "o"))] = true
	}
	s := newSite(t, l, nil)
	seen := map[string]bool{}
	for query := "?limit=4"; ; {
		list := getList(t, s, query)
		for _, a := range list.Alerts {
			assert.False(t, seen[a.ID], "twice")
			seen[a.ID] = true
		}
		if list.Next == "" {
			break
		}
		query = "?limit=4&after=" + list.Next
	}
	assert.Equal(t, want, seen)
}
