package thresholdprocessor

import (
	"context"
	"fmt"
	"sync"
	"time"

	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/consumer"
	"go.opentelemetry.io/collector/pdata/pmetric"
	"go.opentelemetry.io/collector/processor"
	"go.uber.org/zap"

	"github.com/otelcol-escalation/otelcol-escalation/internal/evaluate"
)

// tickInterval is how often time alone is judged: absence, repetition, and whether a rule file has changed.
const tickInterval = time.Second

// threshold is the processor. It reads the clock; nothing below it does.
type threshold struct {
	cfg    *Config
	id     component.ID
	logger *zap.Logger
	next   consumer.Metrics
	tell   *telemetry

	evaluator *evaluate.Evaluator
	rules     *ruleSource
	states    *stateStore // nil without storage
	out       *outbox
	groups    *schedule

	// committing makes taking, storing and queueing what was judged one step. Who waits for it shares the next write.
	committing sync.Mutex

	stop context.CancelFunc // nil before Start
	done sync.WaitGroup
}

func newThreshold(set processor.Settings, cfg *Config, next consumer.Metrics) (*threshold, error) {
	tell, err := newTelemetry(set.TelemetrySettings)
	if err != nil {
		return nil, err
	}
	return &threshold{cfg: cfg, id: set.ID, logger: set.Logger, next: next, tell: tell, out: newOutbox(next, tell, set.Logger)}, nil
}

// Capabilities implements consumer.Metrics: breaching points are tagged in place.
func (*threshold) Capabilities() consumer.Capabilities {
	return consumer.Capabilities{MutatesData: true}
}

// Start reads the rules, brings back stored state and starts the clock.
func (t *threshold) Start(ctx context.Context, host component.Host) error {
	rules, set, err := newRuleSource(t.cfg, t.logger, t.tell)
	if err != nil {
		return err
	}
	now := time.Now()
	t.rules = rules
	t.evaluator = evaluate.New(set, t.cfg.options(), now)
	if err := t.tell.observe(t.evaluator, t.out); err != nil {
		return err
	}
	if t.cfg.Storage != nil {
		if t.states, err = openStates(ctx, host, *t.cfg.Storage, t.id, t.evaluator, t.logger, t.tell); err != nil {
			return err
		}
		t.states.restore(ctx, now)
	}
	// Not Start's context: it ends when Start returns.
	running, stop := context.WithCancel(context.Background())
	t.stop = stop
	if t.states != nil {
		t.done.Go(func() { t.states.run(running) })
		t.done.Go(func() { t.states.roll(running) })
	}
	t.groups = newSchedule(t.evaluator, func(ctx context.Context) { t.publish(ctx, false) })
	t.groups.follow(running)
	t.done.Go(func() {
		t.run(running)
		t.groups.wait()
	})
	return nil
}

// Shutdown stops the clock, and stores and sends what there is.
func (t *threshold) Shutdown(ctx context.Context) error {
	defer t.tell.shutdown()
	if t.stop == nil {
		return nil
	}
	t.stop()
	if err := within(ctx, closeTimeout, t.done.Wait); err != nil {
		return fmt.Errorf("the storage or the next consumer does not let go: %w", err)
	}
	recorded := t.commit()
	var err error
	if t.states != nil {
		err = t.states.close(ctx)
	}
	t.out.flush(ctx, true)
	t.sendRecorded(ctx, recorded)
	return err
}

// ConsumeMetrics judges a batch, stores and sends what that changed, and passes the batch on. Its error is the next
// consumer's about the batch alone: nothing of ours can fail it.
func (t *threshold) ConsumeMetrics(ctx context.Context, md pmetric.Metrics) error {
	if t.evaluator.Judge(md, time.Now()) {
		t.publish(ctx, false)
	}
	return t.next.ConsumeMetrics(ctx, md)
}

// publish stores and sends what was judged. While the next consumer refuses only a retry sends.
func (t *threshold) publish(ctx context.Context, retry bool) {
	recorded := t.commit()
	t.out.flush(ctx, retry)
	t.sendRecorded(ctx, recorded)
}

// commit hands over what was judged: stored first, then queued to be sent; what recording rules made is left to the
// caller. A batch that finds nothing has been served by another that came before it.
func (t *threshold) commit() []evaluate.Recorded {
	t.committing.Lock()
	defer t.committing.Unlock()
	r := t.evaluator.Take()
	if t.states != nil && len(r.Shards) > 0 {
		t.states.save(r.Shards)
	}
	t.out.push(r.Emissions)
	return r.Recorded
}

func (t *threshold) run(ctx context.Context) {
	ticker := time.NewTicker(tickInterval)
	defer ticker.Stop()
	for n := 1; ; n++ {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
			t.tick(ctx, n)
		}
	}
}

// tick does what time alone brings.
func (t *threshold) tick(ctx context.Context, n int) {
	if n%reloadTicks == 0 {
		if set := t.rules.poll(); set != nil {
			t.evaluator.Reload(set, time.Now())
			t.groups.follow(ctx)
		}
	}
	now := time.Now()
	t.evaluator.Tick(now)
	t.publish(ctx, true)
	t.tell.problems(t.logger, t.evaluator.Problems(now))
}
