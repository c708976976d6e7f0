package web

import (
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/otelcol-escalation/otelcol-escalation/internal/alert"
	"github.com/otelcol-escalation/otelcol-escalation/internal/ledger"
)

const (
	defaultLimit = 100
	maxLimit     = 1000
	// unjudged selects, as a verdict, the episodes that have none.
	unjudged = "none"
)

// parseQuery reads the filters of a list. What is not known is refused: a misspelt filter must not select everything.
func parseQuery(values url.Values) (q ledger.Query, after string, err error) {
	q.Limit = defaultLimit
	for _, name := range slices.Sorted(maps.Keys(values)) {
		value, err := single(values, name)
		if err != nil {
			return q, "", err
		}
		switch name {
		case "open":
			if value != "true" && value != "false" {
				return q, "", problemf(http.StatusUnprocessableEntity, "open: must be true or false (got %q)", value)
			}
			open := value == "true"
			q.Open = &open
		case "rule":
			q.Rule = value
		case "owner":
			q.Owner = value
		case "severity":
			if q.Severity, err = alert.ParseSeverity(value); err != nil {
				return q, "", problemf(http.StatusUnprocessableEntity, "severity: %v", err)
			}
		case "verdict":
			if value == unjudged {
				q.Unjudged = true
			} else if q.Verdict, err = parseVerdict(value); err != nil {
				return q, "", err
			}
		case "limit":
			if q.Limit, err = strconv.Atoi(value); err != nil || q.Limit < 1 || q.Limit > maxLimit {
				return q, "", problemf(http.StatusUnprocessableEntity, "limit: must be a number from 1 to %d (got %q)", maxLimit, value)
			}
		case "after":
			after = value
		default:
			return q, "", unknownParameter(name, "open, rule, owner, severity, verdict, limit, after")
		}
	}
	return q, after, nil
}

// pageQuery is what the list page can be narrowed to.
type pageQuery struct {
	Rule, Owner string
	Severity    alert.Severity
	// Text is looked for in rules, labels and summaries.
	Text string
	// Refresh is after how many seconds the page is loaded again; 0: not.
	Refresh int
	// done names a deed that was just done, so that the page can say so.
	done string
}

// parsePageQuery reads it. What is empty selects nothing: a form sends the fields that nobody has filled in, too.
func parsePageQuery(values url.Values) (q pageQuery, err error) {
	for _, name := range slices.Sorted(maps.Keys(values)) {
		value, err := single(values, name)
		if err != nil {
			return q, err
		}
		switch name {
		case "rule":
			q.Rule = value
		case "owner":
			q.Owner = value
		case "severity":
			if q.Severity, err = parseTier(value); err != nil {
				return q, err
			}
		case "q":
			q.Text = strings.TrimSpace(value)
			if err := checkText(name, q.Text, longestName, ""); err != nil {
				return q, err
			}
		case "refresh":
			if q.Refresh, err = strconv.Atoi(value); err != nil || q.Refresh < 5 || q.Refresh > 3600 {
				return q, problemf(http.StatusUnprocessableEntity, "refresh: must be a number of seconds from 5 to 3600 (got %q)", value)
			}
		case "done":
			q.done = value
		default:
			return q, unknownParameter(name, "rule, owner, severity, q, refresh")
		}
	}
	return q, nil
}

// parseTier reads the filter by tier of a page; empty is any.
func parseTier(text string) (alert.Severity, error) {
	if text == "" {
		return alert.NoSeverity, nil
	}
	tier, err := alert.ParseSeverity(text)
	if err != nil {
		return tier, problemf(http.StatusUnprocessableEntity, "severity: %v", err)
	}
	return tier, nil
}

// values are the query as a URL carries it.
func (q pageQuery) values() url.Values {
	values := url.Values{}
	setText(values, "rule", q.Rule)
	setText(values, "owner", q.Owner)
	setText(values, "severity", q.Severity.String())
	setText(values, "q", q.Text)
	if q.Refresh > 0 {
		values.Set("refresh", strconv.Itoa(q.Refresh))
	}
	return values
}

// url is the list of the query.
func (q pageQuery) url() string { return withQuery("/", q.values()) }

// with is the list with one thing changed.
func (q pageQuery) with(change func(*pageQuery)) string {
	change(&q)
	return q.url()
}

func setText(values url.Values, name, value string) {
	if value != "" {
		values.Set(name, value)
	}
}

func withQuery(path string, values url.Values) string {
	if len(values) == 0 {
		return path
	}
	return path + "?" + values.Encode()
}

func noQuery(values url.Values) error {
	for name := range values {
		return unknownParameter(name, "")
	}
	return nil
}

func unknownParameter(name, known string) error {
	if known == "" {
		return problemf(http.StatusBadRequest, "unknown parameter %q: there is none", name)
	}
	return problemf(http.StatusBadRequest, "unknown parameter %q: must be one of %s", name, known)
}

func single(values map[string][]string, name string) (string, error) {
	if len(values[name]) != 1 {
		return "", problemf(http.StatusBadRequest, "%s: must be given once (got %d)", name, len(values[name]))
	}
	return values[name][0], nil
}

func parseVerdict(text string) (ledger.Verdict, error) {
	if v := ledger.Verdict(text); slices.Contains(ledger.Verdicts[:], v) {
		return v, nil
	}
	var names []string
	for _, v := range ledger.Verdicts {
		names = append(names, string(v))
	}
	return "", problemf(http.StatusUnprocessableEntity, "verdict: must be one of %s (got %q)", strings.Join(names, ", "), text)
}
