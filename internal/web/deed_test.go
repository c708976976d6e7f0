package web

import (
	"context"
	"encoding/json"
	"html"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/client"

	"github.com/otelcol-escalation/otelcol-escalation/internal/alert"
	"github.com/otelcol-escalation/otelcol-escalation/internal/calibrate"
	"github.com/otelcol-escalation/otelcol-escalation/internal/ledger"
)

func (l *town) events(id string) (names []string) {
	l.t.Helper()
	require.NoError(l.t, l.View(context.Background(), l.now, func(tx ledger.Tx) error {
		events, err := tx.EpisodeEvents(id)
		for _, e := range events {
			names = append(names, e.Name)
		}
		return err
	}))
	return names
}

// Each deed answers with the alert as it is then, adds one event, and adds nothing when it is repeated.
func TestDeeds(t *testing.T) {
	for _, c := range []struct {
		deed, body, event string
		check             func(*testing.T, *town, Alert)
	}{
		{"acknowledge", `{"by": "anna", "note": "on it"}`, alert.EventAcknowledged, func(t *testing.T, l *town, a Alert) {
			assert.Equal(t, "anna", a.AcknowledgedBy)
			assert.Equal(t, l.now, a.AcknowledgedAt)
			assert.Equal(t, &Acknowledgement{By: "anna", At: l.now}, a.Acknowledgement)
			assert.Empty(t, a.NextStep, "the steps have stopped")
			assert.Equal(t, "on it", a.Events[len(a.Events)-1].Note)
		}},
		{"acknowledge", ``, alert.EventAcknowledged, func(t *testing.T, _ *town, a Alert) { assert.Equal(t, "local", a.AcknowledgedBy) }},
		{"resolve", `{"by": "anna"}`, alert.EventResolved, func(t *testing.T, l *town, a Alert) {
			assert.Equal(t, StateEnded, a.State)
			assert.Equal(t, ledger.EndedByPerson, a.EndedBy)
			assert.Equal(t, "anna", a.ResolvedBy)
			assert.Equal(t, l.now, a.EndedAt)
			assert.Equal(t, ledger.OutcomeNotified, a.Outcome)
			assert.Empty(t, a.NextStep)
		}},
		{"snooze", `{"for": "1h30m", "by": "anna"}`, alert.EventSnoozed, func(t *testing.T, l *town, a Alert) {
			assert.Equal(t, l.now.Add(90*time.Minute), a.SnoozedUntil)
			assert.Equal(t, "anna", a.SnoozedBy)
			assert.Empty(t, a.NextStep)
		}},
		{"snooze", `{"until": "2026-01-02T06:00:00+01:00"}`, alert.EventSnoozed, func(t *testing.T, _ *town, a Alert) {
			assert.Equal(t, time.Date(2026, 1, 2, 5, 0, 0, 0, time.UTC), a.SnoozedUntil)
		}},
		{"verdict", `{"verdict": "false_positive", "by": "anna", "note": "a test"}`, alert.EventVerdict, func(t *testing.T, l *town, a Alert) {
			assert.Equal(t, ledger.FalsePositive, a.Verdict)
			assert.Equal(t, "anna", a.VerdictBy)
			assert.Equal(t, l.now, a.VerdictAt)
			assert.Equal(t, "a test", a.VerdictNote)
		}},
	} {
		t.Run(c.deed+c.body, func(t *testing.T) {
			l := newTown(t)
			id := l.seed()["kv"]
			var done []string
			s := newSite(t, l, func(o *Options) { o.Done = func(deed string) { done = append(done, deed) } })
			before := l.events(id)
			path := "/api/v1/alerts/" + id + "/" + c.deed
			w := postJSON(t, s, path, c.body)
			require.Equal(t, http.StatusOK, w.Code, w.Body)
			var a Alert
			require.NoError(t, json.Unmarshal(w.Body.Bytes(), &a))
			c.check(t, l, a)
			want := append(before, c.event)
			assert.Equal(t, want, l.events(id))

			l.now = l.now.Add(20 * time.Second) // a client that tries again
			w = postJSON(t, s, path, c.body)
			require.Equal(t, http.StatusOK, w.Code, w.Body)
			assert.Equal(t, want, l.events(id), "repeated")
			assert.Equal(t, []string{c.deed, c.deed}, done)
		})
	}
}

func TestSnoozeAgainLater(t *testing.T) {
	l := newTown(t)
	id := l.seed()["kv"]
	s := newSite(t, l, nil)
	path := "/api/v1/alerts/" + id + "/snooze"
	start := l.now
	require.Equal(t, 200, postJSON(t, s, path, `{"for":"1h","by":"anna"}`).Code)
	l.now = start.Add(59 * time.Second)
	require.Equal(t, 200, postJSON(t, s, path, `{"for":"1h","by":"anna"}`).Code)
	assert.Equal(t, start.Add(time.Hour), l.episode(id).SnoozedUntil, "the same request again")
	require.Equal(t, 200, postJSON(t, s, path, `{"for":"1h","by":"bob"}`).Code)
	assert.Equal(t, "bob", l.episode(id).SnoozedBy, "somebody else's is another")
	l.now = start.Add(10 * time.Minute)
	require.Equal(t, 200, postJSON(t, s, path, `{"for":"1h","by":"bob"}`).Code)
	assert.Equal(t, l.now.Add(time.Hour), l.episode(id).SnoozedUntil, "a later one is longer")
	require.Equal(t, 200, postJSON(t, s, path, `{"for":"5m","by":"bob"}`).Code)
	assert.Equal(t, l.now.Add(5*time.Minute), l.episode(id).SnoozedUntil, "a shorter one shortens")
	l.now = l.now.Add(5 * time.Minute)
	assert.Zero(t, getAlert(t, s, id).SnoozedUntil, "over")
}

// An ended alert can be judged, and judged otherwise; nothing else can be done about it.
func TestEnded(t *testing.T) {
	l := newTown(t)
	id := l.seed()["p1"]
	s := newSite(t, l, nil)
	path := "/api/v1/alerts/" + id
	require.Equal(t, 200, postJSON(t, s, path+"/verdict", `{"verdict":"true_positive"}`).Code)
	require.Equal(t, 200, postJSON(t, s, path+"/verdict", `{"verdict":"duplicate"}`).Code)
	assert.Equal(t, ledger.Duplicate, getAlert(t, s, id).Verdict)
	for _, body := range []string{"acknowledge", "snooze"} {
		w := postJSON(t, s, path+"/"+body, map[string]string{"snooze": `{"for":"1h"}`}[body])
		assert.Equal(t, http.StatusConflict, w.Code)
		assert.JSONEq(t, `{"error":"this alert has ended"}`, w.Body.String())
	}
	before := l.episode(id)
	assert.Equal(t, 200, postJSON(t, s, path+"/resolve", "").Code, "it has ended: what was asked for holds")
	assert.Equal(t, before, l.episode(id))
}

// name is client.AuthData as extensions give it.
type name map[string]any

func (n name) GetAttribute(k string) any { return n[k] }
func (n name) GetAttributeNames() []string {
	var names []string
	for k := range n {
		names = append(names, k)
	}
	return names
}

// as has requests authenticated, as confighttp does.
func as(s http.Handler, auth client.AuthData) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.ServeHTTP(w, r.WithContext(client.NewContext(r.Context(), client.Info{Auth: auth})))
	})
}

// Who did it: the authenticated subject, or, without authentication, the name that was given; then all are one person.
func TestPeople(t *testing.T) {
	for label, c := range map[string]struct {
		authenticator string
		auth          client.AuthData
		acknowledged  string
		verdictBy     string // as the ledger has it
		shown         string
		person        string
	}{
		"nobody authenticates":        {"", nil, "anna", "local/anna", "anna", "local"},
		"oidc":                        {"oidc", name{"subject": "u123", "membership": []string{"sre"}}, "u123", "u123", "u123", "u123"},
		"basicauth":                   {"basicauth", name{"username": "bob", "raw": "c2VjcmV0"}, "bob", "bob", "bob", "bob"},
		"a token that names nobody":   {"bearertokenauth/page", nil, "bearertokenauth/page", "bearertokenauth/page", "bearertokenauth/page", "bearertokenauth/page"},
		"attributes without a name":   {"x", name{"subject": 7, "username": ""}, "x", "x", "x", "x"},
		"a subject that looks local":  {"oidc", name{"subject": "local/anna"}, "authenticated/local/anna", "authenticated/local/anna", "authenticated/local/anna", "authenticated/local/anna"},
		"a subject that is not UTF-8": {"oidc", name{"subject": "a\xff"}, "a\uFFFD", "a\uFFFD", "a\uFFFD", "a\uFFFD"},
	} {
		t.Run(label, func(t *testing.T) {
			l := newTown(t)
			id := l.seed()["kv"]
			s := newSite(t, l, func(o *Options) { o.Authenticator = c.authenticator })
			asked := as(s, c.auth)
			require.Equal(t, 200, postJSON(t, asked, "/api/v1/alerts/"+id+"/acknowledge", `{"by":"anna"}`).Code)
			require.Equal(t, 200, postJSON(t, asked, "/api/v1/alerts/"+id+"/verdict", `{"by":"anna","verdict":"true_positive"}`).Code)
			e := l.episode(id)
			assert.Equal(t, c.acknowledged, e.AcknowledgedBy)
			assert.Equal(t, c.verdictBy, e.VerdictBy)
			assert.Equal(t, c.person, calibrate.Person(e.VerdictBy))
			a := getAlert(t, s, id)
			assert.Equal(t, c.shown, a.VerdictBy)
			assert.Equal(t, c.shown, a.Events[len(a.Events)-1].By)
			assert.Equal(t, "Judged real by "+c.shown, a.Events[len(a.Events)-1].Text)
		})
	}
}

// With as many names as one likes, one stays one person.
func TestLocalCallersAreOnePerson(t *testing.T) {
	l := newTown(t)
	id := l.seed()["kv"]
	s := newSite(t, l, nil)
	people := map[string]bool{}
	for _, by := range []string{"", "local", "anna", "bob", "local/carl", "authenticated/dora"} {
		body, err := json.Marshal(map[string]string{"by": by, "verdict": "false_positive"})
		require.NoError(t, err)
		require.Equal(t, 200, postJSON(t, s, "/api/v1/alerts/"+id+"/verdict", string(body)).Code)
		people[calibrate.Person(l.episode(id).VerdictBy)] = true
	}
	assert.Equal(t, map[string]bool{"local": true}, people)
}

var tokenPattern = regexp.MustCompile(`name="token" value="([^"]+)"`)

func tokenOf(t testing.TB, s http.Handler, path string) string {
	t.Helper()
	found := tokenPattern.FindStringSubmatch(get(t, s, path).Body.String())
	require.NotNil(t, found, "the page has no form")
	return html.UnescapeString(found[1])
}

func urlValues(fields map[string]string, token string) url.Values {
	v := url.Values{"token": {token}}
	for name, value := range fields {
		v.Set(name, value)
	}
	return v
}

func postForm(t testing.TB, s http.Handler, path string, values url.Values, headers ...string) *httptest.ResponseRecorder {
	t.Helper()
	return send(t, s, http.MethodPost, path, values.Encode(), append([]string{"Content-Type", "application/x-www-form-urlencoded"}, headers...)...)
}

// The page's forms work with the page's token alone, and lead back to the page.
func TestForms(t *testing.T) {
	l := newTown(t)
	ids := l.seed()
	s := newSite(t, l, nil)
	path := "/api/v1/alerts/" + ids["kv"] + "/verdict"
	token := tokenOf(t, s, "/")
	form := func(change func(url.Values)) url.Values {
		v := url.Values{"token": {token}, "back": {"/"}, "verdict": {"expected"}}
		if change != nil {
			change(v)
		}
		return v
	}
	shown := l.now
	tampered := []byte(token)
	tampered[len(tampered)/2] ^= 1
	other := newTown(t)
	other.seed()
	for label, c := range map[string]struct {
		values  url.Values
		headers []string
		later   time.Duration
		code    int
	}{
		"no token":             {form(func(v url.Values) { v.Del("token") }), nil, 0, 403},
		"an empty token":       {form(func(v url.Values) { v.Set("token", "") }), nil, 0, 403},
		"a made-up token":      {form(func(v url.Values) { v.Set("token", "AAAA") }), nil, 0, 403},
		"a changed token":      {form(func(v url.Values) { v.Set("token", string(tampered)) }), nil, 0, 403},
		"another site's token": {form(func(v url.Values) { v.Set("token", tokenOf(t, newSite(t, other, nil), "/")) }), nil, 0, 403},
		"an old token":         {form(nil), nil, tokenLife + time.Second, 403},
		"two tokens":           {form(func(v url.Values) { v.Add("token", token) }), nil, 0, 400},
		"another site":         {form(nil), []string{"Sec-Fetch-Site", "cross-site"}, 0, 403},
		"a site beside":        {form(nil), []string{"Sec-Fetch-Site", "same-site"}, 0, 403},
		"another origin":       {form(nil), []string{"Origin", "https://evil.example"}, 0, 403},
		"no origin":            {form(nil), []string{"Origin", "null"}, 0, 403},
		"unknown field":        {form(func(v url.Values) { v.Set("more", "x") }), nil, 0, 400},
		"unknown verdict":      {form(func(v url.Values) { v.Set("verdict", "x") }), nil, 0, 422},
		"not UTF-8":            {form(func(v url.Values) { v.Set("by", "\xff") }), nil, 0, 422},
	} {
		l.now = shown.Add(c.later)
		w := postForm(t, s, path, c.values, c.headers...)
		assert.Equal(t, c.code, w.Code, label)
		if c.headers == nil {
			assert.Equal(t, "text/html; charset=utf-8", w.Header().Get("Content-Type"), label)
			assert.Contains(t, w.Body.String(), `role="alert"`, label)
		}
		assert.Empty(t, l.episode(ids["kv"]).Verdict, label)
	}

	l.now = shown.Add(tokenLife)
	w := postForm(t, s, path, form(func(v url.Values) { v.Set("note", "two\r\nlines") }), "Sec-Fetch-Site", "same-origin", "Origin", "http://localhost:9195")
	assert.Equal(t, http.StatusSeeOther, w.Code, w.Body)
	assert.Equal(t, "/?done=verdict", w.Header().Get("Location"))
	assert.Equal(t, ledger.Expected, l.episode(ids["kv"]).Verdict)
	assert.Equal(t, "two\nlines", l.episode(ids["kv"]).Note)
	assert.Contains(t, get(t, s, w.Header().Get("Location")).Body.String(), "Your verdict is recorded.")
	assert.Equal(t, 200, postJSON(t, s, path, `{"verdict":"duplicate"}`).Code, "a program needs no token")
	assert.Equal(t, 403, postJSON(t, s, path, `{"verdict":"duplicate"}`, "Sec-Fetch-Site", "cross-site").Code)
	assert.Equal(t, 403, postJSON(t, s, path, `{"verdict":"duplicate"}`, "Origin", "https://evil.example").Code)

	// Every error of a form is shown to a person.
	assert.Contains(t, postForm(t, s, "/api/v1/alerts/"+ids["p1"]+"/acknowledge", url.Values{"token": {tokenOf(t, s, "/")}}).Body.String(), "this alert has ended")
	large := form(func(v url.Values) { v.Set("note", string(make([]byte, MaxBody))) })
	assert.Equal(t, http.StatusRequestEntityTooLarge, postForm(t, s, path, large).Code)
}

// A form belongs to whom it was shown to, and to the ledger, not to the process.
func TestFormBelongsToItsPerson(t *testing.T) {
	l := newTown(t)
	id := l.seed()["kv"]
	s := newSite(t, l, func(o *Options) { o.Authenticator = "oidc" })
	anna, bob := as(s, name{"subject": "anna"}), as(s, name{"subject": "bob"})
	values := url.Values{"token": {tokenOf(t, anna, "/alerts/"+id)}, "verdict": {"expected"}, "back": {"/alerts/" + id}}
	path := "/api/v1/alerts/" + id + "/verdict"
	assert.Equal(t, http.StatusForbidden, postForm(t, bob, path, values).Code)
	w := postForm(t, as(newSite(t, l, func(o *Options) { o.Authenticator = "oidc" }), name{"subject": "anna"}), path, values)
	assert.Equal(t, http.StatusSeeOther, w.Code, "after a restart, or at another replica")
	assert.Equal(t, "/alerts/"+id+"?done=verdict", w.Header().Get("Location"))
}

// Nobody is sent to another site, whatever a form says.
func TestNextPage(t *testing.T) {
	for back, want := range map[string]string{
		"/":                      "/?done=x",
		"":                       "/?done=x",
		"/alerts/abc123":         "/alerts/abc123?done=x",
		"/?owner=a+b&refresh=30": "/?done=x&owner=a+b&refresh=30",
		"/?done=y":               "/?done=x",
		"/?unknown=1":            "/?done=x",
		"/missed":                "/missed?done=x",
		"/judge":                 "/judge?by=anna+b&done=x",
		"/judge?owner=o&judged=3&alike=4&last=a1&after=a2.b7": "/judge?after=a2.b7&by=anna+b&done=x&judged=3&last=a1&owner=o",
		"/judge?show=../x":             "/judge?done=x",
		"/judge?judged=-1":             "/judge?done=x",
		"/judge/x":                     "/?done=x",
		"https://evil.example/":        "/?done=x",
		"//evil.example/":              "/?done=x",
		"/\\evil.example":              "/?done=x",
		"/alerts/../../evil":           "/?done=x",
		"/alerts/a%2fb":                "/?done=x",
		"/alerts/":                     "/?done=x",
		"javascript:alert(1)":          "/?done=x",
		"/\r\nLocation: evil":          "/?done=x",
		"/?owner=%0d%0aLocation:+evil": "/?done=x&owner=%0D%0ALocation%3A+evil",
	} {
		assert.Equal(t, want, nextPage(back, "x", fields{"by": "anna b", "alike": ""}), back)
	}
}
