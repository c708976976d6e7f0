package web

import (
	"context"
	"fmt"
	"html"
	"math"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/otelcol-escalation/otelcol-escalation/internal/alert"
	"github.com/otelcol-escalation/otelcol-escalation/internal/ledger"
)

var tags = regexp.MustCompile(`<[^>]*>`)

// words are what a page says, without its markup.
func words(page string) string {
	text := strings.Join(strings.Fields(html.UnescapeString(tags.ReplaceAllString(page, " "))), " ")
	return strings.NewReplacer(" ,", ",", " .", ".", " :", ":").Replace(text)
}

func TestListPage(t *testing.T) {
	l := newTown(t)
	l.seed()
	s := newSite(t, l, nil)
	page := words(get(t, s, "/").Body.String())
	in := func(parts ...string) {
		t.Helper()
		at := 0
		for _, part := range parts {
			i := strings.Index(page[at:], part)
			require.GreaterOrEqual(t, i, 0, "%q, after %q", part, page[:at])
			at += i + len(part)
		}
	}
	// Who is waited for comes first, by urgency.
	in("Waiting for somebody 3",
		"critical KVCacheNearlyFull inference-platform 4m KV cache 97.3% full on 10.2.0.17:8000 0.973 threshold 0.9 vllm:kv_cache_usage_perc firing",
		"First action Drain the replica, then add one.", "Next step page inference-lead (step 2), in 11m", "dashboard runbook", "instance 10.2.0.17:8000 job vllm",
		"Acknowledge Snooze 1h Resolve", "Real False alarm Expected Duplicate",
		"medium GPUMemoryTemperature hardware 1d 2h 97 °C threshold 95 °C", "no data for 6m",
		"low RequestsWaiting", "+Inf request threshold 1234567 request",
		"In hand 1", "high SlowFirstToken", "3.417 s threshold 2 s", "acknowledged by anna, 20m ago", "Acknowledge again",
		"Ended, not judged yet 2", "high KVCacheNearlyFull inference-platform Recovered 4h 12m ago, after 48m peak 0.973 threshold 0.9",
	)

	page = words(get(t, s, "/?owner=hardware").Body.String())
	in("Only owner hardware ×", "Waiting for somebody 1", "GPUMemoryTemperature")
	assert.NotContains(t, page, "KVCacheNearlyFull")
	page = words(get(t, s, "/?severity=high").Body.String())
	in("Nothing waits. What is open is in hand.", "In hand 1", "SlowFirstToken", "Ended, not judged yet 2")
	assert.NotContains(t, get(t, s, "/").Body.String(), "http-equiv", "no page moves by itself unless it is asked to")
	assert.Contains(t, get(t, s, "/?refresh=30").Body.String(), `http-equiv="refresh" content="30"`)

	page = words(get(t, newSite(t, newTown(t), nil), "/").Body.String())
	in("Waiting for somebody 0", "All quiet. No alert is open.")
	assert.NotContains(t, page, "Ended")
}

// More alerts than fit: the most urgent are shown, however old.
func TestManyAlerts(t *testing.T) {
	l := newTown(t)
	l.record(firing("first", "TheOldest", alert.Critical, "o"))
	for i := range shownOpen + 5 {
		l.now = l.now.Add(time.Second)
		l.record(firing(fmt.Sprint(i), "Noise", alert.Low, "o"))
	}
	page := get(t, newSite(t, l, nil), "/").Body.String()
	assert.Contains(t, page, "TheOldest")
	assert.Contains(t, page, "There are more open alerts than fit here.")
	assert.Equal(t, shownOpen, strings.Count(page, "<article"))
}

func TestAlertPage(t *testing.T) {
	l := newTown(t)
	id := l.seed()["kv"]
	s := newSite(t, l, nil)
	require.Equal(t, 200, postJSON(t, s, "/api/v1/alerts/"+id+"/acknowledge", `{"by":"anna","note":"on <b>it</b>"}`).Code)
	body := get(t, s, "/alerts/"+id).Body.String()
	page := words(body)
	for _, want := range []string{
		"critical KVCacheNearlyFull", "New requests are preempted", "acknowledged by anna, 0s ago", "Your name", "What happened",
		"2026-01-02 03:00:05 UTC Fired, critical, for inference-platform", "2026-01-02 03:01:05 UTC inference-oncall was paged",
		"2026-01-02 03:04:05 UTC Acknowledged by anna on <b>it</b>", "Breach began 2026-01-02 02:59:05 UTC", "Rule group vllm",
		"evil_url javascript:alert(1)",
	} {
		assert.Contains(t, page, want)
	}
	assert.Regexp(t, `<button disabled hidden>Nothing</button>\s*<div`, body, "Enter in a field must not do anything")
	signed := words(get(t, as(newSite(t, l, func(o *Options) { o.Authenticator = "oidc" }), name{"subject": "u1"}), "/alerts/"+id).Body.String())
	assert.NotContains(t, signed, "Your name")
	assert.Contains(t, signed, "u1 · as of 03:04:05 UTC")
}

// Whatever a metric's attributes, a rule or a person say stays text.
func TestHostileText(t *testing.T) {
	hostile := `"><script>alert(1)</script><img src=x onerror=alert(1)>{{.Token}}` + "\u2028'"
	l := newTown(t)
	a := firing("a", hostile, alert.High, hostile)
	a.Group, a.Response, a.SourceMetric, a.SourceUnit = hostile, hostile, hostile, hostile
	a.Labels = map[string]string{hostile: hostile}
	a.Annotations = map[string]string{"summary": hostile, "description": hostile, hostile: hostile, "x_url": "javascript:alert(1)", "y_url": "https://example.com/\"onclick=\"x", "z_url": "data:text/html,x"}
	id := l.record(a)
	l.join(id, hostile, l.now)
	s := newSite(t, l, nil)
	for _, deed := range []string{"acknowledge", "snooze", "verdict"} {
		body := map[string]string{"by": hostile, "note": hostile}
		switch deed {
		case "snooze":
			body["for"] = "1h"
		case "verdict":
			body["verdict"] = "expected"
		}
		require.Equal(t, 303, postForm(t, s, "/api/v1/alerts/"+id+"/"+deed, urlValues(body, tokenOf(t, s, "/"))).Code, deed)
	}
	l.do(func(tx ledger.Tx) error {
		if _, err := ledger.Retune(tx, &ledger.Change{RuleGroup: hostile, Rule: hostile, Tier: alert.High, From: 0.9, To: 0.8, By: hostile, Note: hostile}); err != nil {
			return err
		}
		_, err := ledger.Report(tx, &ledger.Miss{Rule: hostile, At: l.now, By: hostile, Note: hostile, Labels: map[string]string{hostile: hostile}})
		return err
	})
	for _, path := range []string{
		"/rules", ruleURL(hostile, nil), ruleURL(hostile, nil) + "?verdict=all", "/rules?owner=%3Cscript%3E", "/rules?sort=%3Cscript%3E", "/rules/%3Cscript%3E", "/rules/x?name=%3Cscript%3E",
		"/", "/alerts/" + id, "/?done=" + "%3Cscript%3E", "/?owner=%3Cscript%3E", "/alerts/%3Cscript%3E", "/%3Cscript%3E"} {
		page := get(t, s, path).Body.String()
		assert.Equal(t, 1, strings.Count(page, "<script"), path)
		assert.Contains(t, page, `<script src="`+scriptURL+`" defer></script>`, path)
		assert.NotContains(t, page, "<img", path)
		assert.NotContains(t, page, `href="javascript`, path)
		assert.NotContains(t, page, `href="data`, path)
		assert.NotRegexp(t, `<[^>]* onclick=`, page, path)
	}
	assert.Contains(t, get(t, s, "/").Body.String(), "{{.Token}}", "text is no template")
	assert.Contains(t, words(get(t, s, ruleURL(hostile, nil)).Body.String()), hostile[:20])
}

// reading is a ledger that must not be written.
type reading struct {
	ledger.Ledger
	t *rapid.T
}

func (r reading) Update(context.Context, time.Time, func(ledger.Tx) error) error {
	r.t.Fatal("a GET wrote the ledger")
	return nil
}

func (r reading) Observe(map[string]ledger.Observation) { r.t.Fatal("a GET told the ledger something") }

// No GET changes anything, whatever it asks for.
func TestNoGetChangesAnything(t *testing.T) {
	l := newTown(t)
	ids := l.seed()
	s := newSite(t, l, nil)
	token := tokenOf(t, s, "/")
	changed := l.Changed()
	var parts []string
	for _, id := range ids {
		parts = append(parts, id)
	}
	parts = append(parts, "KVCacheNearlyFull", "GPUMemoryTemperature")
	rapid.Check(t, func(t *rapid.T) {
		s.opts.Ledger = reading{l, t}
		path := rapid.SampledFrom([]string{
			"/", "/alerts/", "/judge", "/owners", "/missed", "/api/v1/alerts", "/api/v1/alerts/", "/api/v1/owners", "/api/v1/missed", "/style.css", "/script.js",
			"/rules", "/rules/", "/api/v1/rules", "/api/v1/rules/",
		}).Draw(t, "path")
		if strings.HasSuffix(path, "/") && path != "/" {
			path += rapid.SampledFrom(parts).Draw(t, "id")
			path += rapid.SampledFrom([]string{"", "/acknowledge", "/resolve", "/snooze", "/verdict"}).Draw(t, "deed")
		}
		query := rapid.SampledFrom([]string{
			"", "?verdict=expected", "?sort=pages&owner=hardware", "?name=SlowFirstToken", "?by=anna&for=1h", "?token=" + token + "&back=/&verdict=expected", "?done=acknowledge", "?open=false", "?refresh=30",
			"?judged=3&last=" + parts[0] + "&after=" + parts[1] + "." + parts[2], "?show=" + parts[0], "?rule=x&at=2026-01-02T00:00&zone=%2B00:00&token=" + token,
		}).Draw(t, "query")
		method := rapid.SampledFrom([]string{http.MethodGet, http.MethodHead, http.MethodOptions}).Draw(t, "method")
		r, err := http.NewRequest(method, "http://localhost"+path+query, strings.NewReader("verdict=expected&token="+token))
		require.NoError(t, err)
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		r.Header.Set("X-HTTP-Method-Override", "POST")
		s.ServeHTTP(discard{http.Header{}}, r)
	})
	select {
	case <-changed:
		t.Fatal("the ledger changed")
	default:
	}
}

type discard struct{ h http.Header }

func (d discard) Header() http.Header         { return d.h }
func (d discard) Write(p []byte) (int, error) { return len(p), nil }
func (d discard) WriteHeader(int)             {}

func TestFormats(t *testing.T) {
	for d, want := range map[time.Duration]string{
		-time.Second: "0s", 0: "0s", 59999 * time.Millisecond: "59s", time.Minute: "1m", 59*time.Minute + 59*time.Second: "59m",
		time.Hour: "1h", 61 * time.Minute: "1h 1m", 24 * time.Hour: "1d", 25*time.Hour + 59*time.Minute: "1d 1h", 400 * 24 * time.Hour: "400d",
	} {
		assert.Equal(t, want, span(d), d)
	}
	n := func(v float64) *Number { x := Number(v); return &x }
	for _, c := range []struct {
		n    *Number
		unit string
		want string
	}{
		{nil, "s", ""}, {n(0), "", "0"}, {n(0.97312), "1", "0.9731"}, {n(1234.5), "{token}/s", "1234\u00a0token/s"}, {n(1234567), "By", "1234567\u00a0B"},
		{n(math.NaN()), "s", "NaN\u00a0s"}, {n(math.Inf(-1)), "", "-Inf"}, {n(1e-9), "s", "1e-09\u00a0s"}, {n(1e300), "", "1e+300"}, {n(-20000), "Cel", "-20000\u00a0°C"},
	} {
		assert.Equal(t, c.want, quantity(c.n, c.unit))
	}
}

// Text and background of the style sheet contrast as WCAG 2.2 AA asks: 4.5 to 1, in light and in dark.
func TestContrast(t *testing.T) {
	blocks := regexp.MustCompile(`:root \{([^}]*)\}`)
	colors := map[string]map[string]float64{"light": {}, "dark": {}}
	found := blocks.FindAllStringSubmatchIndex(string(style), -1)
	require.NotEmpty(t, found)
	for _, at := range found {
		scheme := "light"
		if before := string(style[:at[0]]); strings.LastIndex(before, "prefers-color-scheme: dark") > strings.LastIndex(before, "}") {
			scheme = "dark"
		}
		for _, c := range regexp.MustCompile(`--([a-z-]+): #([0-9a-f]{6})`).FindAllStringSubmatch(string(style[at[2]:at[3]]), -1) {
			colors[scheme][c[1]] = luminance(t, c[2])
		}
	}
	for scheme, colors := range colors {
		for _, pair := range [][2]string{
			{"text", "page"}, {"text", "card"}, {"soft", "page"}, {"soft", "card"}, {"link", "page"}, {"link", "card"}, {"text", "button"},
			{"on-tier", "critical"}, {"on-tier", "high"}, {"on-tier", "medium"}, {"on-tier", "low"}, {"on-main", "main"},
			{"good", "card"}, {"good", "button"}, {"good", "good-back"}, {"critical", "bad-back"},
			// What stands in charts: text in the tiers' colours, and the suggestion's.
			{"critical", "card"}, {"high", "card"}, {"medium", "card"}, {"low", "card"}, {"real", "card"}, {"soft", "button"},
		} {
			assert.GreaterOrEqual(t, contrast(t, colors, pair[0], pair[1]), 4.5, "%s: %s on %s", scheme, pair[0], pair[1])
		}
		// Parts of drawings want 3 to 1 against what they stand on, and to be told apart by more than their colour: they have an order and a gap.
		for _, part := range []string{"real", "false", "other", "link", "soft"} {
			assert.GreaterOrEqual(t, contrast(t, colors, part, "card"), 3.0, "%s: %s", scheme, part)
		}
	}
}

func contrast(t *testing.T, colors map[string]float64, one, other string) float64 {
	require.Contains(t, colors, one)
	require.Contains(t, colors, other)
	a, b := colors[one], colors[other]
	return (max(a, b) + 0.05) / (min(a, b) + 0.05)
}

// luminance is WCAG's relative luminance of a colour in hex.
func luminance(t *testing.T, hex string) float64 {
	sum := 0.0
	for i, weight := range []float64{0.2126, 0.7152, 0.0722} {
		v, err := strconv.ParseUint(hex[2*i:2*i+2], 16, 8)
		require.NoError(t, err)
		c := float64(v) / 255
		if c <= 0.04045 {
			c /= 12.92
		} else {
			c = math.Pow((c+0.055)/1.055, 2.4)
		}
		sum += weight * c
	}
	return sum
}
