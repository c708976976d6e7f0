package escalate

import (
	"slices"
	"time"

	"github.com/otelcol-escalation/otelcol-escalation/internal/alert"
	"github.com/otelcol-escalation/otelcol-escalation/internal/ledger"
)

// close ends a group whose episodes have all ended. The end goes to everybody who was paged.
func (c *choice) close() {
	g := &c.group
	g.ClosedAt, g.Dirty = c.now, false
	c.Closed = true
	switch {
	case len(g.Paged) > 0:
		c.order(ledger.DeliverEnd, g.Paged, g.Step, ReasonEnded)
	case g.Tier != alert.Low:
		c.because(ReasonSelfResolved)
	}
	c.afterClose()
}

// afterClose keeps a closed group due that has something to report in the next digest: low alerts are reported even
// where they have recovered.
func (c *choice) afterClose() {
	if c.group.Tier == alert.Low && c.unreported() {
		c.owner = c.ownerOf(c.group.Owner)
		c.collect()
	}
	c.because(ReasonClosed)
}

// unreported reports whether an episode opened after everything that was sent about the group.
func (c *choice) unreported() bool {
	told := c.group.UpdatedAt
	if c.group.DigestID != "" {
		told = later(told, c.group.StepAt)
	}
	return slices.ContainsFunc(c.ended, func(e *ledger.Episode) bool {
		return !e.Unwanted() && (told.IsZero() || e.OpenedAt.After(told))
	})
}

// collect waits for the batch. A group that has gone out goes out again when something has changed since; one that is
// held as a whole waits for the first batch after it wakes.
func (c *choice) collect() {
	g := &c.group
	n := c.owner.next(0, alert.Low)
	receivers := c.owner.step(n).receivers
	since := g.TierSince
	if g.DigestID != "" {
		if g.Open() && !c.changed(g.StepAt) {
			return
		}
		since = g.StepAt
	}
	if g.Open() {
		since = later(since, c.firstAwake())
		g.Dirty = g.Dirty && len(c.awake) > 0 // what joins a group that is asleep must make it due
	}
	at := c.owner.batch.next(since)
	if c.now.Before(at) {
		c.because(ReasonCollecting)
		c.await(at, "daily digest to %s", list(receivers))
		return
	}
	c.because(ReasonBatch)
	c.Digest = &Digest{Owner: g.Owner, Receivers: receivers, Step: n, BatchAt: at}
	g.Step, g.StepAt, g.Dirty = n, c.now, false
}

// firstAwake is since when an open episode is awake; where all are held, when the first of them will be.
func (c *choice) firstAwake() time.Time {
	if len(c.awake) == 0 {
		at, _ := c.wakes()
		return at
	}
	first := awakeSince(c.awake[0])
	for _, e := range c.awake[1:] {
		first = earlier(first, awakeSince(e))
	}
	return first
}
