package web

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"html/template"
	"net/http"
	"net/url"
	"slices"
	"time"

	"github.com/otelcol-escalation/otelcol-escalation/internal/alert"
	"github.com/otelcol-escalation/otelcol-escalation/internal/chart"
	"github.com/otelcol-escalation/otelcol-escalation/internal/ledger"
)

const (
	stylePath = "/style.css"
	iconPath  = "/icon.svg"
	// shownOpen and shownEnded bound the list; the API gives the rest.
	shownOpen  = 200
	shownEnded = 20
	// judgeWithin is how far back ended episodes are offered for a verdict: people remember a week.
	judgeWithin = 7 * 24 * time.Hour
)

//go:embed page
var files embed.FS

var (
	style     = append(mustReadAll("page/style"), chart.Style...) // one sheet, of one file for each part of the page
	icon      = mustRead("page/icon.svg")
	templates = template.Must(template.New("").Funcs(template.FuncMap{
		// styleURL changes with the style sheet, so that browsers may keep it.
		"styleURL": func() string { return stylePath + "?v=" + digest(style) },
		"outcome":  func(o ledger.Outcome) string { return outcomes[o] },
		"date":     func(t time.Time) string { return t.UTC().Format(time.DateOnly) },
		"clock":    func(t time.Time) string { return t.UTC().Format("15:04:05 UTC") },
		"moment":   moment,
		"stamp":    func(t time.Time) string { return t.UTC().Format(time.RFC3339) },
	}).ParseFS(files, "page/*.html"))
)

func mustRead(name string) []byte {
	content, err := files.ReadFile(name)
	if err != nil {
		panic(err) // it is compiled in
	}
	return content
}

// mustReadAll joins the files of a folder, in the order of their names.
func mustReadAll(dir string) (all []byte) {
	entries, err := files.ReadDir(dir)
	if err != nil {
		panic(err) // it is compiled in
	}
	for _, e := range entries {
		all = append(all, mustRead(dir+"/"+e.Name())...)
	}
	return all
}

func digest(content []byte) string {
	sum := sha256.Sum256(content)
	return hex.EncodeToString(sum[:6])
}

// frame is what every page shows around its content.
type frame struct {
	Title   string
	Now     time.Time
	Person  string
	Notice  string
	Refresh int
}

// form is what every form of a page carries.
type form struct{ Token, Back string }

type listPage struct {
	frame
	Waiting, InHand, Ended []row
	// Decisions are what a person has to decide. Stopped says who stopped all rollbacks.
	Decisions []decision
	Stopped   string
	Form      form
	More      bool
	Narrowed  []narrowing
	// Here is this page; Updating is the same page, loaded again by itself.
	Here, Updating string
}

// narrowing is one filter in force, and the page without it.
type narrowing struct{ Name, Value, Without string }

type alertPage struct {
	frame
	row
	// Named says that the form asks for a name, since nobody authenticates.
	Named bool
}

type errorPage struct {
	frame
	Text string
}

// outcomes are the outcomes as people say them.
var outcomes = map[ledger.Outcome]string{
	ledger.OutcomeNotified:      "somebody was paged",
	ledger.OutcomeBatched:       "told in the daily digest",
	ledger.OutcomeSelfResolved:  "ended before a page was due",
	ledger.OutcomeSuppressed:    "held back",
	ledger.OutcomeUndeliverable: "nobody could be reached",
}

var notices = map[string]string{
	"acknowledge": "Acknowledged. The steps have stopped.",
	"resolve":     "Resolved.",
	"snooze":      "Snoozed.",
	"verdict":     "Your verdict is recorded.",
	"approve":     "Approved. It is carried out now.",
	"reject":      "Rejected.",
	"stop":        "All rollbacks are stopped.",
	"resume":      "Rollbacks go on.",
	"silence":     "Silenced.",
	"expire":      "The silence has ended.",
	"test":        "The test page was accepted.",
}

// showList answers GET /.
func (s *Site) showList(w http.ResponseWriter, r *http.Request) error {
	q, err := parsePageQuery(r.URL.Query())
	if err != nil {
		return err
	}
	asker := s.person(r, "")
	token, err := s.token(asker.subject, s.opts.Now())
	if err != nil {
		return err
	}
	here := withQuery("/", q.values())
	p := listPage{frame: s.frame(asker), Here: here, Narrowed: narrowings(q)}
	p.Title, p.Notice, p.Refresh = "Alerts", notices[q.done], q.Refresh
	updating := q
	updating.Refresh = 30
	p.Updating = withQuery("/", updating.values())

	var open, ended []Alert
	p.Now, err = s.view(r.Context(), func(rd *reader) (err error) {
		if open, p.More, err = rd.open(q); err != nil {
			return err
		}
		if p.Decisions, p.Stopped, err = rd.decisions(); err != nil {
			return err
		}
		no := false
		ended, err = rd.alerts(ledger.Query{
			Open: &no, Unjudged: true, Rule: q.Rule, Owner: q.Owner, Severity: q.Severity,
			Since: rd.tx.Now().Add(-judgeWithin), Limit: shownEnded,
		})
		return err
	})
	if err != nil {
		return err
	}
	slices.SortStableFunc(open, func(a, b Alert) int {
		return cmp.Or(cmp.Compare(b.Severity, a.Severity), a.OpenedAt.Compare(b.OpenedAt))
	})
	f := form{Token: token, Back: here}
	p.Form = f
	for i := range p.Decisions {
		p.Decisions[i].Form, p.Decisions[i].now = f, p.Now
	}
	for _, a := range open {
		item := row{Alert: a, Form: f, now: p.Now}
		if item.InHand() {
			p.InHand = append(p.InHand, item)
		} else {
			p.Waiting = append(p.Waiting, item)
		}
	}
	for _, a := range ended {
		p.Ended = append(p.Ended, row{Alert: a, Form: f, now: p.Now})
	}
	render(w, http.StatusOK, "list.html", p)
	return nil
}

// open returns the most urgent open alerts, and whether there are more of them.
func (r *reader) open(q pageQuery) (alerts []Alert, more bool, err error) {
	yes := true
	for _, tier := range alert.Severities {
		if q.Severity != alert.NoSeverity && q.Severity != tier {
			continue
		}
		found, err := r.alerts(ledger.Query{
			Open: &yes, Rule: q.Rule, Owner: q.Owner, Severity: tier, Limit: shownOpen - len(alerts) + 1,
		})
		if err != nil {
			return nil, false, err
		}
		if alerts = append(alerts, found...); len(alerts) > shownOpen {
			return alerts[:shownOpen], true, nil
		}
	}
	return alerts, false, nil
}

func narrowings(q pageQuery) []narrowing {
	var all []narrowing
	add := func(name, value string, clear func(*pageQuery)) {
		if value != "" {
			without := q
			clear(&without)
			all = append(all, narrowing{name, value, withQuery("/", without.values())})
		}
	}
	add("owner", q.Owner, func(q *pageQuery) { q.Owner = "" })
	add("rule", q.Rule, func(q *pageQuery) { q.Rule = "" })
	add("tier", q.Severity.String(), func(q *pageQuery) { q.Severity = alert.NoSeverity })
	return all
}

// showAlert answers GET /alerts/{id}.
func (s *Site) showAlert(w http.ResponseWriter, r *http.Request) error {
	values := r.URL.Query()
	done := values.Get("done")
	values.Del("done")
	if err := noQuery(values); err != nil {
		return err
	}
	asker := s.person(r, "")
	token, err := s.token(asker.subject, s.opts.Now())
	if err != nil {
		return err
	}
	id := r.PathValue("id")
	p := alertPage{frame: s.frame(asker), Named: s.anonymous()}
	p.Now, err = s.view(r.Context(), func(rd *reader) (err error) {
		p.row.Alert, err = rd.story(id)
		return err
	})
	if err != nil {
		return err
	}
	p.frame.Title, p.Notice = p.Rule, notices[done]
	p.row.Form, p.row.now = form{Token: token, Back: (&url.URL{Path: "/alerts/" + id}).String()}, p.Now
	render(w, http.StatusOK, "alert.html", p)
	return nil
}

func (s *Site) frame(p person) frame {
	if s.anonymous() {
		return frame{}
	}
	return frame{Person: p.name}
}

// render writes a page, or an error where it cannot be made: never half of it.
func render(w http.ResponseWriter, code int, name string, data any) {
	var page bytes.Buffer
	if err := templates.ExecuteTemplate(&page, name, data); err != nil {
		http.Error(w, "the page cannot be shown: "+err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.WriteHeader(code)
	_, _ = w.Write(page.Bytes())
}

func serveStyle(w http.ResponseWriter, _ *http.Request) error {
	return serveFile(w, "text/css; charset=utf-8", style)
}

func serveIcon(w http.ResponseWriter, _ *http.Request) error {
	return serveFile(w, "image/svg+xml", icon)
}

func serveFile(w http.ResponseWriter, kind string, content []byte) error {
	w.Header().Set("Content-Type", kind)
	w.Header().Set("Cache-Control", "private, max-age=86400")
	_, _ = w.Write(content)
	return nil
}
