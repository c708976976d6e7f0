package web

import (
	"bytes"
	"html/template"
	"net/http"
	"net/url"
	"time"

	"github.com/otelcol-escalation/otelcol-escalation/internal/alert"
	"github.com/otelcol-escalation/otelcol-escalation/internal/ledger"
)

var templates = template.Must(template.New("").Funcs(template.FuncMap{
	"styleURL":  func() string { return styleURL },
	"scriptURL": func() string { return scriptURL },
	"tiers":     func() []alert.Severity { return alert.Severities[:] },
	"judged":    verdictName,
	"outcome":   func(o ledger.Outcome) string { return outcomes[o] },
	"clock":     func(t time.Time) string { return t.UTC().Format("15:04:05 UTC") },
	"moment":    moment,
	"date":      func(t time.Time) string { return t.UTC().Format(time.DateOnly) },
	"stamp":     func(t time.Time) string { return t.UTC().Format(time.RFC3339) },
}).ParseFS(files, "page/*.html"))

// frame is what every page shows around its content.
type frame struct {
	Title string
	// Section is the path of the page among those that the navigation lists.
	Section string
	Now     time.Time
	Person  string
	Notice  string
	// Refresh is after how many seconds a browser without scripts loads the page again, Every after how many the script brings
	// it up to date, Retry after how many it is loaded again by either; 0: not.
	Refresh, Every, Retry int
}

// form is what every form of a page carries.
type form struct{ Token, Back string }

type alertPage struct {
	frame
	row
	// Named says that the form asks for a name, since nobody authenticates.
	Named bool
}

type errorPage struct {
	frame
	Text string
	// Away says that the ledger cannot be used, Next what the reader can do.
	Away bool
	Next string
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
	"missed":      "Recorded: it counts for the rule's recall.",
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
	if p.Open() {
		p.Every = updatedEvery
	}
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
