package web

import (
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/otelcol-escalation/otelcol-escalation/internal/alert"
)

const judgePath = "/judge"

// judgeQuery is where somebody stands in the queue of unjudged alerts: all of it travels in the URL.
type judgeQuery struct {
	Rule, Owner string
	Severity    alert.Severity
	// After continues behind what was skipped.
	After places
	// Show is an alert to be shown out of turn, Last the one that was judged or skipped last.
	Show, Last string
	// Judged counts those that were judged in this sitting, Alike those that a verdict may be for at once.
	Judged, Alike int
	// By is the name that was given with the last verdict, where nobody authenticates.
	By string
}

// mostPlaces bounds the places that a URL carries; those of the rules that were skipped first are given up.
const mostPlaces = 50

// places are the alerts that were skipped last, one of each rule: the queue continues behind them. Positions among all
// would not do, as the order of the rules follows the verdicts.
type places []string

func (p places) String() string { return strings.Join(p, ".") }

func parsePlaces(text string) (p places, ok bool) {
	p = strings.Split(text, ".")
	return p, len(p) <= mostPlaces && !slices.ContainsFunc(p, func(id string) bool { return !isID(id) })
}

// with continues behind an alert instead of one of the same rule, which may be "".
func (p places) with(id, instead string) places {
	next := slices.DeleteFunc(slices.Clone(p), func(known string) bool { return known == instead || known == id })
	next = append(next, id)
	return next[max(0, len(next)-mostPlaces):]
}

const mostJudged = 1_000_000

func parseJudgeQuery(values url.Values) (q judgeQuery, err error) {
	for _, name := range slices.Sorted(maps.Keys(values)) {
		value, err := single(values, name)
		if err != nil {
			return q, err
		}
		ok := true
		switch name {
		case "rule":
			q.Rule = value
		case "owner":
			q.Owner = value
		case "severity":
			if q.Severity, err = parseTier(value); err != nil {
				return q, err
			}
		case "after":
			q.After, ok = parsePlaces(value)
		case "show":
			q.Show, ok = value, isID(value)
		case "last":
			q.Last, ok = value, isID(value)
		case "judged":
			q.Judged, err = strconv.Atoi(value)
			ok = err == nil && 0 <= q.Judged && q.Judged <= mostJudged
		case "alike":
			q.Alike, err = strconv.Atoi(value)
			ok = err == nil && 0 <= q.Alike && q.Alike <= mostJudged
		case "by":
			if err := checkText(name, value, longestName, ""); err != nil {
				return q, err
			}
			q.By = value
		case "done": // the page tells what was done by what was judged last
		default:
			return q, unknownParameter(name, "rule, owner, severity, after, show")
		}
		if !ok {
			return q, problemf(http.StatusUnprocessableEntity, "%s: must be as the page's own links have it (got %q)", name, value)
		}
	}
	return q, nil
}

func (q judgeQuery) values() url.Values {
	values := url.Values{}
	for name, value := range map[string]string{
		"rule": q.Rule, "owner": q.Owner, "severity": q.Severity.String(), "after": q.After.String(), "show": q.Show, "last": q.Last, "by": q.By,
	} {
		setText(values, name, value)
	}
	for name, n := range map[string]int{"judged": q.Judged, "alike": q.Alike} {
		if n > 0 {
			values.Set(name, strconv.Itoa(n))
		}
	}
	return values
}

// with is the queue with something changed.
func (q judgeQuery) with(change func(*judgeQuery)) string {
	change(&q)
	return withQuery(judgePath, q.values())
}

// judgeURL is the queue of what a list is narrowed to.
func judgeURL(q pageQuery) string {
	return withQuery(judgePath, judgeQuery{Rule: q.Rule, Owner: q.Owner, Severity: q.Severity}.values())
}

// onwards is where a verdict's sender goes on to, after a form that has asked to be sent to q.
func (q judgeQuery) onwards(f fields) url.Values {
	q.By = strings.TrimSpace(f["by"])
	if f["alike"] != "" {
		q.Judged = min(q.Judged+q.Alike, mostJudged)
	}
	q.Alike = 0
	return q.values()
}
