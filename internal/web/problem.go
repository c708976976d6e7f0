package web

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"

	"github.com/otelcol-escalation/otelcol-escalation/internal/ledger"
)

// problem is why a request cannot be answered: a status and a sentence for whoever asked.
type problem struct {
	code int
	text string
}

func (p problem) Error() string { return p.text }

func problemf(code int, format string, args ...any) error {
	return problem{code, fmt.Sprintf(format, args...)}
}

// problemOf says what a caller is told about an error. What the ledger says of its own troubles stays inside.
func problemOf(err error) problem {
	var p problem
	var tooLarge *http.MaxBytesError
	switch {
	case errors.As(err, &p):
		return p
	case errors.As(err, &tooLarge):
		return problem{http.StatusRequestEntityTooLarge, fmt.Sprintf("the body must not be larger than %d bytes", tooLarge.Limit)}
	case errors.Is(err, ledger.ErrNotFound):
		return problem{http.StatusNotFound, "there is nothing of that id: it may have been removed when it became too old"}
	case errors.Is(err, ledger.ErrEnded):
		return problem{http.StatusConflict, "this alert has ended"}
	case errors.Is(err, ledger.ErrPast):
		return problem{http.StatusUnprocessableEntity, "the end must lie in the future"}
	case errors.Is(err, ledger.ErrDecided), errors.Is(err, ledger.ErrNoTarget):
		return problem{http.StatusConflict, err.Error()}
	case errors.Is(err, ledger.ErrMatchers), errors.Is(err, ledger.ErrSilence):
		return problem{http.StatusUnprocessableEntity, err.Error()}
	}
	return problem{http.StatusServiceUnavailable, "the alert ledger cannot be used now: try again"}
}

// refuse answers with an error, and tells who serves the site about those that are not the caller's.
func (s *Site) refuse(w http.ResponseWriter, r *http.Request, page bool, err error) {
	p := problemOf(err)
	if p.code == http.StatusServiceUnavailable {
		w.Header().Set("Retry-After", "5")
		if s.opts.Failed != nil && r.Context().Err() == nil {
			s.opts.Failed(err)
		}
	}
	fail(w, r, page, p)
}

func fail(w http.ResponseWriter, r *http.Request, page bool, p problem) {
	if !page {
		WriteError(w, p.code, p.text)
		return
	}
	e := errorPage{frame: frame{Title: http.StatusText(p.code)}, Text: p.text, Away: p.code == http.StatusServiceUnavailable}
	looking := r.Method == http.MethodGet || r.Method == http.MethodHead
	switch {
	case e.Away && looking:
		e.Title, e.Retry = "Not now", 5
		e.Next = "This page is loaded again every 5 s, until it can be shown. Alerts that come meanwhile wait until the ledger is back."
	case e.Away:
		e.Title = "Not now"
		e.Next = "Go back and try again: what was done all the same is not done twice."
	case p.code == http.StatusNotFound:
		e.Next = "Alerts that have ended are kept as long as the ledger's retention says. Look in the list for what is there."
	case p.code == http.StatusForbidden:
		e.Next = "Go back, load the page again, and repeat it there."
	case p.code == http.StatusConflict:
		e.Next = "Somebody else, or the alert itself, was faster. Look at it again."
	case looking:
		e.Next = "Something in the address is not as it should be."
	default:
		e.Next = "Go back, change it, and send it again: what you have typed is still there."
	}
	render(w, p.code, "error.html", e)
}

// WriteError answers with an error as the API does: {"error": "…"}.
func WriteError(w http.ResponseWriter, code int, text string) {
	writeJSON(w, code, struct {
		Error string `json:"error"`
	}{text})
}

func writeJSON(w http.ResponseWriter, code int, v any) {
	body, err := json.Marshal(v)
	if err != nil { // no value of ours fails: Number writes what JSON cannot
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(code)
	_, _ = w.Write(append(body, '\n'))
}
