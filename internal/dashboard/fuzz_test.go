package dashboard

import (
	"regexp"
	"strings"
	"testing"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql/parser"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/otelcol-escalation/otelcol-escalation/internal/dashboard/dashboardtest"
)

// escaped is a character that Markdown shows as it is.
var escaped = regexp.MustCompile(`\\.`)

// FuzzTexts: PromQL reads a text back as it was, and Grafana finds nothing in it.
func FuzzTexts(f *testing.F) {
	for _, text := range []string{
		`a"} or vector(1) #`, `\`, `\"`, "a`'\n", `$owner`, `$$owner`, `\$owner`, `${rule:regex}`, `[[rule]]`, `[[[[rule]]]]`, `$__range`, `.*|(`, "\xff$rule", "\u2028", `<b>[x](//y)`,
	} {
		f.Add(text)
	}
	grafana := &dashboardtest.Dashboard{}
	for _, name := range []string{ownerVariable, severityVariable, ruleVariable, "datasource"} {
		grafana.Templating.List = append(grafana.Templating.List, dashboardtest.Variable{Name: name})
	}
	f.Fuzz(func(t *testing.T, text string) {
		for _, c := range []struct {
			query string
			op    labels.MatchType
			value string
		}{
			{"up{job=" + literal(text) + "}", labels.MatchEqual, text},
			{`up{job=~"` + alternatives([]string{text, "other"}) + `"}`, labels.MatchRegexp, ""},
		} {
			expr, err := promqlParser.ParseExpr(c.query)
			if c.op == labels.MatchRegexp && strings.ToValidUTF8(text, "") != text {
				continue // regular expressions are of UTF-8
			}
			require.NoError(t, err, c.query)
			m := expr.(*parser.VectorSelector).LabelMatchers[0]
			assert.Equal(t, "job", m.Name)
			assert.Equal(t, c.op, m.Type)
			assert.True(t, m.Matches(text), c.query)
			assert.False(t, m.Matches(text+"x"), c.query)
			assert.Empty(t, grafana.Variables(c.query))
		}
		for _, shown := range []string{plain(text), markdown(text)} {
			assert.Empty(t, grafana.Variables(shown))
			assert.NotContains(t, shown, "\n")
		}
		assert.NotRegexp(t, "[<>`\\[\\]*_!#]|://|www\\.", escaped.ReplaceAllString(markdown(text), ""))
	})
}
