package web

import (
	"fmt"
	"html"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/otelcol-escalation/otelcol-escalation/internal/alert"
)

// The filter is a form; links keep what it is set to.
func TestListFilter(t *testing.T) {
	l := newTown(t)
	l.seed()
	s := newSite(t, l, nil)
	link := func(path, name string) string {
		t.Helper()
		found := regexp.MustCompile(`href="([^"]+)"[^>]*>` + name).FindStringSubmatch(get(t, s, path).Body.String())
		require.NotNil(t, found, "%s on %s", name, path)
		return html.UnescapeString(found[1])
	}
	body := get(t, s, "/?owner=&rule=&severity=&q=").Body.String()
	assert.Equal(t, get(t, s, "/").Body.String(), body, "an empty form selects everything")
	assert.Contains(t, body, `<details class="filter"><summary>`)
	for _, part := range []string{`<option value="hardware"></option>`, `<option value="KVCacheNearlyFull"></option>`, `<option>critical</option>`} {
		assert.Contains(t, body, part)
	}
	assert.Contains(t, words(body), "Open: critical 1 high 1 medium 1 low 1")

	narrow := "/?owner=inference-platform&q=%22&refresh=30&severity=high"
	body = get(t, s, narrow).Body.String()
	for _, part := range []string{
		`<details class="filter" open>`, `name="owner" value="inference-platform"`, `<option selected>high</option>`, `name="q" value="&#34;"`,
		`<input type="hidden" name="refresh" value="30">`, `data-every="30"`, `<noscript><meta http-equiv="refresh" content="30"></noscript>`,
	} {
		assert.Contains(t, body, part)
	}
	assert.Equal(t, "/?owner=inference-platform&q=%22&refresh=30", link(narrow, "tier <b>high"))
	assert.Equal(t, "/?owner=inference-platform&refresh=30&severity=high", link(narrow, "text <b>&#34;"))
	assert.Equal(t, "/?owner=hardware&q=gpu&severity=medium", link("/?owner=hardware&q=gpu", `<span class="tier medium">`))
	assert.Equal(t, "/?owner=hardware&severity=medium", link("/?severity=medium", "hardware</a>"))
	assert.Equal(t, "/judge?rule=KVCacheNearlyFull&severity=high", link("/?rule=KVCacheNearlyFull&severity=high&refresh=10", "Judge them one by one"))

	for query, want := range map[string][]string{
		"?q=GPU-node":                       {"GPUMemoryTemperature"},
		"?q=gpu%3D3":                        {"GPUMemoryTemperature"},
		"?q=job%3Dvllm":                     {"KVCacheNearlyFull", "RequestsWaiting", "SlowFirstToken"},
		"?q=first+tokens":                   {"SlowFirstToken"}, // in the summary
		"?q=requestsw":                      {"RequestsWaiting"},
		"?q=job%3Dvllm&severity=low":        {"RequestsWaiting"},
		"?q=nothing+says+this":              {},
		"?owner=hardware&q=model_name%3Dme": {},
	} {
		page := words(get(t, s, "/"+query).Body.String())
		page = page[strings.Index(page, "wait for somebody"):]
		for _, rule := range []string{"KVCacheNearlyFull", "SlowFirstToken", "GPUMemoryTemperature", "RequestsWaiting"} {
			assert.Equal(t, slices.Contains(want, rule), strings.Contains(page, rule), "%s: %s", query, rule)
		}
	}
	for _, path := range []string{"/?q=" + strings.Repeat("x", 201), "/?q=%00", "/?Q=x"} {
		assert.Contains(t, []int{400, 422}, get(t, s, path).Code, path)
	}
}

// A text is looked for among the most urgent alerts, up to a bound, and the page says where that is reached.
func TestSearchIsBounded(t *testing.T) {
	l := newTown(t)
	for i := range searchedOpen + 5 {
		l.now = l.now.Add(time.Second)
		a := firing(fmt.Sprint(i), "Noise", alert.Low, "o")
		if i == 0 || i == searchedOpen+4 {
			a.Labels = map[string]string{"needle": "here"}
		}
		l.record(a)
	}
	page := words(get(t, newSite(t, l, nil), "/?q=needle").Body.String())
	assert.Contains(t, page, "Waiting for somebody 1 low Noise", "the newest of them; the oldest is beyond the bound")
	assert.Contains(t, page, "There are more open alerts than fit here, or than are searched.")
}

// Of what has ended the newest are shown; the queue has the others.
func TestManyEnded(t *testing.T) {
	l := newTown(t)
	for i := range shownEnded + 1 {
		l.past(firing(fmt.Sprint(i), "R", alert.High, "o"), time.Duration(i+1)*time.Hour, time.Minute, true)
	}
	l.past(firing("unseen", "Unseen", alert.High, "o"), 10*time.Minute, time.Minute, false)
	l.past(firing("old", "Old", alert.High, "o"), judgeWithin+time.Minute, time.Minute, true)
	s := newSite(t, l, nil)
	page := get(t, s, "/").Body.String()
	assert.Contains(t, words(page), "Ended, not judged yet 10+")
	assert.Equal(t, shownEnded, strings.Count(page, `class="alert past`))
	assert.NotContains(t, page, "Unseen", "nobody was told of it")
	assert.NotContains(t, page, "Old")
	assert.Contains(t, words(get(t, s, "/?q=nothing+says+this").Body.String()), "All quiet.")
}

// An error says what to do next; while the ledger is away a page asks again by itself, and a form does not.
func TestErrorPages(t *testing.T) {
	l := newTown(t)
	ids := l.seed()
	s := newSite(t, l, nil)
	token := tokenOf(t, s, "/")
	for path, part := range map[string]string{
		"/alerts/nothing": "Alerts that have ended are kept as long as the ledger's retention says.",
		"/nothing":        "Look in the list for what is there.",
		"/?opne=x":        "Something in the address is not as it should be.",
	} {
		body := get(t, s, path).Body.String()
		assert.Contains(t, words(body), part, path)
		assert.Contains(t, body, `<a href="/">Back to the alerts</a>`, path)
		assert.NotContains(t, body, "http-equiv", path)
	}
	ended := "/api/v1/alerts/" + ids["p1"] + "/acknowledge"
	assert.Contains(t, words(postForm(t, s, ended, urlValues(nil, token)).Body.String()), "Somebody else, or the alert itself, was faster.")
	assert.Contains(t, words(postForm(t, s, ended, urlValues(nil, "")).Body.String()), "load the page again, and repeat it there")
	assert.Contains(t, words(postForm(t, s, ended, urlValues(map[string]string{"more": "x"}, token)).Body.String()), "what you have typed is still there")

	s.opts.Ledger = broken{l}
	for _, path := range []string{"/", "/judge", "/owners", "/missed", "/silences", "/receivers", "/alerts/" + ids["kv"]} {
		w := get(t, s, path)
		assert.Equal(t, 503, w.Code, path)
		assert.Contains(t, w.Body.String(), `<meta http-equiv="refresh" content="5">`, path)
		assert.Contains(t, words(w.Body.String()), "Not now the alert ledger cannot be used now: try again This page is loaded again every 5 s", path)
	}
	w := postForm(t, s, ended, urlValues(nil, token))
	assert.Equal(t, 503, w.Code)
	assert.NotContains(t, w.Body.String(), "http-equiv", "it would be another request")
	assert.Contains(t, words(w.Body.String()), "Go back and try again: what was done all the same is not done twice.")
}
