package unittest

import (
	"context"
	"fmt"
	"regexp"
	"slices"
	"time"

	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/promql/parser"

	"github.com/otelcol-escalation/otelcol-escalation/internal/rule"
)

// Options say what is run and how.
type Options struct {
	// Run selects tests by their name; nil selects all. A test without a name has the name "", as with promtool.
	Run *regexp.Regexp
	// IgnoreUnknownKeys lets rule files have keys that are not known; test files may not.
	IgnoreUnknownKeys bool
	// Dump asks for everything in the window at the end of each test.
	Dump bool
}

// Run runs the tests of one file.
func Run(ctx context.Context, path string, opts Options) *Result {
	r := &Result{Path: path}
	f, err := ReadFile(path)
	if err != nil {
		r.Err = err
		return r
	}
	files, err := f.ruleFiles(r)
	if err != nil {
		r.Err = err
		return r
	}
	for _, t := range f.Tests {
		if opts.Run != nil && !opts.Run.MatchString(t.Name) {
			r.Skipped++
			continue
		}
		done := TestResult{Title: t.Title, Position: t.Position}
		done.Failures, done.Dump = f.run(ctx, t, files, opts, r)
		sortFailures(done.Failures)
		r.Tests = append(r.Tests, done)
		if ctx.Err() != nil {
			break
		}
	}
	return r
}

// run runs one test.
func (f *File) run(ctx context.Context, t *Test, files []string, opts Options, r *Result) (failures []Failure, dump string) {
	promqlParser := parser.NewParser(parser.Options{})
	series, failures := t.input(promqlParser)
	if len(failures) > 0 {
		return failures, ""
	}
	set, err := loadRules(files, rule.Defaults{
		EvaluationInterval: t.Interval,
		ExternalURL:        t.ExternalURL,
		IgnoreUnknownKeys:  opts.IgnoreUnknownKeys,
	})
	if err != nil {
		return r.unloaded(err, t.Position), ""
	}
	for i := range t.Alerts {
		if a := &t.Alerts[i]; a.Alertname == "" {
			return []Failure{{Position: a.Position, Msg: "must have an alertname"}}, ""
		}
	}
	f.orderGroups(set)
	r.warn(f.review(set, t))
	play := newPlay(set, f.EvaluationInterval, t, series)
	pending := byTime(t.Alerts)
	end := t.Start.Add(t.last())
	for ts := t.Start; ; ts = ts.Add(f.EvaluationInterval) {
		if failed := play.step(ctx, ts); len(failed) > 0 {
			return append(failures, failed...), ""
		}
		for len(pending) > 0 && t.Start.Add(pending[0].At).Before(ts.Add(f.EvaluationInterval)) {
			a := pending[0]
			pending = pending[1:]
			play.pointsUntil(t.Start.Add(a.At))
			if failed := a.compare(play.alerts(a.Alertname)); failed != nil {
				failures = append(failures, *failed)
			}
		}
		if end.Sub(ts) < f.EvaluationInterval {
			break
		}
	}
	engine := newEngine(f.EvaluationInterval)
	for i := range t.Exprs {
		e := &t.Exprs[i]
		if failed := e.run(ctx, engine, play.window(), promqlParser, t.Start, f.Fuzzy); failed != nil {
			failures = append(failures, *failed)
		}
	}
	if opts.Dump {
		dump = dumpWindow(ctx, engine, play.window(), t)
	}
	return failures, dump
}

// byTime are the tests of alerts in the order of their times.
func byTime(tests []AlertTest) []*AlertTest {
	sorted := make([]*AlertTest, len(tests))
	for i := range tests {
		sorted[i] = &tests[i]
	}
	slices.SortStableFunc(sorted, func(a, b *AlertTest) int { return int(min(max(a.At-b.At, -1), 1)) })
	return sorted
}

// lookback is Prometheus' default, and promtool's.
const lookback = 5 * time.Minute

// newEngine returns the engine for the tests' own queries. promtool gives up on a query that loads more than 10,000
// samples; there is no reason to.
func newEngine(step time.Duration) *promql.Engine {
	return promql.NewEngine(promql.EngineOpts{
		MaxSamples:               50_000_000,
		Timeout:                  100 * time.Second,
		LookbackDelta:            lookback,
		NoStepSubqueryIntervalFn: func(int64) int64 { return step.Milliseconds() },
		EnableAtModifier:         true,
		EnableNegativeOffset:     true,
		Parser:                   parser.NewParser(parser.Options{}),
	})
}

// dumpWindow shows every sample of the input series and of what rules wrote.
func dumpWindow(ctx context.Context, engine *promql.Engine, window queryable, t *Test) string {
	reach := (t.last() + time.Second).Truncate(time.Second)
	query := fmt.Sprintf(`{__name__=~".+"}[%ds]`, int64(reach/time.Second)+1)
	q, err := engine.NewInstantQuery(ctx, window, nil, query, t.Start.Add(reach))
	if err != nil {
		return err.Error()
	}
	defer q.Close()
	result := q.Exec(ctx)
	if result.Err != nil {
		return result.Err.Error()
	}
	return result.Value.String()
}
