package thresholdprocessor

import (
	"context"
	"slices"
	"sort"
	"sync"
	"sync/atomic"
	"time"

	"go.opentelemetry.io/collector/consumer"
	"go.opentelemetry.io/collector/consumer/consumererror"
	"go.opentelemetry.io/collector/pdata/pmetric"
	"go.uber.org/zap"

	"github.com/otelcol-escalation/otelcol-escalation/internal/alert"
	"github.com/otelcol-escalation/otelcol-escalation/internal/evaluate"
)

const (
	// outboxLimit bounds the states that wait.
	outboxLimit = 100_000
	// outboxRoom is how many may wait before repetitions that a later state has overtaken are let go.
	outboxRoom = 10_000
	// callSize bounds the states that go out in one call, in bytes: half of what a gRPC receiver takes by default.
	callSize = 2 << 20
	// bypassAfter is how long the next consumer must have refused the oldest states before newer ones are offered
	// behind them. It may be several: then one that refuses must not keep the states from the others for ever.
	bypassAfter = 30 * time.Second
)

// The reasons for which a state is not sent, as the attribute of outbox_dropped.
const (
	dropRefused   = "refused"   // the next consumer's error was permanent
	dropOvertaken = "overtaken" // a repetition, and a later state of the same alert waits
	dropOverflow  = "overflow"  // outboxLimit
)

// outbox sends states in the order in which they were judged, and keeps what the next consumer has not accepted.
type outbox struct {
	next   consumer.Metrics
	tell   *telemetry
	logger *zap.Logger

	mu      sync.Mutex
	waiting []entry
	last    uint64 // number of the newest entry
	room    int    // number of entries at which overtaken ones are let go
	full    bool   // said that it is full

	// refusing is set while the next consumer refuses: then only the clock tries again.
	refusing atomic.Bool

	// sending is held by whoever sends; others leave what they have queued to it and never wait.
	sending sync.Mutex
	since   time.Time // when the next consumer began to refuse
	offered uint64    // number of the newest entry that the next consumer was asked to take
	spurned bool      // said that it refuses for good
}

// entry is a state that waits. Numbers rise, and tell what has been sent from what came meanwhile.
type entry struct {
	evaluate.Emission
	number uint64
}

func newOutbox(next consumer.Metrics, tell *telemetry, logger *zap.Logger) *outbox {
	return &outbox{next: next, tell: tell, logger: logger, room: outboxRoom}
}

func (o *outbox) size() int {
	o.mu.Lock()
	defer o.mu.Unlock()
	return len(o.waiting)
}

// push queues states.
func (o *outbox) push(emissions []evaluate.Emission) {
	if len(emissions) == 0 {
		return
	}
	o.mu.Lock()
	for _, e := range emissions {
		o.last++
		o.waiting = append(o.waiting, entry{e, o.last})
	}
	overtaken, overflow := o.trim()
	sayFull := overflow > 0 && !o.full
	o.full = o.full || overflow > 0
	o.mu.Unlock()
	o.tell.dropped(dropOvertaken, overtaken)
	o.tell.dropped(dropOverflow, overflow)
	if sayFull {
		o.logger.Error("The next consumer has refused states for so long that the oldest are dropped; what is active will be repeated.")
	}
}

// trim makes room, and returns how many entries went. The caller holds mu.
func (o *outbox) trim() (overtaken, overflow int) {
	if len(o.waiting) > o.room {
		before := len(o.waiting)
		o.dropOvertaken()
		overtaken = before - len(o.waiting)
		o.room = len(o.waiting) + outboxRoom // not at every push
	}
	if overflow = len(o.waiting) - outboxLimit; overflow > 0 {
		o.waiting = slices.Delete(o.waiting, 0, overflow)
		return overtaken, overflow
	}
	return overtaken, 0
}

// dropOvertaken drops the repetitions of alerts of which something later waits, too: what they say is said by that.
func (o *outbox) dropOvertaken() {
	type track struct {
		id     string
		silent bool
	}
	later := make(map[track]struct{}, len(o.waiting))
	kept := len(o.waiting)
	for i := len(o.waiting) - 1; i >= 0; i-- {
		e := &o.waiting[i]
		key := track{e.ID, e.Silent}
		_, overtaken := later[key]
		later[key] = struct{}{}
		if overtaken && e.Repeated {
			continue
		}
		kept--
		o.waiting[kept] = *e
	}
	o.waiting = slices.Delete(o.waiting, 0, kept)
}

// flush sends what waits, unless somebody does already. It ends with an empty outbox or a refusal. While the next
// consumer refuses only a retry sends: otherwise every batch would bring everything again.
func (o *outbox) flush(ctx context.Context, retry bool) {
	if o.size() == 0 || o.refusing.Load() && !retry {
		return
	}
	ctx, done := unowned(ctx)
	defer done()
	for o.size() > 0 && o.sending.TryLock() {
		ok := o.deliver(ctx)
		o.sending.Unlock()
		if !ok {
			return
		}
	}
}

// unowned returns a context that ends with ctx and carries nothing else of it: states are the processor's own, not the
// client's whose batch happens to come when they are sent.
func unowned(ctx context.Context) (context.Context, context.CancelFunc) {
	own, cancel := context.WithCancel(context.Background())
	stop := context.AfterFunc(ctx, cancel)
	return own, func() { stop(); cancel() }
}

// deliver sends the oldest states and reports whether to go on. The caller holds sending.
func (o *outbox) deliver(ctx context.Context) bool {
	oldest := o.after(0)
	if len(oldest) == 0 {
		return true
	}
	err := o.send(ctx, oldest)
	if err == nil {
		o.accepted()
		return true
	}
	if ctx.Err() != nil {
		return false // the sender gave up, which says nothing about the next consumer
	}
	if o.refused(err); time.Since(o.since) >= bypassAfter {
		for newer := o.after(o.offered); len(newer) > 0 && ctx.Err() == nil; newer = o.after(o.offered) {
			_ = o.send(ctx, newer) // what is refused stays, and is sent in its turn
		}
	}
	return false
}

// after returns the oldest states beyond a number, as many as go out in one call.
func (o *outbox) after(number uint64) []entry {
	o.mu.Lock()
	defer o.mu.Unlock()
	from := o.index(number + 1)
	size, to := 0, from
	for to < len(o.waiting) && (to == from || size < callSize) {
		size += sizeOf(&o.waiting[to].Alert)
		to++
	}
	return slices.Clone(o.waiting[from:to])
}

// index is that of the first entry with at least this number. The caller holds mu.
func (o *outbox) index(number uint64) int {
	return sort.Search(len(o.waiting), func(i int) bool { return o.waiting[i].number >= number })
}

// sizeOf estimates what a state takes on the wire.
func sizeOf(a *alert.Alert) int {
	const fixed, each = 400, 8 // names, numbers and identity; framing of an attribute
	n := fixed + len(a.Group) + len(a.Rule) + len(a.Owner) + len(a.Response) + len(a.SourceMetric)
	for _, texts := range []map[string]string{a.Labels, a.Annotations} {
		for name, text := range texts {
			n += each + len(name) + len(text)
		}
	}
	return n
}

// send offers states to the next consumer. They are taken off the outbox unless it returns an error: then they may be
// accepted another time.
func (o *outbox) send(ctx context.Context, states []entry) error {
	first, last := states[0].number, states[len(states)-1].number
	o.offered = max(o.offered, last)
	err := o.next.ConsumeMetrics(ctx, metricsOf(states))
	if err != nil && !permanent(err) {
		return err
	}
	o.remove(first, last)
	if err != nil {
		o.tell.dropped(dropRefused, len(states))
		if !o.spurned {
			o.logger.Error("The next consumer refuses states for good; what is active will be repeated.", zap.Error(err))
		}
	}
	o.spurned = err != nil
	return nil
}

func metricsOf(states []entry) pmetric.Metrics {
	md := pmetric.NewMetrics()
	w, silent := alert.NewWriter(md), alert.NewExploreWriter(md)
	for i := range states {
		switch {
		case states[i].Silent:
			silent.Append(&states[i].Alert)
		case states[i].Stale:
			w.AppendStale(&states[i].Alert)
		default:
			w.Append(&states[i].Alert)
		}
	}
	return md
}

// remove takes off the entries with these numbers; some may have been trimmed meanwhile.
func (o *outbox) remove(first, last uint64) {
	o.mu.Lock()
	defer o.mu.Unlock()
	from, to := o.index(first), o.index(last+1)
	if from > 0 {
		o.waiting = slices.Delete(o.waiting, from, to)
		return
	}
	clear(o.waiting[:to])
	if o.waiting = o.waiting[to:]; len(o.waiting) == 0 {
		o.waiting, o.room, o.full = nil, outboxRoom, false
	}
}

func (o *outbox) refused(err error) {
	if o.refusing.CompareAndSwap(false, true) {
		o.since = time.Now()
		o.logger.Warn("The next consumer refuses states; they are kept and sent again.", zap.Error(err))
	}
}

func (o *outbox) accepted() {
	if o.refusing.CompareAndSwap(true, false) {
		o.logger.Info("The next consumer takes states again.", zap.Duration("after", time.Since(o.since)))
	}
}

// permanent reports whether no part of err can be mended by sending again. Several consumers' errors come joined.
func permanent(err error) bool {
	if joined, ok := err.(interface{ Unwrap() []error }); ok { //nolint:errorlint // every part is looked at below
		return !slices.ContainsFunc(joined.Unwrap(), func(err error) bool { return !permanent(err) })
	}
	return consumererror.IsPermanent(err)
}
