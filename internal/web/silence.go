package web

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/prometheus/alertmanager/matcher/compat"
	"github.com/prometheus/alertmanager/pkg/labels"
	"github.com/prometheus/common/model"

	"github.com/otelcol-escalation/otelcol-escalation/internal/ledger"
)

const silencesPath = "/silences"

const (
	// longestSilence bounds a silence: a longer one is a rule that nobody wants.
	longestSilence = 90 * 24 * time.Hour
	// shownExpired is how long a silence is listed after its end.
	shownExpired = 24 * time.Hour
	mostMatchers = 20
)

// Silence is a silence in Alertmanager's JSON.
type Silence struct {
	ID        string           `json:"id,omitempty"`
	Matchers  []SilenceMatcher `json:"matchers"`
	StartsAt  time.Time        `json:"startsAt,omitzero"`
	EndsAt    time.Time        `json:"endsAt"`
	UpdatedAt time.Time        `json:"updatedAt,omitzero"`
	CreatedBy string           `json:"createdBy"`
	Comment   string           `json:"comment"`
	Status    *SilenceStatus   `json:"status,omitempty"`
}

// SilenceMatcher is a matcher as it comes in: without isEqual it is an equal one, as in Alertmanager.
type SilenceMatcher struct {
	Name    string `json:"name"`
	Value   string `json:"value"`
	IsRegex bool   `json:"isRegex"`
	IsEqual *bool  `json:"isEqual,omitempty"`
}

// SilenceStatus says whether a silence is pending, active or expired.
type SilenceStatus struct {
	State string `json:"state"`
}

func silenceOf(s *ledger.Silence, now time.Time) Silence {
	state := "active"
	switch {
	case now.Before(s.StartsAt):
		state = "pending"
	case !s.Active(now):
		state = "expired"
	}
	out := Silence{
		ID: s.ID, StartsAt: s.StartsAt.UTC(), EndsAt: s.EndsAt.UTC(), UpdatedAt: s.UpdatedAt.UTC(),
		CreatedBy: s.CreatedBy, Comment: s.Comment, Status: &SilenceStatus{state},
	}
	for _, m := range s.Matchers {
		out.Matchers = append(out.Matchers, SilenceMatcher{Name: m.Name, Value: m.Value, IsRegex: m.IsRegex, IsEqual: &m.IsEqual})
	}
	return out
}

// silenceDeeds are those of the page's forms.
var silenceDeeds = []deed{
	{name: "expire", path: "/api/v1/silences/{id}/expire", answer: (*Site).writeSilence, do: func(tx ledger.Tx, id string, _ person, _ fields) error {
		return ledger.Expire(tx, id)
	}},
}

var silenceDeed = deed{name: "silence", fields: []string{"matchers", "for", "comment"}, do: silenceForm}

// silenceForm makes a silence of what the page's form says: matchers as Alertmanager's users write them, and how long.
func silenceForm(tx ledger.Tx, _ string, p person, f fields) error {
	d, err := model.ParseDuration(f["for"])
	if err != nil || d <= 0 {
		return problemf(http.StatusUnprocessableEntity, "for: must be a duration such as 30m or 2h (got %q)", f["for"])
	}
	matchers, err := parseMatchers(f["matchers"])
	if err != nil {
		return err
	}
	s := &ledger.Silence{Matchers: matchers, EndsAt: tx.Now().Add(time.Duration(d)), CreatedBy: p.name, Comment: f["comment"]}
	if err := checkSilence(s, tx.Now()); err != nil {
		return err
	}
	return silence(tx, s)
}

func parseMatchers(text string) ([]ledger.Matcher, error) {
	parsed, err := compat.Matchers(text, "silence")
	if err != nil {
		return nil, problemf(http.StatusUnprocessableEntity, `matchers: must be such as alertname="SlowFirstToken", service=~"chat|search": %v`, err)
	}
	var matchers []ledger.Matcher
	for _, m := range parsed {
		matchers = append(matchers, ledger.Matcher{
			Name: m.Name, Value: m.Value,
			IsRegex: m.Type == labels.MatchRegexp || m.Type == labels.MatchNotRegexp,
			IsEqual: m.Type == labels.MatchEqual || m.Type == labels.MatchRegexp,
		})
	}
	return matchers, nil
}

func checkSilence(s *ledger.Silence, now time.Time) error {
	start := s.StartsAt
	if start.Before(now) {
		start = now
	}
	switch {
	case len(s.Matchers) > mostMatchers:
		return problemf(http.StatusUnprocessableEntity, "matchers: must not be more than %d (got %d)", mostMatchers, len(s.Matchers))
	case s.EndsAt.Sub(start) > longestSilence:
		return problemf(http.StatusUnprocessableEntity, "a silence must not be longer than %s: change the rule instead", model.Duration(longestSilence))
	}
	if err := checkText("createdBy", s.CreatedBy, longestName, ""); err != nil {
		return err
	}
	if strings.TrimSpace(s.Comment) == "" {
		return problem{http.StatusUnprocessableEntity, "comment: must say why"}
	}
	return checkText("comment", s.Comment, longestNote, "\n\t")
}

// sameSilence is within which a repeated silence counts as the same request.
const sameSilence = time.Minute

// silence stores a silence; one that says the same as another that has just been made is that one.
func silence(tx ledger.Tx, s *ledger.Silence) error {
	if s.ID == "" {
		known, err := tx.Silences(tx.Now())
		if err != nil {
			return err
		}
		for _, k := range known {
			near := k.EndsAt.Sub(s.EndsAt).Abs() < sameSilence && tx.Now().Sub(k.UpdatedAt) < sameSilence
			if near && k.CreatedBy == s.CreatedBy && k.Comment == s.Comment && slices.Equal(k.Matchers, s.Matchers) {
				*s = *k
				return nil
			}
		}
	}
	return ledger.Silent(tx, s)
}

// postSilence answers POST /api/v1/silences: Alertmanager's JSON, or the page's form.
func (s *Site) postSilence(w http.ResponseWriter, r *http.Request) error {
	form, err := isForm(r)
	if err != nil {
		return err
	}
	if form {
		return s.take(silenceDeed)(w, r)
	}
	if err := s.origin.Check(r); err != nil {
		return problem{http.StatusForbidden, "refused: the request comes from a page of another site"}
	}
	in, err := readSilence(r.Body)
	if err != nil {
		return err
	}
	stored := &ledger.Silence{
		ID: in.ID, StartsAt: in.StartsAt, EndsAt: in.EndsAt, Comment: in.Comment, CreatedBy: s.person(r, in.CreatedBy).name,
	}
	for _, m := range in.Matchers {
		stored.Matchers = append(stored.Matchers, ledger.Matcher{Name: m.Name, Value: m.Value, IsRegex: m.IsRegex, IsEqual: m.IsEqual == nil || *m.IsEqual})
	}
	if err := checkSilence(stored, s.opts.Now()); err != nil {
		return err
	}
	asked := *stored
	err = s.opts.Ledger.Update(r.Context(), s.opts.Now(), func(tx ledger.Tx) error {
		*stored = asked // the function may run again
		return silence(tx, stored)
	})
	if err != nil {
		return err
	}
	s.done("silence")
	writeJSON(w, http.StatusOK, struct {
		ID string `json:"silenceID"`
	}{stored.ID})
	return nil
}

func readSilence(body io.Reader) (in Silence, err error) {
	decoder := json.NewDecoder(body)
	decoder.DisallowUnknownFields()
	if err = decoder.Decode(&in); err == nil {
		if _, err = decoder.Token(); errors.Is(err, io.EOF) {
			return in, nil
		}
		err = errors.New("there is more after it")
	}
	return in, unreadable(err, "the body must be a silence in Alertmanager's JSON")
}

func (s *Site) deleteSilence(w http.ResponseWriter, r *http.Request) error {
	if err := s.origin.Check(r); err != nil {
		return problem{http.StatusForbidden, "refused: the request comes from a page of another site"}
	}
	err := s.opts.Ledger.Update(r.Context(), s.opts.Now(), func(tx ledger.Tx) error { return ledger.Expire(tx, r.PathValue("id")) })
	if err != nil {
		return err
	}
	s.done("expire")
	return s.writeSilence(w, r)
}

func (s *Site) done(name string) {
	if s.opts.Done != nil {
		s.opts.Done(name)
	}
}

func (s *Site) writeSilence(w http.ResponseWriter, r *http.Request) error {
	var out Silence
	_, err := s.view(r.Context(), func(rd *reader) error {
		found, err := rd.tx.Silence(r.PathValue("id"))
		if err == nil {
			out = silenceOf(found, rd.tx.Now())
		}
		return err
	})
	if err != nil {
		return err
	}
	writeJSON(w, http.StatusOK, out)
	return nil
}

// silences returns those that are pending, active or have expired recently.
func (s *Site) silences(r *http.Request) (list []Silence, now time.Time, err error) {
	list = []Silence{}
	now, err = s.view(r.Context(), func(rd *reader) error {
		found, err := rd.tx.Silences(rd.tx.Now().Add(-shownExpired))
		for _, one := range found {
			list = append(list, silenceOf(one, rd.tx.Now()))
		}
		return err
	})
	return list, now, err
}

// listSilences answers GET /api/v1/silences.
func (s *Site) listSilences(w http.ResponseWriter, r *http.Request) error {
	if err := noQuery(r.URL.Query()); err != nil {
		return err
	}
	list, _, err := s.silences(r)
	if err != nil {
		return err
	}
	writeJSON(w, http.StatusOK, list)
	return nil
}

// Text is a matcher as people write it.
func (m SilenceMatcher) Text() string {
	return ledger.Matcher{Name: m.Name, Value: m.Value, IsRegex: m.IsRegex, IsEqual: m.IsEqual == nil || *m.IsEqual}.String()
}

type silencesPage struct {
	frame
	Silences []Silence
	Form     form
	Named    bool
	// Matchers fills the form in: the page of an alert links here with its labels.
	Matchers string
}

// In is how long it is until something, Ago how long ago it was.
func (p silencesPage) In(t time.Time) instant { return until(p.Now, t) }

// Ago is how long ago something was.
func (p silencesPage) Ago(t time.Time) instant { return ago(p.Now, t) }

// showSilences answers GET /silences.
func (s *Site) showSilences(w http.ResponseWriter, r *http.Request) error {
	values := r.URL.Query()
	done, matchers := values.Get("done"), values.Get("matchers")
	values.Del("done")
	values.Del("matchers")
	if err := noQuery(values); err != nil {
		return err
	}
	if err := checkText("matchers", matchers, longestNote, ""); err != nil {
		return err
	}
	asker := s.person(r, "")
	token, err := s.token(asker.subject, s.opts.Now())
	if err != nil {
		return err
	}
	p := silencesPage{frame: s.frame(asker), Form: form{Token: token, Back: silencesPath}, Named: s.anonymous(), Matchers: matchers}
	p.Title, p.Section, p.Notice = "Silences", silencesPath, notices[done]
	if p.Silences, p.Now, err = s.silences(r); err != nil {
		return err
	}
	render(w, http.StatusOK, "silences.html", p)
	return nil
}
