package escalate

import (
	"time"

	"github.com/otelcol-escalation/otelcol-escalation/internal/alert"
	"github.com/otelcol-escalation/otelcol-escalation/internal/ledger"
)

// Circumstances are what a decision goes by beside the group itself.
type Circumstances struct {
	Silences []Silence
	// Inhibited reports whether another alert that fires says enough; nil: none does.
	Inhibited func(*ledger.Episode) bool
}

// lookAgain is how often an episode is looked at that is held for nobody knows how long.
const lookAgain = time.Minute

// holdOf returns what keeps pages from telling of an open episode, and until when: zero where that is not known. A snooze
// stands in the episode; the others are found anew by every decision. The first that holds, in the order of their names
// here, is told; of several the longest lasts.
func (c *choice) holdOf(e *ledger.Episode) (reason string, until time.Time) {
	because := func(r string, t time.Time) {
		if reason == "" {
			reason, until = r, t
		}
	}
	at, begins := silencedUntil(e, c.around.Silences, c.now)
	if at.After(c.now) {
		because(ledger.SuppressedSilenced, at)
	}
	if c.around.Inhibited != nil && c.around.Inhibited(e) {
		because(ledger.SuppressedInhibited, time.Time{})
	}
	muted, hours := c.owner.mutedUntil(e.Severity, c.now)
	if muted.After(c.now) {
		because(ledger.SuppressedMuted, muted)
	}
	if at := c.flapHeldUntil(e); at.After(c.now) {
		because(ledger.SuppressedFlapping, at)
	}
	if reason == "" && !begins.IsZero() {
		c.await(begins, "a silence begins")
	}
	if reason == "" && !hours.IsZero() {
		c.await(hours, "look at the owner's hours")
	}
	return reason, until
}

// flapsUntil is when an alert that flaps settles, should nothing change; zero where it does not.
func (p *Policy) flapsUntil(e *ledger.Episode, now time.Time) time.Time {
	return e.Flapping(now, p.flapping.Changes, p.flapping.Within)
}

// Begin sees to a new episode: where its alert had settled before, it has not been noticed to flap.
func (p *Policy) Begin(e *ledger.Episode) {
	if !e.FlappedBefore(p.flapping.Changes, p.flapping.Within) {
		e.FlapNoticedAt = time.Time{}
	}
}

// flapHeldUntil is until when an alert that flaps is held: from the page that said so until it settles. A critical one is
// told of again after its repeat_interval: nobody may have read the first.
func (c *choice) flapHeldUntil(e *ledger.Episode) time.Time {
	if e.FlapNoticedAt.IsZero() {
		return time.Time{}
	}
	until := c.flapsUntil(e, c.now)
	if every := c.tiers[alert.Critical].repeat; e.Severity == alert.Critical && every > 0 {
		until = earlier(until, e.FlapNoticedAt.Add(every))
	}
	return until
}

// sort finds the open episodes that are awake, and what has changed about what holds the others. The choice goes on with
// copies that know it.
func (c *choice) sort() {
	for i, before := range c.open {
		e := *before
		c.open[i] = &e
		switch reason, until := c.holdOf(&e); {
		case reason != "":
			e.Held, e.HeldUntil = reason, until
		case e.Held != "":
			ended := c.now
			if !e.HeldUntil.IsZero() {
				ended = earlier(ended, e.HeldUntil)
			}
			if e.Held == ledger.SuppressedFlapping {
				e.FlapNoticedAt = time.Time{}
			}
			e.Held, e.HeldUntil = "", ended
		}
		if e.HeldAt(c.now) == "" {
			c.awake = append(c.awake, &e)
		}
		c.note(before, &e)
	}
}

// note records that an episode has changed.
func (c *choice) note(before, after *ledger.Episode) {
	if before.Held == after.Held && before.HeldUntil.Equal(after.HeldUntil) && before.Suppressed == after.Suppressed {
		return
	}
	h := Hold{EpisodeID: after.ID, Held: after.Held, Until: after.HeldUntil, Suppressed: after.Suppressed,
		Settled: after.FlapNoticedAt.IsZero() && !before.FlapNoticedAt.IsZero()}
	for i := range c.Holds {
		if c.Holds[i].EpisodeID == h.EpisodeID {
			h.Settled = h.Settled || c.Holds[i].Settled
			c.Holds[i] = h
			return
		}
	}
	c.Holds = append(c.Holds, h)
}

// hold marks the episodes that this decision's messages leave out, and takes the mark from those that are told of after
// all.
func (c *choice) hold() {
	for _, e := range c.open {
		before := *e
		switch held := e.HeldAt(c.now); {
		case held != "" && e.Suppressed == "" && e.NotifiedAt.IsZero():
			e.Suppressed = held
		case held == "" && e.Suppressed != "":
			e.Suppressed = ""
		}
		c.note(&before, e)
	}
}

// awakeSince is when an awake episode opened, or what held it ended.
func awakeSince(e *ledger.Episode) time.Time {
	return later(later(e.OpenedAt, e.SnoozedUntil), e.HeldUntil)
}

// wakes is when the next episode that is held is to be looked at, and why it is held; zero where none is.
func (c *choice) wakes() (first time.Time, reason string) {
	for _, e := range c.open {
		held := e.HeldAt(c.now)
		if held == "" {
			continue
		}
		at := e.HeldUntil
		switch {
		case held == ledger.SuppressedSnoozed:
			at = e.SnoozedUntil
		case at.IsZero():
			at = c.now.Add(min(lookAgain, c.GroupInterval))
		}
		if first.IsZero() || at.Before(first) {
			first, reason = at, held
		}
	}
	return first, reason
}
