package web

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/net/html"

	"github.com/otelcol-escalation/otelcol-escalation/internal/alert"
	"github.com/otelcol-escalation/otelcol-escalation/internal/ledger"
)

// Every page, walked over from the list on, is built so that everybody can use it: one h1 and no level of headings left out,
// every control with a name, every id once, every reference to one that is there, everything that can be seen within a landmark,
// and every link and form leads to a route of ours.
func TestEveryPageIsAccessible(t *testing.T) {
	l := newTown(t)
	ids := l.seed()
	l.noisy()
	for i := range 3 {
		l.past(firing("again", "KVCacheNearlyFull", alert.High, "inference-platform"), time.Duration(9-i)*time.Hour, time.Hour, true)
	}
	l.judge(ids["p1"], ledger.FalsePositive)
	l.do(func(tx ledger.Tx) error {
		if err := tx.PutSetting(ledger.SettingReceivers, `["inference-oncall"]`); err != nil {
			return err
		}
		if err := tx.PutSetting(ledger.SettingBudgets, `{"hardware":{"pages":1,"within":3600000000000}}`); err != nil {
			return err
		}
		if _, err := ledger.Report(tx, &ledger.Miss{Rule: "R", At: tx.Now(), By: "local", Labels: map[string]string{"a": "b"}}); err != nil {
			return err
		}
		if err := ledger.Silent(tx, &ledger.Silence{
			Matchers: []ledger.Matcher{{Name: "a", Value: "b", IsEqual: true}}, EndsAt: tx.Now().Add(time.Hour), CreatedBy: "anna", Comment: "x",
		}); err != nil {
			return err
		}
		return tx.PutAction(&ledger.Action{
			ID: "action1", EpisodeID: ids["kv"], Rule: "KVCacheNearlyFull", Owner: "inference-platform", Kind: alert.ActionRollback, Target: "chat",
			Mode: ledger.ActionRecommend, State: ledger.ActionWaiting, RequestedAt: tx.Now(),
		})
	})
	s := newSite(t, l, nil)
	w := &walk{T: t, site: s, seen: map[string]bool{}}
	for _, path := range []string{
		"/", "/judge?judged=1&last=" + ids["p1"], "/judge?show=" + ids["p1"], "/judge?owner=nobody&judged=3", "/?owner=nobody&q=x&severity=low&refresh=30&done=verdict",
		"/missed?done=missed", "/silences?matchers=a", "/alerts/nothing", "/nothing",
	} {
		w.visit(path)
	}
	for len(w.next) > 0 {
		path := w.next[0]
		w.next = w.next[1:]
		w.visit(path)
	}
	empty := &walk{T: t, site: newSite(t, newTown(t), nil), seen: map[string]bool{}}
	for _, path := range []string{"/", "/judge", "/owners", "/missed", "/silences", "/receivers"} {
		empty.visit(path)
		assert.True(t, w.seen[path], "nothing leads to %s", path)
	}
	away := &walk{T: t, site: newSite(t, newTown(t), nil), seen: map[string]bool{}}
	away.site.opts.Ledger = broken{away.site.opts.Ledger}
	away.visit("/")
	assert.True(t, w.seen["/alerts/"+ids["kv"]])
	assert.Greater(t, len(w.seen), 30)
}

// walk visits pages, each once, however its parameters are.
type walk struct {
	*testing.T
	site *Site
	seen map[string]bool
	next []string
}

// node is an element with what is around it.
type node struct {
	*html.Node
	attrs map[string]string
	in    []string // the elements that it stands in
}

func nodesOf(page string) (all []node, err error) {
	root, err := html.Parse(strings.NewReader(page))
	if err != nil {
		return nil, err
	}
	var add func(*html.Node, []string)
	add = func(n *html.Node, in []string) {
		if n.Type == html.ElementNode {
			one := node{n, map[string]string{}, in}
			for _, a := range n.Attr {
				one.attrs[a.Key] = a.Val
			}
			all = append(all, one)
			in = append(slices.Clone(in), n.Data)
		}
		for child := n.FirstChild; child != nil; child = child.NextSibling {
			add(child, in)
		}
	}
	add(root, nil)
	return all, nil
}

// text is what is said of an element: not what is hidden from who listens, nor what stands in a field.
func text(n *html.Node) string {
	if n.Type == html.TextNode {
		return n.Data
	}
	if n.Data == "select" || n.Data == "textarea" {
		return ""
	}
	for _, a := range n.Attr {
		if a.Key == "aria-hidden" && a.Val == "true" {
			return ""
		}
	}
	var all strings.Builder
	for child := n.FirstChild; child != nil; child = child.NextSibling {
		all.WriteString(text(child))
	}
	return strings.TrimSpace(all.String())
}

// A page's links of one kind are followed once: those of the queue go on for ever.
var kinds = regexp.MustCompile(`=[^&]*`)

func (w *walk) visit(path string) {
	w.Helper()
	if w.seen[path] {
		return
	}
	w.seen[path] = true
	answer := httptest.NewRecorder()
	w.site.ServeHTTP(answer, httptest.NewRequest(http.MethodGet, "http://localhost"+path, nil))
	if !strings.HasPrefix(answer.Header().Get("Content-Type"), "text/html") {
		return
	}
	all, err := nodesOf(answer.Body.String())
	require.NoError(w, err)
	bad := func(format string, args ...any) {
		w.Helper()
		w.Errorf("%s: %s", path, fmt.Sprintf(format, args...))
	}
	at := map[string]node{}
	labelled := map[*html.Node]bool{}
	for _, n := range all {
		if id, ok := n.attrs["id"]; ok {
			if _, twice := at[id]; twice || id == "" {
				bad("the id %q stands twice or is empty", id)
			}
			at[id] = n
		}
		if n.Data == "label" && text(n.Node) != "" {
			for _, inner := range all {
				for p := inner.Parent; p != nil; p = p.Parent {
					if p == n.Node {
						labelled[inner.Node] = true
					}
				}
			}
		}
	}
	level, ones := 0, 0
	for _, n := range all {
		switch n.Data {
		case "h1", "h2", "h3", "h4", "h5", "h6":
			now := int(n.Data[1] - '0')
			if now > level+1 {
				bad("h%d after h%d: %q", now, level, text(n.Node))
			}
			if level = now; now == 1 {
				ones++
			}
			if text(n.Node) == "" {
				bad("an empty heading")
			}
		case "input", "select", "textarea":
			if n.attrs["type"] != "hidden" && !labelled[n.Node] && n.attrs["aria-label"] == "" {
				bad("a field without a label: %v", n.attrs)
			}
		case "button", "a", "summary", "legend":
			if text(n.Node) == "" && n.attrs["aria-label"] == "" {
				bad("a %s without a name: %v", n.Data, n.attrs)
			}
		case "img":
			if _, ok := n.attrs["alt"]; !ok {
				bad("a picture without a text")
			}
		case "section", "nav", "form":
			if n.Data != "form" && n.attrs["aria-label"] == "" && n.attrs["aria-labelledby"] == "" {
				bad("a %s without a name", n.Data)
			}
		case "html":
			if n.attrs["lang"] != "en" {
				bad("no language")
			}
		case "p", "ol", "ul", "dl", "article":
			if !slices.Contains(n.in, "main") && !slices.Contains(n.in, "header") {
				bad("a %s outside of all landmarks", n.Data)
			}
		}
		for _, name := range []string{"aria-labelledby", "list", "for", "aria-describedby"} {
			if id, ok := n.attrs[name]; ok {
				if _, there := at[id]; !there {
					bad("%s leads to no %q", name, id)
				}
			}
		}
		if kind, live := n.attrs["data-live"]; live && kind == "" { // its children are told apart by their ids
			for child := n.FirstChild; child != nil; child = child.NextSibling {
				if child.Type == html.ElementNode && !slices.ContainsFunc(child.Attr, func(a html.Attribute) bool { return a.Key == "id" }) {
					bad("a %s without an id in a %s that is live", child.Data, n.Data)
				}
			}
		}
		for name := range n.attrs {
			if strings.HasPrefix(name, "on") || name == "style" {
				bad("%s of a %s: the content policy forbids it", name, n.Data)
			}
		}
		for _, name := range []string{"href", "action", "formaction", "src"} {
			if to, ok := n.attrs[name]; ok {
				w.follow(path, n, name, to, at, bad)
			}
		}
	}
	if ones != 1 {
		bad("%d h1", ones)
	}
	for _, landmark := range []string{"main", "header"} { // of nav there may be more, each with its name
		if n := len(slices.DeleteFunc(slices.Clone(all), func(n node) bool { return n.Data != landmark })); n != 1 {
			bad("%d %s", n, landmark)
		}
	}
}

// follow finds the route that a link or a form leads to, and remembers pages to be visited.
func (w *walk) follow(from string, n node, name, to string, at map[string]node, bad func(string, ...any)) {
	u, err := url.Parse(to)
	if err != nil {
		bad("%s: %v", to, err)
		return
	}
	if u.Host != "" { // what a rule's annotations link to
		if n.attrs["rel"] != "noopener noreferrer" || u.Scheme != "https" && u.Scheme != "http" {
			bad("a link to another site: %v", n.attrs)
		}
		return
	}
	if u.Path == "" {
		if _, there := at[u.Fragment]; !there {
			bad("%s leads nowhere", to)
		}
		return
	}
	method := http.MethodGet
	switch {
	case name == "formaction":
		method = http.MethodPost
	case name == "action":
		method = strings.ToUpper(n.attrs["method"])
	}
	r := httptest.NewRequest(method, "http://localhost"+u.EscapedPath(), nil)
	_, pattern := w.site.mux.Handler(r)
	i := slices.IndexFunc(w.site.routes(), func(r route) bool { return r.pattern == pattern })
	require.GreaterOrEqual(w, i, 0, "%s: %s", from, to)
	if _, takes := w.site.routes()[i].methods[method]; !takes {
		bad("%s %s is no route of ours", method, to)
		return
	}
	if kind := u.Path + "?" + kinds.ReplaceAllString(u.RawQuery, ""); name == "href" && !w.seen[kind] {
		w.seen[kind] = true
		w.next = append(w.next, to)
	}
}
