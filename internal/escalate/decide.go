package escalate

import (
	"fmt"
	"slices"
	"time"

	"github.com/otelcol-escalation/otelcol-escalation/internal/alert"
	"github.com/otelcol-escalation/otelcol-escalation/internal/ledger"
)

// Decide says what is due for a group at a time. episodes are all that belong to it, open and ended. Deciding again at
// once changes nothing, and it does not matter how often or how late it is decided in between: what fell due while
// nobody looked is due now, once.
func (p *Policy) Decide(group ledger.Group, episodes []*ledger.Episode, now time.Time, around Circumstances) Decision {
	c := &choice{Policy: p, now: now, group: group, told: group.UpdatedAt, around: around}
	c.group.DueAt, c.group.NextStep = time.Time{}, ""
	c.group.Paged = slices.Clone(group.Paged)
	for _, e := range episodes {
		if e.Open() {
			c.open = append(c.open, e)
		} else {
			c.ended = append(c.ended, e)
		}
	}
	c.decide()
	if c.Reason == "" {
		c.Reason = ReasonQuiet
	}
	c.Decision.Group = c.group
	return c.Decision
}

// choice is a decision in the making.
type choice struct {
	*Policy
	Decision
	now    time.Time
	group  ledger.Group
	around Circumstances
	// told is when the last message before this decision was ordered.
	told  time.Time
	owner *owner
	// open episodes have not ended; awake ones are open and not held.
	open, awake, ended []*ledger.Episode
	// restart is why the steps start anew with the next page; joined that an episode which came raised the tier.
	restart Reason
	joined  bool
}

func (c *choice) decide() {
	g := &c.group
	switch {
	case !g.Open():
		c.afterClose()
		return
	case len(c.open) == 0:
		c.close()
		return
	}
	c.changeOwner()
	c.owner = c.ownerOf(g.Owner)
	c.sort()
	if len(c.awake) > 0 {
		c.changeTier()
	}
	switch {
	case g.Tier == alert.Low:
		c.collect()
	case !c.held():
		c.page()
		c.update()
	}
	if at, reason := c.wakes(); !at.IsZero() {
		c.await(at, "%s until then", reason)
	}
}

// acknowledged reports whether an acknowledgement is in force.
func (c *choice) acknowledged() bool {
	return !c.group.AcknowledgedAt.IsZero() && c.now.Before(c.group.AcknowledgedAt.Add(c.AcknowledgeFor))
}

// await sets when to look again, if that is earlier than what is known so far.
func (c *choice) await(at time.Time, format string, args ...any) {
	if c.group.DueAt.IsZero() || at.Before(c.group.DueAt) {
		c.group.DueAt, c.group.NextStep = at, fmt.Sprintf(format, args...)
	}
}

// because gives the decision its name. The first one stays.
func (c *choice) because(r Reason) {
	if c.Reason == "" {
		c.Reason = r
	}
}

// changeOwner hands the group over when all its open episodes have come to another owner. The steps start anew, at
// once if somebody had been paged: the new owner has not been told.
func (c *choice) changeOwner() {
	g := &c.group
	for _, e := range c.open {
		if e.Owner == g.Owner || e.Owner != c.open[0].Owner {
			return
		}
	}
	if g.DigestID != "" && g.PagedAt.IsZero() {
		return // it has gone out in the old owner's digest, whose end waits for it
	}
	g.Owner = c.open[0].Owner
	g.AcknowledgedAt, g.AcknowledgedBy = time.Time{}, ""
	if !g.PagedAt.IsZero() {
		g.Step, g.TierSince = 0, c.now.Add(-c.Window(g.Tier))
		c.restart = ReasonOwner
	}
}

// changeTier follows the highest tier of the episodes that are awake. One that wakes counts as a rise, from when its
// tier began: its window has been waited for.
func (c *choice) changeTier() {
	g := &c.group
	switch t := highest(c.awake); {
	case t > g.Tier:
		c.rise(t)
	case t < g.Tier:
		c.fall(t)
	}
}

func (c *choice) rise(to alert.Severity) {
	g := &c.group
	since, news := c.now, false
	for _, e := range c.awake {
		if e.Severity != to {
			continue
		}
		since = earlier(since, e.RaisedAt)
		news = news || e.RaisedAt.After(g.AcknowledgedAt)
		if e.OpenedAt.After(g.UpdatedAt) && !e.RaisedAt.After(e.OpenedAt) {
			c.joined = true
		}
	}
	// Before the first page a rise never postpones it.
	if g.PagedAt.IsZero() && g.Tier != alert.Low {
		since = earlier(since, g.TierSince.Add(c.Window(g.Tier)-c.Window(to)))
	}
	g.Tier, g.TierSince = to, since
	g.Step = 0 // StepAt stays: should the tier fall before its window has passed, the steps go on from there
	if news {  // who acknowledged had not seen it; of what wakes they had
		g.AcknowledgedAt, g.AcknowledgedBy = time.Time{}, ""
	}
	g.Dirty = false // the page that will tell of the rise tells of everything
	c.restart = ReasonRise
}

func (c *choice) fall(to alert.Severity) {
	g := &c.group
	unpaged := g.PagedAt.IsZero()
	risen := !unpaged && g.Step == 0 // the rise recovered within its window: nobody was told of it
	g.Tier, g.TierSince = to, g.OpenedAt
	if to == alert.Low {
		g.TierSince = c.now
	}
	g.Dirty = !risen // who joined or ended meanwhile is known by its time
	if risen {
		g.Step = c.ownerOf(g.Owner).reached(0, to)
	}
}
