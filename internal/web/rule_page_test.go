package web

import (
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/otelcol-escalation/otelcol-escalation/internal/alert"
	"github.com/otelcol-escalation/otelcol-escalation/internal/ledger"
)

func TestRulePage(t *testing.T) {
	l := newTown(t)
	s := newSite(t, l, nil)
	l.noisy()
	l.do(func(tx ledger.Tx) error {
		if _, err := ledger.Report(tx, &ledger.Miss{Rule: "Noisy/Rule", At: l.now.Add(-30 * time.Hour), By: "local/bo", Note: "customers called", Labels: map[string]string{"service": "chat"}}); err != nil {
			return err
		}
		return tx.PutChange(&ledger.Change{ID: "c", Rule: "Noisy/Rule", Tier: alert.High, From: 0.85, To: 0.9, At: l.now.Add(-6 * 24 * time.Hour), By: "local/anna", Note: "alertctl"})
	})
	l.do(func(tx ledger.Tx) error { // before the window
		return tx.PutEpisode(&ledger.Episode{ID: "old", AlertID: "old", Rule: "Noisy/Rule", OpenedAt: l.now.Add(-31 * 24 * time.Hour), EndedAt: l.now})
	})
	quiet := l.record(firing("quiet", "Noisy/Rule", alert.High, "inference")) // open, and nobody was paged
	w := page(t, s, "/rules/Noisy%2FRule")
	html, text := w.Body.String(), words(w.Body.String())
	inOrder(t, text,
		"Noisy/Rule inference vllm:kv_cache_usage_perc Its alerts: 1 open now JSON",
		"Pages in 30 days 24 0.8 a day; 25 episodes", "False alarms 83 % of 24 judged real or false; 95 % interval 64 to 93 %", "4 real, 20 false 100 % of the pages judged", "Missed 1 reported by people",
		"Pages per day", "0.85 → 0.9", "The same as a table", "Day (UTC) Pages Real False Other Not judged Nobody told", "2026-01-14 1 1 0 0 0 1",
		"Threshold of high In force: above 0.9. Suggested: 0.93. 20 of 24 pages in 30 days would have gone, all 4 incidents kept.",
		"80 % of the known incidents were caught (4 of 5, 95 % interval",
		"What other thresholds would have made of these pages", "pages incidents kept",
		"Threshold Pages Incidents kept Real False Other Not judged", "0.9 in force 24 4 4 20 0 0 0.92 8 4 4 4 0 0 0.93 suggested 4 4 4 0 0 0",
		"Would go: 20 pages (0 real, 20 false, 0 other, 0 not judged).", "Would stay: 4 pages (4 real, 0 false, 0 other, 0 not judged), 4 incidents kept.",
		"alertctl calibrate --set 'Noisy/Rule/high=0.93' --group 'vllm' --write 'rules/*.yaml'", "- alert: \"Noisy/Rule\" tiers: high: above: 0.93 # was 0.9",
		"What earlier changes did", "0.85 → 0.9 2026-01-08, anna: alertctl", "pages a day 100 % false of 11 judged", "69 % false of 13 judged",
		"Reported as missed 1", "by bo customers called service chat",
		"Episodes all 25 not judged 1 real 4 false alarm 20 expected duplicate",
	)
	assert.Contains(t, html, "/alerts/"+quiet, "those that nobody has judged come first")
	assert.Contains(t, html, `<button formaction="/api/v1/alerts/`+quiet+`/verdict" name="verdict" value="false_positive"`)
	assert.Len(t, drawings(t, html), 1+2+2, "verdicts; days and curve, wide and narrow")
	assert.NotContains(t, html, ` style="`)
	assert.Regexp(t, `(?s)<h1>.*<h2.*<h3`, html)
	assert.NotRegexp(t, `<h4`, html)
	for _, table := range regexp.MustCompile(`(?s)<table>.*?</table>`).FindAllString(html, -1) {
		assert.Contains(t, table, "<caption")
		assert.Equal(t, strings.Count(table, "<th"), strings.Count(table, `<th scope="`)+strings.Count(table, "<thead"), "every heading says what of")
	}

	// All are judged: then there is most reason to see all.
	l.do(func(tx ledger.Tx) error { return ledger.Judge(tx, quiet, ledger.Duplicate, "local/bo", "the same") })
	w = page(t, s, "/rules/Noisy%2FRule")
	inOrder(t, words(w.Body.String()), "all 25 not judged real", "duplicate, says bo: the same", "Older")
	assert.Contains(t, w.Body.String(), `href="/rules/Noisy%2FRule?verdict=all#episodes" aria-current="true"`)
	assert.Equal(t, shownEpisodes, strings.Count(w.Body.String(), "<article"))
	next := regexp.MustCompile(`href="([^"]*)" rel="next"`).FindStringSubmatch(w.Body.String())
	require.NotNil(t, next)
	older := page(t, s, strings.TrimSuffix(strings.ReplaceAll(next[1], "&amp;", "&"), "#episodes"))
	assert.Equal(t, 25-shownEpisodes, strings.Count(older.Body.String(), "<article"))
	assert.Contains(t, words(older.Body.String()), "Newest")
	real := page(t, s, "/rules/Noisy%2FRule?verdict=true_positive").Body.String()
	assert.Equal(t, 4, strings.Count(real, "<article"))
	assert.NotContains(t, real, "formaction")
	assert.Contains(t, words(page(t, s, "/rules/Noisy%2FRule?verdict=expected").Body.String()), "No such episode in the last 30 days.")

	for path, want := range map[string]string{
		"/rules/Noisy%2FRule?verdict=maybe": "verdict: must be one of", "/rules/Noisy%2FRule?page=2": "must be one of name, verdict, after",
		"/rules/Noisy%2FRule?after=x": "after: must be the id of an alert", "/rules/Nobody": "no rule of this name has fired in the last 30 days",
	} {
		w := get(t, s, path)
		assert.GreaterOrEqual(t, w.Code, 400, path)
		assert.Contains(t, words(w.Body.String()), want)
	}
}

// Where nobody has judged or nothing is known, the page says so and divides nothing by nothing.
func TestRulePageOfLittle(t *testing.T) {
	l := newTown(t)
	s := newSite(t, l, nil)
	l.record(alert.Alert{ID: "a", Rule: "Bare", Severity: alert.Low, Owner: "o", State: alert.Firing, Reason: alert.ReasonThreshold})
	text := words(page(t, s, "/rules/Bare").Body.String())
	inOrder(t, text, "Pages in 30 days 0", "False alarms nobody judged", "none no page yet", "none reported", "Pages per day", "2026-01-02 0 0 0 0 0 1", "Episodes all 1 not judged 1")
	assert.NotContains(t, text, "NaN")
	assert.NotContains(t, text, "Threshold of")

	l.do(func(tx ledger.Tx) error {
		_, err := ledger.Report(tx, &ledger.Miss{Rule: "Never", At: l.now, By: "bo"})
		return err
	})
	text = words(page(t, s, "/rules/Never").Body.String())
	inOrder(t, text, "Never", "It has not fired", "Reported as missed 1", "No such episode")
}

// A verdict on the rule's page counts, and leads back to where it was given.
func TestVerdictOnTheRulePage(t *testing.T) {
	l := newTown(t)
	s := newSite(t, l, nil)
	id := l.record(firing("a", "a/b", alert.High, "o"))
	const path = "/rules/a%2Fb?verdict=none"
	back := regexp.MustCompile(`name="back" value="([^"]*)"`).FindStringSubmatch(page(t, s, path).Body.String())
	require.NotNil(t, back)
	assert.Equal(t, path, back[1])
	w := postForm(t, s, "/api/v1/alerts/"+id+"/verdict", url.Values{"verdict": {"false_positive"}, "token": {tokenOf(t, s, path)}, "back": {back[1]}})
	require.Equal(t, http.StatusSeeOther, w.Code)
	assert.Equal(t, "/rules/a%2Fb?done=verdict&verdict=none", w.Header().Get("Location"))
	inOrder(t, words(page(t, s, w.Header().Get("Location")).Body.String()), "Your verdict is recorded.", "100 % of 1 judged", "No such episode")
	for _, evil := range []string{"https://evil.example/rules/a", "//evil.example/rules/a", "/rules/a?x=1", "/rules", `/rules\evil`} {
		assert.Equal(t, "/?done=verdict", nextPage(evil, "verdict", nil), evil)
	}
}

func TestYAMLAndCommand(t *testing.T) {
	for name, want := range map[string]string{
		"KVCacheNearlyFull": "KVCacheNearlyFull", "a b": `"a b"`, "yes": `"yes"`, "Null": `"Null"`, "1e3": `"1e3"`, "a: b # c": `"a: b # c"`, "\"'\\": `"\"'\\"`,
		"<&>": `"<&>"`, "a\nb": `"a\nb"`, "": `""`, "- x": `"- x"`,
	} {
		assert.Equal(t, want, yamlText(name))
	}
	for text, want := range map[string]string{
		"KVCacheNearlyFull/high=0.93": "'KVCacheNearlyFull/high=0.93'", "it's": `'it'\''s'`, "$(rm)`x`": "'$(rm)`x`'",
		"a\nb": `$'a\x0ab'`, "\x1b[2J'\\": `$'\x1b[2J\x27\x5c'`, "ä": "'ä'", "\xff": `$'\xff'`,
	} {
		assert.Equal(t, want, shellText(text))
	}
}

func TestWords(t *testing.T) {
	for v, want := range map[float64]string{0: "0 %", 1: "100 %", 0.5: "50 %", 0.999: "99 %", 0.001: "< 1 %", 0.995: "99 %", 0.994: "99 %", 0.005: "1 %"} {
		assert.Equal(t, strings.ReplaceAll(want, " %", "\u00a0%"), percent(v), fmt.Sprint(v))
	}
	for v, want := range map[float64]string{0.9: "0.9", 12345.678: "12345.678", 1e20: "1e+20", 1e-9: "1e-09", 0: "0", -2: "-2", 2e6: "2000000"} {
		assert.Equal(t, want, exact(v, "1"))
	}
	assert.Equal(t, "2\u00a0s", exact(2, "s"))
	for v, want := range map[float64]string{0: "0.0", 0.033: "0.03", 3.21: "3.2", 1234.5: "1234"} {
		assert.Equal(t, want, rough(v))
	}
}
