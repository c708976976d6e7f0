package web

import (
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"time"

	"github.com/otelcol-escalation/otelcol-escalation/internal/calibrate"
	"github.com/otelcol-escalation/otelcol-escalation/internal/ledger"
	"github.com/otelcol-escalation/otelcol-escalation/internal/quality"
)

// shownEpisodes is how many episodes of a rule are shown at a time.
const shownEpisodes = 20

// everyVerdict selects, on a rule's page, all episodes: without a verdict it shows those that nobody has judged, if there are any.
const everyVerdict = "all"

// ruleQuery is what a rule's page can show.
type ruleQuery struct {
	// name is the rule where the path cannot have it: see ruleIn.
	name string
	// verdict selects episodes: one of the verdicts, none, all, or "" for what there is most reason to see.
	verdict string
	// after continues behind an episode.
	after string
	done  string
}

func parseRuleQuery(values url.Values) (q ruleQuery, err error) {
	for _, name := range slices.Sorted(maps.Keys(values)) {
		value, err := single(values, name)
		if err != nil {
			return q, err
		}
		switch name {
		case "name":
			q.name = value
		case "verdict":
			if q.verdict = value; value != unjudged && value != everyVerdict {
				if _, err := parseVerdict(value); err != nil {
					return q, err
				}
			}
		case "after":
			q.after = value
		case "done":
			q.done = value
		default:
			return q, unknownParameter(name, "name, verdict, after")
		}
	}
	return q, nil
}

// values are the query as a URL carries it.
func (q ruleQuery) values() url.Values {
	values := url.Values{}
	for name, value := range map[string]string{"name": q.name, "verdict": q.verdict, "after": q.after} {
		if value != "" {
			values.Set(name, value)
		}
	}
	return values
}

// url is a rule's page so narrowed.
func (q ruleQuery) url(rule string) string {
	q.name = "" // as ruleURL has it
	return ruleURL(rule, q.values())
}

// rulePage is one rule's quality.
type rulePage struct {
	frame
	*ruleRow
	Tuned    []tuning
	Episodes []row
	// Filters are the verdicts to choose from; Next is the page with older episodes, First the one with the newest.
	Filters     []choiceLink
	Next, First string
	Here        string
}

// Name is the rule's.
func (p rulePage) Name() string { return p.Summary.Rule }

// API is the same as JSON.
func (p rulePage) API() string { return ruleIn("/api/v1/rules", p.Summary.Rule, nil) }

// WindowDays is the window in days.
func (p rulePage) WindowDays() string { return exact(p.window.Hours()/24, "") }

// Old is how old the conclusions are, where that is worth saying.
func (p rulePage) Old() string {
	if age := p.Now.Sub(p.At); age >= time.Minute {
		return span(age)
	}
	return ""
}

// Trend is the pages of each day.
func (p rulePage) Trend() drawing { return pagesPerDay(p.Rule) }

// PagesPerDay is the mean over the window.
func (p rulePage) PagesPerDay() string {
	return rough(float64(p.Notified) / max(p.window.Hours()/24, 1))
}

// dayRow is a day of the table.
type dayRow struct{ quality.Day }

// Date is the day's.
func (d dayRow) Date() string { return d.At.Format(time.DateOnly) }

// DayRows are the days on which something happened, the newest first.
func (p rulePage) DayRows() []dayRow {
	var rows []dayRow
	for _, d := range p.Days {
		if d.Pages()+d.Untold > 0 {
			rows = append(rows, dayRow{d})
		}
	}
	slices.Reverse(rows)
	return rows
}

// report is a missed incident as somebody reported it.
type report struct{ *ledger.Miss }

// Person is who reported it, Known how it can be told apart.
func (m report) Person() string { return calibrate.Name(m.By) }

func (m report) Known() []pair { return pairs(m.Labels) }

// Reports are what people say was missed, the newest first.
func (p rulePage) Reports() []report {
	var all []report
	for _, m := range p.Misses {
		all = append(all, report{m})
	}
	slices.Reverse(all)
	return all
}

// effectRow is what one change of a threshold did.
type effectRow struct {
	calibrate.Effect
	unit string
}

// Change is what was changed, Who by whom.
func (e effectRow) Change() string { return exact(e.From, "") + " → " + exact(e.To, e.unit) }

func (e effectRow) Who() string {
	if e.By == "" {
		return "noticed"
	}
	return e.By
}

// stretchText says how pages came in a time.
type stretchText struct{ PerDay, Share, Rests string }

func stretchWords(s calibrate.Stretch) stretchText {
	t := stretchText{PerDay: "too short to say", Share: "nobody judged", Rests: many(s.Episodes, "page") + " in " + span(s.Until.Sub(s.From))}
	if perDay, ok := s.PerDay(); ok {
		t.PerDay = rough(perDay) + " pages a day"
	}
	if p, ok := s.FalseShare(); ok {
		t.Share = fmt.Sprintf("%s false of %d judged", percent(p.Ratio), p.N)
	}
	return t
}

// Was and Is are the times before and after.
func (e effectRow) Was() stretchText { return stretchWords(e.Before) }
func (e effectRow) Is() stretchText  { return stretchWords(e.After) }

// Changes are the newest changes of a threshold, the newest first.
func (t tuning) Changes() []effectRow {
	var rows []effectRow
	for _, e := range t.Effects {
		rows = append(rows, effectRow{e, t.Unit})
	}
	slices.Reverse(rows)
	return rows
}

// showRule answers GET /rules/{name}.
func (s *Site) showRule(w http.ResponseWriter, r *http.Request) error {
	q, err := parseRuleQuery(r.URL.Query())
	if err != nil {
		return err
	}
	name := ruleAsked(r)
	asker := s.person(r, "")
	token, err := s.token(asker.subject, s.opts.Now())
	if err != nil {
		return err
	}
	p := rulePage{frame: s.frame(asker), ruleRow: &ruleRow{window: s.opts.Assessor.Window}}
	var episodes []Alert
	if p.Now, err = s.view(r.Context(), func(rd *reader) (err error) {
		if p.Rule, err = s.lookAt(rd, name); err != nil {
			return err
		}
		p.choose(&q)
		episodes, err = p.read(rd, q)
		return err
	}); err != nil {
		return err
	}
	p.Title, p.Section, p.Notice = name, rulesPath, notices[q.done]
	p.Here = q.url(name)
	for _, a := range episodes {
		p.Episodes = append(p.Episodes, row{Alert: a, Form: form{Token: token, Back: p.Here}, now: p.Now})
	}
	p.Tuned = p.Tunings()
	render(w, http.StatusOK, "rule.html", p)
	return nil
}

// choose fills in which episodes there is most reason to see, and what else there is.
func (p *rulePage) choose(q *ruleQuery) {
	waiting := p.Summary.Episodes
	for _, n := range p.Verdicts {
		waiting -= n
	}
	if q.verdict == "" {
		q.verdict = everyVerdict
		if waiting > 0 {
			q.verdict = unjudged
		}
	}
	add := func(verdict, name string, n int64) {
		p.Filters = append(p.Filters, choiceLink{Name: name, Count: n, URL: ruleQuery{verdict: verdict}.url(p.Name()) + "#episodes", Chosen: q.verdict == verdict})
	}
	add(everyVerdict, "all", p.Summary.Episodes)
	add(unjudged, "not judged", waiting)
	for _, v := range ledger.Verdicts {
		add(string(v), verdictNames[v], p.Verdicts[v])
	}
}

// read returns the episodes that q asks for.
func (p *rulePage) read(rd *reader, q ruleQuery) ([]Alert, error) {
	query := ledger.Query{Rule: p.Summary.Rule, Since: p.At.Add(-p.window), Limit: shownEpisodes + 1}
	switch q.verdict {
	case everyVerdict:
	case unjudged:
		query.Unjudged = true
	default:
		query.Verdict = ledger.Verdict(q.verdict)
	}
	if q.after != "" {
		last, err := rd.tx.Episode(q.after)
		if errors.Is(err, ledger.ErrNotFound) {
			return nil, problemf(http.StatusUnprocessableEntity, "after: must be the id of an alert (got %q)", q.after)
		}
		if err != nil {
			return nil, err
		}
		query.After = last
		newest := q
		newest.after = ""
		p.First = newest.url(p.Name()) + "#episodes"
	}
	found, err := rd.alerts(query)
	if err == nil && len(found) > shownEpisodes {
		found = found[:shownEpisodes]
		older := q
		older.after = found[shownEpisodes-1].ID
		p.Next = older.url(p.Name()) + "#episodes"
	}
	return found, err
}
