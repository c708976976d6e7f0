package web

import (
	"cmp"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/otelcol-escalation/otelcol-escalation/internal/alert"
	"github.com/otelcol-escalation/otelcol-escalation/internal/ledger"
)

const (
	// shownOpen and shownEnded bound the list; the API gives the rest.
	shownOpen  = 200
	shownEnded = 10
	// searchedOpen and searchedEnded bound how many alerts a text is looked for in.
	searchedOpen  = 1000
	searchedEnded = 200
	// judgeWithin is how far back the list offers ended episodes for a verdict: people remember a week.
	judgeWithin = 7 * 24 * time.Hour
	// updatedEvery is after how many seconds the script brings a page up to date.
	updatedEvery = 15
)

type listPage struct {
	frame
	Waiting, InHand, Ended []row
	// Decisions are what a person has to decide. Stopped says who stopped all rollbacks.
	Decisions []decision
	Stopped   string
	Form      form
	// More and MoreEnded say that there are more open ones, or ended ones, than are shown.
	More, MoreEnded bool
	// Query is what the list is narrowed to, Narrowed the same as links that widen it again.
	Query    pageQuery
	Narrowed []narrowing
	Tiers    []tierCount
	// Owners and Rules are those that are shown: suggestions for the filter.
	Owners, Rules []string
	// Here is this page; Updating is the same page, loaded again by itself; Judge the queue of what is narrowed to the same.
	Here, Updating, Judge string
}

// narrowing is one filter in force, and the page without it.
type narrowing struct{ Name, Value, Without string }

// tierCount is how many alerts of a tier are open, and the page with these alone.
type tierCount struct {
	Tier  alert.Severity
	Count int
	URL   string
}

// showList answers GET /.
func (s *Site) showList(w http.ResponseWriter, r *http.Request) error {
	q, err := parsePageQuery(r.URL.Query())
	if err != nil {
		return err
	}
	asker := s.person(r, "")
	token, err := s.token(asker.subject, s.opts.Now())
	if err != nil {
		return err
	}
	p := listPage{frame: s.frame(asker), Query: q, Here: q.url(), Narrowed: narrowings(q), Judge: judgeURL(q)}
	p.Section, p.Notice, p.Refresh, p.Every = "/", notices[q.done], q.Refresh, cmp.Or(q.Refresh, updatedEvery)
	p.Updating = q.with(func(q *pageQuery) { q.Refresh = 30 })

	var open, ended []Alert
	p.Now, err = s.view(r.Context(), func(rd *reader) (err error) {
		if open, p.More, err = rd.open(q); err != nil {
			return err
		}
		if p.Decisions, p.Stopped, err = rd.decisions(); err != nil {
			return err
		}
		ended, p.MoreEnded, err = rd.toJudge(q)
		return err
	})
	if err != nil {
		return err
	}
	slices.SortStableFunc(open, func(a, b Alert) int {
		return cmp.Or(cmp.Compare(b.Severity, a.Severity), a.OpenedAt.Compare(b.OpenedAt))
	})
	p.fill(open, ended, form{Token: token, Back: p.Here})
	p.Title = "Alerts"
	if n := len(p.Waiting) + len(p.Decisions); n > 0 {
		p.Title = fmt.Sprintf("(%d) Alerts", n)
	}
	render(w, http.StatusOK, "list.html", p)
	return nil
}

// fill sorts the alerts into the sections.
func (p *listPage) fill(open, ended []Alert, f form) {
	p.Form = f
	for i := range p.Decisions {
		p.Decisions[i].Form, p.Decisions[i].now = f, p.Now
	}
	tiers := map[alert.Severity]int{}
	item := func(a Alert) row {
		p.Owners, p.Rules = append(p.Owners, a.Owner), append(p.Rules, a.Rule)
		return row{Alert: a, Form: f, here: p.Query, now: p.Now}
	}
	for _, a := range open {
		tiers[a.Severity]++
		if one := item(a); one.InHand() {
			p.InHand = append(p.InHand, one)
		} else {
			p.Waiting = append(p.Waiting, one)
		}
	}
	for _, a := range ended {
		p.Ended = append(p.Ended, item(a))
	}
	for _, list := range []*[]string{&p.Owners, &p.Rules} {
		slices.Sort(*list)
		*list = slices.Compact(*list)
	}
	if p.Query.Severity == alert.NoSeverity {
		for _, tier := range alert.Severities {
			if n := tiers[tier]; n > 0 {
				p.Tiers = append(p.Tiers, tierCount{tier, n, p.Query.with(func(q *pageQuery) { q.Severity = tier })})
			}
		}
	}
}

// open returns the most urgent open alerts, and whether there may be more of them.
func (r *reader) open(q pageQuery) (alerts []Alert, more bool, err error) {
	yes, limit := true, shownOpen
	if q.Text != "" {
		limit = searchedOpen
	}
	var found []*ledger.Episode
	for _, tier := range alert.Severities {
		if q.Severity != alert.NoSeverity && q.Severity != tier {
			continue
		}
		of, err := r.tx.Episodes(ledger.Query{Open: &yes, Rule: q.Rule, Owner: q.Owner, Severity: tier, Limit: limit - len(found) + 1})
		if err != nil {
			return nil, false, err
		}
		if found = append(found, of...); len(found) > limit {
			found, more = found[:limit], true
			break
		}
	}
	if found = saying(found, q.Text); len(found) > shownOpen {
		found, more = found[:shownOpen], true
	}
	alerts, err = r.all(found)
	return alerts, more, err
}

// toJudge returns the newest ended alerts of the last days that people were told of and nobody has judged, and whether there
// may be more of them.
func (r *reader) toJudge(q pageQuery) (alerts []Alert, more bool, err error) {
	no, limit := false, shownEnded+1
	if q.Text != "" {
		limit = searchedEnded
	}
	found, err := r.tx.Episodes(ledger.Query{
		Open: &no, Unjudged: true, Told: true, Rule: q.Rule, Owner: q.Owner, Highest: q.Severity,
		Since: r.tx.Now().Add(-judgeWithin), Limit: limit,
	})
	if err != nil {
		return nil, false, err
	}
	more = len(found) == limit
	found = saying(found, q.Text)
	alerts, err = r.all(found[:min(len(found), shownEnded)])
	return alerts, more || len(found) > shownEnded, err
}

// saying keeps the episodes that say a text, whatever the case: as their rule, in a label (name=value) or in the summary.
func saying(episodes []*ledger.Episode, text string) []*ledger.Episode {
	if text = strings.ToLower(text); text == "" {
		return episodes
	}
	return slices.DeleteFunc(episodes, func(e *ledger.Episode) bool {
		says := func(s string) bool { return strings.Contains(strings.ToLower(s), text) }
		if says(e.Rule) || says(e.Annotations["summary"]) {
			return false
		}
		for name, value := range e.Labels {
			if says(name + "=" + value) {
				return false
			}
		}
		return true
	})
}

func narrowings(q pageQuery) []narrowing {
	var all []narrowing
	add := func(name, value string, clear func(*pageQuery)) {
		if value != "" {
			all = append(all, narrowing{name, value, q.with(clear)})
		}
	}
	add("owner", q.Owner, func(q *pageQuery) { q.Owner = "" })
	add("rule", q.Rule, func(q *pageQuery) { q.Rule = "" })
	add("tier", q.Severity.String(), func(q *pageQuery) { q.Severity = alert.NoSeverity })
	add("text", q.Text, func(q *pageQuery) { q.Text = "" })
	return all
}
