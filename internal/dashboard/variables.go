package dashboard

import (
	"fmt"
	"slices"

	"github.com/otelcol-escalation/otelcol-escalation/internal/alert"
	"github.com/otelcol-escalation/otelcol-escalation/internal/rule"
)

// variables let people choose the Prometheus, owners, tiers and rules.
func (d *drawing) variables(rules []*rule.Rule) []variable {
	known, all := []matcher(nil), ".+"
	if len(rules) > 0 {
		var named []string
		for _, r := range rules {
			if !slices.Contains(named, r.Name) {
				named = append(named, r.Name)
			}
		}
		known, all = []matcher{d.oneOf(alert.AttrRule, named...)}, alternatives(named)
	}
	return []variable{
		{Name: "datasource", Label: "Prometheus", Type: "datasource", Query: "prometheus", Refresh: 1, Options: []string{}},
		d.values(ownerVariable, "Owner", alert.AttrOwner, ".*", known...),
		d.values(severityVariable, "Tier", alert.AttrSeverity, ".*", known...),
		d.values(ruleVariable, "Rule", alert.AttrRule, all,
			append(known, d.chosen(alert.AttrSeverity, severityVariable), d.chosen(alert.AttrOwner, ownerVariable))...),
	}
}

// unquotable are values with a quote or a line's end: Grafana puts values into queries as they are, where one would end the string
// that it stands in. They are not offered; "All" includes them.
const unquotable = `/^[^"\r\n]*$/`

// values is a variable whose values are those of an attribute. all is the regular expression that "All" stands for.
func (d *drawing) values(name, label, attribute, all string, matchers ...matcher) variable {
	// Grafana takes the label's name without quotes, whatever is in it.
	query := fmt.Sprintf("label_values(%s, %s)", d.of(alert.MetricOpenCount, matchers...), d.labels[attribute])
	return variable{
		Name: name, Label: label, Type: "query", Datasource: &prometheus, Definition: query,
		Query: variableQuery{query, "PrometheusVariableQueryEditor-VariableQuery"}, Regex: unquotable,
		IncludeAll: true, AllValue: all, Multi: true, Current: &current{[]string{"All"}, []string{"$__all"}}, Options: []string{},
		Refresh: 2, Sort: 1,
	}
}
