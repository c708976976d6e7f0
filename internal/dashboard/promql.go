package dashboard

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"

	"github.com/prometheus/prometheus/promql/parser"

	"github.com/otelcol-escalation/otelcol-escalation/internal/alert"
	"github.com/otelcol-escalation/otelcol-escalation/internal/rule"
)

// literal writes a string as PromQL that means it whatever is in it, for Grafana too, which looks for its variables even
// within strings.
func literal(s string) string { return guard(strconv.Quote(s)) }

// grafanaVariable finds where Grafana would look for a variable: $name, ${name} and [[name]]. Names that begin with a digit are
// none of ours, so that $1 of label_replace stays readable.
var grafanaVariable = regexp.MustCompile(`\$[A-Za-z_{]|\[\[`)

// guard takes Grafana's variables out of the double-quoted strings of a PromQL text, which may have $ and [[ nowhere else: the
// first character is written as its code, which PromQL reads back and Grafana does not.
func guard(text string) string {
	return apart(text, func(first string) string { return fmt.Sprintf(`\x%02x`, first) })
}

// apart writes the first character of whatever Grafana would take for a variable in another way.
func apart(text string, write func(first string) string) string {
	for grafanaVariable.MatchString(text) { // [[[ has two
		text = grafanaVariable.ReplaceAllStringFunc(text, func(found string) string { return write(found[:1]) + found[1:] })
	}
	return text
}

// alternatives is a regular expression, within the quotes of PromQL, that matches these strings and no other.
func alternatives(all []string) string {
	quoted := make([]string, len(all))
	for i, s := range all {
		quoted[i] = regexp.QuoteMeta(s)
	}
	text := literal(strings.Join(quoted, "|"))
	return text[1 : len(text)-1]
}

// matcher is one matcher of a selector.
type matcher string

// is matches one value of an attribute.
func (n *names) is(attribute, value string) matcher {
	return matcher(quoted(n.labels[attribute]) + "=" + literal(value))
}

// oneOf matches several values of an attribute.
func (n *names) oneOf(attribute string, values ...string) matcher {
	return matcher(quoted(n.labels[attribute]) + `=~"` + alternatives(values) + `"`)
}

// chosen matches what a variable of the dashboard has been set to.
func (n *names) chosen(attribute, variable string) matcher {
	return matcher(quoted(n.labels[attribute]) + `=~"$` + variable + `"`)
}

// quoted is a label's name as it may stand in a matcher or a grouping.
func quoted(label string) string {
	if validLabel(label) {
		return label
	}
	return literal(label)
}

// What the variables of a dashboard are called.
const (
	ownerVariable    = "owner"
	severityVariable = "severity"
	ruleVariable     = "rule"
)

// rangeVariable is the time that the dashboard shows, stepVariable the distance of two points.
const (
	rangeVariable = "$__range"
	stepVariable  = "$__interval"
)

// selected are the alerts that the variables select.
func (n *names) selected() []matcher {
	return []matcher{
		n.chosen(alert.AttrRule, ruleVariable), n.chosen(alert.AttrSeverity, severityVariable), n.chosen(alert.AttrOwner, ownerVariable),
	}
}

// with adds a matcher to the selected alerts'.
func (n *names) with(more ...matcher) []matcher { return append(n.selected(), more...) }

// of selects a metric of ours.
func (n *names) of(metric string, matchers ...matcher) string {
	return selector(n.metrics[metric], matchers...)
}

func selector(name string, matchers ...matcher) string {
	parts := make([]string, 0, len(matchers)+1)
	if !validMetric(name) {
		parts, name = append(parts, literal(name)), ""
	}
	for _, m := range matchers {
		parts = append(parts, string(m))
	}
	if len(parts) == 0 {
		return name
	}
	return name + "{" + strings.Join(parts, ", ") + "}"
}

// by lists attributes as labels for a grouping.
func (n *names) by(attributes ...string) string {
	var all []string
	for _, attribute := range attributes {
		all = append(all, quoted(n.labels[attribute]))
	}
	return strings.Join(all, ", ")
}

// legend shows attributes in the name of a line.
func (n *names) legend(attributes ...string) string {
	var all []string
	for _, attribute := range attributes {
		all = append(all, "{{"+n.labels[attribute]+"}}")
	}
	return strings.Join(all, " ")
}

// grown is how much a cumulative metric has grown within a span of time: one of Grafana's variables, or a duration. Unlike
// increase() it counts what a series begins with, since most series of alerts are of a few events, and many of one.
func grown(selected, labels, span string) string {
	sum := "sum"
	if labels != "" {
		sum = "sum by (" + labels + ")"
	}
	return fmt.Sprintf("%[1]s (%[2]s) - %[1]s (%[2]s offset %[3]s) or %[1]s (%[2]s)", sum, selected, span)
}

// quantile is one of a distribution that has grown.
func quantile(q float64, selected, labels, span string) string {
	return fmt.Sprintf("histogram_quantile(%v, %s)", q, grown(selected, labels, span))
}

// aggregated folds series into one for each set of labels. Of ratios and thresholds there is one already, unless a rule's metric,
// its unit or its owner has changed.
func aggregated(operator, selected, labels string) string {
	return fmt.Sprintf("%s by (%s) (%s)", operator, labels, selected)
}

// changed are the thresholds that are not what they were a step ago.
func (n *names) changed(matchers ...matcher) string {
	threshold := n.of(alert.MetricThresholdCurrent, matchers...)
	return fmt.Sprintf("%[1]s != (%[1]s offset %[2]s)", threshold, stepVariable)
}

// fired are the alerts that fired since the point before. A state is repeated every minute, which the rate interval covers.
func (n *names) fired(matchers ...matcher) string {
	return fmt.Sprintf("max_over_time(%s[$__rate_interval]) == %d", n.of(alert.MetricState, matchers...), alert.Firing)
}

// signal is the PromQL of what a rule looks at.
func (n *names) signal(r *rule.Rule, unit *string) (string, error) {
	if r.Query != nil {
		expr, err := promqlParser.ParseExpr(r.Query.Signal)
		if err != nil {
			return "", fmt.Errorf("its expression cannot be read as PromQL: %w", err)
		}
		return guard(expr.String()), nil // written anew, strings are in double quotes
	}
	all, err := n.candidates(r.Metric, unit)
	if err != nil {
		return "", err
	}
	if len(all) == 1 {
		return selector(all[0]), nil
	}
	return `{__name__=~"` + alternatives(all) + `"}`, nil
}

// promqlParser is the parser of Prometheus' server.
var promqlParser = parser.NewParser(parser.Options{})
