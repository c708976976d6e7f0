package escalate

import (
	"slices"
	"time"

	"github.com/otelcol-escalation/otelcol-escalation/internal/ledger"
)

// held reports whether people hold the pages back: an acknowledgement in force, or a snooze of all that is open.
func (c *choice) held() bool {
	g := &c.group
	asleep := len(c.awake) == 0
	if asleep {
		c.sleep()
		g.Dirty = false // what changes meanwhile is known by its time; what joins wakes the group
	}
	if c.acknowledged() {
		c.because(ReasonHeld)
		c.await(g.AcknowledgedAt.Add(c.AcknowledgeFor), "acknowledgement by %s expires", g.AcknowledgedBy)
		return true
	}
	if !g.AcknowledgedAt.IsZero() {
		c.Expired = g.AcknowledgedBy
		g.AcknowledgedAt, g.AcknowledgedBy = time.Time{}, ""
	}
	if asleep {
		c.because(ReasonAsleep)
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
	case c.Expired != "":
		c.repeat(ReasonAckExpired)
	case c.slept():
		c.repeat(ReasonWoke)
	}
	for n := c.owner.next(g.Step, g.Tier); n != 0; n = c.owner.next(g.Step, g.Tier) {
		s := c.owner.step(n)
		if at := g.StepAt.Add(s.after); c.now.Before(at) {
			c.await(at, "page %s (step %d)", list(s.receivers), n)
			return
		}
		c.take(n, ReasonStep)
	}
	if every := c.tiers[g.Tier].repeat; every > 0 {
		if !c.now.Before(g.StepAt.Add(every)) {
			c.repeat(ReasonRepeat)
		}
		last := c.owner.step(c.owner.reached(g.Step, g.Tier))
		c.await(g.StepAt.Add(every), "repeat to %s", list(last.receivers))
	}
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

// sleep marks a group that is snoozed as a whole: its last step is then later than its last message, and its next
// one is counted from when it wakes.
func (c *choice) sleep() {
	g := &c.group
	if g.Step > 0 && !c.slept() {
		g.StepAt = later(c.now, g.UpdatedAt.Add(1))
	}
}

// slept reports whether the group was snoozed as a whole since its last message.
func (c *choice) slept() bool { return c.group.StepAt.After(c.group.UpdatedAt) }

// awakeSince is when an awake episode opened, or its snooze ended.
func awakeSince(e *ledger.Episode) time.Time { return later(e.OpenedAt, e.SnoozedUntil) }

// wakes is when the next snooze ends; zero where nothing is snoozed.
func (c *choice) wakes() time.Time {
	var first time.Time
	for _, e := range c.open {
		if snoozed(e, c.now) && (first.IsZero() || e.SnoozedUntil.Before(first)) {
			first = e.SnoozedUntil
		}
	}
	return first
}

func (c *choice) take(n int, reason Reason) {
	c.group.Step, c.group.StepAt = n, c.now
	c.order(ledger.DeliverPage, c.owner.step(n).receivers, n, reason)
}

func (c *choice) repeat(reason Reason) {
	n := c.owner.reached(c.group.Step, c.group.Tier)
	c.group.StepAt = c.now
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

// hold marks the episodes that this decision's messages leave out because a person snoozed them, and takes the mark
// from those that are told of after all.
func (c *choice) hold() {
	if len(c.Holds) > 0 {
		return
	}
	for _, e := range c.open {
		switch asleep := snoozed(e, c.now); {
		case asleep && e.Suppressed == "" && e.NotifiedAt.IsZero():
			c.Holds = append(c.Holds, Hold{EpisodeID: e.ID, Reason: ledger.SuppressedSnoozed})
		case !asleep && e.Suppressed == ledger.SuppressedSnoozed:
			c.Holds = append(c.Holds, Hold{EpisodeID: e.ID})
		}
	}
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
