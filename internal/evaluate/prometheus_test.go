package evaluate

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"math"
	"slices"
	"sort"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/rulefmt"
	"github.com/prometheus/prometheus/model/value"
	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/promql/parser"
	"github.com/prometheus/prometheus/rules"
	"github.com/prometheus/prometheus/storage"
	"github.com/prometheus/prometheus/util/teststorage"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/otelcol-escalation/otelcol-escalation/internal/alert"
	"github.com/otelcol-escalation/otelcol-escalation/internal/rule"
)

// TestSameAsPrometheus holds plain rules against Prometheus' own rule groups on a real TSDB: after every evaluation the
// same alerts, in the same states, since the same times, with the same values. `go test -rapid.checks=10000` draws as
// many scenarios. Left out on purpose: templates of the value in labels (an alert of ours has the rule's label as
// written for its identity, so that it is one alert while the value changes), `limit` (ours keeps what fires), and
// restarts (TestRestartedRules).
func TestSameAsPrometheus(t *testing.T) {
	db := teststorage.New(t)
	// One database for all scenarios, each an hour after the one before: no query looks back that far.
	base := time.Unix(1_700_000_000, 0).UTC()
	transitions := 0
	rapid.Check(t, func(rt *rapid.T) {
		s := drawScenario(rt)
		base = base.Add(time.Duration(len(s.steps))*scenarioStep + time.Hour).Truncate(time.Minute)
		transitions += s.compare(rt, db, base)
	})
	require.Positive(t, transitions)
	t.Logf("%d changes of alerts compared", transitions)
}

const scenarioStep = 15 * time.Second

// scenario is a rule file and what comes in before each evaluation.
type scenario struct {
	file  string
	steps []map[string]float64 // series to value; what is missing has a gap
	// unknown says that no stored state was found at the start.
	unknown bool
}

// plainExpressions are what the drawn rules ask: each kind of expression that alerts are written with.
var plainExpressions = []string{
	`m > 5`, `5 < m`, `m >= 5`, `m < 3`, `m <= 3`, `m != 3`, `m == 5`, `(m > 5)`, `-m < -5`, `m{i="0"} > 4`,
	`m > 5 and on(i) n > 2`, `m > 5 unless on(i) n > 5`, `m > 5 or n > 8`, `m > n`, `m > on(i) n`, `n > 2 and on(i) m > 5`,
	`sum(m) > 8`, `max by (i) (m) > 5`, `count(m) < 2`, `avg(m) by (i) > 2 < 8`, `topk(2, m) > 5`,
	`rate(c_total[1m]) > 0.1`, `increase(c_total[1m]) > 3`, `sum(rate(c_total[45s])) > 0.2`, `deriv(m[1m]) > 0.05`,
	`absent(m)`, `absent(m{i="0"})`, `absent_over_time(n[1m])`, `avg_over_time(m[1m]) > 5`, `max_over_time(m[30s:15s]) > 6`,
	`m offset 30s > 5`, `(m > bool 5) == 1`, `(m > bool 5) > 0`, `m > bool 5`, `m * 100 > 500`, `m / n > 2`, `vector(1)`,
	`changes(m[1m]) > 2`, `resets(c_total[2m]) > 0`, `m > scalar(n{i="0"})`, `present_over_time(n[30s])`, `vector(time() % 120) < 60`,
	`r:m > 5`, `r:rate > 0.1`, `ALERTS{alertname="A", alertstate="firing"} == 1`, `count(ALERTS{alertstate="pending"}) > 1`,
	`label_replace(m > 5, "j", "$1", "i", "(.*)")`, `quantile(0.5, m) > 4`, `stddev(m) > 2`,
}

func drawScenario(rt *rapid.T) scenario {
	seconds := rapid.SampledFrom([]int{0, 0, 15, 30, 60})
	var b strings.Builder
	b.WriteString("groups:\n- name: g\n  interval: 15s\n")
	if offset := rapid.SampledFrom([]int{0, 0, 0, 15, 30}).Draw(rt, "query_offset"); offset > 0 {
		fmt.Fprintf(&b, "  query_offset: %ds\n", offset)
	}
	b.WriteString("  rules:\n  - {record: 'r:m', expr: 'sum by (i) (m)', labels: {made: 'yes'}}\n  - {record: 'r:rate', expr: 'rate(c_total[1m])'}\n")
	for i := range rapid.IntRange(1, 4).Draw(rt, "rules") {
		fmt.Fprintf(&b, "  - alert: %s\n    expr: '%s'\n    for: %ds\n    keep_firing_for: %ds\n    labels: {severity: warning, rule: 'r%d-{{ $labels.i }}'}\n    annotations: {summary: '{{ $labels.i }} is {{ $value }}'}\n",
			string(rune('A'+i)), rapid.SampledFrom(plainExpressions).Draw(rt, "expr"), seconds.Draw(rt, "for"), seconds.Draw(rt, "keep"), i)
	}
	s := scenario{file: b.String(), unknown: rapid.Bool().Draw(rt, "without stored state")}
	names := []string{`m{i="0"}`, `m{i="1"}`, `n{i="0"}`, `n{i="1"}`, `c_total{i="0"}`}
	kind := rapid.IntRange(0, 19)
	counter := 0.0
	last := map[string]float64{}
	for range rapid.IntRange(4, 40).Draw(rt, "steps") {
		step := map[string]float64{}
		for _, name := range names {
			k := kind.Draw(rt, name)
			switch {
			case name == `c_total{i="0"}` && k == 19:
				counter = 0
				fallthrough
			case name == `c_total{i="0"}`:
				counter += float64(k % 10)
				if k != 17 {
					step[name] = counter
				}
			case k < 10:
				step[name] = float64(k)
			case k < 15: // as before: what changes all the time never lasts for a `for`
				if v, ok := last[name]; ok {
					step[name] = v
				}
			case k == 15:
				step[name] = math.NaN()
			case k == 16:
				step[name] = math.Float64frombits(value.StaleNaN)
			}
			if v, ok := step[name]; ok {
				last[name] = v
			}
		}
		s.steps = append(s.steps, step)
	}
	return s
}

// tester is a test of Go's or of rapid's.
type tester interface {
	require.TestingT
	Context() context.Context
	Fatalf(format string, args ...any)
}

// compare runs a scenario through both and returns how many changes of alerts there were.
func (s scenario) compare(rt tester, db storage.Storage, base time.Time) int {
	groups, err := rule.LoadFile("drawn.yaml", []byte(s.file), rule.Defaults{Lookback: 5 * time.Minute})
	require.NoError(rt, err, s.file)
	set, err := rule.Combine(groups)
	require.NoError(rt, err)
	opts := testOptions()
	opts.Lookback, opts.EvaluationInterval, opts.WholeHistory = 5*time.Minute, time.Minute, true
	ours := New(set, opts, base)
	if !s.unknown {
		require.NoError(rt, ours.Restore(nil, nil, true, time.Time{}, base))
	}
	said := map[string]alert.State{}
	theirs := prometheusGroup(rt, s.file, db)
	key := ours.Groups()[0].Key

	changes, before := 0, joined(nil)
	for i, step := range s.steps {
		ts := base.Add(time.Duration(i) * scenarioStep)
		app := db.Appender(rt.Context())
		for _, name := range sortedNames(step) {
			ls, err := parser.NewParser(parser.Options{}).ParseMetric(name)
			require.NoError(rt, err)
			at := ts.Add(-5 * time.Second).UnixMilli()
			_, err = app.Append(0, ls, at, step[name])
			require.NoError(rt, err)
			require.NoError(rt, ours.Window().Append(ls, 0, at, step[name], nil, nil, ts.UnixMilli()))
		}
		require.NoError(rt, app.Commit())
		theirs.Eval(rt.Context(), ts)
		ours.EvaluateGroup(rt.Context(), key, ts, ts)
		want, got := describeTheirs(theirs), describeOurs(ours)
		if want != got {
			rt.Fatalf("after step %d of\n%s%s\nPrometheus has\n%sthis has\n%s", i, s.file, s.table(i), want, got)
		}
		for _, out := range ours.Take().Emissions {
			if !out.Stale {
				said[out.ID] = out.State
			}
		}
		if different := unlike(said, ours); different != "" {
			rt.Fatalf("after step %d of\n%s%s\n%s", i, s.file, s.table(i), different)
		}
		if got != before {
			changes, before = changes+1, got
		}
	}
	return changes
}

// unlike says how the alerts differ from what was last said of them, "" where they do not.
func unlike(said map[string]alert.State, e *Evaluator) string {
	is := map[string]alert.State{}
	for _, r := range e.rules {
		for id, a := range r.alerts {
			is[id] = a.state
		}
	}
	for id, state := range said {
		if is[id] != state {
			return fmt.Sprintf("%s is %s, and was said to be %s", id, is[id], state)
		}
	}
	for id, state := range is {
		if said[id] != state {
			return fmt.Sprintf("%s is %s, and was said to be %s", id, state, said[id])
		}
	}
	return ""
}

func sortedNames(step map[string]float64) []string {
	names := make([]string, 0, len(step))
	for name := range step {
		names = append(names, name)
	}
	sort.Strings(names)
	return names
}

// table shows what has come in.
func (s scenario) table(last int) string {
	var b strings.Builder
	for i, step := range s.steps[:last+1] {
		fmt.Fprintf(&b, "%3d", i)
		for _, name := range sortedNames(step) {
			fmt.Fprintf(&b, "  %s %v", name, step[name])
		}
		b.WriteByte('\n')
	}
	return b.String()
}

func prometheusGroup(rt tester, file string, db storage.Storage) *rules.Group {
	parsed, errs := rulefmt.Parse([]byte(file), false, model.UTF8Validation, parser.NewParser(parser.Options{}), quietLogger())
	require.Empty(rt, errs)
	engine := promql.NewEngine(promql.EngineOpts{
		MaxSamples: 1_000_000, Timeout: time.Minute, LookbackDelta: 5 * time.Minute,
		NoStepSubqueryIntervalFn: func(int64) int64 { return time.Minute.Milliseconds() },
		EnableAtModifier:         true, EnableNegativeOffset: true,
	})
	g := parsed.Groups[0]
	var all []rules.Rule
	p := parser.NewParser(parser.Options{})
	for _, r := range g.Rules {
		expr, err := p.ParseExpr(r.Expr)
		require.NoError(rt, err)
		if r.Record != "" {
			all = append(all, rules.NewRecordingRule(r.Record, expr, labels.FromMap(r.Labels)))
			continue
		}
		all = append(all, rules.NewAlertingRule(r.Alert, expr, time.Duration(r.For), time.Duration(r.KeepFiringFor),
			labels.FromMap(r.Labels), labels.FromMap(r.Annotations), labels.EmptyLabels(), "", true, quietLogger()))
	}
	offset := time.Duration(0)
	if g.QueryOffset != nil {
		offset = time.Duration(*g.QueryOffset)
	}
	return rules.NewGroup(rules.GroupOptions{
		Name: g.Name, File: "drawn.yaml", Interval: time.Duration(g.Interval), Rules: all, QueryOffset: &offset,
		Opts: &rules.ManagerOptions{
			QueryFunc: rules.EngineQueryFunc(engine, db), Appendable: db, Queryable: db,
			Context: context.Background(), Logger: quietLogger(),
			NotifyFunc: func(context.Context, string, ...*rules.Alert) {},
		},
	})
}

func quietLogger() *slog.Logger { return slog.New(slog.NewTextHandler(io.Discard, nil)) }

// describeTheirs lists the alerts that are pending or firing, a line each.
func describeTheirs(g *rules.Group) string {
	var lines []string
	for _, r := range g.AlertingRules() {
		for _, a := range r.ActiveAlerts() {
			lines = append(lines, line(r.Name(), a.Labels.Map(), a.State.String(), a.ActiveAt, a.Value))
		}
	}
	return joined(lines)
}

func describeOurs(e *Evaluator) string {
	var lines []string
	for _, r := range e.rules {
		for _, a := range r.alerts {
			if a.state == alert.Inactive {
				continue
			}
			ls, _ := e.expand(a, time.Time{})
			shown := a.worst().series().value
			if r.rule.Query.Shown != nil {
				shown = *r.rule.Query.Shown
			}
			lines = append(lines, line(r.rule.Name, ls, a.state.String(), timeOf(a.earliest()), shown))
		}
	}
	return joined(lines)
}

func line(name string, ls map[string]string, state string, since time.Time, v float64) string {
	delete(ls, "alertname")
	return fmt.Sprintf("%s %s %s since %s at %v", name, labels.FromMap(ls), state, since.Format("15:04:05"), v)
}

func joined(lines []string) string {
	slices.Sort(lines)
	return strings.Join(lines, "\n") + "\n"
}
