package escalate

import (
	"slices"
	"time"

	"github.com/otelcol-escalation/otelcol-escalation/internal/ledger"
)

// held reports whether the pages are held back: by an acknowledgement in force, or because all that is open is held.
func (c *choice) held() bool {
	g := &c.group
	asleep := len(c.awake) == 0
	if asleep {
		c.sleep()
		g.Dirty = false // what changes meanwhile is known by its time; what joins wakes the group
	}
	if c.acknowledged() {
		g.RespondBy = time.Time{} // somebody has
		c.because(ReasonHeld)
		c.await(g.AcknowledgedAt.Add(c.AcknowledgeFor), "acknowledgement by %s expires", g.AcknowledgedBy)
		return true
	}
	if !g.AcknowledgedAt.IsZero() {
		c.Expired = g.AcknowledgedBy
		g.AcknowledgedAt, g.AcknowledgedBy = time.Time{}, ""
	}
	if asleep {
		c.because(Reason(c.open[0].HeldAt(c.now)))
	}
	return asleep
}

// page takes the steps that are due, or repeats the last one. One step at most: what was missed is not caught up in a
// burst, since each step leaves its people the time until the next.
func (c *choice) page() {
	g := &c.group
	switch {
	case g.Step == 0:
		first := c.owner.next(0, g.Tier)
		at := g.TierSince.Add(c.Window(g.Tier))
		if c.now.Before(at) {
			c.await(at, "page %s (step %d)", list(c.owner.step(first).receivers), first)
			return
		}
		c.take(first, c.restarted())
		c.expectAnswer()
	case c.Expired != "":
		c.repeat(ReasonAckExpired)
		c.expectAnswer()
	case c.slept():
		c.repeat(ReasonWoke)
		c.expectAnswer()
	}
	for n := c.owner.next(g.Step, g.Tier); n != 0; n = c.owner.next(g.Step, g.Tier) {
		s := c.owner.step(n)
		at, reason := c.sooner(g.StepAt.Add(s.after), ReasonStep)
		if c.now.Before(at) {
			c.await(at, "page %s (step %d)", list(s.receivers), n)
			return
		}
		c.take(n, reason)
	}
	every := c.tiers[g.Tier].repeat
	if every <= 0 && g.RespondBy.IsZero() {
		return
	}
	at, reason := g.RespondBy, ReasonOverdue
	if every > 0 {
		at, reason = c.sooner(g.StepAt.Add(every), ReasonRepeat)
	}
	if !c.now.Before(at) {
		c.repeat(reason)
		if at = g.StepAt.Add(every); every <= 0 {
			return
		}
	}
	c.await(at, "repeat to %s", list(c.owner.step(c.owner.reached(g.Step, g.Tier)).receivers))
}

// expectAnswer begins the time that the owner has promised to respond within.
func (c *choice) expectAnswer() {
	c.group.RespondBy = time.Time{}
	if c.owner.respondWithin > 0 {
		c.group.RespondBy = c.now.Add(c.owner.respondWithin)
	}
}

// sooner is when the chain goes on, and why: at a time, or before it when nobody has responded within the promised time.
func (c *choice) sooner(at time.Time, reason Reason) (time.Time, Reason) {
	if by := c.group.RespondBy; !by.IsZero() && by.Before(at) {
		return by, ReasonOverdue
	}
	return at, reason
}

// restarted is why the first step is taken.
func (c *choice) restarted() Reason {
	switch {
	case c.restart == ReasonOwner:
		return ReasonOwner
	case c.Expired != "":
		return ReasonAckExpired
	case !c.group.PagedAt.IsZero():
		return ReasonRise
	default:
		return ReasonWindow
	}
}

// sleep marks a group that is held as a whole: its last step is then later than its last message, and its next
// one is counted from when it wakes.
func (c *choice) sleep() {
	g := &c.group
	if g.Step > 0 && !c.slept() {
		g.StepAt = later(c.now, g.UpdatedAt.Add(1))
	}
}

// slept reports whether the group was held as a whole since its last message.
func (c *choice) slept() bool { return c.group.StepAt.After(c.group.UpdatedAt) }

// answered takes the promised time out of the account once it has passed: it escalates once.
func (c *choice) answered() {
	if !c.group.RespondBy.IsZero() && !c.now.Before(c.group.RespondBy) {
		c.group.RespondBy = time.Time{}
	}
}

func (c *choice) take(n int, reason Reason) {
	c.group.Step, c.group.StepAt = n, c.now
	c.answered()
	c.order(ledger.DeliverPage, c.owner.step(n).receivers, n, reason)
}

func (c *choice) repeat(reason Reason) {
	n := c.owner.reached(c.group.Step, c.group.Tier)
	c.group.StepAt = c.now
	c.answered()
	c.order(ledger.DeliverRepeat, c.owner.step(n).receivers, n, reason)
}

// update tells those who have been paged what has changed: at once where an episode came that raised the tier, with
// any page or repeat that goes out now, otherwise every group_interval.
func (c *choice) update() {
	g := &c.group
	if g.PagedAt.IsZero() {
		return
	}
	paged := len(c.Orders) > 0
	reached := c.owner.reached(g.Step, g.Tier)
	changed := c.changed(c.told)
	switch due := c.told.Add(c.GroupInterval); {
	case paged && (changed || c.restart != ""):
		c.order(ledger.DeliverUpdate, c.others(), reached, c.Reason)
	case paged:
	case c.joined:
		c.order(ledger.DeliverUpdate, g.Paged, reached, ReasonHigherTier)
	case changed && !c.now.Before(due):
		c.order(ledger.DeliverUpdate, g.Paged, reached, ReasonMembers)
	case changed:
		c.await(due, "update %s", list(g.Paged))
		return
	}
	if len(c.Orders) > 0 {
		g.Dirty = false
	}
}

// changed reports whether there is something to tell since a message.
func (c *choice) changed(since time.Time) bool {
	if c.group.Dirty {
		return true
	}
	after := func(t time.Time) bool { return t.After(since) }
	return slices.ContainsFunc(c.awake, func(e *ledger.Episode) bool { return after(awakeSince(e)) }) ||
		slices.ContainsFunc(c.ended, func(e *ledger.Episode) bool { return after(e.EndedAt) && !after(e.OpenedAt) })
}

// others are those who have been paged before and get nothing by this decision yet.
func (c *choice) others() []string {
	return slices.DeleteFunc(slices.Clone(c.group.Paged), func(name string) bool {
		return slices.ContainsFunc(c.Orders, func(o Order) bool { return slices.Contains(o.Receivers, name) })
	})
}

// order adds an order and does the group's books. All orders of one decision have the same number.
func (c *choice) order(kind ledger.DeliveryKind, receivers []string, n int, reason Reason) {
	if len(receivers) == 0 {
		return
	}
	c.because(reason)
	g := &c.group
	if len(c.Orders) == 0 {
		g.Sequence = Sequence(g.Sequence, c.now)
	}
	c.Orders = append(c.Orders, Order{Kind: kind, Receivers: slices.Clone(receivers), Step: n, Reason: reason})
	if kind == ledger.DeliverEnd {
		return
	}
	g.UpdatedAt = c.now
	if g.PagedAt.IsZero() {
		g.PagedAt = c.now
	}
	for _, name := range receivers {
		if !slices.Contains(g.Paged, name) {
			g.Paged = append(g.Paged, name)
		}
	}
	c.hold()
}

func earlier(a, b time.Time) time.Time {
	if b.Before(a) {
		return b
	}
	return a
}

func later(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}
