package web

import (
	"encoding/xml"
	"errors"
	"fmt"
	"html"
	"io"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/otelcol-escalation/otelcol-escalation/internal/alert"
	"github.com/otelcol-escalation/otelcol-escalation/internal/ledger"
)

// page gets a page that must be there.
func page(t testing.TB, s *Site, path string) *httptest.ResponseRecorder {
	t.Helper()
	w := get(t, s, path)
	require.Equal(t, 200, w.Code, "%s: %s", path, words(w.Body.String()))
	return w
}

// inOrder checks that a page says these things, one after the other.
func inOrder(t testing.TB, text string, parts ...string) {
	t.Helper()
	at := 0
	for _, part := range parts {
		i := strings.Index(text[at:], part)
		require.GreaterOrEqual(t, i, 0, "%q, after %q, in %q", part, text[:at], text[at:])
		at += i + len(part)
	}
}

// drawings are the charts of a page. Each must be well-formed and have a name.
func drawings(t testing.TB, page string) (all []string) {
	t.Helper()
	for {
		begin := strings.Index(page, "<svg")
		if begin < 0 {
			return all
		}
		end := strings.Index(page, "</svg>") + len("</svg>")
		drawing := page[begin:end]
		assert.Regexp(t, `^<svg class="chart"[^>]* role="img" aria-label="[^"]+">`, drawing)
		decoder := xml.NewDecoder(strings.NewReader(drawing))
		for {
			if _, err := decoder.Token(); errors.Is(err, io.EOF) {
				break
			} else {
				require.NoError(t, err, drawing)
			}
		}
		all = append(all, drawing)
		page = page[end:]
	}
}

func TestRulesPage(t *testing.T) {
	l := newTown(t)
	s := newSite(t, l, nil)
	assert.Contains(t, words(page(t, s, "/rules").Body.String()), "No rule has fired in the last 30 days.")
	l.noisy()
	l.seed()
	w := page(t, s, "/rules")
	text := words(w.Body.String())
	inOrder(t, text,
		"By false pages not judged pages share of false pages name Only those with a suggestion 1",
		"Rule Pages Verdicts False alarms Threshold",
		"Noisy/Rule inference vllm:kv_cache_usage_perc Pages 24 of 24 episodes", "4 real, 20 false", "83 % 64 to 93 %, of 24 judged 100 % of the pages judged",
		"high 0.9 → suggested: 0.", "20 of 24 pages in 30 days would have gone, all 4 incidents kept",
		"KVCacheNearlyFull inference-platform", "3 of 3 episodes 1 open now", "3 not judged", "nobody judged 0 % of the pages judged Threshold no threshold known",
	)
	assert.NotContains(t, text, "0/0")
	assert.Len(t, drawings(t, w.Body.String()), 5*2, "each rule's days and verdicts")
	assert.Contains(t, w.Body.String(), `href="/rules/Noisy%2FRule"`)
	assert.Contains(t, w.Body.String(), `href="/?rule=KVCacheNearlyFull"`)

	names := func(query string) (all []string) {
		for _, part := range strings.Split(page(t, s, "/rules"+query).Body.String(), `class="rule" href="/rules/`)[1:] {
			name, _, _ := strings.Cut(part, `"`)
			all = append(all, name)
		}
		return all
	}
	assert.Equal(t, []string{"GPUMemoryTemperature", "KVCacheNearlyFull", "Noisy%2FRule", "RequestsWaiting", "SlowFirstToken"}, names("?sort=name"))
	assert.Equal(t, "Noisy%2FRule", names("?sort=pages")[0])
	assert.Equal(t, "KVCacheNearlyFull", names("?sort=unjudged")[0])
	assert.Equal(t, "Noisy%2FRule", names("?sort=share")[0])
	assert.Equal(t, []string{"GPUMemoryTemperature"}, names("?owner=hardware"))
	assert.Equal(t, []string{"Noisy%2FRule"}, names("?suggestion=stands"))
	narrowed := page(t, s, "/rules?owner=hardware&suggestion=stands&sort=name")
	inOrder(t, words(narrowed.Body.String()), "Only owner hardware ×", "with a suggestion ×", "No rule here. Remove a filter to see the others.")
	for _, without := range []string{"/rules?sort=name&amp;suggestion=stands", "/rules?owner=hardware&amp;sort=name"} {
		assert.Contains(t, narrowed.Body.String(), `href="`+without+`"`)
	}
	for query, want := range map[string]string{
		"?owners=a": "must be one of owner, suggestion, sort, page", "?sort=size": "sort: must be one of false, unjudged", "?suggestion=yes": "suggestion: must be stands",
		"?page=0": "page: must be a number from 1 on", "?page=x": "page: must be a number", "?owner=a&owner=b": "owner: must be given once",
	} {
		w := get(t, s, "/rules"+query)
		assert.Contains(t, []int{400, 422}, w.Code, query)
		assert.Contains(t, words(w.Body.String()), want)
	}
}

// More rules than a page holds, and more episodes than are read while somebody waits.
func TestManyRules(t *testing.T) {
	l := newTown(t)
	threshold, level := 0.9, 0.95
	l.do(func(tx ledger.Tx) error {
		for i := range 3000 {
			rule := "Huge"
			if i < 2*shownRules {
				rule = fmt.Sprintf("rule-%03d", i)
			}
			e := &ledger.Episode{
				ID: fmt.Sprint("e", i), AlertID: fmt.Sprint(i), Rule: rule, Owner: "o", Severity: alert.High, Highest: alert.High, OpenedAt: l.now, NotifiedAt: l.now, EndedAt: l.now,
				Levels: ledger.Levels{alert.High: {Threshold: &threshold, Firing: &level}},
			}
			if err := tx.PutEpisode(e); err != nil {
				return err
			}
		}
		return nil
	})
	s := newSite(t, l, nil)
	first := page(t, s, "/rules?sort=name")
	inOrder(t, words(first.Body.String()), "Huge", "being worked out", "rule-000", "rule-098", "1 to 100 of 201 Next")
	assert.Contains(t, first.Body.String(), `href="/rules?page=2&amp;sort=name" rel="next"`)
	last := words(page(t, s, "/rules?sort=name&page=3").Body.String())
	inOrder(t, last, "rule-199", "Previous 201 to 201 of 201")
	assert.NotContains(t, last, "rule-198")
	assert.Contains(t, words(page(t, s, "/rules?page=9").Body.String()), "There are no more rules.")
	page(t, s, "/rules/Huge") // whoever looks at it has it worked out
	assert.NotContains(t, words(page(t, s, "/rules?sort=name").Body.String()), "being worked out")
}

// A rule may have any name.
func TestNamesOfRules(t *testing.T) {
	l := newTown(t)
	s := newSite(t, l, nil)
	for i, name := range []string{
		"a/b", "/", "//", "a b", "a.b", ".", "..", "../x", "?x=1#y", "100%", "%2F", "ä ☃", "a&b=c", `"'<>`, "\x00\n", "a;b", "+", "-", strings.Repeat("long", 128),
	} {
		a := firing(fmt.Sprint(i), name, alert.High, "o")
		id := l.record(a)
		link := ruleURL(name, nil)
		u, err := url.Parse(link)
		require.NoError(t, err, name)
		// As a browser reads it: steps in the path are taken, however they are written.
		assert.NotContains(t, strings.Split(strings.ToLower(strings.ReplaceAll(u.EscapedPath(), "%2e", ".")), "/"), "..", name)
		w := page(t, s, link)
		assert.Contains(t, w.Body.String(), "/alerts/"+id, name)
		assert.Equal(t, name, decoded[Rule](t, get(t, s, ruleIn("/api/v1/rules", name, nil))).Rule)
		for _, from := range []string{"/rules", "/alerts/" + id, "/"} {
			assert.Contains(t, html.UnescapeString(page(t, s, from).Body.String()), `href="`+link+`"`, "%q on %s", name, from)
		}
		// And back again, after a verdict.
		assert.Equal(t, ruleURL(name, url.Values{"verdict": {"none"}, "done": {"verdict"}}), nextPage(ruleURL(name, url.Values{"verdict": {"none"}}), "verdict", nil), name)
		l.now = l.now.Add(time.Second)
	}
}
