package evaluate

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/promql/parser"
)

const (
	// maxQuerySamples bounds what one query holds in memory, at 16 bytes each.
	maxQuerySamples = 20_000_000
	// queryTimeout bounds one query; a group whose interval is longer may take that long.
	queryTimeout = time.Minute
	// applied is how many samples of a result are judged before others may have the locks.
	applied = 1024
)

// newEngine returns Prometheus' engine as its server configures it.
func newEngine(lookback, interval time.Duration) *promql.Engine {
	return promql.NewEngine(promql.EngineOpts{
		MaxSamples:               maxQuerySamples,
		Timeout:                  queryTimeout,
		LookbackDelta:            lookback,
		NoStepSubqueryIntervalFn: func(int64) int64 { return interval.Milliseconds() },
		EnableAtModifier:         true,
		EnableNegativeOffset:     true,
		Parser:                   parser.NewParser(parser.Options{}),
	})
}

// EvaluateGroup evaluates the rules of a group, in order, as of ts, and reports whether there is something to Take. now
// is the clock; it may be later than ts. Batches are not held up: no lock is held while a query runs, and those that
// its results need are given back in between. A group that is no more is passed over.
func (e *Evaluator) EvaluateGroup(ctx context.Context, key string, ts, now time.Time) bool {
	g := e.group(key)
	if g == nil {
		return false
	}
	g.evaluating.Lock()
	defer g.evaluating.Unlock()
	queued := e.queue.queued.Load()
	g.evaluations.Add(1)
	for _, r := range g.rules {
		err := e.evaluate(ctx, g, r, ts, now)
		if errors.Is(err, errReplaced) || ctx.Err() != nil {
			break
		}
		e.noteFailure(g, r, err, now)
	}
	return e.queue.waiting() || e.queue.queued.Load() != queued
}

// errReplaced says that the rules were replaced while a group was being evaluated.
var errReplaced = errors.New("the rules were replaced meanwhile")

// evaluate evaluates one rule.
func (e *Evaluator) evaluate(ctx context.Context, g *groupState, r *exprRule, ts, now time.Time) error {
	if r.rule.Query.Absent && !e.settled(r, now) {
		return nil // what has not come yet is not absent
	}
	vector, err := e.query(ctx, r.rule.Query.Signal, ts.Add(-g.queryOffset))
	if err != nil {
		return err
	}
	if r.metric == nil {
		return e.record(g, r, vector, ts.Add(-g.queryOffset), now)
	}
	return e.judgeVector(ctx, g, r, vector, ts, now)
}

// query evaluates PromQL on the window. A scalar becomes a sample without labels.
func (e *Evaluator) query(ctx context.Context, text string, ts time.Time) (promql.Vector, error) {
	q, err := e.engine.NewInstantQuery(ctx, e.window, nil, text, ts)
	if err != nil {
		return nil, err
	}
	defer q.Close()
	result := q.Exec(ctx)
	if result.Err != nil {
		return nil, result.Err
	}
	switch v := result.Value.(type) {
	case promql.Vector:
		return v, nil
	case promql.Scalar:
		return promql.Vector{{T: v.T, F: v.V, Metric: labels.EmptyLabels()}}, nil
	default:
		return nil, fmt.Errorf("the expression must give a vector or a scalar (got %s)", result.Value.Type())
	}
}

// settled reports whether the window has covered all that the rule looks back on since the start, or since the rule came.
func (e *Evaluator) settled(r *exprRule, now time.Time) bool {
	if e.opts.WholeHistory || r.metric == nil {
		return true
	}
	own := r.metric.rules[0]
	return e.elapsed(now)-own.since >= own.reach
}

// noteFailure remembers whether a rule's last evaluation failed.
func (e *Evaluator) noteFailure(g *groupState, r *exprRule, err error, now time.Time) {
	if err == nil {
		r.failure.Store(nil)
		return
	}
	g.failures.Add(1)
	f := &failure{text: err.Error(), since: e.elapsed(now)}
	if before := r.failure.Load(); before != nil {
		f.since = before.since
	}
	r.failure.Store(f)
}
