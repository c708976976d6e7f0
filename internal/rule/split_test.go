package rule

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/histogram"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/value"
	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/storage"
	"github.com/prometheus/prometheus/tsdb/chunkenc"
	"github.com/prometheus/prometheus/tsdb/chunks"
	"github.com/prometheus/prometheus/util/annotations"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// plain loads a plain alert.
func plain(t require.TestingT, expr string) *Rule {
	content := "groups:\n- name: g\n  rules:\n  - alert: A\n    for: 1m\n    expr: |\n      " + strings.ReplaceAll(expr, "\n", "\n      ") + "\n"
	groups, err := LoadFile("f.yaml", []byte(content), Defaults{})
	require.NoError(t, err, expr)
	return groups[0].Rules[0]
}

func TestSplit(t *testing.T) {
	one := 1.0
	tests := []struct {
		expr, signal string
		threshold    string
		shown        *float64
	}{
		{expr: `m > 5`, signal: `m`, threshold: "above 5 for 1m"},
		{expr: `m >= 5`, signal: `m`, threshold: "at_least 5 for 1m"},
		{expr: `m < 5`, signal: `m`, threshold: "below 5 for 1m"},
		{expr: `m <= 5`, signal: `m`, threshold: "at_most 5 for 1m"},
		{expr: `5 < m`, signal: `m`, threshold: "above 5 for 1m"},
		{expr: `5 <= m`, signal: `m`, threshold: "at_least 5 for 1m"},
		{expr: `5 > m`, signal: `m`, threshold: "below 5 for 1m"},
		{expr: `5 >= m`, signal: `m`, threshold: "at_most 5 for 1m"},
		{expr: `((m) > (5))`, signal: `m`, threshold: "above 5 for 1m"},
		{expr: "m > 5 # a comment\n", signal: `m`, threshold: "above 5 for 1m"},
		{expr: `-m < -5`, signal: `-m`, threshold: "below -5 for 1m"},
		{expr: `m > 0.9 * 100`, signal: `m`, threshold: "above 90 for 1m"},
		{expr: `m > -(2 ^ 3 + 1 - 1) / 2 % 3`, signal: `m`, threshold: "above -1 for 1m"},
		{expr: `m > 5m`, signal: `m`, threshold: "above 300 for 1m"},
		{expr: `m > 1e-3`, signal: `m`, threshold: "above 0.001 for 1m"},
		{expr: `a / b > 0.05`, signal: `a / b`, threshold: "above 0.05 for 1m"},
		{expr: `sum by (i) (rate(m_total{x="y"}[5m])) > 0.1`, signal: `sum by (i) (rate(m_total{x="y"}[5m]))`, threshold: "above 0.1 for 1m"},
		{expr: `m > 2 < 8`, signal: `m > 2`, threshold: "below 8 for 1m"},
		{expr: `absent(m) > 0`, signal: `absent(m)`, threshold: "above 0 for 1m"},
		{expr: `m > 5 and on (i) n > 2`, signal: `(m) and on (i) n > 2`, threshold: "above 5 for 1m"},
		{expr: `(m > 5) unless ignoring (j) n`, signal: `(m) unless ignoring (j) n`, threshold: "above 5 for 1m"},
		{expr: `(a + b > 5 and c) unless d`, signal: `((a + b) and c) unless d`, threshold: "above 5 for 1m"},
		{expr: `a > 5 and b > 3`, signal: `(a) and b > 3`, threshold: "above 5 for 1m"},
		{expr: `(m > bool 5) == 1`, signal: `m`, threshold: "above 5 for 1m", shown: &one},
		{expr: `1 == (5 < bool m)`, signal: `m`, threshold: "above 5 for 1m", shown: &one},
		{expr: `(m <= bool 5) != 0`, signal: `m`, threshold: "at_most 5 for 1m", shown: &one},
		{expr: `(m > bool 5) > 0`, signal: `m`, threshold: "above 5 for 1m", shown: &one},
		{expr: `(m > bool 5) >= 1 and n`, signal: `(m) and n`, threshold: "above 5 for 1m", shown: &one},
		{expr: `(m == bool 5) * 2 > 1`, signal: `(m == bool 5) * 2`, threshold: "above 1 for 1m"},
		{expr: `sum({__name__=~"m|n"}) > 5`, signal: `sum({__name__=~"m|n"})`, threshold: "above 5 for 1m"},
		{expr: `{__name__="m"} > 5`, signal: `{__name__="m"}`, threshold: "above 5 for 1m"},
		{expr: `(m or n) > 5`, signal: `m or n`, threshold: "above 5 for 1m"},
	}
	for _, tt := range tests {
		t.Run(tt.expr, func(t *testing.T) {
			r := plain(t, tt.expr)
			require.True(t, r.Query.Split, r.Query.Unsplit)
			assert.Equal(t, tt.signal, r.Query.Signal)
			require.Len(t, r.Tiers, 1)
			assert.Equal(t, tt.threshold, r.Tiers[0].String())
			assert.Equal(t, tt.shown, r.Query.Shown)
			assert.True(t, r.Query.Plain && r.Query.Filters)
			assert.Empty(t, r.Query.Unsplit)
		})
	}
}

func TestUnsplit(t *testing.T) {
	for expr, want := range map[string]string{
		`m == 5`:                   "== has no side on which more values would meet it",
		`5 != m`:                   "!= has no side on which more values would meet it",
		`m > n`:                    "it compares two expressions: neither side is a number",
		`m > scalar(n)`:            "it compares two expressions: neither side is a number",
		`time() > m`:               "it compares two expressions: neither side is a number",
		`time() > bool 5`:          "it compares two numbers, which gives one number and no series",
		`m > Inf`:                  "+Inf is no threshold",
		`m > 0 / 0`:                "NaN is no threshold",
		`m > bool 5`:               "with bool it gives 0 or 1 for every series and drops none, so that it fires for all of them",
		`(m > bool 5) >= 0`:        "0 and 1 both meet it, so that it fires for every series",
		`(m > bool 5) > 1`:         "neither 0 nor 1 meets it, so that it never fires",
		`(m > bool 5) == 0`:        "it fires where a comparison with bool is false, which it is for NaN, too",
		`(m == bool 5) == 1`:       "== has no side on which more values would meet it",
		`(m > bool n) == 1`:        "it compares two expressions: neither side is a number",
		`m > 5 or n > 2`:           "it joins conditions with or, which have no threshold in common",
		`(m > 5 or n > 2) and c`:   "it joins conditions with or, which have no threshold in common",
		`m and n > 5`:              "the comparison stands on the right of and, which only says which series on its left count",
		`m unless n > 5`:           "the comparison stands on the right of unless, which only says which series on its left count",
		`count(m > 5)`:             "the comparison stands within count, and what that gives is not what is compared",
		`abs(m > 5)`:               "the comparison stands within abs(), and what that gives is not what is compared",
		`(m > 5) * 2`:              "the comparison is not the last thing that it does",
		`-(m > 5)`:                 "the comparison is not the last thing that it does",
		`{job="a"} > 5`:            "its selector does not name one metric, so that series which differ in name only could not be told apart",
		`{__name__=~"m|n"} > 5`:    "its selector does not name one metric, so that series which differ in name only could not be told apart",
		`topk(1, {job="a"}) > 5`:   "its selector does not name one metric, so that series which differ in name only could not be told apart",
		`(m or {job="a"}) > 5`:     "its selector does not name one metric, so that series which differ in name only could not be told apart",
		`absent(m)`:                "",
		`ALERTS{alertname="Down"}`: "",
		`vector(1)`:                "",
		`1`:                        "",
		`a and b`:                  "",
		`a or b`:                   "",
	} {
		t.Run(expr, func(t *testing.T) {
			r := plain(t, expr)
			assert.False(t, r.Query.Split)
			assert.Equal(t, want, r.Query.Unsplit)
			assert.Equal(t, expr, strings.TrimSpace(r.Query.Signal))
			assert.Nil(t, r.Query.Shown)
			require.Len(t, r.Tiers, 1)
			assert.Equal(t, Always, r.Tiers[0].Op)
			assert.Equal(t, time.Minute, r.Tiers[0].For)
			assert.True(t, r.Tiers[0].Breached(math.NaN()))
		})
	}
}

// TestSplitMeansTheSame draws expressions and data and asks Prometheus' engine for the whole expression and for its
// signal: what breaches the threshold is what the whole expression gives, with the same values.
func TestSplitMeansTheSame(t *testing.T) {
	split, fired := 0, 0
	rapid.Check(t, func(rt *rapid.T) {
		text := drawCondition(rt, 2)
		r := plain(rt, text)
		if !r.Query.Split {
			return
		}
		split++
		data := drawData(rt)
		whole, wholeErr := data.ask(r.Expr)
		signal, signalErr := data.ask(r.Query.Signal)
		if (wholeErr == nil) != (signalErr == nil) {
			rt.Fatalf("%s: %v, and its signal %s: %v", text, wholeErr, r.Query.Signal, signalErr)
		}
		want, got := map[string]string{}, map[string]string{}
		for _, s := range whole {
			want[unnamed(rt, want, s)] = rounded(s.F)
		}
		for _, s := range signal {
			key := unnamed(rt, nil, s)
			if s.H != nil || !r.Tiers[0].Breached(s.F) {
				continue
			}
			got[key] = rounded(s.F)
			if r.Query.Shown != nil {
				got[key] = rounded(*r.Query.Shown)
			}
		}
		fired += len(want)
		if !assert.Equal(rt, want, got) {
			rt.Fatalf("%s is not %s %s with\n%s", text, r.Query.Signal, r.Tiers[0].String(), data)
		}
	})
	t.Logf("%d expressions split, %d series over their thresholds", split, fired)
	require.Positive(t, fired)
}

// TestSelectorsReadEnough holds what the selectors say against the engine: what lies outside of what they read may be
// missing without any difference.
func TestSelectorsReadEnough(t *testing.T) {
	read, dropped := 0, 0
	rapid.Check(t, func(rt *rapid.T) {
		text := drawVector(rt, 3)
		r := plain(rt, text)
		data := drawData(rt)
		kept := data.only(r.Query.Selectors)
		want, wantErr := data.ask(text)
		got, gotErr := kept.ask(text)
		require.Equal(rt, wantErr == nil, gotErr == nil, text)
		if !assert.Equal(rt, listed(want), listed(got)) {
			rt.Fatalf("%s with\n%swhere only what %+v reads is left:\n%s", text, data, r.Query.Selectors, kept)
		}
		read += len(want)
		dropped += len(data.String()) - len(kept.String())
	})
	require.Positive(t, read)
	require.Positive(t, dropped)
}

// listed is a result in an order of its own: the engine's is that of a map here and there.
func listed(v promql.Vector) []string {
	lines := make([]string, 0, len(v))
	for _, s := range v {
		lines = append(lines, s.Metric.String()+" "+rounded(s.F)+fmt.Sprint(s.H))
	}
	slices.Sort(lines)
	return lines
}

// rounded leaves out what depends on the order in which the engine adds up.
func rounded(v float64) string { return strconv.FormatFloat(v, 'g', 9, 64) }

func unnamed(t require.TestingT, taken map[string]string, s promql.Sample) string {
	key := labels.NewBuilder(s.Metric).Del(model.MetricNameLabel).Labels().String()
	require.NotContains(t, taken, key)
	return key
}

// drawVector draws an expression that gives a vector.
func drawVector(rt *rapid.T, depth int) string {
	if depth == 0 {
		return rapid.SampledFrom([]string{
			`m`, `n`, `m{i="0"}`, `m{i!="0"}`, `c_total`, `h`, `m offset 30s`, `n offset -30s`, `m @ end()`, `n @ 500`, `{__name__=~"m|n"}`,
			`last_over_time({__name__=~"m|n"}[30s])`, `rate(c_total[1m])`, `increase(c_total[1m] offset 15s)`, `max_over_time(m[1m])`,
			`max_over_time(n[1m:15s] offset 45s)`, `max_over_time(last_over_time(m[30s])[1m:15s] @ start())`, `avg_over_time(m[30s] @ 470)`, `vector(6)`,
			`min_over_time(sum_over_time(m[30s:15s] offset 15s)[45s:15s] offset -15s)`, `histogram_count(h)`, `absent(m{i="9"})`,
		}).Draw(rt, "leaf")
	}
	deeper := func() string { return drawVector(rt, depth-1) }
	switch rapid.IntRange(0, 9).Draw(rt, "vector") {
	case 0:
		return "-(" + deeper() + ")"
	case 1:
		return "(" + deeper() + ")" + rapid.SampledFrom([]string{" * 2", " + on (i) n", " / ignoring (j) m", " - 3", " ^ 2"}).Draw(rt, "arithmetic")
	case 2:
		return around(rt, rapid.SampledFrom([]string{"sum(%s)", "max by (i) (%s)", "avg without (j) (%s)", "count(%s)", "topk(9, %s)", "sum by (__name__) (%s)"}), deeper)
	case 3:
		return rapid.SampledFrom([]string{"abs", "ceil", "sort", "timestamp"}).Draw(rt, "function") + "(" + deeper() + ")"
	case 4:
		return `label_replace(` + deeper() + `, "k", "$1", "i", "(.*)")`
	case 5:
		return "(" + deeper() + ")" + rapid.SampledFrom([]string{" or ", " and ", " unless ", " or on (i) ", " unless on (i) "}).Draw(rt, "set") + "(" + deeper() + ")"
	case 6:
		return "(" + deeper() + rapid.SampledFrom([]string{" > 3", " > bool 3", " < 7", " == 5"}).Draw(rt, "filter") + ")"
	case 7:
		return "max_over_time((" + deeper() + ")[45s:15s]" + rapid.SampledFrom([]string{"", " offset 30s", " offset -15s", " @ 480", " @ end()"}).Draw(rt, "at") + ")"
	default:
		return drawVector(rt, 0)
	}
}

// drawCondition draws what an alert may ask.
func drawCondition(rt *rapid.T, depth int) string {
	op := rapid.SampledFrom([]string{">", ">=", "<", "<=", "==", "!="})
	number := rapid.SampledFrom([]string{"5", "-5", "0", "3 * 2", "1", "(7 - 2)", "1e1"})
	comparison := func() string {
		signal := "(" + strings.TrimSpace(drawVector(rt, rapid.IntRange(0, 2).Draw(rt, "depth"))) + ")"
		if rapid.Bool().Draw(rt, "mirrored") {
			return number.Draw(rt, "number") + " " + op.Draw(rt, "op") + " " + signal
		}
		return signal + " " + op.Draw(rt, "op") + " " + number.Draw(rt, "number")
	}
	if depth == 0 {
		return comparison()
	}
	switch rapid.IntRange(0, 7).Draw(rt, "condition") {
	case 0:
		return "(" + drawCondition(rt, depth-1) + ")" + rapid.SampledFrom([]string{" and ", " unless ", " and on (i) ", " unless on (i) "}).Draw(rt, "guard") + drawVector(rt, 1)
	case 1:
		return drawVector(rt, 1) + " and " + "(" + drawCondition(rt, depth-1) + ")"
	case 2:
		return "(" + comparison() + ")" + " " + op.Draw(rt, "op") + " " + number.Draw(rt, "number")
	case 3:
		return "((" + drawVector(rt, 1) + ") " + op.Draw(rt, "op") + " bool " + number.Draw(rt, "number") + ") " +
			op.Draw(rt, "outer") + " " + rapid.SampledFrom([]string{"0", "1"}).Draw(rt, "truth")
	default:
		return comparison()
	}
}

// samples are a small database.
type samples map[string][]reading

type reading struct {
	t int64 // ms
	f float64
	h *histogram.FloatHistogram
}

func (p reading) T() int64                      { return p.t }
func (p reading) ST() int64                     { return 0 }
func (p reading) F() float64                    { return p.f }
func (p reading) H() *histogram.Histogram       { return nil }
func (p reading) FH() *histogram.FloatHistogram { return p.h }
func (p reading) Copy() chunks.Sample           { return p }

func (p reading) Type() chunkenc.ValueType {
	if p.h != nil {
		return chunkenc.ValFloatHistogram
	}
	return chunkenc.ValFloat
}

// evaluatedAt is when the expressions are evaluated; samples lie before and after it.
const evaluatedAt = 600_000

func drawData(rt *rapid.T) samples {
	draw := rand.New(rand.NewPCG(rapid.Uint64().Draw(rt, "data"), 0))
	data := samples{}
	counter := 0.0
	for _, name := range []string{`m{i="0"}`, `m{i="1"}`, `m{i="1",j="a"}`, `n{i="0"}`, `n{i="1"}`, `c_total{i="0"}`, `h{i="0"}`} {
		for at := int64(evaluatedAt - 420_000); at <= evaluatedAt+60_000; at += 15_000 {
			k := draw.IntN(15)
			p := reading{t: at, f: float64(k)}
			switch {
			case strings.HasPrefix(name, "c_"):
				counter += p.f
				p.f = counter
			case strings.HasPrefix(name, "h"):
				p.f = 0
				p.h = &histogram.FloatHistogram{Count: float64(k), Sum: 1, PositiveSpans: []histogram.Span{{Length: 1}}, PositiveBuckets: []float64{float64(k)}}
			case k == 11:
				p.f = math.NaN()
			case k == 12:
				p.f = math.Inf(1)
			case k == 13:
				p.f = math.Float64frombits(value.StaleNaN)
			case k == 14:
				continue
			}
			data[name] = append(data[name], p)
		}
	}
	return data
}

func (s samples) String() string {
	var b strings.Builder
	for _, name := range sortedKeys(s) {
		fmt.Fprintf(&b, "%s", name)
		for _, p := range s[name] {
			fmt.Fprintf(&b, " %v@%d", p.f, p.t/1000)
		}
		b.WriteByte('\n')
	}
	return b.String()
}

// only is what the selectors read.
func (s samples) only(selectors []Selector) samples {
	left := samples{}
	for name, points := range s {
		ls := series(name)
		for _, p := range points {
			for _, sel := range selectors {
				oldest, newest := evaluatedAt-sel.Before.Milliseconds(), evaluatedAt+sel.After.Milliseconds()
				if matches(ls, sel.Matchers) && (sel.Fixed || p.t > oldest && p.t <= newest) {
					left[name] = append(left[name], p)
					break
				}
			}
		}
	}
	return left
}

func series(name string) labels.Labels {
	ls, err := newParser().ParseMetric(name)
	if err != nil {
		panic(err)
	}
	return ls
}

func matches(ls labels.Labels, matchers []*labels.Matcher) bool {
	for _, m := range matchers {
		if !m.Matches(ls.Get(m.Name)) {
			return false
		}
	}
	return true
}

var testEngine = promql.NewEngine(promql.EngineOpts{
	MaxSamples: 1_000_000, Timeout: time.Minute, LookbackDelta: 5 * time.Minute, EnableAtModifier: true, EnableNegativeOffset: true,
	Parser: newParser(), NoStepSubqueryIntervalFn: func(int64) int64 { return 60_000 },
})

func (s samples) ask(text string) (promql.Vector, error) {
	q, err := testEngine.NewInstantQuery(context.Background(), s, nil, text, time.UnixMilli(evaluatedAt))
	if err != nil {
		return nil, err
	}
	defer q.Close()
	result := q.Exec(context.Background())
	return result.Vector()
}

func (s samples) Querier(_, _ int64) (storage.Querier, error) { return querier{data: s}, nil }

type querier struct {
	storage.LabelQuerier
	data samples
}

func (querier) Close() error { return nil }

func (q querier) Select(_ context.Context, _ bool, hints *storage.SelectHints, matchers ...*labels.Matcher) storage.SeriesSet {
	set := &seriesSet{at: -1}
	for _, name := range sortedKeys(q.data) {
		ls := series(name)
		if !matches(ls, matchers) {
			continue
		}
		var list []chunks.Sample
		for _, p := range q.data[name] {
			if p.t >= hints.Start && p.t <= hints.End {
				list = append(list, p)
			}
		}
		if len(list) > 0 {
			set.all = append(set.all, storage.NewListSeries(ls, list))
		}
	}
	return set
}

type seriesSet struct {
	all []storage.Series
	at  int
}

func (s *seriesSet) Next() bool                        { s.at++; return s.at < len(s.all) }
func (s *seriesSet) At() storage.Series                { return s.all[s.at] }
func (s *seriesSet) Err() error                        { return nil }
func (s *seriesSet) Warnings() annotations.Annotations { return nil }

func around(rt *rapid.T, shape *rapid.Generator[string], inner func() string) string {
	return fmt.Sprintf(shape.Draw(rt, "aggregation"), inner())
}
