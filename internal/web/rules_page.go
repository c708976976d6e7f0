package web

import (
	"cmp"
	"html/template"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"time"

	"github.com/otelcol-escalation/otelcol-escalation/internal/calibrate"
	"github.com/otelcol-escalation/otelcol-escalation/internal/ledger"
	"github.com/otelcol-escalation/otelcol-escalation/internal/quality"
)

const (
	rulesPath = "/rules"
	// shownRules is how many rules a page of the list has.
	shownRules = 100
)

// ruleURL is the page of a rule, with parameters.
func ruleURL(name string, values url.Values) string { return ruleIn(rulesPath, name, values) }

// ruleIn is a rule below a path. A browser takes a name of dots for a step in the path, however it is written, and a server
// one slash for the end of it: those names are told as a parameter.
func ruleIn(path, name string, values url.Values) string {
	if name == "." || name == ".." || name == "/" {
		named := url.Values{"name": {name}}
		maps.Copy(named, values)
		return withQuery(path+"/-", named)
	}
	return withQuery(path+"/"+url.PathEscape(name), values)
}

// ruleAsked is the rule that a request is about: see ruleIn.
func ruleAsked(r *http.Request) string {
	if name := r.URL.Query().Get("name"); name != "" {
		return name
	}
	return r.PathValue("name")
}

// ruleSorts are the orders of the list, by their names in the URL; the first is the default.
var ruleSorts = []struct {
	name, title string
	less        func(a, b *ruleRow) int
}{
	{"false", "false pages", func(a, b *ruleRow) int {
		return cmp.Or(cmp.Compare(b.False(), a.False()), cmp.Compare(b.Unjudged(), a.Unjudged()))
	}},
	{"unjudged", "not judged", func(a, b *ruleRow) int { return cmp.Compare(b.Unjudged(), a.Unjudged()) }},
	{"pages", "pages", func(a, b *ruleRow) int { return cmp.Compare(b.Notified, a.Notified) }},
	{"share", "share of false pages", func(a, b *ruleRow) int { return cmp.Compare(b.leastFalse(), a.leastFalse()) }},
	{"name", "name", func(*ruleRow, *ruleRow) int { return 0 }},
}

// rulesQuery is what the list can be narrowed to.
type rulesQuery struct {
	owner     string
	suggested bool
	sort      string
	page      int
}

func parseRulesQuery(values url.Values) (q rulesQuery, err error) {
	q = rulesQuery{sort: ruleSorts[0].name, page: 1}
	for _, name := range slices.Sorted(maps.Keys(values)) {
		value, err := single(values, name)
		if err != nil {
			return q, err
		}
		switch name {
		case "owner":
			q.owner = value
		case "suggestion":
			if value != "stands" {
				return q, problemf(http.StatusUnprocessableEntity, "suggestion: must be stands (got %q)", value)
			}
			q.suggested = true
		case "sort":
			if q.sort = value; sortOf(value) < 0 {
				return q, problemf(http.StatusUnprocessableEntity, "sort: must be one of false, unjudged, pages, share, name (got %q)", value)
			}
		case "page":
			if q.page, err = strconv.Atoi(value); err != nil || q.page < 1 || q.page > 1_000_000 {
				return q, problemf(http.StatusUnprocessableEntity, "page: must be a number from 1 on (got %q)", value)
			}
		default:
			return q, unknownParameter(name, "owner, suggestion, sort, page")
		}
	}
	return q, nil
}

func sortOf(name string) int {
	for i, s := range ruleSorts {
		if s.name == name {
			return i
		}
	}
	return -1
}

// url is the list so narrowed and sorted.
func (q rulesQuery) url() string {
	values := url.Values{}
	if q.owner != "" {
		values.Set("owner", q.owner)
	}
	if q.suggested {
		values.Set("suggestion", "stands")
	}
	if q.sort != ruleSorts[0].name {
		values.Set("sort", q.sort)
	}
	if q.page > 1 {
		values.Set("page", strconv.Itoa(q.page))
	}
	return withQuery(rulesPath, values)
}

// choiceLink is one of several ways to see a page.
type choiceLink struct {
	Name, URL string
	Count     int64
	Chosen    bool
}

type rulesPage struct {
	frame
	Rules    []*ruleRow
	Narrowed []narrowing
	Sorts    []choiceLink
	// Suggested is the list of those with a suggestion, of which there are Suggestions.
	Suggested   string
	Suggestions int
	Window      time.Duration
	// Total is how many rules there are; the page shows those from First to Last.
	Total, First, Last int
	Previous, Next     string
}

// Days is the window in days.
func (p rulesPage) Days() string { return exact(p.Window.Hours()/24, "") }

// ruleRow is one rule in the list.
type ruleRow struct {
	*quality.Rule
	window time.Duration
	query  rulesQuery
}

// URL is the rule's own page, AlertsURL the list of its open alerts.
func (r *ruleRow) URL() string { return ruleURL(r.Summary.Rule, nil) }

func (r *ruleRow) AlertsURL() string { return alertsOf(r.Summary.Rule) }

// JudgeURL is the queue of its unjudged alerts, MissedURL the form for an incident that it should have caught.
func (r *ruleRow) JudgeURL() string {
	return withQuery(judgePath, url.Values{"rule": {r.Summary.Rule}})
}

func (r *ruleRow) MissedURL() string {
	return withQuery(missedPath, url.Values{"rule": {r.Summary.Rule}})
}

func alertsOf(rule string) string { return withQuery("/", url.Values{"rule": {rule}}) }

// OwnerURL is the list narrowed to an owner.
func (r *ruleRow) OwnerURL(owner string) string {
	q := r.query
	q.owner, q.page = owner, 1
	return q.url()
}

// Real, False, Other and Unjudged are how many episodes people made that of; Unjudged those that somebody was paged for.
func (r *ruleRow) Real() int64  { return r.Verdicts[ledger.TruePositive] }
func (r *ruleRow) False() int64 { return r.Verdicts[ledger.FalsePositive] }
func (r *ruleRow) Other() int64 { return r.Verdicts[ledger.Expected] + r.Verdicts[ledger.Duplicate] }

func (r *ruleRow) Unjudged() int64 { return r.Notified - r.NotifiedJudged }

// Split is the same as a bar, SplitText in words.
func (r *ruleRow) Split() template.HTML {
	return verdictSplit(r.Real(), r.False(), r.Other(), r.Unjudged())
}

func (r *ruleRow) SplitText() string {
	return orNone(split(r.Real(), r.False(), r.Other(), r.Unjudged()))
}

// Spark is the pages of each day, small; nothing where they are not known yet.
func (r *ruleRow) Spark() template.HTML {
	if len(r.Days) == 0 {
		return ""
	}
	return sparkline(r.Days)
}

// FalseShare is the share of false alarms, FalseBounds its interval; "" where nobody has judged.
func (r *ruleRow) FalseShare() string {
	if p, ok := calibrate.FalsePositives(r.Verdicts); ok {
		return percent(p.Ratio)
	}
	return ""
}

func (r *ruleRow) FalseBounds() string {
	p, _ := calibrate.FalsePositives(r.Verdicts)
	return bounds(p)
}

// leastFalse is the share of false alarms that there is at least, in all likelihood: three of three are less than 95 of 100.
func (r *ruleRow) leastFalse() float64 {
	p, ok := calibrate.FalsePositives(r.Verdicts)
	if !ok {
		return -1
	}
	return p.Lower
}

// Labelled is how many episodes the share rests on, Coverage how many of the pages are judged at all.
func (r *ruleRow) Labelled() int64 { return r.Real() + r.False() }

func (r *ruleRow) Coverage() string {
	p, ok := calibrate.NewProportion(r.NotifiedJudged, r.Notified)
	if !ok {
		return "no page yet"
	}
	return percent(p.Ratio) + " of the pages judged"
}

// Concluded reports whether thresholds are known yet.
func (r *ruleRow) Concluded() bool { return !r.At.IsZero() }

// Tunings are the rule's thresholds.
func (r *ruleRow) Tunings() []tuning { return tunings(r.Rule, r.window) }

// suggests reports whether a suggestion stands for one of the thresholds.
func (r *ruleRow) suggests() bool {
	return slices.ContainsFunc(r.Thresholds, func(t *quality.Threshold) bool { return t.Reason == calibrate.Stands })
}

// showRules answers GET /rules.
func (s *Site) showRules(w http.ResponseWriter, r *http.Request) error {
	q, err := parseRulesQuery(r.URL.Query())
	if err != nil {
		return err
	}
	var rules []*quality.Rule
	p := rulesPage{frame: s.frame(s.person(r, "")), Window: s.opts.Assessor.Window}
	p.Title, p.Section = "Rules", rulesPath
	if p.Now, err = s.view(r.Context(), func(rd *reader) (err error) {
		rules, err = s.opts.Assessor.Rules(rd.tx)
		return err
	}); err != nil {
		return err
	}
	p.narrow(q, rules)
	render(w, http.StatusOK, "rules.html", p)
	return nil
}

// narrow takes up the rules that q asks for.
func (p *rulesPage) narrow(q rulesQuery, rules []*quality.Rule) {
	for _, r := range rules {
		row := &ruleRow{Rule: r, window: p.Window, query: q}
		if q.owner != "" && !slices.Contains(r.Owners, q.owner) {
			continue
		}
		if row.suggests() {
			p.Suggestions++
		} else if q.suggested {
			continue
		}
		p.Rules = append(p.Rules, row)
	}
	slices.SortStableFunc(p.Rules, ruleSorts[sortOf(q.sort)].less)
	p.Total = len(p.Rules)
	p.First, p.Last = min((q.page-1)*shownRules, p.Total), min(q.page*shownRules, p.Total)
	p.Rules = p.Rules[p.First:p.Last]
	p.First++
	page := func(n int) string {
		other := q
		other.page = n
		return other.url()
	}
	if q.page > 1 {
		p.Previous = page(q.page - 1)
	}
	if p.Last < p.Total {
		p.Next = page(q.page + 1)
	}
	for _, sort := range ruleSorts {
		other := q
		other.sort, other.page = sort.name, 1
		p.Sorts = append(p.Sorts, choiceLink{Name: sort.title, URL: other.url(), Chosen: sort.name == q.sort})
	}
	if q.owner != "" {
		other := q
		other.owner, other.page = "", 1
		p.Narrowed = append(p.Narrowed, narrowing{"owner", q.owner, other.url()})
	}
	only := q
	only.suggested, only.page = !q.suggested, 1
	if q.suggested {
		p.Narrowed = append(p.Narrowed, narrowing{"with", "a suggestion", only.url()})
	} else if p.Suggestions > 0 {
		p.Suggested = only.url()
	}
}
