package web

import (
	"encoding/json"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
)

// Whatever a program posts is either done or refused with a reason, and what is refused changes nothing.
func FuzzPost(f *testing.F) {
	var about []deed // those about an alert
	for _, d := range deeds() {
		if strings.HasPrefix(d.path, "/api/v1/alerts/") {
			about = append(about, d)
		}
	}
	for _, body := range []string{``, `{}`, `{"by":"anna","verdict":"expected"}`, `{"for":"1h"}`, `{"until":"2026-01-02T05:00:00Z"}`, `{"by":1}`, `[]`, `{"note":"\ud800"}`, "{\"by\":\"\xff\"}"} {
		for i := range about {
			f.Add(i, body)
		}
	}
	f.Fuzz(func(t *testing.T, which int, body string) {
		l := newTown(t)
		id := l.record(firing("a", "R", 3, "o"))
		s := newSite(t, l, nil)
		before := len(l.events(id))
		d := about[uint(which)%uint(len(about))]
		w := postJSON(t, s, "/api/v1/alerts/"+id+"/"+d.name, body)
		var answer map[string]any
		if err := json.Unmarshal(w.Body.Bytes(), &answer); err != nil {
			t.Fatalf("%d %q: %v", w.Code, w.Body, err)
		}
		switch {
		case w.Code == http.StatusOK:
			if len(l.events(id)) != before+1 {
				t.Fatal("done, and no event")
			}
		case w.Code >= 400 && w.Code < 500:
			if answer["error"] == "" || len(l.events(id)) != before {
				t.Fatalf("refused with %v, events %v", answer, l.events(id))
			}
		default:
			t.Fatalf("answered with %d", w.Code)
		}
	})
}

// However a form wants its sender sent on, it is to one of the pages, on this site.
func FuzzNextPage(f *testing.F) {
	for _, back := range []string{"/", "/alerts/a1", "/silences", "/receivers", "//x", "/\\x", "https://x", "/?owner=a", "/judge?judged=2&after=a.b&by=x", "/missed", "/%2f/x", "/alerts/..", "\t//x"} {
		f.Add(back)
	}
	f.Fuzz(func(t *testing.T, back string) {
		next := nextPage(back, "verdict", fields{"by": back, "alike": back})
		u, err := url.Parse(next)
		if err != nil || u.Host != "" || u.Scheme != "" || strings.HasPrefix(next, "//") || strings.ContainsAny(next, "\\\r\n\t") {
			t.Fatalf("%q leads to %q", back, next)
		}
		if !slices.Contains([]string{"/", silencesPath, receiversPath, judgePath, missedPath}, u.Path) && !isID(strings.TrimPrefix(u.Path, "/alerts/")) {
			t.Fatalf("%q leads to %q", back, next)
		}
	})
}
