package web

import (
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"
	"unicode"

	"github.com/prometheus/common/model"

	"github.com/otelcol-escalation/otelcol-escalation/internal/ledger"
)

// deed is something that a person does.
type deed struct {
	// name is what it is counted and noticed by.
	name string
	path string
	// fields are those that it takes beyond by and note.
	fields []string
	do     func(tx ledger.Tx, id string, p person, f fields) error
	// answer shows, to a program, what it was done to.
	answer func(s *Site, w http.ResponseWriter, r *http.Request) error
}

// deeds are those that take nothing but text.
func deeds() []deed {
	about := func(name string, fields []string, do func(tx ledger.Tx, id string, p person, f fields) error) deed {
		return deed{name: name, path: "/api/v1/alerts/{id}/" + name, fields: fields, do: do, answer: (*Site).writeAlert}
	}
	return slices.Concat([]deed{
		about("acknowledge", nil, func(tx ledger.Tx, id string, p person, f fields) error {
			return ledger.Acknowledge(tx, id, p.name, f["note"])
		}),
		about("resolve", nil, func(tx ledger.Tx, id string, p person, f fields) error {
			return ledger.Resolve(tx, id, p.name, f["note"])
		}),
		about("snooze", []string{"for", "until"}, snooze),
		about("verdict", []string{"verdict", "alike"}, judge),
	}, actionDeeds, silenceDeeds)
}

// take answers the POST of a deed: with the alert as it is then, or, where it came from the page's form, by sending the
// person back to the page.
func (s *Site) take(d deed) handler {
	return func(w http.ResponseWriter, r *http.Request) error {
		if err := s.origin.Check(r); err != nil {
			return problem{http.StatusForbidden, "refused: the request comes from a page of another site"}
		}
		form, err := isForm(r)
		if err != nil {
			return err
		}
		if !form {
			f, err := readJSON(r)
			if err != nil {
				return err
			}
			if err := s.perform(r, d, f, s.person(r, f["by"])); err != nil {
				return err
			}
			return d.answer(s, w, r)
		}
		back, err := s.takeForm(r, d)
		if err != nil {
			s.refuse(w, r, true, err)
			return nil
		}
		w.Header().Set("Location", back)
		w.WriteHeader(http.StatusSeeOther)
		return nil
	}
}

// takeForm performs what the page's form asks for and returns where the person goes next.
func (s *Site) takeForm(r *http.Request, d deed) (next string, err error) {
	f, err := readForm(r)
	if err != nil {
		return "", err
	}
	p := s.person(r, f["by"])
	if err := s.checkToken(f[tokenField], p.subject, s.opts.Now()); err != nil {
		return "", err
	}
	next = nextPage(f[backField], d.name, f)
	delete(f, tokenField)
	delete(f, backField)
	return next, s.perform(r, d, f, p)
}

// perform does d and returns when it is durable.
func (s *Site) perform(r *http.Request, d deed, f fields, p person) error {
	if err := f.check(d); err != nil {
		return err
	}
	err := s.opts.Ledger.Update(r.Context(), s.opts.Now(), func(tx ledger.Tx) error {
		return d.do(tx, r.PathValue("id"), p, f)
	})
	if err == nil && s.opts.Done != nil {
		s.opts.Done(d.name)
	}
	return err
}

// longestAlike is how far back one verdict reaches for those of the same alert.
const longestAlike = 30 * 24 * time.Hour

// judge gives a verdict, with alike also to those of the same alert that opened within that time and wait for one.
func judge(tx ledger.Tx, id string, p person, f fields) error {
	v, err := parseVerdict(f["verdict"])
	if err != nil {
		return err
	}
	if f["alike"] == "" {
		return ledger.Judge(tx, id, v, p.verdictBy, f["note"])
	}
	within, err := model.ParseDuration(f["alike"])
	if err != nil || within <= 0 || within > model.Duration(longestAlike) {
		return problemf(http.StatusUnprocessableEntity, "alike: must be a duration such as 7d, of at most %s (got %q)", model.Duration(longestAlike), f["alike"])
	}
	_, err = ledger.JudgeAlike(tx, id, tx.Now().Add(-time.Duration(within)), v, p.verdictBy, f["note"])
	return err
}

const (
	shortestSnooze = time.Minute
	longestSnooze  = 30 * 24 * time.Hour
	// sameSnooze is within which a repeated "for" counts as the same request, so that a second click, or a client that
	// tries again, changes nothing.
	sameSnooze = time.Minute
)

func snooze(tx ledger.Tx, id string, p person, f fields) error {
	until, err := snoozeEnd(f, tx.Now())
	if err != nil {
		return err
	}
	if f["for"] != "" {
		e, err := tx.Episode(id)
		if err != nil {
			return err
		}
		moved := until.Sub(e.SnoozedUntil)
		if e.Open() && e.SnoozedBy == p.name && moved >= 0 && moved < sameSnooze {
			return nil
		}
	}
	return ledger.Snooze(tx, id, until, p.name, f["note"])
}

func snoozeEnd(f fields, now time.Time) (until time.Time, err error) {
	switch {
	case (f["for"] == "") == (f["until"] == ""):
		return until, problem{http.StatusUnprocessableEntity, "give either for or until"}
	case f["for"] != "":
		d, err := model.ParseDuration(f["for"])
		if err != nil {
			return until, problemf(http.StatusUnprocessableEntity, "for: must be a duration such as 30m or 1h30m (got %q)", f["for"])
		}
		if d < model.Duration(shortestSnooze) {
			return until, problemf(http.StatusUnprocessableEntity, "for: must be at least %s (got %s)", model.Duration(shortestSnooze), d)
		}
		until = now.Add(time.Duration(d))
	default:
		if until, err = time.Parse(time.RFC3339, f["until"]); err != nil {
			return until, problemf(http.StatusUnprocessableEntity, "until: must be a time such as 2026-01-02T15:04:05Z (got %q)", f["until"])
		}
	}
	if until.Sub(now) > longestSnooze {
		return until, problemf(http.StatusUnprocessableEntity, "a snooze must not be longer than %s: repeat it, or change the rule", model.Duration(longestSnooze))
	}
	return until, nil
}

// nextPage is where a form's sender goes after a deed: back to where the form stood, if that is a page of ours.
func nextPage(back, done string, f fields) string {
	path, values := "/", url.Values{}
	if u, err := url.Parse(back); err == nil && u.Scheme == "" && u.Host == "" && u.Opaque == "" {
		id, ok := strings.CutPrefix(u.Path, "/alerts/")
		switch {
		case ok && isID(id), u.Path == silencesPath, u.Path == receiversPath, u.Path == missedPath:
			path = u.Path
		case strings.HasPrefix(u.Path, rulesPath+"/"):
			if q, err := parseRuleQuery(u.Query()); err == nil {
				q.done = ""
				path, values = u.EscapedPath(), q.values()
			}
		case u.Path == judgePath:
			path = judgePath
			if q, err := parseJudgeQuery(u.Query()); err == nil {
				values = q.onwards(f)
			}
		case u.Path == "/":
			if q, err := parsePageQuery(u.Query()); err == nil {
				values = q.values()
			}
		}
	}
	values.Set("done", done)
	return withQuery(path, values)
}

// isID reports whether text can be an episode's id: letters and digits.
func isID(text string) bool {
	return text != "" && strings.IndexFunc(text, func(r rune) bool {
		return r > unicode.MaxASCII || !unicode.IsLetter(r) && !unicode.IsDigit(r)
	}) < 0
}
