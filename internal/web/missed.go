package web

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/otelcol-escalation/otelcol-escalation/internal/calibrate"
	"github.com/otelcol-escalation/otelcol-escalation/internal/ledger"
	"github.com/otelcol-escalation/otelcol-escalation/internal/quality"
)

const missedPath = "/missed"

// Missed is an incident that no alert caught.
type Missed struct {
	ID     string            `json:"id,omitempty"`
	Rule   string            `json:"rule"`
	At     time.Time         `json:"at"`
	Labels map[string]string `json:"labels,omitempty"`
	By     string            `json:"by,omitempty"`
	Note   string            `json:"note,omitempty"`
}

func missedOf(m *ledger.Miss) Missed {
	return Missed{ID: m.ID, Rule: m.Rule, At: m.At.UTC(), Labels: m.Labels, By: calibrate.Name(m.By), Note: m.Note}
}

// LabelPairs are the labels, sorted.
func (m Missed) LabelPairs() []pair { return pairs(m.Labels) }

// postMissed answers POST /api/v1/missed: JSON, or the page's form.
func (s *Site) postMissed(w http.ResponseWriter, r *http.Request) error {
	if err := s.origin.Check(r); err != nil {
		return problem{http.StatusForbidden, "refused: the request comes from a page of another site"}
	}
	form, err := isForm(r)
	if err != nil {
		return err
	}
	if form {
		back, err := s.missedForm(r)
		if err != nil {
			s.refuse(w, r, true, err)
			return nil
		}
		w.Header().Set("Location", back)
		w.WriteHeader(http.StatusSeeOther)
		return nil
	}
	var in Missed
	decoder := json.NewDecoder(r.Body)
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&in); err != nil {
		return unreadable(err, "the body must be a JSON object with rule, at, labels, by and note")
	}
	stored, err := s.report(r, in, s.person(r, in.By))
	if err != nil {
		return err
	}
	writeJSON(w, http.StatusOK, stored)
	return nil
}

// report records a miss and returns it as it is recorded.
func (s *Site) report(r *http.Request, in Missed, p person) (Missed, error) {
	if err := in.check(s.opts.Now()); err != nil {
		return Missed{}, err
	}
	var stored *ledger.Miss
	err := s.opts.Ledger.Update(r.Context(), s.opts.Now(), func(tx ledger.Tx) (err error) {
		stored, err = ledger.Report(tx, &ledger.Miss{Rule: in.Rule, At: in.At.UTC(), Labels: in.Labels, By: p.verdictBy, Note: in.Note})
		return err
	})
	if err != nil {
		return Missed{}, err
	}
	s.opts.Assessor.Forget(in.Rule)
	s.done("missed")
	return missedOf(stored), nil
}

// missedForm takes what the page's form says and returns where its sender goes next.
func (s *Site) missedForm(r *http.Request) (next string, err error) {
	f, err := readForm(r)
	if err != nil {
		return "", err
	}
	p := s.person(r, f["by"])
	if err := s.checkToken(f[tokenField], p.subject, s.opts.Now()); err != nil {
		return "", err
	}
	next = nextPage(f[backField], "missed", f)
	known := []string{tokenField, backField, "rule", "at", "zone", "labels", "by", "note"}
	for _, name := range slices.Sorted(maps.Keys(f)) {
		if !slices.Contains(known, name) {
			return "", problemf(http.StatusBadRequest, "unknown field %q: must be one of %s", name, strings.Join(known[2:], ", "))
		}
	}
	in := Missed{Rule: strings.TrimSpace(f["rule"]), By: f["by"], Note: f["note"]}
	if in.At, err = parseLocal(f["at"], f["zone"]); err != nil {
		return "", err
	}
	if in.Labels, err = parseLabels(f["labels"]); err != nil {
		return "", err
	}
	_, err = s.report(r, in, p)
	return next, err
}

// localLayout is how browsers send a local time, with or without seconds.
const localLayout = "2006-01-02T15:04"

// parseLocal reads a time of a form, which is in the zone beside it: no server can know that of its reader.
func parseLocal(at, zone string) (time.Time, error) {
	for _, layout := range []string{localLayout, localLayout + ":05"} {
		if t, err := time.Parse(layout+"-07:00", at+zone); err == nil {
			return t.UTC(), nil
		}
	}
	return time.Time{}, problemf(http.StatusUnprocessableEntity,
		"at: must be a time such as 2026-11-23T04:00, with a zone such as +00:00 (got %q, %q)", at, zone)
}

// parseLabels reads a label a line, name=value.
func parseLabels(text string) (map[string]string, error) {
	labels := map[string]string{}
	for i, line := range strings.Split(text, "\n") {
		if line = strings.TrimSpace(line); line == "" {
			continue
		}
		name, value, ok := strings.Cut(line, "=")
		name, value = strings.TrimSpace(name), strings.TrimSpace(value)
		if !ok || name == "" {
			return nil, problemf(http.StatusUnprocessableEntity, "labels: line %d must be name=value (got %q)", i+1, line)
		}
		if _, twice := labels[name]; twice {
			return nil, problemf(http.StatusUnprocessableEntity, "labels: %q must stand once", name)
		}
		labels[name] = value
	}
	if len(labels) == 0 {
		return nil, nil
	}
	return labels, nil
}

const (
	mostMissedLabels = 50
	// oldestMiss is how far back a miss may lie.
	oldestMiss = 365 * 24 * time.Hour
)

func (m *Missed) check(now time.Time) error {
	refuse := func(format string, args ...any) error {
		return problemf(http.StatusUnprocessableEntity, format, args...)
	}
	switch {
	case m.ID != "":
		return refuse("id: must be left out: it is given to the report")
	case m.Rule == "":
		return refuse("rule: must name the rule that should have caught it")
	case m.At.IsZero():
		return refuse("at: must be when the incident began, such as 2026-11-23T04:00:00Z")
	case m.At.After(now.Add(time.Minute)), now.Sub(m.At) > oldestMiss:
		return refuse("at: must lie within the last year (got %s)", m.At.UTC().Format(time.RFC3339))
	case len(m.Labels) > mostMissedLabels:
		return refuse("labels: must not be more than %d (got %d)", mostMissedLabels, len(m.Labels))
	}
	for _, text := range []struct {
		name, text string
		longest    int
		controls   string
	}{{"rule", m.Rule, 512, ""}, {"by", m.By, longestName, ""}, {"note", m.Note, longestNote, "\n\t"}} {
		if err := checkText(text.name, text.text, text.longest, text.controls); err != nil {
			return err
		}
	}
	for name, value := range m.Labels {
		if err := checkText("labels", name, longestName, ""); err != nil {
			return err
		}
		if err := checkText("labels."+name, value, longestNote, "\n\t"); err != nil {
			return err
		}
	}
	return nil
}

// shownMisses bounds the list of what was missed.
const shownMisses = 50

type missedPage struct {
	frame
	Form  form
	Named bool
	// Rule fills the form in, Rules are those that are known.
	Rule  string
	Rules []string
	// When fills the form in, in UTC; Zones are what it can be said in.
	When  string
	Zones []zone
	// Misses are the last ones within the window, newest first.
	Misses []Missed
	More   bool
	Days   float64
}

// Ago is how long ago something was.
func (p missedPage) Ago(t time.Time) instant { return ago(p.Now, t) }

type zone struct{ Value, Name string }

// zones are the offsets that clocks have somewhere, in minutes east of Greenwich.
var zones = func() (all []zone) {
	for _, minutes := range []int{
		0, -720, -660, -600, -570, -540, -480, -420, -360, -300, -240, -210, -180, -150, -120, -60, 60, 120, 180, 210, 240, 270, 300, 330, 345,
		360, 390, 420, 480, 525, 540, 570, 600, 630, 660, 720, 765, 780, 825, 840,
	} {
		sign, size := "+", minutes
		if minutes < 0 {
			sign, size = "-", -minutes
		}
		z := zone{Value: fmt.Sprintf("%s%02d:%02d", sign, size/60, size%60), Name: "UTC"}
		if minutes != 0 {
			z.Name += strings.Replace(z.Value, "-", "−", 1)
		}
		all = append(all, z)
	}
	return all
}()

// showMissed answers GET /missed.
func (s *Site) showMissed(w http.ResponseWriter, r *http.Request) error {
	values := r.URL.Query()
	done, rule := values.Get("done"), values.Get("rule")
	values.Del("done")
	values.Del("rule")
	if err := noQuery(values); err != nil {
		return err
	}
	if err := checkText("rule", rule, 512, ""); err != nil {
		return err
	}
	asker := s.person(r, "")
	token, err := s.token(asker.subject, s.opts.Now())
	if err != nil {
		return err
	}
	p := missedPage{
		frame: s.frame(asker), Form: form{Token: token, Back: missedPath}, Named: s.anonymous(), Rule: rule, Zones: zones,
		Days: s.opts.Assessor.Window.Hours() / 24,
	}
	p.Title, p.Section, p.Notice = "Missed incidents", missedPath, notices[done]
	p.Now, err = s.view(r.Context(), func(rd *reader) error {
		since := rd.tx.Now().Add(-s.opts.Assessor.Window)
		tallies, err := s.opts.Assessor.Tallies(rd.tx)
		if err != nil {
			return err
		}
		for _, sum := range quality.Summaries(tallies) {
			p.Rules = append(p.Rules, sum.Rule)
		}
		misses, err := rd.tx.Misses("", since)
		for _, m := range misses[max(0, len(misses)-shownMisses):] {
			p.Misses = append(p.Misses, missedOf(m))
		}
		slices.Reverse(p.Misses)
		p.More = len(misses) > shownMisses
		return err
	})
	if err != nil {
		return err
	}
	p.When = p.Now.UTC().Format(localLayout)
	render(w, http.StatusOK, "missed.html", p)
	return nil
}
