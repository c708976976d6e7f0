package web

import (
	"fmt"
	"html"
	"math/rand/v2"
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

// past records an alert that was paged and has ended, and returns its episode's id.
func (l *town) past(a alert.Alert, ago, lasted time.Duration, paged bool) (id string) {
	now := l.now
	defer func() { l.now = now }()
	l.now = now.Add(-ago)
	id = l.record(a)
	l.now = l.now.Add(lasted / 2)
	if paged {
		l.do(func(tx ledger.Tx) error { return ledger.Notify(tx, id, a.Owner+"-oncall", ledger.DeliverPage, 1) })
	}
	l.now = now.Add(lasted - ago)
	a.State, a.Reason, a.Value = alert.Inactive, alert.ReasonRecovered, f(0.4)
	l.record(a)
	return id
}

func (l *town) judge(id string, v ledger.Verdict) {
	l.do(func(tx ledger.Tx) error { return ledger.Judge(tx, id, v, "bob", "") })
}

// sitting is somebody who works through the queue.
type sitting struct {
	*testing.T
	site *Site
	url  string
}

func (s *sitting) page() string {
	w := get(s, s.site, s.url)
	require.Equal(s, 200, w.Code, "%s: %s", s.url, w.Body)
	return w.Body.String()
}

var shownAlert = regexp.MustCompile(`action="/api/v1/alerts/([0-9a-z]+)/verdict"`)

// shown is the id of the alert whose turn it is; "" at the end.
func (s *sitting) shown() string {
	if found := shownAlert.FindStringSubmatch(s.page()); found != nil {
		return found[1]
	}
	return ""
}

// follow goes where a link leads that is called name.
func (s *sitting) follow(name string) {
	s.Helper()
	found := regexp.MustCompile(`<a[^>]* href="([^"]+)"[^>]*>` + name).FindStringSubmatch(s.page())
	require.NotNil(s, found, "no link %q on %s", name, s.url)
	s.url = html.UnescapeString(found[1])
}

var hidden = regexp.MustCompile(`<input type="hidden" name="([a-z]+)" value="([^"]*)">`)

// judge sends the form, with more fields where they are given, and goes where it leads.
func (s *sitting) judge(v ledger.Verdict, more ...string) {
	s.Helper()
	values := url.Values{"verdict": {string(v)}}
	for _, field := range hidden.FindAllStringSubmatch(s.page(), -1) {
		values.Set(field[1], html.UnescapeString(field[2]))
	}
	for i := 0; i < len(more); i += 2 {
		values.Set(more[i], more[i+1])
	}
	w := postForm(s, s.site, "/api/v1/alerts/"+s.shown()+"/verdict", values)
	require.Equal(s, 303, w.Code, w.Body)
	s.url = w.Header().Get("Location")
}

func (s *sitting) says(parts ...string) {
	s.Helper()
	page := words(s.page())
	for _, part := range parts {
		assert.Contains(s, page, part)
	}
}

// The queue: what helps calibration most first, then the newest; each verdict leads to the next.
func TestJudge(t *testing.T) {
	l := newTown(t)
	slow := firing("slow", "SlowFirstToken", alert.High, "platform")
	full := firing("full", "KVCacheNearlyFull", alert.Critical, "platform")
	low := firing("low", "RequestsWaiting", alert.Low, "hardware")
	var slows []string
	for i := range 5 {
		slows = append(slows, l.past(slow, time.Duration(10-i)*time.Hour, 10*time.Minute, true))
	}
	l.judge(slows[0], ledger.TruePositive)
	fulls := []string{l.past(full, 3*time.Hour, 30*time.Minute, true), l.past(full, 2*time.Hour, 20*time.Minute, true)}
	digested := l.past(low, 5*time.Hour, time.Hour, false)
	l.past(full, 90*time.Minute, time.Minute, false)                                                           // nobody was told of
	l.past(firing("old", "KVCacheNearlyFull", alert.Critical, "platform"), 40*24*time.Hour, time.Minute, true) // before the window
	l.record(firing("open", "SlowFirstToken", alert.High, ""))                                                 // not over

	s := &sitting{t, newSite(t, l, nil), "/judge"}
	s.says("7 left", "Alerts Judge", "high SlowFirstToken platform lasted 10m", "8 % beyond", "Recovered, 5h 50m ago", "somebody was paged",
		"This alert before Fired 5 times in 30 days: 1 real, 4 not judged.", "19 more verdicts, real or false, and a better threshold can be suggested for SlowFirstToken.",
		"What happened 1 2026-01-01 21:04:05 UTC Fired, high, for platform", "platform-oncall was paged", "Recovered",
		"Real r False alarm f Expected e Duplicate d", "Skip s", "Judge the 3 others of this alert in the last 7 days the same", "Your name")
	assert.Equal(t, slows[4], s.shown(), "the newest of the rule that lacks the fewest")
	s.judge(ledger.FalsePositive, "by", "anna b", "note", "a drain")
	assert.Equal(t, slows[3], s.shown())
	assert.Equal(t, ledger.FalsePositive, l.episode(slows[4]).Verdict)
	assert.Equal(t, "a drain", l.episode(slows[4]).Note)
	s.says("1 judged in this sitting · 6 left", "SlowFirstToken is judged false alarm. Back to it")
	assert.Contains(t, s.page(), `name="by" value="anna b"`, "the name stays")

	// Back to it: another verdict replaces it and does not count again.
	s.follow("Back to it")
	assert.Equal(t, slows[4], s.shown())
	s.says("Judged false alarm by anna b, 0s ago: a drain", "1 judged in this sitting · 6 left")
	s.judge(ledger.TruePositive)
	assert.Equal(t, ledger.TruePositive, l.episode(slows[4]).Verdict)
	assert.Equal(t, slows[3], s.shown())
	s.says("1 judged in this sitting · 6 left", "SlowFirstToken is judged real.")

	// Skipping needs nothing but the link.
	s.follow("Skip <")
	s.says("SlowFirstToken is skipped.", "1 judged in this sitting · 6 left")
	assert.Equal(t, slows[2], s.shown())
	s.judge(ledger.Expected, "alike", "7d") // and slows[1] and [3] with it
	for _, id := range slows[1:4] {
		assert.Equal(t, ledger.Expected, l.episode(id).Verdict)
	}
	assert.Equal(t, ledger.TruePositive, l.episode(slows[0]).Verdict, "what was judged stays")
	s.says("4 judged in this sitting · 3 left")
	assert.Equal(t, fulls[1], s.shown(), "critical before low only by its name: both lack 20")
	s.follow("Skip <")
	assert.Equal(t, fulls[0], s.shown())
	s.judge(ledger.Duplicate)
	assert.Equal(t, digested, s.shown())
	s.judge(ledger.FalsePositive)
	assert.Empty(t, s.shown())
	s.says("You have been through all. One that was skipped is still not judged.", "6 judged in this sitting · 1 left")
	s.follow("Begin anew")
	assert.Equal(t, fulls[1], s.shown())
	s.judge(ledger.Expected)
	assert.Empty(t, s.shown())
	s.says("All judged. Nothing waits for a verdict.", "7 judged in this sitting · 0 left", "Report it")
}

func TestJudgeFilters(t *testing.T) {
	l := newTown(t)
	site := newSite(t, l, nil)
	rose := firing("rose", "A", alert.High, "x")
	rose.Severity = alert.Critical
	ids := map[string]string{
		"a": l.past(firing("a", "A", alert.High, "x"), 3*time.Hour, time.Hour, true),
		"b": l.past(firing("b", "B", alert.Low, "y"), 4*time.Hour, time.Hour, false),
	}
	// One that rose and fell again is known by the most urgent tier that it had.
	now := l.now
	l.now = now.Add(-2 * time.Hour)
	ids["rose"] = l.record(rose)
	l.do(func(tx ledger.Tx) error { return ledger.Notify(tx, ids["rose"], "r", ledger.DeliverPage, 1) })
	rose.Severity = alert.High
	l.now = l.now.Add(time.Minute)
	l.record(rose)
	l.now = l.now.Add(time.Minute)
	l.do(func(tx ledger.Tx) error { return ledger.Resolve(tx, ids["rose"], "anna", "") })
	l.now = now
	for query, want := range map[string][]string{
		"": {"rose", "a", "b"}, "?owner=x": {"rose", "a"}, "?owner=y&rule=&severity=": {"b"}, "?rule=B": {"b"}, "?severity=critical": {"rose"},
		"?severity=high": {"a"}, "?owner=z": {}, "?after=unknown": {"rose", "a", "b"},
	} {
		s := &sitting{t, site, "/judge" + query}
		left := len(want)
		s.says(fmt.Sprintf("%d left", left))
		got := []string{}
		for s.shown() != "" {
			for name, id := range ids {
				if id == s.shown() {
					got = append(got, name)
				}
			}
			require.LessOrEqual(t, len(got), 3)
			s.follow("Skip <")
		}
		assert.Equal(t, want, got, query)
	}
	s := &sitting{t, site, "/judge?owner=x&severity=high&judged=2"}
	s.says("Only owner x × tier high ×")
	s.follow(`owner <b>x</b>`)
	assert.Equal(t, "/judge?judged=2&severity=high", s.url)

	for query, code := range map[string]int{
		"?opne=x": 400, "?severity=page": 422, "?after=a..b": 422, "?after=../x": 422, "?judged=-1": 422, "?judged=x": 422, "?alike=1e9": 422,
		"?show=%3Cb%3E": 422, "?last=": 422, "?show=unknown": 404, "?by=%00": 422, "?by=" + strings.Repeat("x", 201): 422, "?owner=a&owner=b": 400,
		"?last=unknown": 200, "?after=" + strings.Repeat("a.", 60) + "a": 422,
	} {
		assert.Equal(t, code, get(t, site, "/judge"+query).Code, query)
	}
}

// Whatever is judged and skipped, everybody's turn comes, and once, until the queue is at its end.
func TestEveryTurnComes(t *testing.T) {
	for seed := range uint64(6) {
		dice := rand.New(rand.NewPCG(seed, 0))
		l := newTown(t)
		site := newSite(t, l, func(o *Options) {
			o.Assessor = nil
		})
		site.opts.Assessor.Limits.MinEpisodes = 3
		waiting := map[string]bool{}
		for i := range 14 {
			rule := string(rune('A' + dice.IntN(4)))
			waiting[l.past(firing(fmt.Sprint(i), rule, alert.High, "o"), time.Duration(20-i)*time.Hour, time.Minute, true)] = true
		}
		s := &sitting{t, site, "/judge"}
		for s.shown() != "" {
			id := s.shown()
			require.True(t, waiting[id], "twice")
			delete(waiting, id)
			if dice.IntN(2) == 0 {
				s.follow("Skip <")
			} else {
				s.judge(ledger.Verdicts[dice.IntN(4)])
			}
		}
		assert.Empty(t, waiting, "never shown")
	}
}

// A skip of one rule more than a URL carries gives up the first.
func TestPlaces(t *testing.T) {
	var p places
	for i := range mostPlaces + 3 {
		p = p.with(fmt.Sprint("e", i), "")
	}
	assert.Len(t, p, mostPlaces)
	assert.Equal(t, "e3", p[0])
	p = p.with("new", "e10")
	assert.NotContains(t, p, "e10")
	assert.Equal(t, "new", p[mostPlaces-1])
	back, ok := parsePlaces(p.String())
	assert.True(t, ok)
	assert.Equal(t, p, back)
}

// With alike, a verdict is for those of the same alert that wait for one, too; again it changes nothing.
func TestAlike(t *testing.T) {
	l := newTown(t)
	a := firing("a", "A", alert.High, "o")
	old := l.past(a, 8*24*time.Hour, time.Minute, true)
	recent := []string{l.past(a, 6*24*time.Hour, time.Minute, true), l.past(a, 5*24*time.Hour, time.Minute, true), l.past(a, time.Hour, time.Minute, true)}
	unseen := l.past(a, 30*time.Minute, time.Minute, false)
	other := l.past(firing("b", "A", alert.High, "o"), time.Hour, time.Minute, true)
	s := newSite(t, l, nil)
	for range 2 {
		w := postJSON(t, s, "/api/v1/alerts/"+recent[1]+"/verdict", `{"verdict":"false_positive","alike":"7d","by":"anna"}`)
		require.Equal(t, 200, w.Code, w.Body)
		for _, id := range recent {
			assert.Equal(t, ledger.FalsePositive, l.episode(id).Verdict)
			assert.Equal(t, []string{alert.EventFired, alert.EventPaged, alert.EventResolved, alert.EventVerdict}, l.events(id))
		}
	}
	for _, id := range []string{old, unseen, other} {
		assert.Empty(t, l.episode(id).Verdict)
	}
	for _, alike := range []string{"soon", "0s", "-1d", "31d", "1y"} {
		w := postJSON(t, s, "/api/v1/alerts/"+recent[1]+"/verdict", `{"verdict":"expected","alike":"`+alike+`"}`)
		assert.Equal(t, 422, w.Code, alike)
		assert.Contains(t, w.Body.String(), "alike: must be a duration such as 7d, of at most 30d", alike)
	}
	assert.Equal(t, ledger.FalsePositive, l.episode(recent[1]).Verdict)
	assert.Equal(t, 404, postJSON(t, s, "/api/v1/alerts/unknown/verdict", `{"verdict":"expected","alike":"7d"}`).Code)
}
