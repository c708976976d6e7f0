package web

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/otelcol-escalation/otelcol-escalation/internal/calibrate"
)

const userHeader = "X-Forwarded-User"

// named has requests pass a proxy that names a person.
func named(s http.Handler, users ...string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		r = r.Clone(r.Context())
		r.Header[userHeader] = users
		s.ServeHTTP(w, r)
	})
}

// What a proxy's header may say, and what names nobody.
func TestUserHeader(t *testing.T) {
	for label, c := range map[string]struct {
		header http.Header
		user   string
		err    error
	}{
		"one":                       {http.Header{userHeader: {"anna"}}, "anna", nil},
		"an address":                {http.Header{userHeader: {"anna@example.com"}}, "anna@example.com", nil},
		"a distinguished name":      {http.Header{userHeader: {"CN=Anna, O=Ärzte"}}, "CN=Anna, O=Ärzte", nil},
		"spaces around it":          {http.Header{userHeader: {" anna "}}, "anna", nil},
		"as long as it may be":      {http.Header{userHeader: {strings.Repeat("ä", longestName)}}, strings.Repeat("ä", longestName), nil},
		"another hop's Connection":  {http.Header{userHeader: {"anna"}, "Connection": {"keep-alive, X-Other"}}, "anna", nil},
		"none":                      {http.Header{}, "", errNobody},
		"another one":               {http.Header{"X-Forwarded-Users": {"anna"}, "X_forwarded_user": {"anna"}}, "", errNobody},
		"empty":                     {http.Header{userHeader: {""}}, "", errNobody},
		"blank":                     {http.Header{userHeader: {"\u00a0\t"}}, "", errNobody},
		"twice":                     {http.Header{userHeader: {"eve", "anna"}}, "", errTwice},
		"twice, once empty":         {http.Header{userHeader: {"", "anna"}}, "", errTwice},
		"too long":                  {http.Header{userHeader: {strings.Repeat("a", longestName+1)}}, "", errUnnamable},
		"a line":                    {http.Header{userHeader: {"an\nna"}}, "", errUnnamable},
		"an escape":                 {http.Header{userHeader: {"an\x1bna"}}, "", errUnnamable},
		"a control character of C1": {http.Header{userHeader: {"an\u0085na"}}, "", errUnnamable},
		"Latin-1":                   {http.Header{userHeader: {"\xe4nne"}}, "", errUnnamable},
		"listed in Connection":      {http.Header{userHeader: {"anna"}, "Connection": {"close", "keep-alive, x-forwarded-user"}}, "", errHopByHop},
	} {
		user, err := userIn(c.header, userHeader)
		assert.Equal(t, c.user, user, label)
		assert.Equal(t, c.err, err, label)
	}
}

// Who is not named gets nothing: neither page nor API, whatever the method, and nothing changes.
func TestNotNamed(t *testing.T) {
	l := newTown(t)
	id := l.seed()["kv"]
	counted := map[string]int{}
	s := newSite(t, l, func(o *Options) {
		o.UserHeader = userHeader
		o.Answered = func(route string, code int) { counted[fmt.Sprint(route, code)]++ }
	})
	before := l.episode(id)
	for label, asker := range map[string]http.Handler{"nobody": s, "twice": named(s, "anna", "eve"), "empty": named(s, ""), "unnamable": named(s, "a\x7f")} {
		for _, w := range []*httptest.ResponseRecorder{
			get(t, asker, "/"), get(t, asker, "/style.css"), get(t, asker, "/api/v1/alerts"), get(t, asker, "/nothing"),
			postJSON(t, asker, "/api/v1/alerts/"+id+"/acknowledge", `{"by": "anna"}`),
		} {
			assert.Equal(t, http.StatusUnauthorized, w.Code, label)
			assert.Contains(t, w.Body.String(), "not authenticated: ", label)
			assert.NotContains(t, strings.ToLower(w.Body.String()), strings.ToLower(userHeader), "what it is called is not told")
			assert.Equal(t, "no-store", w.Header().Get("Cache-Control"), label)
		}
	}
	assert.Equal(t, before, l.episode(id))
	assert.Equal(t, map[string]int{"none401": 20}, counted)
}

// The person whom the proxy names is the one who did it, whatever `by` says, and counts as one of their own.
func TestNamedPeople(t *testing.T) {
	l := newTown(t)
	id := l.seed()["kv"]
	s := newSite(t, l, func(o *Options) { o.UserHeader = userHeader })
	people := map[string]bool{}
	for user, stored := range map[string]string{
		"anna": "anna", "bob": "bob", "local": "authenticated/local", "local/carl": "authenticated/local/carl",
	} {
		asker := named(s, user)
		require.Equal(t, 200, postJSON(t, asker, "/api/v1/alerts/"+id+"/acknowledge", `{"by": "mallory"}`).Code)
		require.Equal(t, 200, postJSON(t, asker, "/api/v1/alerts/"+id+"/verdict", `{"by": "mallory", "verdict": "true_positive"}`).Code)
		assert.Equal(t, stored, l.episode(id).VerdictBy)
		people[calibrate.Person(l.episode(id).VerdictBy)] = true
		page := get(t, asker, "/alerts/"+id).Body.String()
		assert.Contains(t, page, stored)
		assert.NotContains(t, page, `name="by"`, "nobody is asked for a name")
		assert.NotContains(t, page, "mallory")
	}
	assert.Len(t, people, 4)
	assert.NotContains(t, people, calibrate.Local)
}

// With an authenticator as well, that one has let in the proxy; the person is whom the proxy names.
func TestNamedBehindAnAuthenticator(t *testing.T) {
	l := newTown(t)
	id := l.seed()["kv"]
	s := newSite(t, l, func(o *Options) { o.UserHeader, o.Authenticator = userHeader, "bearertokenauth" })
	assert.Equal(t, http.StatusUnauthorized, get(t, as(s, name{"username": "proxy"}), "/").Code)
	require.Equal(t, 200, postJSON(t, as(named(s, "anna"), name{"username": "proxy"}), "/api/v1/alerts/"+id+"/verdict", `{"verdict": "expected"}`).Code)
	assert.Equal(t, "anna", l.episode(id).VerdictBy)
}

// Forms are bound to the person whom the proxy names, and other sites are kept out as without one.
func TestFormsBehindAProxy(t *testing.T) {
	l := newTown(t)
	id := l.seed()["kv"]
	s := newSite(t, l, func(o *Options) {
		o.UserHeader, o.LoopbackHosts, o.Hosts = userHeader, true, []string{"alerts.example.com"}
	})
	anna, bob := named(s, "anna"), named(s, "bob")
	form := func() url.Values {
		return url.Values{"token": {tokenOf(t, anna, "/alerts/"+id)}, "verdict": {"expected"}, "back": {"/alerts/" + id}}
	}
	path := "/api/v1/alerts/" + id + "/verdict"
	for label, c := range map[string]struct {
		asker   http.Handler
		headers []string
	}{
		"somebody else's form": {bob, nil},
		"a form to nobody":     {s, nil},
		"another site":         {anna, []string{"Sec-Fetch-Site", "cross-site"}},
		"a site beside it":     {anna, []string{"Sec-Fetch-Site", "same-site", "Host", "alerts.example.com", "Origin", "https://other.example.com"}},
		"another origin":       {anna, []string{"Host", "alerts.example.com", "Origin", "https://evil.example"}},
		"a name made its own":  {anna, []string{"Host", "evil.example:9195", "Origin", "http://evil.example:9195"}},
	} {
		w := postForm(t, c.asker, path, form(), c.headers...)
		assert.GreaterOrEqual(t, w.Code, 400, label)
		assert.Less(t, w.Code, 500, label)
		assert.Empty(t, l.episode(id).Verdict, label)
		headers := append([]string{"Content-Type", "application/json"}, c.headers...)
		if c.headers != nil {
			assert.GreaterOrEqual(t, send(t, c.asker, http.MethodPost, path, `{"verdict":"expected"}`, headers...).Code, 400, label)
			assert.Empty(t, l.episode(id).Verdict, label)
		}
	}
	w := postForm(t, anna, path, form(), "Host", "alerts.example.com", "Origin", "https://alerts.example.com")
	assert.Equal(t, http.StatusSeeOther, w.Code, w.Body)
	assert.Equal(t, "anna", l.episode(id).VerdictBy)
}

// A proxy passes on either the name that it is reached by, which is configured, or that of the loopback interface.
func TestHostsOfAProxy(t *testing.T) {
	l := newTown(t)
	s := newSite(t, l, func(o *Options) {
		o.LoopbackHosts, o.Hosts = true, []string{"alerts.example.com", "10.1.2.3", "2001:db8::1"}
	})
	for host, code := range map[string]int{
		"alerts.example.com": 200, "ALERTS.example.com:443": 200, "10.1.2.3:9195": 200, "[2001:db8::1]:9195": 200, "[2001:db8::1]": 200, "localhost:9195": 200,
		"alerts.example.com.evil.example": 421, "xalerts.example.com": 421, "example.com": 421, "10.1.2.4": 421, "": 421,
	} {
		assert.Equal(t, code, send(t, s, http.MethodGet, "/api/v1/alerts", "", "Host", host).Code, host)
	}
}
