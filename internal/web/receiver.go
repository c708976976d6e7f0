package web

import (
	"context"
	"encoding/json"
	"net/http"
	"slices"
	"time"

	"github.com/otelcol-escalation/otelcol-escalation/internal/ledger"
)

const receiversPath = "/receivers"

// trialWait is how long an answer waits for a test page to be accepted.
const trialWait = 8 * time.Second

// Trial is what became of a test page.
type Trial struct {
	ID       string `json:"id"`
	Receiver string `json:"receiver"`
	// State is accepted, failed, or waiting where no exporter has answered yet.
	State string `json:"state"`
	Error string `json:"error,omitempty"`
}

func trialOf(t *ledger.Trial) Trial {
	out := Trial{ID: t.ID, Receiver: t.Receiver, State: "accepted", Error: t.Error}
	switch {
	case t.DoneAt.IsZero():
		out.State = "waiting"
	case t.Error != "":
		out.State = "failed"
	}
	return out
}

// receivers are those that the exporter has published.
func (r *reader) receivers() (names []string, err error) {
	text, err := r.tx.Setting(ledger.SettingReceivers)
	if err != nil || text == "" {
		return nil, err
	}
	return names, json.Unmarshal([]byte(text), &names)
}

// listReceivers answers GET /api/v1/receivers.
func (s *Site) listReceivers(w http.ResponseWriter, r *http.Request) error {
	if err := noQuery(r.URL.Query()); err != nil {
		return err
	}
	list := struct {
		Receivers []string `json:"receivers"`
	}{[]string{}}
	_, err := s.view(r.Context(), func(rd *reader) error {
		names, err := rd.receivers()
		list.Receivers = append(list.Receivers, names...)
		return err
	})
	if err != nil {
		return err
	}
	writeJSON(w, http.StatusOK, list)
	return nil
}

// tryReceiver answers POST /api/v1/receivers/{name}/test: it asks the exporter for a test page, and waits for what becomes
// of it.
func (s *Site) tryReceiver(w http.ResponseWriter, r *http.Request) error {
	if err := s.origin.Check(r); err != nil {
		return problem{http.StatusForbidden, "refused: the request comes from a page of another site"}
	}
	form, err := isForm(r)
	if err != nil {
		return err
	}
	if form {
		back, err := s.tryForm(r)
		if err != nil {
			s.refuse(w, r, true, err)
			return nil
		}
		w.Header().Set("Location", back)
		w.WriteHeader(http.StatusSeeOther)
		return nil
	}
	f, err := readJSON(r)
	if err != nil {
		return err
	}
	if err := f.check(deed{}); err != nil {
		return err
	}
	t, err := s.try(r, s.person(r, f["by"]))
	if err != nil {
		return err
	}
	code := http.StatusOK
	switch t.State {
	case "waiting":
		code = http.StatusAccepted
	case "failed":
		code = http.StatusBadGateway
	}
	writeJSON(w, code, t)
	return nil
}

func (s *Site) tryForm(r *http.Request) (next string, err error) {
	f, err := readForm(r)
	if err != nil {
		return "", err
	}
	p := s.person(r, f["by"])
	if err := s.checkToken(f[tokenField], p.subject, s.opts.Now()); err != nil {
		return "", err
	}
	t, err := s.try(r, p)
	switch {
	case err != nil:
		return "", err
	case t.State == "waiting":
		return "", problem{http.StatusServiceUnavailable, "no exporter has sent the test page yet: does one run on this ledger?"}
	case t.State == "failed":
		return "", problem{http.StatusBadGateway, "the test page was not accepted: " + t.Error}
	}
	return nextPage(receiversPath, "test", f), nil
}

func (s *Site) try(r *http.Request, p person) (Trial, error) {
	var asked *ledger.Trial
	err := s.opts.Ledger.Update(r.Context(), s.opts.Now(), func(tx ledger.Tx) error {
		names, err := (&reader{tx: tx}).receivers()
		if err != nil {
			return err
		}
		if !slices.Contains(names, r.PathValue("id")) {
			return problemf(http.StatusNotFound, "there is no receiver of that name: must be one of %q", names)
		}
		asked, err = ledger.Try(tx, r.PathValue("id"), p.name)
		return err
	})
	if err != nil {
		return Trial{}, err
	}
	s.done("test")
	ctx, cancel := context.WithTimeout(r.Context(), trialWait)
	defer cancel()
	for {
		changed := s.opts.Ledger.Changed()
		_, err := s.view(r.Context(), func(rd *reader) (err error) {
			asked, err = rd.tx.Trial(asked.ID)
			return err
		})
		if err != nil || !asked.DoneAt.IsZero() {
			return trialOf(asked), err
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return trialOf(asked), nil
		}
	}
}

type receiversPage struct {
	frame
	Receivers []string
	Form      form
}

// showReceivers answers GET /receivers.
func (s *Site) showReceivers(w http.ResponseWriter, r *http.Request) error {
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
	p := receiversPage{frame: s.frame(asker), Form: form{Token: token, Back: receiversPath}}
	p.Title, p.Section, p.Notice = "Receivers", receiversPath, notices[done]
	p.Now, err = s.view(r.Context(), func(rd *reader) (err error) {
		p.Receivers, err = rd.receivers()
		return err
	})
	if err != nil {
		return err
	}
	render(w, http.StatusOK, "receivers.html", p)
	return nil
}
