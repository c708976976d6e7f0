package web

import (
	"encoding/json"
	"math"
	"net/http"
	"time"

	"github.com/otelcol-escalation/otelcol-escalation/internal/alert"
	"github.com/otelcol-escalation/otelcol-escalation/internal/calibrate"
	"github.com/otelcol-escalation/otelcol-escalation/internal/ledger"
)

// Change is a threshold that was moved, as `alertctl calibrate --write` tells of it.
type Change struct {
	ID       string         `json:"id,omitempty"`
	Rule     string         `json:"rule,omitempty"`
	Group    string         `json:"group,omitempty"`
	Severity alert.Severity `json:"severity"`
	Bound    string         `json:"bound,omitempty"`
	From     float64        `json:"from"`
	To       float64        `json:"to"`
	At       time.Time      `json:"at,omitzero"`
	By       string         `json:"by,omitempty"`
	Note     string         `json:"note,omitempty"`
}

// postChange answers POST /api/v1/rules/{name}/changes.
func (s *Site) postChange(w http.ResponseWriter, r *http.Request) error {
	if err := s.origin.Check(r); err != nil {
		return problem{http.StatusForbidden, "refused: the request comes from a page of another site"}
	}
	if form, err := isForm(r); err != nil || form {
		return problem{http.StatusUnsupportedMediaType, "the Content-Type must be application/json"}
	}
	in := Change{From: math.NaN(), To: math.NaN()}
	decoder := json.NewDecoder(r.Body)
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&in); err != nil {
		return unreadable(err, "the body must be a JSON object with severity, from, to, and group, bound, by and note where there are any")
	}
	in.Rule = r.PathValue("name")
	if err := in.check(); err != nil {
		return err
	}
	p := s.person(r, in.By)
	var stored *ledger.Change
	err := s.opts.Ledger.Update(r.Context(), s.opts.Now(), func(tx ledger.Tx) (err error) {
		stored, err = ledger.Retune(tx, &ledger.Change{
			RuleGroup: in.Group, Rule: in.Rule, Tier: in.Severity, Bound: in.Bound, From: in.From, To: in.To, By: p.verdictBy, Note: in.Note,
		})
		return err
	})
	if err != nil {
		return err
	}
	s.done("change")
	writeJSON(w, http.StatusOK, Change{
		ID: stored.ID, Rule: stored.Rule, Group: stored.RuleGroup, Severity: stored.Tier, Bound: stored.Bound, From: stored.From, To: stored.To,
		At: stored.At.UTC(), By: calibrate.Name(stored.By), Note: stored.Note,
	})
	return nil
}

// longestRule is the length of a rule's name in bytes beyond which alerts carry a hash of it.
const longestRule = 512

func (c *Change) check() error {
	refuse := func(format string, args ...any) error {
		return problemf(http.StatusUnprocessableEntity, format, args...)
	}
	switch {
	case c.ID != "" || !c.At.IsZero():
		return refuse("id, at: must be left out: they are given to the change")
	case len(c.Rule) > longestRule || len(c.Group) > longestRule:
		return refuse("rule, group: must not be longer than %d bytes", longestRule)
	case c.Severity == alert.NoSeverity:
		return refuse("severity: must be critical, high, medium or low")
	case c.Bound != "" && c.Bound != "low" && c.Bound != "high":
		return refuse("bound: must be low or high, or left out where the threshold has but one (got %q)", c.Bound)
	case math.IsNaN(c.From):
		return refuse("from: must be the threshold before")
	case math.IsNaN(c.To):
		return refuse("to: must be the threshold now")
	}
	for _, text := range []struct {
		name, text string
		longest    int
		controls   string
	}{{"rule", c.Rule, longestRule, ""}, {"group", c.Group, longestRule, ""}, {"by", c.By, longestName, ""}, {"note", c.Note, longestNote, "\n\t"}} {
		if err := checkText(text.name, text.text, text.longest, text.controls); err != nil {
			return err
		}
	}
	return nil
}
