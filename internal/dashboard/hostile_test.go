package dashboard_test

import (
	"fmt"
	"regexp"
	"testing"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql/parser"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"

	"github.com/otelcol-escalation/otelcol-escalation/internal/alert"
	"github.com/otelcol-escalation/otelcol-escalation/internal/dashboard"
	"github.com/otelcol-escalation/otelcol-escalation/internal/dashboard/dashboardtest"
	"github.com/otelcol-escalation/otelcol-escalation/internal/rule"
)

var hostile = []string{
	`a"} or vector(1) #`, `a\`, `a\"} or up #`, "a`b'c", "a\nb", `$owner`, `${rule}`, `${rule:regex}`, `[[rule]]`, `[[[rule]]]`, `$__range`, `$$severity`, `a.*|.+`,
	`(`, `[`, `x\x24owner`, `</script><img src=x onerror=alert(1)>`, `[a](javascript:alert(1))`, `![](//evil.example/x.png)`, `{{alert_rule_name}}`, `\\x5b[rule]]`, "a\u2028b", `https://evil.example`,
}

// escaped is a character that Markdown shows as it is.
var escaped = regexp.MustCompile(`\\.`)

// odd is a rule file of one rule, all of whose texts are the same.
func odd(t testing.TB, text string) []*rule.Rule {
	t.Helper()
	content, err := yaml.Marshal(map[string]any{"groups": []any{map[string]any{"name": text, "rules": []any{
		map[string]any{
			"alert": text, "expr": fmt.Sprintf("up{job=%q}", text), "owner": "platform", "response": text,
			"tiers": map[string]any{"high": map[string]any{"above": 1}},
		},
	}}}})
	require.NoError(t, err)
	groups, err := rule.LoadFile("rules.yaml", content, rule.Defaults{})
	require.NoError(t, err)
	return groups[0].Rules
}

// selectors are the matchers of a query's selectors.
func selectors(t testing.TB, expr string) (all [][]*labels.Matcher) {
	t.Helper()
	parsed, err := parse(expr)
	require.NoError(t, err, expr)
	parser.Inspect(parsed, func(node parser.Node, _ []parser.Node) error {
		if s, ok := node.(*parser.VectorSelector); ok {
			all = append(all, s.LabelMatchers)
		}
		return nil
	})
	return all
}

// TestHostileTextsStayText: whatever a rule is called, its dashboard asks what that of a rule called "plain" asks, about this rule.
func TestHostileTextsStayText(t *testing.T) {
	for _, strategy := range []string{"", "NoTranslation"} {
		_, tame := draw(t, odd(t, "plain"), dashboard.Options{Title: "t", Strategy: strategy})
		for _, text := range hostile {
			about := []dashboard.Quality{{Rule: text, Thresholds: []dashboard.Conclusion{{Group: text, Severity: alert.High, Bound: text, SourceUnit: text, Sentence: text}}}}
			_, d := draw(t, odd(t, text), dashboard.Options{Title: text, Strategy: strategy, Calibration: about})
			same(t, tame, d, text)
			for _, p := range d.Panels {
				assert.NotContains(t, p.Title, "\n")
				for _, shown := range []string{p.Title, p.Description} {
					assert.Empty(t, d.Variables(shown), "%q: %s", text, shown)
				}
				assert.NotRegexp(t, "[<>`\\[\\]*_!#]|://|www\\.", escaped.ReplaceAllString(p.Description, ""), "markup that is not escaped")
			}
		}
	}
}

func same(t testing.TB, tame, d *dashboardtest.Dashboard, text string) {
	t.Helper()
	theirs, ours := tame.Queries(t), d.Queries(t)
	require.Len(t, ours, len(theirs))
	for i := range ours {
		for _, v := range views {
			want, got := selectors(t, tame.Expand(v, theirs[i].Expr)), selectors(t, d.Expand(v, ours[i].Expr))
			require.Len(t, got, len(want), "%s: %s", ours[i].Where, ours[i].Expr)
			for j := range got {
				require.Len(t, got[j], len(want[j]))
				for k, m := range got[j] {
					as := want[j][k]
					assert.Equal(t, [2]any{as.Name, as.Type}, [2]any{m.Name, m.Type})
					switch {
					case as.Value == "plain" && as.Type == labels.MatchEqual:
						assert.Equal(t, text, m.Value, ours[i].Expr)
					case as.Value == "plain":
						assert.True(t, m.Matches(text), "%s matches %q", m, text)
						assert.False(t, m.Matches(text+"x") || m.Matches("plain"), "%s matches nothing else", m)
					default:
						assert.Equal(t, as.Value, m.Value, ours[i].Expr)
					}
				}
			}
		}
	}
}
