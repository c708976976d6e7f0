package web

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/otelcol-escalation/otelcol-escalation/internal/alert"
	"github.com/otelcol-escalation/otelcol-escalation/internal/ledger"
)

// tab is a browser before a site.
type tab struct {
	*testing.T
	ctx context.Context
	url string
}

// open serves a site to a browser. change, where it is not nil, may alter what a page says on its way.
func open(t *testing.T, site http.Handler, change func(page string) string) *tab {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if change == nil || r.Method != http.MethodGet {
			site.ServeHTTP(w, r)
			return
		}
		answer := httptest.NewRecorder()
		site.ServeHTTP(answer, r)
		for name, values := range answer.Header() {
			w.Header()[name] = values
		}
		w.WriteHeader(answer.Code)
		_, _ = w.Write([]byte(change(answer.Body.String())))
	}))
	t.Cleanup(server.Close)
	return &tab{t, browser(t), server.URL}
}

func (t *tab) run(actions ...chromedp.Action) {
	t.Helper()
	require.NoError(t, chromedp.Run(t.ctx, actions...))
}

func (t *tab) visit(path string) {
	t.Helper()
	t.run(chromedp.Navigate(t.url + path))
}

// eval returns what an expression is.
func eval[T any](t *tab, expression string) (v T) {
	t.Helper()
	t.run(chromedp.Evaluate(expression, &v, awaited))
	return v
}

// until waits until an expression is true. Between two pages there is nothing that could say so.
func (t *tab) until(expression string) {
	t.Helper()
	var now bool
	var err error
	for deadline := time.Now().Add(20 * time.Second); time.Now().Before(deadline); time.Sleep(10 * time.Millisecond) {
		if err = chromedp.Run(t.ctx, chromedp.Evaluate("!!("+expression+")", &now)); err == nil && now {
			return
		}
	}
	require.FailNow(t, "not true in time", "%s: %v", expression, err)
}

// settled waits until a key counts: not at once, so that nobody judges what they have not seen. The script has run when the
// content is loaded.
func (t *tab) settled() {
	t.Helper()
	t.until(`document.readyState === "complete" && performance.now() > performance.timing.domContentLoadedEventStart - performance.timing.navigationStart + 400`)
}

// Somebody works through the queue with the keyboard.
func TestJudgeByKeys(t *testing.T) {
	l := newTown(t)
	a := firing("a", "A", alert.High, "o")
	var ids []string
	for i := range 8 {
		a.ID = string(rune('a' + i))
		ids = append(ids, l.past(a, time.Duration(i+1)*time.Hour, time.Minute, true))
	}
	a.ID = "a"
	alike := l.past(a, 30*time.Minute, time.Minute, true)
	site := newSite(t, l, nil)
	tb := open(t, site, nil)
	verdict := func(id string) ledger.Verdict { return l.episode(id).Verdict }
	shows := func(id string) {
		t.Helper()
		tb.until(`document.querySelector("#judge form") && document.querySelector("#judge form").action.includes("` + id + `")`)
		tb.settled()
	}
	tb.visit("/judge")
	shows(alike)
	tb.run(pressed("f", withControl), pressed("F", 0), pressed("x", 0))
	tb.run(pressed("a", 0)) // the others of this alert, too
	assert.True(t, eval[bool](tb, `document.querySelector("[name=alike]").checked`))
	tb.run(pressed("f", 0))
	shows(ids[1])
	assert.Equal(t, ledger.FalsePositive, verdict(alike))
	assert.Equal(t, ledger.FalsePositive, verdict(ids[0]))
	assert.Empty(t, verdict(ids[1]))

	// A key that is held judges one alert, however long.
	tb.run(pressed("ek", 0), repeated('e', 20))
	shows(ids[2])
	tb.run(repeated('e', 20)) // it is still down
	assert.Equal(t, ledger.Expected, verdict(ids[1]))
	tb.run(pressed("d", 0))
	shows(ids[3])
	assert.Equal(t, ledger.Duplicate, verdict(ids[2]), "pressed anew")
	assert.Empty(t, verdict(ids[3]))

	// Never while somebody types.
	tb.run(pressed("n", 0), pressed("free drinks, real ones", 0))
	assert.Equal(t, "free drinks, real ones", eval[string](tb, `document.querySelector("[name=note]").value`))
	tb.run(pressed(kb.Escape, 0), pressed("d", 0)) // Escape leaves the field
	shows(ids[4])
	assert.Equal(t, ledger.Duplicate, verdict(ids[3]))
	assert.Equal(t, "free drinks, real ones", l.episode(ids[3]).Note)

	// Skip, back, and another verdict.
	tb.run(pressed("j", 0))
	shows(ids[5])
	tb.run(pressed("k", 0))
	shows(ids[4])
	tb.run(pressed("r", 0))
	shows(ids[5])
	assert.Equal(t, ledger.TruePositive, verdict(ids[4]))
	assert.Contains(t, eval[string](tb, `document.querySelector(".progress").textContent`), "6 judged in this sitting · 3 left")

	// Who does not want single keys turns them off, and they stay off.
	tb.run(pressed("?", 0))
	assert.True(t, eval[bool](tb, `document.querySelector("#keys").open`))
	tb.run(chromedp.Click(`#keys button`), pressed("r", 0))
	tb.visit("/judge")
	shows(ids[5])
	tb.run(pressed("r", 0), pressed("s", 0))
	shows(ids[5])
	assert.Empty(t, verdict(ids[5]))
	tb.run(pressed("s", withAlt)) // the browser's access key
	shows(ids[6])
}

// The same without scripts: buttons, links and access keys.
func TestJudgeWithoutScripts(t *testing.T) {
	l := newTown(t)
	a := firing("a", "A", alert.High, "o")
	var ids []string
	for i := range 4 {
		a.ID = string(rune('a' + i))
		ids = append(ids, l.past(a, time.Duration(i+1)*time.Hour, time.Minute, true))
	}
	site := newSite(t, l, nil)
	tb := open(t, site, nil)
	tb.run(noScript())
	tb.visit("/judge")
	shows := func(id string) {
		t.Helper()
		tb.run(chromedp.WaitReady(`form[action*="` + id + `"]`))
	}
	shows(ids[0])
	tb.run(chromedp.SendKeys(`[name=by]`, "anna\r"), chromedp.SendKeys(`[name=note]`, "seen"), chromedp.Click(`button[value=false_positive]`))
	shows(ids[1])
	e := l.episode(ids[0])
	assert.Equal(t, []any{ledger.FalsePositive, "local/anna", "seen"}, []any{e.Verdict, e.VerdictBy, e.Note})
	tb.run(chromedp.Click(`[rel=next]`))
	shows(ids[2])
	tb.run(pressed("e", withAlt))
	shows(ids[3])
	assert.Equal(t, ledger.Expected, l.episode(ids[2]).Verdict)
	assert.Equal(t, "local/anna", l.episode(ids[2]).VerdictBy)
	tb.run(pressed("r", 0))
	tb.run(chromedp.Click(`[rel=prev]`))
	shows(ids[2])
	assert.Empty(t, l.episode(ids[3]).Verdict)
}

// The list keeps itself up to date, and leaves alone what somebody is at.
func TestLive(t *testing.T) {
	l := newTown(t)
	ids := l.seed()
	site := newSite(t, l, nil)
	var away atomic.Bool
	var asked atomic.Int64
	tb := open(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked.Add(1)
		if away.Load() {
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		site.ServeHTTP(w, r)
	}), func(page string) string { return strings.ReplaceAll(page, `data-every="15"`, `data-every="0.1"`) })
	article := func(id string) string { return `document.getElementById("` + id + `")` }
	tb.visit("/")
	tb.until(`document.title === "(3) Alerts"`)
	tb.run(chromedp.Evaluate(article(ids["gpu"])+`.querySelector("button.main").focus()`, nil))

	// A more urgent one comes before the one that has the focus, the one before it falls behind it, it rises itself, and one ends.
	again := func(id string, tier alert.Severity) {
		e := l.episode(id)
		l.record(alert.Alert{ID: e.AlertID, Rule: e.Rule, Owner: e.Owner, Severity: tier, State: alert.Firing, Labels: e.Labels, Value: e.Value, Threshold: e.Threshold})
	}
	again(ids["gpu"], alert.High)
	again(ids["kv"], alert.Low)
	fresh := firing("fresh", "Fresh", alert.Critical, "inference-platform")
	fresh.Annotations = map[string]string{"summary": "hot off the <b>press</b>"}
	id := l.record(fresh)
	l.do(func(tx ledger.Tx) error { return ledger.Resolve(tx, ids["queue"], "anna", "") })
	tb.until(article(id) + ` && !document.querySelector("#waiting").contains(` + article(ids["queue"]) + `)`)
	assert.Equal(t, "(3) Alerts", eval[string](tb, "document.title"))
	assert.True(t, eval[bool](tb, article(ids["gpu"])+`.contains(document.activeElement)`), "the focus stays")
	assert.True(t, eval[bool](tb, article(ids["gpu"])+`.matches(".medium")`), "and what it is on")
	assert.Equal(t, []string{id, ids["gpu"], ids["kv"]}, eval[[]string](tb, `[...document.querySelectorAll("#waiting article")].map((e) => e.id)`))
	assert.Equal(t, "hot off the <b>press</b>", eval[string](tb, article(id)+`.querySelector(".summary").textContent`))

	// What somebody has in hand changes, but not under their hands.
	l.do(func(tx ledger.Tx) error { return ledger.Acknowledge(tx, ids["gpu"], "bob", "") })
	l.do(func(tx ledger.Tx) error { return ledger.Acknowledge(tx, id, "bob", "") })
	tb.until(`document.querySelector("#inhand").contains(` + article(id) + `)`)
	assert.True(t, eval[bool](tb, article(ids["gpu"])+`.contains(document.activeElement)`))
	tb.run(chromedp.Evaluate(`document.activeElement.blur()`, nil))
	tb.until(`document.querySelector("#inhand").contains(` + article(ids["gpu"]) + `) && ` + article(ids["gpu"]) + `.matches(".high")`)
	tb.until(`document.querySelector("#counts").textContent === "1 wait for somebody, 3 in hand"`)

	// A page that cannot be brought up to date says so.
	away.Store(true)
	tb.until(`document.querySelector("main .banner")?.textContent.startsWith("This page could not be brought up to date: it shows what was true at 03:04:05 UTC.")`)
	away.Store(false)
	tb.until(`!document.querySelector("main .banner")`)

	// It stops when it is told to, or when nobody looks.
	tb.run(chromedp.Click(`#updating button`))
	assert.Equal(t, "Not updated. Go on", eval[string](tb, `document.querySelector("#updating").textContent`))
	paused := asked.Load()
	l.record(firing("later", "Later", alert.Critical, "inference-platform"))
	tb.run(chromedp.Evaluate(`new Promise((done) => setTimeout(done, 500))`, nil, awaited))
	assert.LessOrEqual(t, asked.Load(), paused+1, "one may have been on its way")
	tb.run(chromedp.Evaluate(`Object.defineProperty(document, "hidden", {get: () => window.unseen, configurable: true}); window.unseen = true`, nil))
	tb.run(chromedp.Click(`#updating button`))
	tb.run(chromedp.Evaluate(`new Promise((done) => setTimeout(done, 300))`, nil, awaited))
	assert.LessOrEqual(t, asked.Load(), paused+1)
	tb.run(chromedp.Evaluate(`window.unseen = false; document.dispatchEvent(new Event("visibilitychange"))`, nil))
	tb.until(`document.querySelector("#waiting").textContent.includes("Later")`)
}

// One alert's story goes on below a note that is being written.
func TestLiveStory(t *testing.T) {
	l := newTown(t)
	ids := l.seed()
	id := ids["kv"]
	var later atomic.Int64
	site := as(newSite(t, l, func(o *Options) {
		o.Authenticator = "oidc"
		o.Now = func() time.Time { return l.now.Add(time.Duration(later.Load())) }
	}), name{"subject": "u1"})
	assert.NotContains(t, get(t, site, "/alerts/"+ids["p1"]).Body.String(), "data-every", "what has ended does not go on")
	tb := open(t, site, func(page string) string { return strings.ReplaceAll(page, `data-every="15"`, `data-every="0.1"`) })
	tb.visit("/alerts/" + id)
	later.Store(int64(time.Minute))
	tb.until(`document.querySelector("#as-of").textContent.trim() === "u1 · as of 03:05:05 UTC"`)
	tb.run(chromedp.SendKeys(`[name=note]`, "I am looking at"))
	l.do(func(tx ledger.Tx) error { return ledger.Acknowledge(tx, id, "bob", "me too") })
	tb.until(`document.querySelector("#events").textContent.includes("Acknowledged by bob") && document.querySelector("#standing").textContent.includes("acknowledged by bob")`)
	assert.Equal(t, "I am looking at", eval[string](tb, `document.activeElement.value`))
}

// Times go on, and tell the reader's own.
func TestTimesGoOn(t *testing.T) {
	l := newTown(t)
	l.seed()
	tb := open(t, newSite(t, l, nil), nil)
	tb.run(timeZone("Asia/Kathmandu"), runFirst(`{ const began = Date.now() - 5 * 3600000; window.passed = 0; Date.now = () => began + window.passed; }`))
	tb.visit("/") // on a machine whose clock is wrong
	first := `document.querySelector("#waiting article .age time")`
	tb.until(first + `.textContent === "4m"`)
	tb.run(chromedp.Evaluate(`window.passed = 3 * 3600000 + 60000`, nil))
	tb.until(first + `.textContent === "3h 5m"`)
	tb.until(`document.querySelector(".next time").textContent === "now"`)
	tb.until(`document.querySelector("#inhand .held time").textContent === "3h 21m ago"`)
	title := eval[string](tb, first+`.title`)
	assert.Contains(t, title, "2026-01-02 03:00:05 UTC\n")
	assert.Contains(t, title, "8:45:05")
	assert.Contains(t, title, "your time")
	// The script and the server say the same of every duration.
	tb.run(chromedp.Evaluate(`{ const probe = document.querySelector("#as-of time"); probe.dataset.relation = "for"; }`, nil))
	for _, d := range []time.Duration{0, 59 * time.Second, time.Minute, time.Hour, 61 * time.Minute, 24 * time.Hour, 26*time.Hour + 3*time.Minute, 400 * 24 * time.Hour} {
		tb.run(chromedp.Evaluate(`window.passed = `+strconv.FormatInt(d.Milliseconds(), 10), nil))
		tb.until(`document.querySelector("#as-of time").textContent === "` + span(d) + `"`)
	}

	// Who reports an incident starts in their own zone.
	tb.visit("/missed")
	tb.until(`document.querySelector("[name=zone]").value === "+05:45"`)
	assert.Equal(t, "2026-01-02T08:49", eval[string](tb, `document.querySelector("[name=at]").value`))
	tb.run(chromedp.SendKeys(`[name=rule]`, "R"), chromedp.Submit(`[name=rule]`), chromedp.WaitVisible(`.notice`))
	require.Len(t, l.misses(), 1)
	assert.Equal(t, l.now.Truncate(time.Minute), l.misses()[0].At)
	// Summer time is another zone.
	tb.run(timeZone("Europe/Berlin"))
	tb.visit("/missed")
	tb.until(`document.querySelector("[name=zone]").value === "+01:00"`)
	tb.run(chromedp.SetValue(`[name=at]`, "2025-07-01T12:00"), chromedp.Evaluate(`document.querySelector("[name=at]").dispatchEvent(new Event("change"))`, nil))
	assert.Equal(t, "+02:00", eval[string](tb, `document.querySelector("[name=zone]").value`))
}

// A form on its way says so and goes once; who comes back finds it as it was. What is to be copied can be.
func TestFormsAndCopying(t *testing.T) {
	l := newTown(t)
	id := l.seed()["kv"]
	site := newSite(t, l, nil)
	var posts atomic.Int64
	held := make(chan struct{})
	release := sync.OnceFunc(func() { close(held) })
	tb := open(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodPost {
			posts.Add(1)
			<-held
		}
		site.ServeHTTP(w, r)
	}), func(page string) string {
		return strings.Replace(page, `<section aria-labelledby="facts">`, "<pre class=\"copy\">above: 0.95\n  for: 5m</pre><section aria-labelledby=\"facts\">", 1)
	})
	t.Cleanup(release) // before the server waits for its requests
	tb.visit("/alerts/" + id)
	tb.run(mayCopy(), chromedp.Click(`.copies`))
	tb.until(`document.querySelector(".copies").textContent === "Copied"`)
	assert.Equal(t, "above: 0.95\n  for: 5m", eval[string](tb, `navigator.clipboard.readText()`))

	// In one go: the browser takes no commands while a page is on its way.
	sent := eval[string](tb, `(async () => {
		const button = document.querySelector("button[value=expected]"), other = document.querySelector("button[value=duplicate]");
		button.click();
		await new Promise((done) => setTimeout(done));
		other.click();
		button.form.requestSubmit();
		return [button.disabled, button.className, other.disabled, other.className, button.form.getAttribute("aria-busy")].join();
	})()`)
	assert.Equal(t, "true,sent,true,,true", sent)
	release()
	tb.run(chromedp.WaitVisible(`.notice`))
	assert.EqualValues(t, 1, posts.Load())
	assert.Equal(t, ledger.Expected, l.episode(id).Verdict, "the button that was pressed is sent")
	tb.run(chromedp.Evaluate(`for (const b of document.querySelectorAll("button")) b.disabled = true;
		document.querySelector("form").setAttribute("aria-busy", "true"); window.dispatchEvent(new Event("pageshow"))`, nil))
	assert.Equal(t, 1, eval[int](tb, `document.querySelectorAll("button:disabled").length`), "all but the one that nobody sees")
	tb.run(chromedp.Click(`button[value=true_positive]`), chromedp.WaitVisible(`button[value=true_positive][aria-pressed=true]`))
	assert.Equal(t, ledger.TruePositive, l.episode(id).Verdict)
}

// Whatever can be pressed is large enough for a finger, at a desk and on a phone.
func TestTargets(t *testing.T) {
	l := newTown(t)
	ids := l.seed()
	l.do(func(tx ledger.Tx) error { return tx.PutSetting(ledger.SettingReceivers, `["inference-oncall"]`) })
	tb := open(t, newSite(t, l, nil), nil)
	for _, width := range []int64{1100, 390} {
		tb.run(chromedp.EmulateViewport(width, 900))
		for _, path := range []string{"/?owner=inference-platform", "/alerts/" + ids["kv"], "/judge?last=" + ids["p1"], "/owners", "/missed", "/silences", "/receivers", "/nothing", "/rules", ruleURL("KVCacheNearlyFull", nil)} {
			tb.visit(path)
			tb.until(`document.readyState === "complete"`)
			small := eval[[]string](tb, `[...document.querySelectorAll("button, input, select, textarea, summary, nav a, .button, .earlier a, .narrowed a, .tiers a, .links a, .owner, .foot a")]
				.filter((e) => e.checkVisibility() && e.type !== "hidden" && e.type !== "checkbox")
				.filter((e) => { const r = e.getBoundingClientRect(); return r.width < 24 || r.height < 23.9; })
				.map((e) => e.outerHTML.slice(0, 100) + " " + e.getBoundingClientRect().width + "x" + e.getBoundingClientRect().height)`)
			assert.Empty(t, small, "%s at %d", path, width)
			assert.LessOrEqual(t, eval[int64](tb, `document.documentElement.scrollWidth`), width, "%s scrolls sideways at %d", path, width)
			// The first stop of the Tab key skips the navigation.
			tb.run(pressed(kb.Tab, 0))
			assert.Equal(t, "#main", eval[string](tb, `document.activeElement.getAttribute("href")`), path)
		}
	}
}
