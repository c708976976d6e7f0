package unittest

import (
	"cmp"
	"context"
	"encoding/xml"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/prometheus/promql/parser"
	"github.com/prometheus/prometheus/util/junitxml"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"

	"github.com/otelcol-escalation/otelcol-escalation/internal/alert"
	"github.com/otelcol-escalation/otelcol-escalation/internal/rule"
)

// TestGeneratedUnderPromtool makes rules and series at random, writes down what fires here and what queries give here as
// expectations, and runs that under promtool: it must see the same. Every second test has one expectation changed, and
// must fail under both.
func TestGeneratedUnderPromtool(t *testing.T) {
	path, err := exec.LookPath(cmp.Or(os.Getenv("PROMTOOL"), "promtool"))
	if err != nil {
		t.Skip("NOT TESTED: there is no promtool in $PROMTOOL or in the path")
	}
	help, _ := exec.Command(path, "test", "rules", "--help").CombinedOutput() //nolint:gosec,noctx // the developer's own
	if !strings.Contains(string(help), "--junit") {
		t.Skipf("NOT TESTED: %s is too old for start_timestamp and query_offset", path)
	}
	const files = 25
	seed := uint64(1)
	if s := os.Getenv("SEED"); s != "" {
		seed, err = strconv.ParseUint(s, 10, 64)
		require.NoError(t, err)
	}
	dir := t.TempDir()
	var paths []string
	fired, samples, failed := 0, 0, 0
	for i := range files {
		g := &generator{Rand: rand.New(rand.NewPCG(seed, uint64(i)))} //nolint:gosec // to be repeated
		require.NoError(t, os.WriteFile(filepath.Join(dir, fmt.Sprintf("%d.rules.yaml", i)), []byte(g.loadable(t)), 0o600))
		file := filepath.Join(dir, fmt.Sprintf("%d.yaml", i))
		doc := g.file(fmt.Sprintf("%d.rules.yaml", i))
		content := g.expectations(t, file, doc)
		fired, samples, failed = fired+g.fired, samples+g.samples, failed+g.failed
		require.NoError(t, os.WriteFile(file, content, 0o600))
		paths = append(paths, file)
	}
	out := filepath.Join(dir, "junit.xml")
	command := exec.Command(path, append([]string{"test", "rules", "--junit=" + out}, paths...)...) //nolint:gosec,noctx // the developer's own
	said, _ := command.CombinedOutput()
	content, err := os.ReadFile(out)
	require.NoError(t, err, "%s", said)
	var theirs junitxml.JUnitXML
	require.NoError(t, xml.Unmarshal(content, &theirs))
	require.Len(t, theirs.Suites, files)
	tests, failing := 0, 0
	for i, file := range paths {
		ours := Run(context.Background(), file, Options{})
		require.NoError(t, ours.Err)
		require.Len(t, theirs.Suites[i].Cases, len(ours.Tests))
		for j, test := range ours.Tests {
			tests++
			c := theirs.Suites[i].Cases[j]
			broken := strings.HasSuffix(test.Title, "broken")
			if broken {
				failing++
			}
			if !assert.Equal(t, broken, len(test.Failures) > 0, "%s: %s: here: %v", file, test.Title, test.Failures) ||
				!assert.Equal(t, broken, len(c.Failures) > 0, "%s: %s: promtool: %v", file, test.Title, c.Failures) {
				t.Fatalf("SEED=%d\n%s\n%s", seed, readText(t, strings.Replace(file, ".yaml", ".rules.yaml", 1)), readText(t, file))
			}
		}
	}
	t.Logf("%d tests, %d of them to fail, %d by rules that cannot be evaluated; %d alerts and %d samples expected", tests, failing, failed, fired, samples)
	assert.Positive(t, failing)
	assert.Greater(t, fired, files, "the rules fire")
	assert.Greater(t, samples, files)
}

func readText(t *testing.T, path string) string {
	t.Helper()
	content, err := os.ReadFile(path)
	require.NoError(t, err)
	return string(content)
}

type generator struct {
	*rand.Rand
	fired, samples, failed int
}

func (g *generator) pick(from ...string) string { return from[g.IntN(len(from))] }

// signal is an expression without a comparison.
func (g *generator) signal() string {
	m := g.pick("m", `m{a="1"}`, `m{a!="2"}`, `{__name__=~"m|n"}`, "n", "m offset 2m", "m offset -1m", "rec", "c")
	switch g.IntN(12) {
	case 0, 1:
		return m
	case 2:
		return "rate(c[" + g.pick("2m", "5m", "90s") + "])"
	case 3:
		return "sum by (a) (" + m + ")"
	case 4:
		return g.pick("max", "min", "avg", "count", "last", "stddev") + "_over_time(m[" + g.pick("1m", "4m", "7m") + "])"
	case 5:
		return "max_over_time(rate(c[2m])[" + g.pick("5m:", "6m:1m", "5m:30s") + "])"
	case 6:
		return "m " + g.pick("+", "-", "/", "*", "%") + " on (a) group_left n"
	case 7:
		return "increase(c[5m] " + g.pick("offset 1m", "") + ")"
	case 8:
		return "deriv(m[6m])"
	case 9:
		return "histogram_quantile(0.9, sum by (le) (rate(h_bucket[5m])))"
	case 10:
		return "count without (b) (" + m + ")"
	default:
		return `count by (a) (ALERTS{alertstate="` + g.pick("pending", "firing") + `"})`
	}
}

func (g *generator) condition() string {
	compare := " " + g.pick(">", "<", ">=", "<=", "==", "!=") + " "
	number := g.pick("0", "1", "2", "3", "0.5", "-1")
	switch g.IntN(9) {
	case 0:
		return number + compare + g.signal()
	case 1:
		return "(" + g.signal() + compare + number + ") and on (a) n"
	case 2:
		return "(" + g.signal() + compare + number + ") unless on (a) n > 2"
	case 3:
		return "absent(" + g.pick("m", "n", `m{a="3"}`, "m offset 3m") + ")"
	case 4:
		return g.signal() + compare + "bool " + number
	case 5:
		return "(" + g.signal() + compare + number + ") or n > 3"
	default:
		return g.signal() + compare + number
	}
}

// loadable are rules that the processor takes: it refuses what Prometheus runs twice with the same outcome.
func (g *generator) loadable(t *testing.T) string {
	t.Helper()
	var err error
	for range 100 {
		text := g.rules()
		if _, err = rule.LoadFile("rules.yaml", []byte(text), rule.Defaults{EvaluationInterval: time.Minute}); err == nil {
			return text
		}
	}
	t.Fatalf("no rules that can be loaded: %v", err)
	return ""
}

func (g *generator) rules() string {
	var b strings.Builder
	b.WriteString("groups:\n")
	for i := range 1 + g.IntN(3) {
		fmt.Fprintf(&b, "  - name: g%d\n", i)
		if g.IntN(3) == 0 {
			fmt.Fprintf(&b, "    query_offset: %s\n", g.pick("30s", "1m", "2m"))
		}
		if g.IntN(3) == 0 {
			b.WriteString("    labels: {group: \"" + strconv.Itoa(i) + "\"}\n")
		}
		b.WriteString("    rules:\n")
		for j := range 1 + g.IntN(4) {
			if i == 1 && j == 0 || g.IntN(20) == 0 { // two that write the same series cannot be evaluated
				// Without the group's label: Prometheus holds series for one alert that differ only in a label which the
				// alert's rule sets. Here they are two.
				fmt.Fprintf(&b, "      - {record: rec, labels: {group: ''}, expr: '%s'}\n", "sum by (a) ("+g.pick("m", "n", "rate(c[3m])")+")")
				continue
			}
			fmt.Fprintf(&b, "      - alert: A%d%d\n        expr: '%s'\n", i, j, g.condition())
			if g.IntN(2) == 0 {
				fmt.Fprintf(&b, "        for: %s\n", g.pick("30s", "1m", "3m"))
			}
			query := `{{ with query "n" }}{{ . | len }}{{ end }}`
			if g.IntN(3) == 0 {
				fmt.Fprintf(&b, "        keep_firing_for: %s\n", g.pick("1m", "4m"))
				query = "" // Prometheus keeps the annotations of the last breach meanwhile
			}
			if g.IntN(2) == 0 {
				b.WriteString("        labels: {severity: page, who: '{{ $labels.a }}-x'}\n")
			}
			if g.IntN(2) == 0 {
				b.WriteString("        annotations: {text: '{{ $labels.a }} {{ $labels.b }} {{ $value }} " + query + "'}\n")
			}
		}
	}
	return b.String()
}

func (g *generator) values(counter bool) string {
	var parts []string
	for range 4 + g.IntN(8) {
		switch k := g.IntN(12); {
		case k == 0:
			parts = append(parts, g.pick("_", "_x3", "stale", "_x7"))
		case k == 1 && !counter:
			parts = append(parts, g.pick("NaN", "Inf", "-Inf"))
		case k < 5:
			parts = append(parts, fmt.Sprintf("%d+%dx%d", g.IntN(5), g.IntN(30), g.IntN(4)))
		case k == 5 && !counter:
			parts = append(parts, fmt.Sprintf("%d-1x%d", g.IntN(5), g.IntN(4)))
		default:
			parts = append(parts, fmt.Sprintf("%dx%d", g.IntN(6), g.IntN(4)))
		}
	}
	return strings.Join(parts, " ")
}

// document is a test file as promtool reads it.
type document struct {
	RuleFiles          []string         `yaml:"rule_files"`
	EvaluationInterval string           `yaml:"evaluation_interval"`
	GroupEvalOrder     []string         `yaml:"group_eval_order"`
	Tests              []map[string]any `yaml:"tests"`
}

// file is a test file without expectations.
func (g *generator) file(rules string) *document {
	doc := &document{RuleFiles: []string{rules}, EvaluationInterval: g.pick("30s", "1m", "90s"), GroupEvalOrder: []string{"g0", "g1", "g2"}}
	for i := range 4 {
		var series []any
		add := func(name string, counter bool) {
			if g.IntN(5) > 0 {
				series = append(series, map[string]any{"series": name, "values": g.values(counter)})
			}
		}
		for _, a := range []string{"1", "2", "3"} {
			add(fmt.Sprintf(`m{a="%s", b="x"}`, a), false)
			add(fmt.Sprintf(`m{a="%s", b="y"}`, a), false)
			add(fmt.Sprintf(`n{a="%s"}`, a), false)
			add(fmt.Sprintf(`c{a="%s"}`, a), true)
		}
		for _, le := range []string{"1", "5", "+Inf"} {
			add(fmt.Sprintf(`h_bucket{le="%s"}`, le), true)
		}
		test := map[string]any{"name": fmt.Sprintf("%d", i), "interval": g.pick("15s", "30s", "1m", "2m"), "input_series": series}
		if g.IntN(2) == 0 {
			test["start_timestamp"] = g.pick("2024-01-01T00:00:00Z", "1700000000", "1700000000.5")
		}
		var alerts, exprs []any
		for range 6 {
			alerts = append(alerts, map[string]any{"eval_time": g.time(), "alertname": fmt.Sprintf("A%d%d", g.IntN(3), g.IntN(4))})
			exprs = append(exprs, map[string]any{"eval_time": g.time(), "expr": g.pick(g.signal(), g.condition(), "ALERTS", "rec", "time()", "ALERTS_FOR_STATE - time()")})
		}
		test["alert_rule_test"], test["promql_expr_test"] = alerts, exprs
		doc.Tests = append(doc.Tests, test)
	}
	return doc
}

func (g *generator) time() string { return fmt.Sprintf("%ds", g.IntN(1200)) }

// expectations fills in what happens here, and changes something in every second test.
func (g *generator) expectations(t *testing.T, path string, doc *document) []byte {
	t.Helper()
	bare, err := yaml.Marshal(doc)
	require.NoError(t, err)
	f, err := Read(path, bare)
	require.NoError(t, err)
	files, err := f.ruleFiles(&Result{})
	require.NoError(t, err)
	for i, test := range f.Tests {
		if !g.record(t, f, test, files, doc.Tests[i]) {
			doc.Tests[i]["name"] = fmt.Sprintf("%d: a rule is broken", i)
			g.failed++
			continue
		}
		if i%2 == 1 {
			g.breakOne(doc.Tests[i])
		}
	}
	content, err := yaml.Marshal(doc)
	require.NoError(t, err)
	return content
}

// record runs a test as File.run does and writes down what there is; false where a rule cannot be evaluated.
func (g *generator) record(t *testing.T, f *File, test *Test, files []string, into map[string]any) bool {
	t.Helper()
	ctx := context.Background()
	series, failures := test.input(parser.NewParser(parser.Options{}))
	require.Empty(t, failures)
	set, err := loadRules(files, rule.Defaults{EvaluationInterval: test.Interval})
	require.NoError(t, err)
	f.orderGroups(set)
	p := newPlay(set, f.EvaluationInterval, test, series)
	for ts := time.Duration(0); ts <= test.last(); ts += f.EvaluationInterval {
		if failures := p.step(ctx, test.Start.Add(ts)); len(failures) > 0 {
			return false
		}
		for i := range test.Alerts {
			a := &test.Alerts[i]
			if a.At < ts || a.At >= ts+f.EvaluationInterval {
				continue
			}
			expected := []any{}
			for _, got := range p.alerts(a.Alertname) {
				if got.state == alert.Firing {
					g.fired++
					expected = append(expected, map[string]any{"exp_labels": got.labels, "exp_annotations": got.annotations})
				}
			}
			into["alert_rule_test"].([]any)[i].(map[string]any)["exp_alerts"] = expected //nolint:forcetypeassert // made above
		}
	}
	engine := newEngine(f.EvaluationInterval)
	var kept []any
	for i := range test.Exprs {
		e := &test.Exprs[i]
		got, err := query(ctx, engine, p.window(), e.Expr, test.Start.Add(e.At))
		entry := into["promql_expr_test"].([]any)[i].(map[string]any) //nolint:forcetypeassert // made above
		samples := []any{}
		for _, s := range got {
			if s.value != s.value {
				err = fmt.Errorf("NaN can be no expectation")
			}
			samples = append(samples, map[string]any{"labels": s.labels.String(), "value": s.value})
		}
		if err == nil {
			g.samples += len(samples)
			entry["exp_samples"] = samples
			kept = append(kept, entry)
		}
	}
	into["promql_expr_test"] = kept
	return true
}

// breakOne changes one expectation.
func (g *generator) breakOne(test map[string]any) {
	test["name"] = test["name"].(string) + " broken"      //nolint:forcetypeassert // made above
	alerts := test["alert_rule_test"].([]any)             //nolint:forcetypeassert // made above
	entry := alerts[g.IntN(len(alerts))].(map[string]any) //nolint:forcetypeassert // made above
	expected := entry["exp_alerts"].([]any)               //nolint:forcetypeassert // made above
	if len(expected) > 0 && g.IntN(2) == 0 {
		entry["exp_alerts"] = expected[1:]
		return
	}
	entry["exp_alerts"] = append(expected, map[string]any{"exp_labels": map[string]string{"never": "there"}})
}
