package web

import (
	"context"
	"net/http/httptest"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/otelcol-escalation/otelcol-escalation/internal/alert"
	"github.com/otelcol-escalation/otelcol-escalation/internal/ledger"
)

// browser starts a Chromium of its own. Where there is none the test is skipped, but not under CI.
func browser(t *testing.T) context.Context {
	t.Helper()
	path := ""
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome"} {
		if found, err := exec.LookPath(name); err == nil {
			path = found
			break
		}
	}
	if path == "" {
		const missing = "NO CHROMIUM FOUND: the page was NOT tested in a browser (install chromium)"
		if os.Getenv("CI") == "true" {
			t.Fatal(missing)
		}
		t.Skip(missing)
	}
	options := append(chromedp.DefaultExecAllocatorOptions[:],
		chromedp.ExecPath(path), chromedp.NoSandbox, chromedp.DisableGPU, chromedp.WSURLReadTimeout(time.Minute))
	ctx, cancel := chromedp.NewExecAllocator(context.Background(), options...)
	t.Cleanup(cancel)
	ctx, cancel = chromedp.NewContext(ctx)
	t.Cleanup(cancel) // waits for the browser's end
	require.NoError(t, chromedp.Run(ctx), "starting %s", path)
	ctx, cancel = context.WithTimeout(ctx, time.Minute)
	t.Cleanup(cancel)
	return ctx
}

// A person acknowledges and judges on the page, without JavaScript; the API tells of it.
func TestPageInChromium(t *testing.T) {
	l := newTown(t)
	ids := l.seed()
	site := newSite(t, l, nil)
	server := httptest.NewServer(site)
	t.Cleanup(server.Close)
	ctx := browser(t)
	id := ids["kv"]

	var notice, title, policy string
	require.NoError(t, chromedp.Run(ctx,
		noScript(),
		chromedp.Navigate(server.URL+"/"),
		chromedp.Title(&title),
		chromedp.Click(`//article[@id="`+id+`"]//button[starts-with(text(), "Acknowledge")]`, chromedp.BySearch),
		chromedp.WaitVisible(`.notice`),
		chromedp.Text(`.notice`, &notice),
	))
	assert.Equal(t, "(3) Alerts", title)
	assert.Contains(t, notice, "Acknowledged")
	assert.Equal(t, "local", getAlert(t, site, id).AcknowledgedBy)

	require.NoError(t, chromedp.Run(ctx,
		chromedp.Click(`//article[@id="`+id+`"]//h3/a`, chromedp.BySearch),
		chromedp.WaitVisible(`.story`),
		chromedp.SendKeys(`input[name=by]`, "anna"),
		chromedp.SendKeys(`textarea[name=note]`, "two replicas were draining"),
		chromedp.Click(`//button[text()="False alarm"]`, chromedp.BySearch),
		chromedp.WaitVisible(`.notice`),
		chromedp.Text(`.hint`, &policy),
	))
	a := getAlert(t, site, id)
	assert.Equal(t, ledger.FalsePositive, a.Verdict)
	assert.Equal(t, "anna", a.VerdictBy)
	assert.Equal(t, "two replicas were draining", a.VerdictNote)
	assert.Contains(t, policy, "Judged false alarm by anna")

	// Enter in a field is no decision.
	before := getAlert(t, site, id)
	require.NoError(t, chromedp.Run(ctx, chromedp.SendKeys(`input[name=by]`, "bob\r"), chromedp.WaitVisible(`.story`)))
	assert.Equal(t, before, getAlert(t, site, id))
}

// noScript turns JavaScript off, for the page; chromedp itself works without it only where it sends keys and clicks
// through the browser's input, so that what it looks up goes through the DOM domain.
func noScript() chromedp.Action {
	return chromedp.ActionFunc(func(ctx context.Context) error { return setScriptDisabled(ctx) })
}

// No page is wider than a phone, and nothing in it is cut off but what can be scrolled.
func TestNothingOverflowsOnAPhone(t *testing.T) {
	l := newTown(t)
	l.history()
	ids := l.seed()
	l.traces(ids)
	long := strings.Repeat("NameWithoutABreak", 20)
	id := l.record(firing("long", long, alert.High, long))
	server := httptest.NewServer(newSite(t, l, nil))
	t.Cleanup(server.Close)
	ctx := browser(t)
	for _, path := range []string{
		"/", "/judge", "/owners", "/missed", "/rules", ruleURL("KVCacheNearlyFull", nil), ruleURL("Prompt drift / weekly (p95)", nil), ruleURL(long, nil), "/alerts/" + ids["kv"], "/alerts/" + ids["p1"], "/alerts/" + id,
	} {
		for _, width := range []int64{390, 320} {
			var page int64
			var wide string
			require.NoError(t, chromedp.Run(ctx,
				chromedp.EmulateViewport(width, 800),
				chromedp.Navigate(server.URL+path),
				chromedp.Evaluate(`document.documentElement.scrollWidth`, &page),
				chromedp.Evaluate(`[...document.querySelectorAll("main *")].filter(e => e.getBoundingClientRect().right > innerWidth + 1 && !e.closest(".table, pre, svg"))
					.map(e => e.tagName + "." + e.className).join(" ")`, &wide),
			))
			assert.LessOrEqual(t, page, width, "%s at %d", path, width)
			assert.Empty(t, wide, "%s at %d", path, width)
		}
	}
}
