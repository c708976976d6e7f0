package thresholdprocessor

import (
	"context"
	"slices"
	"sync"

	"go.opentelemetry.io/collector/consumer"
	"go.opentelemetry.io/collector/consumer/consumererror"
	"go.opentelemetry.io/collector/pdata/pmetric"
	"go.uber.org/zap"

	"github.com/otelcol-escalation/otelcol-escalation/internal/alert"
	"github.com/otelcol-escalation/otelcol-escalation/internal/evaluate"
)

// outboxLimit bounds the states that wait, outboxBatch those that go out in one call.
const (
	outboxLimit = 100_000
	outboxBatch = 10_000
)

// outbox sends states in the order in which they were judged, and keeps what the next consumer has not accepted.
type outbox struct {
	next   consumer.Metrics
	tell   *telemetry
	logger *zap.Logger

	mu      sync.Mutex
	waiting []evaluate.Emission

	// sending is held by whoever sends; others leave what they have queued to it.
	sending sync.Mutex
	// failed is set while the next consumer refuses, so that it is logged once. Under sending.
	failed bool
}

func newOutbox(next consumer.Metrics, tell *telemetry, logger *zap.Logger) *outbox {
	return &outbox{next: next, tell: tell, logger: logger}
}

func (o *outbox) push(emissions []evaluate.Emission) {
	if len(emissions) == 0 {
		return
	}
	o.mu.Lock()
	o.waiting = append(o.waiting, emissions...)
	dropped := o.trim()
	o.mu.Unlock()
	if dropped > 0 {
		o.tell.dropped(dropped)
		o.logger.Error("The next consumer has refused states for so long that some had to be dropped.", zap.Int("dropped", dropped))
	}
}

// trim makes room: repetitions go first, what they say will be said again; then the oldest.
func (o *outbox) trim() int {
	before := len(o.waiting)
	if before <= outboxLimit {
		return 0
	}
	spare := before - outboxLimit
	o.waiting = slices.DeleteFunc(o.waiting, func(e evaluate.Emission) bool {
		if e.Repeated && spare > 0 {
			spare--
			return true
		}
		return false
	})
	if over := len(o.waiting) - outboxLimit; over > 0 {
		o.waiting = slices.Delete(o.waiting, 0, over)
	}
	return before - len(o.waiting)
}

func (o *outbox) size() int {
	o.mu.Lock()
	defer o.mu.Unlock()
	return len(o.waiting)
}

// flush sends what waits, unless somebody does already. It ends with an empty outbox or a refusal.
func (o *outbox) flush(ctx context.Context) {
	for o.size() > 0 && o.sending.TryLock() {
		ok := o.send(ctx)
		o.sending.Unlock()
		if !ok {
			return
		}
	}
}

// send sends one batch and reports whether it went out.
func (o *outbox) send(ctx context.Context) bool {
	o.mu.Lock()
	batch := slices.Clone(o.waiting[:min(len(o.waiting), outboxBatch)])
	o.mu.Unlock()
	if len(batch) == 0 {
		return true
	}
	md := pmetric.NewMetrics()
	w := alert.NewWriter(md)
	for i := range batch {
		if batch[i].Stale {
			w.AppendStale(&batch[i].Alert)
		} else {
			w.Append(&batch[i].Alert)
		}
	}
	err := o.next.ConsumeMetrics(ctx, md)
	switch {
	case err == nil:
		o.failed = false
	case consumererror.IsPermanent(err):
		o.tell.dropped(len(batch))
		o.logger.Error("The next consumer refused states for good; active ones will be repeated.", zap.Int("dropped", len(batch)), zap.Error(err))
	default:
		if !o.failed {
			o.logger.Warn("The next consumer refuses states; they are kept and sent again.", zap.Error(err))
		}
		o.failed = true
		return false
	}
	o.mu.Lock()
	o.waiting = o.drop(batch)
	o.mu.Unlock()
	return true
}

// drop takes what was sent from the front of what waits: the front may have been trimmed meanwhile.
func (o *outbox) drop(sent []evaluate.Emission) []evaluate.Emission {
	rest := o.waiting
	for i := range sent {
		if len(rest) > 0 && same(&rest[0], &sent[i]) {
			rest = rest[1:]
		}
	}
	return slices.Clone(rest)
}

func same(a, b *evaluate.Emission) bool {
	return a.ID == b.ID && a.Time.Equal(b.Time) && a.Stale == b.Stale
}
