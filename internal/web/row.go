package web

import (
	"maps"
	"math"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/otelcol-escalation/otelcol-escalation/internal/alert"
	"github.com/otelcol-escalation/otelcol-escalation/internal/ledger"
)

// row is one alert as the page shows it.
type row struct {
	Alert
	Form form
	// here is the list that it stands in.
	here pageQuery
	now  time.Time
}

// InHand reports whether nobody is waited for: the alert is acknowledged or held.
func (r row) InHand() bool {
	return r.Acknowledgement != nil || !r.SnoozedUntil.IsZero() || r.Held != ""
}

// Open reports whether the alert has not ended.
func (r row) Open() bool { return r.State != StateEnded }

// URL is the alert's own page.
func (r row) URL() string { return "/alerts/" + r.ID }

// RuleURL is the page of the alert's rule.
func (r row) RuleURL() string { return ruleURL(r.Rule, nil) }

// Path is where a deed is posted to.
func (r row) Path(deed string) string { return "/api/v1/alerts/" + r.ID + "/" + deed }

// SilenceURL is the form of a silence, filled in with what the alert is known by.
func (r row) SilenceURL() string {
	matchers := []string{ledger.Matcher{Name: alert.LabelName, Value: r.Rule, IsEqual: true}.String()}
	for _, p := range pairs(r.Labels) {
		matchers = append(matchers, ledger.Matcher{Name: p.Name, Value: p.Value, IsEqual: true}.String())
	}
	return withQuery(silencesPath, url.Values{"matchers": {strings.Join(matchers, ", ")}})
}

// OwnerURL is the list with this owner's alerts alone.
func (r row) OwnerURL() string { return r.here.with(func(q *pageQuery) { q.Owner = r.Owner }) }

// SameURL is the list with this rule's alerts alone.
func (r row) SameURL() string { return r.here.with(func(q *pageQuery) { q.Rule = r.Rule }) }

// Age is how long the alert has been open, or was.
func (r row) Age() string {
	if !r.Open() {
		return span(r.EndedAt.Sub(r.OpenedAt))
	}
	return span(r.now.Sub(r.OpenedAt))
}

// Ago is how long ago something was.
func (r row) Ago(t time.Time) instant { return ago(r.now, t) }

// For is how long something has lasted.
func (r row) For(t time.Time) instant { return lasting(r.now, t) }

// In is how long it is until something.
func (r row) In(t time.Time) instant { return until(r.now, t) }

// Observed is the last value with its unit.
func (r row) Observed() string { return quantity(r.Value, r.SourceUnit) }

// Limit is the threshold with its unit.
func (r row) Limit() string { return quantity(r.Threshold, r.SourceUnit) }

// Worst is the peak with its unit: the value farthest past the threshold.
func (r row) Worst() string { return quantity(r.Peak, r.SourceUnit) }

// Beyond says how far past the threshold the peak was; "" where that cannot be said.
func (r row) Beyond() string {
	if r.Peak == nil || r.Threshold == nil || *r.Threshold == 0 || *r.Peak == *r.Threshold {
		return ""
	}
	part := math.Abs(float64(*r.Peak-*r.Threshold)) / math.Abs(float64(*r.Threshold))
	if math.IsNaN(part) || math.IsInf(part, 0) || part >= 100 {
		return ""
	}
	return percent(part) + " beyond"
}

// Worse reports whether the peak says more than the value.
func (r row) Worse() bool { return r.Peak != nil && (r.Value == nil || *r.Peak != *r.Value) }

// Ending says why the alert ended.
func (r row) Ending() string {
	if text, ok := endings[r.Reason]; ok {
		return text
	}
	return "Ended"
}

// choice is one verdict that can be given.
type choice struct {
	Verdict ledger.Verdict
	Name    string
	// Key gives it.
	Key    string
	Chosen bool
}

// Choices are the verdicts, in the order of their buttons.
func (r row) Choices() []choice {
	var all []choice
	for _, v := range ledger.Verdicts {
		name := verdictNames[v]
		all = append(all, choice{v, strings.ToUpper(name[:1]) + name[1:], strings.ToLower(letters[v]), r.Verdict == v})
	}
	return all
}

// Judged is the verdict as people say it.
func (r row) Judged() string { return verdictName(r.Verdict) }

type pair struct{ Name, Value string }

// LabelPairs are the labels, sorted.
func (r row) LabelPairs() []pair { return pairs(r.Labels) }

// AnnotationPairs are the annotations that are no links and not shown elsewhere, sorted.
func (r row) AnnotationPairs() []pair {
	return slices.DeleteFunc(pairs(r.Annotations), func(p pair) bool {
		return p.Name == "summary" || p.Name == "description" || isLink(p)
	})
}

// Links are the annotations that lead somewhere, such as runbook_url.
func (r row) Links() []pair {
	var links []pair
	for _, p := range pairs(r.Annotations) {
		if isLink(p) {
			links = append(links, pair{strings.ReplaceAll(strings.TrimSuffix(p.Name, "_url"), "_", " "), p.Value})
		}
	}
	return links
}

// isLink accepts http and https alone: an annotation may hold what somebody put into a metric's attribute.
func isLink(p pair) bool {
	if !strings.HasSuffix(p.Name, "_url") {
		return false
	}
	u, err := url.Parse(p.Value)
	return err == nil && (u.Scheme == "http" || u.Scheme == "https") && u.Host != ""
}

func pairs(m map[string]string) []pair {
	var all []pair
	for _, name := range slices.Sorted(maps.Keys(m)) {
		all = append(all, pair{name, m[name]})
	}
	return all
}
