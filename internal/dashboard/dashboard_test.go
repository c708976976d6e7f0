package dashboard_test

import (
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/otlptranslator"
	"github.com/prometheus/prometheus/promql/parser"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/otelcol-escalation/otelcol-escalation/internal/dashboard"
	"github.com/otelcol-escalation/otelcol-escalation/internal/dashboard/dashboardtest"
	"github.com/otelcol-escalation/otelcol-escalation/internal/rule"
)

var update = flag.Bool("update", false, "write what comes out into testdata")

var strategies = []string{
	"", string(otlptranslator.UnderscoreEscapingWithoutSuffixes),
	string(otlptranslator.NoUTF8EscapingWithSuffixes), string(otlptranslator.NoTranslation),
}

func load(t testing.TB, globs ...string) []*rule.Rule {
	t.Helper()
	set, err := rule.Load(globs, nil, rule.Defaults{})
	require.NoError(t, err)
	return set.Rules()
}

func draw(t testing.TB, rules []*rule.Rule, o dashboard.Options) ([]byte, *dashboardtest.Dashboard) {
	t.Helper()
	made, err := dashboard.New(rules, o)
	require.NoError(t, err)
	content, err := made.JSON()
	require.NoError(t, err)
	return content, dashboardtest.Read(t, content)
}

func conclusions(t testing.TB) (all []dashboard.Quality) {
	content, err := os.ReadFile("testdata/calibration.json")
	require.NoError(t, err)
	require.NoError(t, json.Unmarshal(content, &all))
	return all
}

// views are what people choose on a dashboard.
var views = []dashboardtest.View{
	{Range: 30 * 24 * time.Hour, Step: time.Hour},
	{Range: time.Hour, Step: 15 * time.Second, Values: map[string][]string{"owner": {"a"}, "severity": {"critical", "high"}, "rule": {"One", "Two"}}},
	{Range: time.Hour, Step: time.Minute, Values: map[string][]string{
		"owner": {`\`, `[a-z]+$`}, "severity": {"critical"}, "rule": {`a.b|c*d(e)`, `{x='y'}`, `$owner`, `${rule}`, `[[rule]]`, "ü"},
	}},
	{Range: time.Hour, Step: time.Minute, Values: map[string][]string{"owner": {`\`}, "severity": {`\\`}, "rule": {`\d`}}},
}

// sound holds a dashboard to what all of them promise.
func sound(t testing.TB, content []byte) *dashboardtest.Dashboard {
	t.Helper()
	d := dashboardtest.Read(t, content)
	assert.Empty(t, d.Overlaps())
	assert.Empty(t, d.Links)
	assert.False(t, strings.Contains(string(content), "://"), "nothing leads out of Grafana")
	assert.Regexp(t, `^[a-z0-9][a-z0-9_-]{0,39}$`, d.UID)
	assert.Equal(t, "now-30d", d.Time.From)
	queries := d.Queries(t)
	assert.Greater(t, len(queries), 30)
	for _, v := range views {
		for _, q := range queries {
			expr, err := parse(d.Expand(v, q.Expr))
			if assert.NoError(t, err, "%s: %s", q.Where, q.Expr) {
				assert.Contains(t, []parser.ValueType{parser.ValueTypeVector, parser.ValueTypeScalar}, expr.Type(), q.Where)
			}
		}
	}
	return d
}

var promql = parser.NewParser(parser.Options{})

func parse(text string) (parser.Expr, error) { return promql.ParseExpr(text) }

// TestPacks draws every rule pack for every way in which names are translated.
func TestPacks(t *testing.T) {
	packs, err := filepath.Glob("../../rules/*.yaml")
	require.NoError(t, err)
	require.Greater(t, len(packs), 10)
	for _, pack := range packs {
		rules := load(t, pack)
		for _, strategy := range strategies {
			content, _ := draw(t, rules, dashboard.Options{Title: filepath.Base(pack), Strategy: strategy})
			again, _ := draw(t, rules, dashboard.Options{Title: filepath.Base(pack), Strategy: strategy})
			require.Equal(t, string(content), string(again), "the same bytes every time")
			d := sound(t, content)
			for _, r := range rules {
				if r.Record != "" {
					continue
				}
				p := d.Find(t, r.Name)
				signal := p.Targets[0].Expr
				assert.Empty(t, d.Variables(signal), "nothing of a rule is a variable of Grafana")
				if r.Query != nil {
					want, err := parse(r.Query.Signal)
					require.NoError(t, err)
					got, err := parse(signal)
					require.NoError(t, err)
					assert.Equal(t, want.String(), got.String(), "it is the rule's own signal")
				}
			}
		}
	}
}

// TestShipped reads what lies in dashboards/, which the command's test holds against what it makes.
func TestShipped(t *testing.T) {
	shipped, err := filepath.Glob("../../dashboards/*.json")
	require.NoError(t, err)
	require.Greater(t, len(shipped), 10)
	uids := map[string]string{}
	for _, path := range shipped {
		content, err := os.ReadFile(path) //nolint:gosec // one of our own files
		require.NoError(t, err)
		d := sound(t, content)
		assert.Empty(t, uids[d.UID], "%s and %s would take each other's place", path, uids[d.UID])
		uids[d.UID] = path
	}
}

// outline writes down what a dashboard shows, for the golden files.
func outline(d *dashboardtest.Dashboard) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s (%s)\n", d.Title, d.UID)
	for _, v := range d.Templating.List {
		fmt.Fprintf(&b, "variable %s: %s, all=%q\n", v.Name, v.Definition, v.AllValue)
	}
	for _, a := range d.Annotations.List {
		fmt.Fprintf(&b, "annotation %s: enabled=%t %s\n", a.Name, a.Enable, a.Expr)
	}
	for i := range d.Panels {
		p := &d.Panels[i]
		if p.Type == "row" {
			fmt.Fprintf(&b, "\n== %s\n", p.Title)
			continue
		}
		fmt.Fprintf(&b, "\n%d %s %q at %d,%d %dx%d unit=%s interval=%s repeat=%s\n", p.ID, p.Type, p.Title, p.GridPos.X, p.GridPos.Y, p.GridPos.W, p.GridPos.H,
			p.FieldConfig.Defaults.Unit, p.Interval, p.Repeat)
		for _, line := range strings.Split(p.Description, "\n\n") {
			fmt.Fprintf(&b, "  | %s\n", line)
		}
		if steps := p.FieldConfig.Defaults.Thresholds; steps != nil {
			for _, s := range steps.Steps[1:] {
				fmt.Fprintf(&b, "  line at %v: %s\n", *s.Value, s.Color)
			}
		}
		for _, q := range p.Targets {
			fmt.Fprintf(&b, "  %s %s  (%s)\n", q.RefID, q.Expr, q.LegendFormat)
		}
		for _, s := range p.Options.SortBy {
			fmt.Fprintf(&b, "  sorted by %s, descending %t\n", s.DisplayName, s.Desc)
		}
	}
	return b.String()
}

func golden(t *testing.T, path, text string) {
	t.Helper()
	if *update {
		require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
	}
	want, err := os.ReadFile(path) //nolint:gosec // one of our own files
	require.NoError(t, err)
	assert.Equal(t, string(want), text)
}

func TestOutline(t *testing.T) {
	rules := load(t, "testdata/rules.yaml")
	content, d := draw(t, rules, dashboard.Options{Title: "Alerts: example", Calibration: conclusions(t)})
	sound(t, content)
	golden(t, "testdata/rules.txt", outline(d))
	content, d = draw(t, nil, dashboard.Options{Title: "Alert quality"})
	sound(t, content)
	golden(t, "testdata/quality.txt", outline(d))
	content, d = draw(t, rules, dashboard.Options{Title: "Alerts: example", Strategy: "NoTranslation"})
	sound(t, content)
	golden(t, "testdata/untranslated.txt", outline(d))
}

// TestOrder: with calibration the worst comes first, without it the file's first.
func TestOrder(t *testing.T) {
	rows := func(o dashboard.Options) (all []string) {
		_, d := draw(t, load(t, "testdata/rules.yaml"), o)
		for _, p := range d.Panels {
			if p.Type == "row" {
				all = append(all, p.Title)
			}
		}
		return all[slices.Index(all, "What nobody had to judge")+1:]
	}
	assert.Equal(t, []string{"KVCacheNearlyFull", "InputDrift", "SlowFirstToken", "ManyErrors", "FewReplicas", "Beyond in plain", "Beyond in plain"},
		rows(dashboard.Options{}))
	assert.Equal(t, []string{"ManyErrors", "KVCacheNearlyFull", "SlowFirstToken", "InputDrift", "FewReplicas", "Beyond in plain", "Beyond in plain"},
		rows(dashboard.Options{Calibration: conclusions(t)}), "half of fifty weighs more than one of one; then pages")
}

func TestWrongStrategy(t *testing.T) {
	_, err := dashboard.New(nil, dashboard.Options{Strategy: "Underscores"})
	assert.ErrorContains(t, err, "translation strategy must be one of")
}

func TestMetricWithoutAName(t *testing.T) {
	groups, err := rule.LoadFile("rules.yaml", []byte(`groups: [{name: g, rules: [{alert: A, metric: "♥", tiers: {high: {above: 1}}}]}]`), rule.Defaults{})
	require.NoError(t, err)
	_, err = dashboard.New(groups[0].Rules, dashboard.Options{})
	assert.ErrorContains(t, err, `A: metric "♥" has no name in Prometheus`)
	_, err = dashboard.New(groups[0].Rules, dashboard.Options{Strategy: "NoTranslation"})
	assert.NoError(t, err)
}
