package evaluate

import (
	"context"
	"fmt"
	"runtime"
	"testing"
	"time"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/promql/parser"
	"github.com/prometheus/prometheus/rules"
	"github.com/prometheus/prometheus/storage"
	"github.com/prometheus/prometheus/tsdb"
	"github.com/stretchr/testify/require"

	"github.com/otelcol-escalation/otelcol-escalation/internal/rule"
)

// BenchmarkExpr evaluates one rule, `metric > 0.5 for 1m`, over many series, beside Prometheus' rule manager on a TSDB
// with the same data, turn by turn in one run: time and memory allocated per series and evaluation, and what an active
// alert keeps. Each turn is an evaluation interval of 15 s, so that a quarter of ours repeats every state, which is
// what leaves for the exporter; Prometheus sends its alerts as often.
func BenchmarkExpr(b *testing.B) {
	for _, series := range []int{10_000, 100_000} {
		for _, firing := range []bool{false, true} {
			b.Run(fmt.Sprintf("series=%d/firing=%v", series, firing), func(b *testing.B) { benchExpr(b, series, firing) })
		}
	}
}

const benchFile = `
groups:
- name: g
  interval: 15s
  rules:
  - alert: Breach
    expr: ai_model_metric > 0.5
    for: 1m
    labels: {severity: page, owner: ml-team}
    annotations: {summary: "value is {{ $value }} for {{ $labels.model_name }}"}
`

// contender is one of the two.
type contender struct {
	push      func(i int, ls labels.Labels, at int64, v float64)
	commit    func()
	eval      func(ts time.Time)
	took      []time.Duration
	allocated []uint64
	kept      uint64
}

func benchExpr(b *testing.B, series int, firing bool) {
	all := benchSeries(series)
	start := time.Unix(1_700_000_000, 0).UTC()
	theirs, ours := newTheirs(b, series), newOurs(b, start)
	turns := 8
	if series > 10_000 {
		turns = 4
	}
	for _, c := range []*contender{ours, theirs} {
		ts := start
		turn := func(v float64, measured bool) {
			ts = ts.Add(15 * time.Second)
			for i, ls := range all {
				c.push(i, ls, ts.UnixMilli(), v)
			}
			c.commit()
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			began := time.Now()
			c.eval(ts)
			took := time.Since(began)
			if runtime.ReadMemStats(&after); measured {
				c.took = append(c.took, took)
				c.allocated = append(c.allocated, after.TotalAlloc-before.TotalAlloc)
			}
		}
		for range 8 { // the window is not filled any more, nothing is new
			turn(0, false)
		}
		quiet := heap()
		v := 0.0
		if firing {
			v = 1
		}
		for range 6 { // past `for: 1m`
			turn(v, false)
		}
		if full := heap(); full > quiet {
			c.kept = full - quiet
		}
		for range turns {
			turn(v, true)
		}
	}
	n := float64(series)
	mine, peer := mean(ours.took), mean(theirs.took) // not medians: every fourth turn repeats all states
	b.ReportMetric(0, "ns/op")
	b.ReportMetric(mine/n, "ns/series")
	b.ReportMetric(peer/n, "prometheus-ns/series")
	b.ReportMetric(mine/peer, "time-ratio")
	b.ReportMetric(mean(ours.allocated)/n, "B/series")
	b.ReportMetric(mean(theirs.allocated)/n, "prometheus-B/series")
	if firing {
		b.ReportMetric(float64(ours.kept)/n, "kept-B/alert")
		b.ReportMetric(float64(theirs.kept)/n, "prometheus-kept-B/alert")
	}
}

func mean[T ~int64 | ~uint64](v []T) float64 {
	sum := 0.0
	for _, one := range v {
		sum += float64(one)
	}
	return sum / float64(len(v))
}

func benchSeries(n int) []labels.Labels {
	models := []string{"chat-7b", "chat-70b", "embed", "rerank", "vision", "code", "speech", "draft"}
	all := make([]labels.Labels, n)
	for i := range all {
		all[i] = labels.FromStrings("__name__", "ai_model_metric", "job", "inference", "instance", fmt.Sprintf("node-%02d:8000", i%10),
			"model_name", models[i%8], "model_version", fmt.Sprintf("v%d", i%4), "tenant", fmt.Sprintf("tenant-%03d", i%50),
			"region", []string{"eu", "us", "ap"}[i%3], "shard", fmt.Sprint(i))
	}
	return all
}

func newOurs(b *testing.B, start time.Time) *contender {
	groups, err := rule.LoadFile("bench.yaml", []byte(benchFile), rule.Defaults{Lookback: 5 * time.Minute})
	require.NoError(b, err)
	set, err := rule.Combine(groups)
	require.NoError(b, err)
	opts := testOptions()
	opts.Series, opts.SeriesPerRule = 1_000_000, 1_000_000
	opts.Lookback, opts.EvaluationInterval = 5*time.Minute, time.Minute
	e := New(set, opts, start)
	require.NoError(b, e.Restore(nil, nil, true, time.Time{}, start))
	key := e.Groups()[0].Key
	return &contender{
		push: func(_ int, ls labels.Labels, at int64, v float64) {
			if err := e.Window().Append(ls, 0, at, v, nil, nil, at); err != nil {
				b.Fatal(err)
			}
		},
		commit: func() {},
		eval: func(ts time.Time) {
			e.EvaluateGroup(context.Background(), key, ts, ts)
			e.Tick(ts)
			e.Take()
		},
	}
}

func newTheirs(b *testing.B, series int) *contender {
	opts := tsdb.DefaultOptions()
	opts.MinBlockDuration = (24 * time.Hour).Milliseconds()
	opts.MaxBlockDuration = opts.MinBlockDuration
	db, err := tsdb.Open(b.TempDir(), nil, nil, opts, tsdb.NewDBStats())
	require.NoError(b, err)
	b.Cleanup(func() { require.NoError(b, db.Close()) })
	p := parser.NewParser(parser.Options{})
	engine := promql.NewEngine(promql.EngineOpts{
		Logger: quietLogger(), MaxSamples: 50_000_000, Timeout: 2 * time.Minute, LookbackDelta: 5 * time.Minute, Parser: p,
	})
	expr, err := p.ParseExpr("ai_model_metric > 0.5")
	require.NoError(b, err)
	r := rules.NewAlertingRule("Breach", expr, time.Minute, 0, labels.FromStrings("severity", "page", "owner", "ml-team"),
		labels.FromStrings("summary", "value is {{ $value }} for {{ $labels.model_name }}"), labels.EmptyLabels(), "", true, quietLogger())
	g := rules.NewGroup(rules.GroupOptions{Name: "g", Interval: 15 * time.Second, Rules: []rules.Rule{r}, Opts: &rules.ManagerOptions{
		QueryFunc: rules.EngineQueryFunc(engine, db), Appendable: db, Queryable: db, Context: context.Background(),
		Logger: quietLogger(), NotifyFunc: func(context.Context, string, ...*rules.Alert) {}, ResendDelay: time.Minute, Parser: p,
	}})
	refs := make([]storage.SeriesRef, series)
	var app storage.Appender
	return &contender{
		push: func(i int, ls labels.Labels, at int64, v float64) {
			if app == nil {
				app = db.Appender(context.Background())
			}
			ref, err := app.Append(refs[i], ls, at, v)
			if err != nil {
				b.Fatal(err)
			}
			refs[i] = ref
		},
		commit: func() {
			require.NoError(b, app.Commit())
			app = nil
		},
		eval: func(ts time.Time) { g.Eval(context.Background(), ts) },
	}
}
