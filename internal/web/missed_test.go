package web

import (
	"html"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/otelcol-escalation/otelcol-escalation/internal/alert"
	"github.com/otelcol-escalation/otelcol-escalation/internal/ledger"
)

func (l *town) misses() (all []*ledger.Miss) {
	l.do(func(tx ledger.Tx) (err error) {
		all, err = tx.Misses("", time.Time{})
		return err
	})
	return all
}

// An incident that no alert caught is reported on the page, in the zone of whoever reports it, and listed.
func TestMissedForm(t *testing.T) {
	l := newTown(t)
	l.past(firing("a", "KVCacheNearlyFull", alert.High, "o"), time.Hour, time.Minute, true)
	s := newSite(t, l, nil)
	page := html.UnescapeString(get(t, s, "/missed?rule=Slow%22Token").Body.String())
	assert.Contains(t, page, `name="rule" required maxlength="512" value="Slow"Token"`)
	assert.Contains(t, page, `<option value="KVCacheNearlyFull"></option>`, "rules that are known")
	assert.Contains(t, page, `value="2026-01-02T03:04" data-now`)
	assert.Contains(t, page, `<option value="+00:00">UTC</option><option value="-12:00">UTC−12:00</option>`)
	assert.Contains(t, page, `<option value="+05:45">UTC+05:45</option>`)
	assert.Contains(t, words(page), "Nobody has reported one.")

	form := func(change func(url.Values)) url.Values {
		v := url.Values{
			"token": {tokenOf(t, s, "/missed")}, "back": {"/missed"}, "rule": {" SlowFirstToken "}, "at": {"2026-01-01T23:30"}, "zone": {"+05:45"},
			"labels": {"service = chat\r\n\r\nmodel=a=b\r\n"}, "by": {"anna"}, "note": {"customers\r\ntold us"},
		}
		if change != nil {
			change(v)
		}
		return v
	}
	for range 2 { // twice is once
		w := postForm(t, s, "/api/v1/missed", form(nil))
		require.Equal(t, 303, w.Code, w.Body)
		assert.Equal(t, "/missed?done=missed", w.Header().Get("Location"))
	}
	misses := l.misses()
	require.Len(t, misses, 1)
	m := misses[0]
	assert.Equal(t, "SlowFirstToken", m.Rule)
	assert.Equal(t, time.Date(2026, 1, 1, 17, 45, 0, 0, time.UTC), m.At)
	assert.Equal(t, map[string]string{"service": "chat", "model": "a=b"}, m.Labels)
	assert.Equal(t, "local/anna", m.By)
	assert.Equal(t, "customers\ntold us", m.Note)
	said := words(get(t, s, "/missed?done=missed").Body.String())
	assert.Contains(t, said, "Recorded: it counts for the rule's recall.")
	assert.Contains(t, said, "Reported in 30 days 1 SlowFirstToken 9h 19m ago 2026-01-01 17:45:00 UTC reported by anna model a=b service chat customers told us")

	for label, c := range map[string]struct {
		change func(url.Values)
		code   int
		text   string
	}{
		"no token":       {func(v url.Values) { v.Del("token") }, 403, "this form is too old or was not shown to you"},
		"no rule":        {func(v url.Values) { v.Set("rule", " ") }, 422, "rule: must name the rule"},
		"no time":        {func(v url.Values) { v.Set("at", "") }, 422, "at: must be a time such as 2026-11-23T04:00, with a zone such as +00:00"},
		"no zone":        {func(v url.Values) { v.Del("zone") }, 422, "at: must be a time such as"},
		"another zone":   {func(v url.Values) { v.Set("zone", "CET") }, 422, "at: must be a time such as"},
		"the future":     {func(v url.Values) { v.Set("zone", "-12:00") }, 422, "at: must lie within the last year"},
		"long ago":       {func(v url.Values) { v.Set("at", "2024-01-01T00:00") }, 422, "at: must lie within the last year"},
		"a label alone":  {func(v url.Values) { v.Set("labels", "a=b\nservice") }, 422, `labels: line 2 must be name=value (got "service")`},
		"no name":        {func(v url.Values) { v.Set("labels", "=b") }, 422, `labels: line 1 must be name=value`},
		"twice":          {func(v url.Values) { v.Set("labels", "a=b\na=c") }, 422, `labels: "a" must stand once`},
		"many":           {func(v url.Values) { v.Set("labels", strings.Join(manyLabels(51), "\n")) }, 422, "labels: must not be more than 50 (got 51)"},
		"unknown field":  {func(v url.Values) { v.Set("more", "x") }, 400, `unknown field "more": must be one of rule, at, zone, labels, by, note`},
		"a control":      {func(v url.Values) { v.Set("note", "\x1b[2J") }, 422, "note: must not contain control characters"},
		"a long name":    {func(v url.Values) { v.Set("by", strings.Repeat("x", 201)) }, 422, "by: must not be longer than 200 characters"},
		"two rules":      {func(v url.Values) { v.Add("rule", "x") }, 400, "rule: must be given once (got 2)"},
		"seconds, later": {func(v url.Values) { v.Set("at", "2026-01-02T03:06:05"); v.Set("zone", "+00:00") }, 422, "must lie within the last year"},
	} {
		w := postForm(t, s, "/api/v1/missed", form(c.change))
		assert.Equal(t, c.code, w.Code, label)
		assert.Contains(t, words(w.Body.String()), c.text, label)
		assert.Contains(t, w.Body.String(), `role="alert"`, label)
	}
	assert.Equal(t, 403, postForm(t, s, "/api/v1/missed", form(nil), "Sec-Fetch-Site", "cross-site").Code)
	assert.Len(t, l.misses(), 1, "refused posts change nothing")
	assert.Equal(t, 303, postForm(t, s, "/api/v1/missed", form(func(v url.Values) { v.Set("at", "2026-01-01T23:30:01"); v.Set("labels", ""); v.Set("by", "") })).Code)
	assert.Nil(t, l.misses()[1].Labels)
	assert.Equal(t, "local", l.misses()[1].By)
	for _, path := range []string{"/missed?x=1", "/missed?rule=%00"} {
		assert.Contains(t, []int{400, 422}, get(t, s, path).Code, path)
	}
}

func manyLabels(n int) (lines []string) {
	for i := range n {
		lines = append(lines, strings.Repeat("x", i+1)+"=y")
	}
	return lines
}
