package web

import (
	"encoding/json"
	"net/http"
	"time"

	"github.com/otelcol-escalation/otelcol-escalation/internal/alert"
	"github.com/otelcol-escalation/otelcol-escalation/internal/calibrate"
	"github.com/otelcol-escalation/otelcol-escalation/internal/ledger"
	"github.com/otelcol-escalation/otelcol-escalation/internal/quality"
)

// Rule is how good the alerts of one rule were in the window.
type Rule struct {
	Rule          string   `json:"rule"`
	Owners        []string `json:"owners"`
	SourceMetrics []string `json:"source_metrics"`
	WindowDays    float64  `json:"window_days"`
	Episodes      int64    `json:"episodes"`
	Open          int64    `json:"open"`
	Notified      int64    `json:"notified"`
	// Judged are the notified ones that have a verdict.
	Judged   int64                    `json:"judged"`
	Verdicts map[ledger.Verdict]int64 `json:"verdicts"`
	// FalsePositives is missing where nobody has judged.
	FalsePositives *Ratio      `json:"false_positive_ratio,omitempty"`
	Thresholds     []Threshold `json:"thresholds"`
}

// Ratio is a share with the bounds of its 95 % interval.
type Ratio struct {
	Ratio float64 `json:"ratio"`
	Lower float64 `json:"lower"`
	Upper float64 `json:"upper"`
	Of    int64   `json:"of"`
}

// Threshold is what is concluded about one threshold of a rule.
type Threshold struct {
	Group        string         `json:"group,omitempty"`
	Severity     alert.Severity `json:"severity"`
	Side         string         `json:"side"`
	Bound        string         `json:"bound,omitempty"`
	SourceMetric string         `json:"source_metric,omitempty"`
	SourceUnit   string         `json:"source_unit,omitempty"`
	Current      float64        `json:"current"`
	// Suggested is missing where none stands; Reason and Sentence say why.
	Suggested *float64         `json:"suggested,omitempty"`
	Reason    calibrate.Reason `json:"reason"`
	Sentence  string           `json:"sentence"`
	Before    Counts           `json:"before"`
	After     *Counts          `json:"after,omitempty"`
	Labelled  int              `json:"labelled"`
	People    int              `json:"people"`
	SpanDays  float64          `json:"span_days"`
	Missed    int              `json:"missed"`
	Recall    *Ratio           `json:"recall,omitempty"`
	Moved     []Move           `json:"moved,omitempty"`
	Curve     []CurvePoint     `json:"curve,omitempty"`
}

// Counts are what a threshold would have made of the recorded episodes.
type Counts struct {
	Episodes     int `json:"episodes"`
	Verified     int `json:"verified"`
	False        int `json:"false"`
	Other        int `json:"other"`
	Unjudged     int `json:"unjudged"`
	Acknowledged int `json:"acknowledged"`
	Incidents    int `json:"incidents"`
	Uncertain    int `json:"uncertain"`
}

// Move is a change of the threshold: somebody told of it, or episodes show it.
type Move struct {
	At   time.Time `json:"at"`
	From float64   `json:"from"`
	To   float64   `json:"to"`
	By   string    `json:"by,omitempty"`
	Note string    `json:"note,omitempty"`
}

// CurvePoint is a step of the what-if curve: from this threshold on, up to the next one's, the counts hold.
type CurvePoint struct {
	Threshold float64 `json:"threshold"`
	Counts
}

func ratioOf(p calibrate.Proportion, ok bool) *Ratio {
	if !ok {
		return nil
	}
	return &Ratio{Ratio: p.Ratio, Lower: p.Lower, Upper: p.Upper, Of: p.N}
}

func thresholdOf(a *calibrate.Assessment, window time.Duration) Threshold {
	side := "above"
	if a.Side == calibrate.Below {
		side = "below"
	}
	t := Threshold{
		Group: a.Group, Severity: a.Tier, Side: side, Bound: a.Bound(), SourceMetric: a.SourceMetric, SourceUnit: a.Unit, Current: a.Current,
		Reason: a.Reason, Sentence: a.Sentence(window), Before: Counts(a.Before), Labelled: a.Labelled, People: a.People,
		SpanDays: a.Span.Hours() / 24, Missed: len(a.Missed), Recall: ratioOf(a.Recall()),
	}
	if a.Reason == calibrate.Stands {
		suggested, after := a.Threshold, Counts(a.After)
		t.Suggested, t.After = &suggested, &after
	}
	for _, m := range a.Moved {
		t.Moved = append(t.Moved, Move{At: m.At.UTC(), From: m.From, To: m.To, By: m.By, Note: m.Note})
	}
	return t
}

func (s *Site) ruleOf(sum *quality.Summary) Rule {
	return Rule{
		Rule: sum.Rule, Owners: sum.Owners, SourceMetrics: append([]string{}, sum.SourceMetrics...), WindowDays: s.opts.Assessor.Window.Hours() / 24,
		Episodes: sum.Episodes, Open: sum.Open, Notified: sum.Notified, Judged: sum.NotifiedJudged, Verdicts: sum.Verdicts,
		FalsePositives: ratioOf(calibrate.FalsePositives(sum.Verdicts)), Thresholds: []Threshold{},
	}
}

// rules returns every rule that has fired in the window, by name.
func (s *Site) rules(rd *reader) ([]Rule, error) {
	tallies, err := rd.tx.Tallies(rd.tx.Now().Add(-s.opts.Assessor.Window))
	if err != nil {
		return nil, err
	}
	all := []Rule{}
	for _, sum := range quality.Summaries(tallies) {
		r := s.ruleOf(sum)
		concluded, err := s.opts.Assessor.Thresholds(rd.tx, sum.Rule)
		if err != nil {
			return nil, err
		}
		for _, a := range concluded {
			r.Thresholds = append(r.Thresholds, thresholdOf(a, s.opts.Assessor.Window))
		}
		all = append(all, r)
	}
	return all, nil
}

// rule looks at one rule closely.
func (s *Site) rule(rd *reader, name string) (Rule, *quality.Rule, error) {
	looked, err := s.opts.Assessor.Look(rd.tx, name)
	if err != nil {
		return Rule{}, nil, err
	}
	if len(looked.Samples) == 0 && len(looked.Misses) == 0 {
		return Rule{}, nil, problemf(http.StatusNotFound, "no rule of this name has fired in the last %g days", s.opts.Assessor.Window.Hours()/24)
	}
	var tallies []ledger.Tally
	for _, sample := range looked.Samples {
		tallies = append(tallies, sample.Tally())
	}
	sum := &quality.Summary{Rule: name, Tally: ledger.Tally{Verdicts: map[ledger.Verdict]int64{}}}
	if all := quality.Summaries(tallies); len(all) > 0 {
		sum = all[0]
	}
	r := s.ruleOf(sum)
	for _, a := range looked.Thresholds {
		t := thresholdOf(a, s.opts.Assessor.Window)
		for _, p := range calibrate.Curve(a.Side, a.Alarms) {
			t.Curve = append(t.Curve, CurvePoint{p.Threshold, Counts(p.Counts)})
		}
		r.Thresholds = append(r.Thresholds, t)
	}
	return r, looked, nil
}

// listRules answers GET /api/v1/rules.
func (s *Site) listRules(w http.ResponseWriter, r *http.Request) error {
	if err := noQuery(r.URL.Query()); err != nil {
		return err
	}
	var list struct {
		Rules []Rule `json:"rules"`
	}
	_, err := s.view(r.Context(), func(rd *reader) (err error) {
		list.Rules, err = s.rules(rd)
		return err
	})
	if err != nil {
		return err
	}
	writeJSON(w, http.StatusOK, list)
	return nil
}

// getRule answers GET /api/v1/rules/{name}.
func (s *Site) getRule(w http.ResponseWriter, r *http.Request) error {
	if err := noQuery(r.URL.Query()); err != nil {
		return err
	}
	var one Rule
	_, err := s.view(r.Context(), func(rd *reader) (err error) {
		one, _, err = s.rule(rd, r.PathValue("name"))
		return err
	})
	if err != nil {
		return err
	}
	writeJSON(w, http.StatusOK, one)
	return nil
}

// Missed is an incident that no alert caught.
type Missed struct {
	ID     string            `json:"id,omitempty"`
	Rule   string            `json:"rule"`
	At     time.Time         `json:"at"`
	Labels map[string]string `json:"labels,omitempty"`
	By     string            `json:"by,omitempty"`
	Note   string            `json:"note,omitempty"`
}

// postMissed answers POST /api/v1/missed.
func (s *Site) postMissed(w http.ResponseWriter, r *http.Request) error {
	if err := s.origin.Check(r); err != nil {
		return problem{http.StatusForbidden, "refused: the request comes from a page of another site"}
	}
	if form, err := isForm(r); err != nil || form {
		return problem{http.StatusUnsupportedMediaType, "the Content-Type must be application/json"}
	}
	var in Missed
	decoder := json.NewDecoder(r.Body)
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&in); err != nil {
		return unreadable(err, "the body must be a JSON object with rule, at, labels, by and note")
	}
	if err := in.check(s.opts.Now()); err != nil {
		return err
	}
	p := s.person(r, in.By)
	var stored *ledger.Miss
	err := s.opts.Ledger.Update(r.Context(), s.opts.Now(), func(tx ledger.Tx) (err error) {
		stored, err = ledger.Report(tx, &ledger.Miss{Rule: in.Rule, At: in.At.UTC(), Labels: in.Labels, By: p.verdictBy, Note: in.Note})
		return err
	})
	if err != nil {
		return err
	}
	s.opts.Assessor.Forget(in.Rule)
	s.done("missed")
	in.ID, in.By, in.At = stored.ID, calibrate.Name(stored.By), stored.At
	writeJSON(w, http.StatusOK, in)
	return nil
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
