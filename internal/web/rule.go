package web

import (
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
	// ConcludedAt is of when the thresholds are; missing where nothing has been concluded yet.
	ConcludedAt time.Time `json:"concluded_at,omitzero"`
	Episodes    int64     `json:"episodes"`
	Open        int64     `json:"open"`
	Notified    int64     `json:"notified"`
	// Judged are the notified ones that have a verdict.
	Judged   int64                    `json:"judged"`
	Verdicts map[ledger.Verdict]int64 `json:"verdicts"`
	// FalsePositives is missing where nobody has judged.
	FalsePositives *Ratio      `json:"false_positive_ratio,omitempty"`
	Thresholds     []Threshold `json:"thresholds"`
	// Days and Misses are given for one rule, not in lists.
	Days   []Day    `json:"days,omitempty"`
	Misses []Missed `json:"misses,omitempty"`
}

// Day counts the episodes that opened on one day (UTC).
type Day struct {
	Day      string `json:"day"`
	Verified int    `json:"verified"`
	False    int    `json:"false"`
	Other    int    `json:"other"`
	Unjudged int    `json:"unjudged"`
	// Untold are those that nobody was told of.
	Untold int `json:"untold"`
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
	F1        *float64         `json:"f1,omitempty"`
	Moved     []Move           `json:"moved,omitempty"`
	Curve     []CurvePoint     `json:"curve,omitempty"`
	// Effects are what the newest of the changes did.
	Effects []Effect `json:"effects,omitempty"`
}

// Effect is what came before a change of the threshold, since the one before it, and what after it, until the next.
type Effect struct {
	Move
	Before Stretch `json:"before"`
	After  Stretch `json:"after"`
}

// Stretch is a time in which a threshold stood still.
type Stretch struct {
	Days  float64 `json:"days"`
	Pages int     `json:"pages"`
	// PerDay is missing where the time is too short to say, FalsePositives where nobody has judged.
	PerDay         *float64 `json:"pages_per_day,omitempty"`
	FalsePositives *Ratio   `json:"false_positive_ratio,omitempty"`
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
	if f, ok := a.F1(); ok {
		t.F1 = &f
	}
	if a.Reason == calibrate.Stands {
		suggested, after := a.Threshold, Counts(a.After)
		t.Suggested, t.After = &suggested, &after
	}
	for _, m := range a.Moved {
		t.Moved = append(t.Moved, moveOf(m))
	}
	return t
}

func moveOf(m calibrate.Move) Move {
	return Move{At: m.At.UTC(), From: m.From, To: m.To, By: m.By, Note: m.Note}
}

func stretchOf(s calibrate.Stretch) Stretch {
	out := Stretch{Days: s.Days(), Pages: s.Episodes, FalsePositives: ratioOf(s.FalseShare())}
	if perDay, ok := s.PerDay(); ok {
		out.PerDay = &perDay
	}
	return out
}

func (s *Site) ruleOf(r *quality.Rule) Rule {
	out := Rule{
		Rule: r.Summary.Rule, Owners: append([]string{}, r.Owners...), SourceMetrics: append([]string{}, r.SourceMetrics...),
		WindowDays: s.opts.Assessor.Window.Hours() / 24, ConcludedAt: r.At.UTC(),
		Episodes: r.Episodes, Open: r.Open, Notified: r.Notified, Judged: r.NotifiedJudged, Verdicts: r.Verdicts,
		FalsePositives: ratioOf(calibrate.FalsePositives(r.Verdicts)), Thresholds: []Threshold{},
	}
	for _, t := range r.Thresholds {
		out.Thresholds = append(out.Thresholds, thresholdOf(t.Assessment, s.opts.Assessor.Window))
	}
	return out
}

// rules returns every rule that has fired in the window, by name.
func (s *Site) rules(rd *reader) ([]Rule, error) {
	rules, err := s.opts.Assessor.Rules(rd.tx)
	all := make([]Rule, 0, len(rules))
	for _, r := range rules {
		all = append(all, s.ruleOf(r))
	}
	return all, err
}

// lookAt returns what is concluded about one rule, or that it is none.
func (s *Site) lookAt(rd *reader, name string) (*quality.Rule, error) {
	r, err := s.opts.Assessor.Look(rd.tx, name)
	if err == nil && r.Episodes == 0 && len(r.Misses) == 0 {
		return nil, problemf(http.StatusNotFound, "no rule of this name has fired in the last %g days", s.opts.Assessor.Window.Hours()/24)
	}
	return r, err
}

// rule looks at one rule closely.
func (s *Site) rule(rd *reader, name string) (Rule, error) {
	r, err := s.lookAt(rd, name)
	if err != nil {
		return Rule{}, err
	}
	out := s.ruleOf(r)
	for i, t := range r.Thresholds {
		for _, p := range t.Curve {
			out.Thresholds[i].Curve = append(out.Thresholds[i].Curve, CurvePoint{p.Threshold, Counts(p.Counts)})
		}
		for _, e := range t.Effects {
			out.Thresholds[i].Effects = append(out.Thresholds[i].Effects, Effect{moveOf(e.Move), stretchOf(e.Before), stretchOf(e.After)})
		}
	}
	for _, d := range r.Days {
		out.Days = append(out.Days, Day{d.At.Format(time.DateOnly), d.Verified, d.False, d.Other, d.Unjudged, d.Untold})
	}
	for _, m := range r.Misses {
		out.Misses = append(out.Misses, Missed{ID: m.ID, Rule: m.Rule, At: m.At.UTC(), Labels: m.Labels, By: calibrate.Name(m.By), Note: m.Note})
	}
	return out, nil
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
	for name := range r.URL.Query() {
		if name != "name" {
			return unknownParameter(name, "name")
		}
	}
	var one Rule
	_, err := s.view(r.Context(), func(rd *reader) (err error) {
		one, err = s.rule(rd, ruleAsked(r))
		return err
	})
	if err != nil {
		return err
	}
	writeJSON(w, http.StatusOK, one)
	return nil
}
