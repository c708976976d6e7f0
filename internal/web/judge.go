package web

import (
	"errors"
	"net/http"
	"slices"
	"time"

	"github.com/otelcol-escalation/otelcol-escalation/internal/alert"
	"github.com/otelcol-escalation/otelcol-escalation/internal/ledger"
	"github.com/otelcol-escalation/otelcol-escalation/internal/quality"
)

const (
	// readBefore bounds how many earlier episodes of an alert are looked at, shownBefore how many are shown.
	readBefore  = 200
	shownBefore = 30
	// alikeWithin is how far back the page offers to judge the other episodes of an alert the same.
	alikeWithin = 7 * 24 * time.Hour
)

// judgePage is the queue of alerts that wait for a verdict, one at a time.
type judgePage struct {
	frame
	row
	Query    judgeQuery
	Narrowed []narrowing
	// Left is how many wait in all, those that were skipped included.
	Left int64
	// Found says that there is an alert to be judged: the row.
	Found bool
	// Standing is how far the alert's rule is from a suggestion.
	Standing quality.Waiting
	Before   before
	// Last is what was judged or skipped last; LastURL shows it again.
	Last    *Alert
	LastURL string
	// SkipURL goes on without a verdict, AgainURL begins anew.
	SkipURL, AgainURL string
	Named             bool
	// Days are the window.
	Days float64
}

// before is how an alert did lately: its episodes within the window.
type before struct {
	// Last are the last ones, oldest first.
	Last []occasion
	// Times is how often it fired, More that this is not all. Verdicts counts what people said.
	Times    int
	More     bool
	Verdicts []verdictCount
	// Alike are those that a verdict can be for, too.
	Alike int
}

// occasion is one episode as a letter.
type occasion struct {
	ID, Letter, Name string
	OpenedAt         time.Time
	Lasted           string
	Verdict          ledger.Verdict
	Current          bool
}

type verdictCount struct {
	Name string
	N    int
}

// showJudge answers GET /judge.
func (s *Site) showJudge(w http.ResponseWriter, r *http.Request) error {
	q, err := parseJudgeQuery(r.URL.Query())
	if err != nil {
		return err
	}
	asker := s.person(r, "")
	token, err := s.token(asker.subject, s.opts.Now())
	if err != nil {
		return err
	}
	p := judgePage{frame: s.frame(asker), Query: q, Narrowed: q.narrowings(), Named: s.anonymous(), Days: s.opts.Assessor.Window.Hours() / 24}
	p.Title, p.Section = "Judge", judgePath
	p.AgainURL = q.with(func(q *judgeQuery) { q.After, q.Show, q.Last = nil, "", "" })
	p.Now, err = s.view(r.Context(), func(rd *reader) error { return s.fillJudge(rd, &p) })
	if err != nil {
		return err
	}
	p.row.now = p.Now
	if p.Found {
		p.row.Form = form{Token: token, Back: q.with(func(q *judgeQuery) {
			q.Show, q.Last, q.Alike = "", p.row.ID, p.Before.Alike
			if p.row.Verdict == "" {
				q.Judged++
			}
		})}
	}
	render(w, http.StatusOK, "judge.html", p)
	return nil
}

// fillJudge finds the alert whose turn it is, and what helps to judge it.
func (s *Site) fillJudge(rd *reader, p *judgePage) error {
	q, since := p.Query, rd.tx.Now().Add(-s.opts.Assessor.Window)
	tallies, err := s.opts.Assessor.Tallies(rd.tx)
	if err != nil {
		return err
	}
	queue := quality.Queue(tallies, s.opts.Assessor.Limits.MinEpisodes, q.asks)
	for _, w := range queue {
		p.Left += w.Unjudged
	}
	var e *ledger.Episode
	if q.Show != "" {
		if e, err = rd.tx.Episode(q.Show); err != nil {
			return err
		}
		p.SkipURL = q.with(func(q *judgeQuery) { q.Show = "" })
	} else if e, p.SkipURL, err = rd.turn(queue, q, since); err != nil {
		return err
	}
	if err := rd.last(p); err != nil || e == nil {
		return err
	}
	p.Found = true
	if p.row.Alert, err = rd.story(e.ID); err != nil {
		return err
	}
	if i := slices.IndexFunc(queue, func(w quality.Waiting) bool { return w.Rule == e.Rule }); i >= 0 {
		p.Standing = queue[i]
	}
	p.Before, err = rd.before(e, since)
	return err
}

// asks reports whether the queue is about what is tallied.
func (q judgeQuery) asks(t *ledger.Tally) bool {
	return (q.Rule == "" || t.Rule == q.Rule) && (q.Owner == "" || t.Owner == q.Owner) &&
		(q.Severity == alert.NoSeverity || t.Severity == q.Severity)
}

func (q judgeQuery) narrowings() []narrowing {
	var all []narrowing
	add := func(name, value string, clear func(*judgeQuery)) {
		if value != "" {
			all = append(all, narrowing{name, value, q.with(func(q *judgeQuery) {
				clear(q)
				q.After, q.Show = nil, ""
			})})
		}
	}
	add("owner", q.Owner, func(q *judgeQuery) { q.Owner = "" })
	add("rule", q.Rule, func(q *judgeQuery) { q.Rule = "" })
	add("tier", q.Severity.String(), func(q *judgeQuery) { q.Severity = alert.NoSeverity })
	return all
}

// turn returns the alert whose turn it is, and where it is skipped: of the first rule of the queue that has one behind its
// place, the newest; nil where there is none.
func (r *reader) turn(queue []quality.Waiting, q judgeQuery, since time.Time) (e *ledger.Episode, skip string, err error) {
	skipped := map[string]*ledger.Episode{}
	for _, id := range q.After {
		e, err := r.tx.Episode(id)
		if errors.Is(err, ledger.ErrNotFound) { // it has become too old
			continue
		}
		if err != nil {
			return nil, "", err
		}
		skipped[e.Rule] = e
	}
	ended := false
	for _, w := range queue {
		found, err := r.tx.Episodes(ledger.Query{
			Rule: w.Rule, Owner: q.Owner, Highest: q.Severity, Open: &ended, Unjudged: true, Told: true, Since: since,
			After: skipped[w.Rule], Limit: 1,
		})
		if err != nil {
			return nil, "", err
		}
		if len(found) > 0 {
			instead := ""
			if before := skipped[w.Rule]; before != nil {
				instead = before.ID
			}
			return found[0], q.with(func(q *judgeQuery) { q.After, q.Last = q.After.with(found[0].ID, instead), found[0].ID }), nil
		}
	}
	return nil, "", nil
}

// last finds what was judged or skipped last.
func (r *reader) last(p *judgePage) error {
	q := p.Query
	if q.Last == "" || q.Last == q.Show {
		return nil
	}
	e, err := r.tx.Episode(q.Last)
	if errors.Is(err, ledger.ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	a, err := r.alert(e)
	p.Last, p.LastURL = &a, q.with(func(q *judgeQuery) { q.Show = q.Last })
	return err
}

// before reads how an alert did since a time.
func (r *reader) before(e *ledger.Episode, since time.Time) (b before, err error) {
	episodes, err := r.tx.Episodes(ledger.Query{AlertID: e.AlertID, Since: since, Limit: readBefore})
	if err != nil {
		return b, err
	}
	b.Times, b.More = len(episodes), len(episodes) == readBefore
	counts := map[ledger.Verdict]int{}
	waits := r.tx.Now().Add(-alikeWithin)
	for i, one := range episodes {
		counts[one.Verdict]++
		told := !one.NotifiedAt.IsZero() || one.Highest == alert.Low
		if one.ID != e.ID && one.Verdict == "" && !one.Open() && told && !one.OpenedAt.Before(waits) {
			b.Alike++
		}
		if i < shownBefore {
			b.Last = append(b.Last, occasionOf(one, e.ID, r.tx.Now()))
		}
	}
	slices.Reverse(b.Last)
	for _, v := range append(slices.Clone(ledger.Verdicts[:]), "") {
		if n := counts[v]; n > 0 {
			b.Verdicts = append(b.Verdicts, verdictCount{judgedAs(v), n})
		}
	}
	return b, nil
}

func occasionOf(e *ledger.Episode, current string, now time.Time) occasion {
	m := occasion{
		ID: e.ID, Name: judgedAs(e.Verdict), OpenedAt: e.OpenedAt.UTC(), Verdict: e.Verdict, Current: e.ID == current, Letter: letters[e.Verdict],
		Lasted: "lasted " + span(e.EndedAt.Sub(e.OpenedAt)),
	}
	if e.Open() {
		m.Lasted = "open for " + span(now.Sub(e.OpenedAt))
	}
	return m
}

// letters are the verdicts in one letter: the keys by which they are given.
var letters = map[ledger.Verdict]string{
	ledger.TruePositive: "R", ledger.FalsePositive: "F", ledger.Expected: "E", ledger.Duplicate: "D", "": "–",
}

func judgedAs(v ledger.Verdict) string {
	if v == "" {
		return "not judged"
	}
	return verdictName(v)
}

// URL is the alert's own page.
func (m occasion) URL() string { return "/alerts/" + m.ID }
