package thresholdprocessor

import (
	"context"
	"runtime"
	"sync"
	"time"

	"github.com/otelcol-escalation/otelcol-escalation/internal/evaluate"
)

// schedule evaluates the groups of rules in PromQL, each on its own interval in a goroutine of its own. Batches never
// wait for it.
type schedule struct {
	evaluator *evaluate.Evaluator
	// publish stores and sends what an evaluation changed.
	publish func(ctx context.Context)
	// slots bound how many groups are evaluated at a time: a processor that judges has better things to do, too.
	slots chan struct{}

	running map[string]runningGroup // by key; of the ticking goroutine
	done    sync.WaitGroup
}

type runningGroup struct {
	evaluate.Group
	stop context.CancelFunc
}

func newSchedule(e *evaluate.Evaluator, publish func(ctx context.Context)) *schedule {
	return &schedule{
		evaluator: e,
		publish:   publish,
		slots:     make(chan struct{}, max(runtime.GOMAXPROCS(0)/2, 1)),
		running:   map[string]runningGroup{},
	}
}

// follow starts what is new among the groups, and stops what is gone. A group whose times changed is started anew.
func (s *schedule) follow(ctx context.Context) {
	now := map[string]evaluate.Group{}
	for _, g := range s.evaluator.Groups() {
		now[g.Key] = g
	}
	for key, g := range s.running {
		if now[key] != g.Group {
			g.stop()
			delete(s.running, key)
		}
	}
	for key, g := range now {
		if _, ok := s.running[key]; ok {
			continue
		}
		own, stop := context.WithCancel(ctx)
		s.running[key] = runningGroup{g, stop}
		s.done.Go(func() { s.run(own, g) })
	}
}

// wait returns when all groups have stopped; the context that follow was given must have ended.
func (s *schedule) wait() { s.done.Wait() }

func (s *schedule) run(ctx context.Context, g evaluate.Group) {
	next := g.Next(time.Now())
	timer := time.NewTimer(time.Until(next))
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-timer.C:
		}
		ts := s.evaluate(ctx, g)
		now := time.Now()
		next = g.Next(now)
		s.evaluator.Evaluated(g.Key, now.Sub(ts), int(max(next.Sub(ts)/g.Interval-1, 0)))
		timer.Reset(next.Sub(now))
	}
}

// evaluate evaluates a group as of the latest of its times, which it returns: where evaluations were missed, or the clock
// was set, the ones in between are not made up for.
func (s *schedule) evaluate(ctx context.Context, g evaluate.Group) time.Time {
	select {
	case s.slots <- struct{}{}:
	case <-ctx.Done():
		return time.Now()
	}
	defer func() { <-s.slots }()
	now := time.Now()
	ts := g.Next(now).Add(-g.Interval)
	if s.evaluator.EvaluateGroup(ctx, g.Key, ts, now) {
		s.publish(ctx)
	}
	return ts
}
