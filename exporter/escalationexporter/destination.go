package escalationexporter

import (
	"container/heap"
	"context"
	"strings"
	"sync"
	"time"

	"golang.org/x/time/rate"

	"github.com/otelcol-escalation/otelcol-escalation/internal/escalate"
	"github.com/otelcol-escalation/otelcol-escalation/internal/ledger"
)

// sendsPerDestination bounds how many messages are on their way to one destination at the same time.
const sendsPerDestination = 4

// job is a topic of which a destination must be told.
type job struct {
	topic string
	tier  int
	due   time.Time
	// sending is set while it is on its way; again when something newer was ordered meanwhile.
	sending, again bool
	place          int // in the queue
}

// jobs is a queue, the most urgent first.
type jobs []*job

func (q jobs) Len() int { return len(q) }
func (q jobs) Less(i, j int) bool {
	if q[i].tier != q[j].tier {
		return q[i].tier > q[j].tier
	}
	return q[i].due.Before(q[j].due)
}
func (q jobs) Swap(i, j int) {
	q[i], q[j] = q[j], q[i]
	q[i].place, q[j].place = i, j
}
func (q *jobs) Push(item any) {
	item.(*job).place = len(*q)
	*q = append(*q, item.(*job))
}
func (q *jobs) Pop() any {
	last := (*q)[len(*q)-1]
	(*q)[len(*q)-1] = nil
	*q = (*q)[:len(*q)-1]
	return last
}

// sent is what became of a try.
type sent struct {
	err       error         // nil: accepted, or nothing was left to tell
	permanent bool          // the far side will not have this message
	asked     time.Duration // how long the far side asked to be left alone
}

// destination sends to one integration, so that one that is slow or down holds up nobody else. While it fails it is
// tried with one message at a time.
type destination struct {
	name string
	send func(ctx context.Context, topic string) sent
	// jitter is in [0, 1).
	jitter func() float64
	// limiter bounds how fast it is sent to; nil: it is not.
	limiter *rate.Limiter
	// changed is told when the destination fails for the first time, and when it works again.
	changed func(err error)

	mu       sync.Mutex
	queue    jobs
	known    map[string]*job // by topic: what waits or is on its way
	running  int
	failures int // in a row
	pause    *time.Timer
	paused   bool
	// slowed is set while the limiter is waited for.
	slowed  bool
	stopped bool
	work    sync.WaitGroup
	ctx     context.Context
}

// offer takes a delivery that is leased to this exporter.
func (d *destination) offer(delivery *ledger.Delivery) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.stopped {
		return
	}
	if j := d.known[delivery.Topic]; j != nil {
		j.again = j.sending
		if !j.sending && int(delivery.Tier) > j.tier {
			j.tier = int(delivery.Tier)
			heap.Fix(&d.queue, j.place)
		}
		return
	}
	j := &job{topic: delivery.Topic, tier: int(delivery.Tier), due: delivery.Due}
	d.known[j.topic] = j
	heap.Push(&d.queue, j)
	d.pump()
}

// knows reports whether a topic waits here or is on its way.
func (d *destination) knows(topic string) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.known[topic] != nil
}

// failing reports whether the last try failed.
func (d *destination) failing() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.failures > 0
}

// waiting is how many topics wait or are on their way.
func (d *destination) waiting() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return len(d.known)
}

// pump starts what may start; the caller holds mu.
func (d *destination) pump() {
	limit := sendsPerDestination
	if d.failures > 0 {
		limit = 1
	}
	for !d.stopped && !d.paused && !d.slowed && d.running < limit && len(d.queue) > 0 {
		if d.slow() {
			return
		}
		j := heap.Pop(&d.queue).(*job)
		j.sending, j.again = true, false
		d.running++
		d.work.Go(func() {
			d.done(j, d.send(d.ctx, j.topic))
		})
	}
}

// slow reports whether the limiter allows no message now; then the destination goes on as soon as it does, with what is the
// most urgent by then. The caller holds mu.
func (d *destination) slow() bool {
	if d.limiter == nil {
		return false
	}
	now := time.Now()
	r := d.limiter.ReserveN(now, 1)
	wait := r.DelayFrom(now)
	if wait <= 0 {
		return false
	}
	r.CancelAt(now)
	d.slowed = true
	time.AfterFunc(wait, func() {
		d.mu.Lock()
		defer d.mu.Unlock()
		d.slowed = false
		d.pump()
	})
	return true
}

// limiterFor returns the limiter of a destination. PagerDuty takes about 120 events a minute for a routing key, and refuses the
// rest for a while; 100 leave room for others who have the key.
func limiterFor(name string) *rate.Limiter {
	if strings.Contains(name, "/pagerduty[") {
		return rate.NewLimiter(rate.Every(time.Minute/80), 20)
	}
	return nil
}

func (d *destination) done(j *job, result sent) {
	if turned, err := d.finish(j, result); turned {
		d.changed(err)
	}
}

// finish takes a result into account. turned says that the destination has begun to fail, or to work again.
func (d *destination) finish(j *job, result sent) (turned bool, err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.running--
	j.sending = false
	switch {
	case d.stopped:
		return false, nil
	case result.err == nil:
		turned = d.failures > 0
		d.failures = 0
		if d.paused && d.pause.Stop() {
			d.paused = false
		}
	case !result.permanent && !d.paused: // one message refused does not mean that others are; of several that fail together one counts
		d.failures++
		turned, err = d.failures == 1, result.err
		d.rest(escalate.Backoff(d.failures, false, result.asked, d.jitter()))
	}
	if j.again && result.err == nil {
		heap.Push(&d.queue, j)
	} else {
		// What failed is in the ledger with the time of its next try.
		delete(d.known, j.topic)
	}
	d.pump()
	return turned, err
}

// rest lets the destination alone for a while; the caller holds mu.
func (d *destination) rest(wait time.Duration) {
	d.paused = true
	d.pause = time.AfterFunc(wait, func() {
		d.mu.Lock()
		defer d.mu.Unlock()
		d.paused = false
		d.pump()
	})
}

// stop waits for what is on its way, which ctx ends, and returns the topics that were not sent.
func (d *destination) stop() []string {
	d.mu.Lock()
	d.stopped = true
	if d.pause != nil {
		d.pause.Stop()
	}
	var left []string
	for topic := range d.known {
		left = append(left, topic)
	}
	d.mu.Unlock()
	d.work.Wait()
	return left
}
