package replay

import (
	"context"
	"time"

	"github.com/otelcol-escalation/otelcol-escalation/internal/alert"
	"github.com/otelcol-escalation/otelcol-escalation/internal/evaluate"
)

// player runs an evaluator through a recording: its clock is the recording's time.
type player struct {
	e      *evaluate.Evaluator
	groups []due
	// follow is told what the evaluator says, and the time.
	follow func(said evaluate.Emission, now time.Time) error
	// awake reports whether anything may happen that only a tick brings: something is pending or firing, or missed.
	awake func() bool
	// resolved ticks behind every batch and evaluation, so that every value is said.
	everyValue bool

	now, ticked, fed time.Time
}

// due is a group and its next evaluation.
type due struct {
	evaluate.Group
	at time.Time
}

// The clock of absence: ticks are a second apart while the data flow or have just stopped, and further apart the longer
// nothing came. So the end of an alert that has lost its data is off by as little as a thousandth of the time without.
const (
	tick      = time.Second
	slowTick  = 10 * time.Second
	idleTick  = time.Minute
	slowAfter = 10 * time.Minute
	idleAfter = 12 * time.Hour
)

// begin starts the clock, just before the first batch: 0 is how the evaluator says "never".
func (p *player) begin(at time.Time) {
	p.now, p.ticked, p.fed = at, at, at
	for _, g := range p.e.Groups() {
		g.Offset = 0 // what was found must not depend on what the files are called
		p.groups = append(p.groups, due{g, g.Next(at)})
	}
}

// batch plays one batch. One that comes late is judged now, by its own time.
func (p *player) batch(ctx context.Context, b Batch) error {
	if b.Time.After(p.now) {
		if err := p.advance(ctx, b.Time); err != nil {
			return err
		}
		p.now = b.Time
	}
	p.fed = p.now
	p.e.Judge(b.Metrics, p.now)
	if p.everyValue {
		p.tick(p.now)
	}
	return p.take()
}

// advance lets happen what is due before a time: what has come at a time is there for an evaluation at that time.
func (p *player) advance(ctx context.Context, to time.Time) error {
	for {
		g := p.nextGroup()
		at := to
		if g != nil && g.at.Before(to) {
			at = g.at
		} else {
			g = nil
		}
		for p.awake() {
			next := p.ticked.Add(p.distance()).Truncate(tick)
			if !next.Before(at) {
				break
			}
			p.now = next
			p.tick(next)
			if err := p.take(); err != nil {
				return err
			}
			if err := ctx.Err(); err != nil {
				return err
			}
		}
		if g == nil {
			break
		}
		if err := p.evaluate(ctx, g); err != nil {
			return err
		}
	}
	if last := to.Add(-1).Truncate(tick); last.Sub(p.ticked) >= tick {
		p.now = last // also lets the window drop what no rule looks back on any more
		p.tick(last)
	}
	return p.take()
}

// finish evaluates what is due at the very end.
func (p *player) finish(ctx context.Context) error {
	for g := p.nextGroup(); g != nil && !g.at.After(p.now); g = p.nextGroup() {
		if err := p.evaluate(ctx, g); err != nil {
			return err
		}
	}
	return p.take()
}

func (p *player) evaluate(ctx context.Context, g *due) error {
	p.now = g.at
	p.e.EvaluateGroup(ctx, g.Key, g.at, g.at)
	g.at = g.Next(g.at)
	if p.everyValue {
		p.tick(p.now)
	}
	if err := p.take(); err != nil {
		return err
	}
	return ctx.Err()
}

func (p *player) tick(at time.Time) {
	p.ticked = at
	p.e.Tick(at)
}

// distance is how far apart ticks are now.
func (p *player) distance() time.Duration {
	switch silent := p.ticked.Sub(p.fed); {
	case silent < slowAfter:
		return tick
	case silent < idleAfter:
		return slowTick
	default:
		return idleTick
	}
}

func (p *player) nextGroup() *due {
	var next *due
	for i := range p.groups {
		if g := &p.groups[i]; next == nil || g.at.Before(next.at) {
			next = g
		}
	}
	return next
}

func (p *player) take() error {
	for _, said := range p.e.Take().Emissions {
		if err := p.follow(said, p.now); err != nil {
			return err
		}
	}
	return nil
}

// ledger makes episodes of what is said. It holds what is active now, which the evaluator's limits bound.
type ledger struct {
	open     map[string]*Episode
	pending  map[string]struct{}
	variants map[string]*variant
	tally    *tally
	// ended is told every episode at its end.
	ended func(*Episode) error
}

func (l *ledger) follow(said evaluate.Emission, now time.Time) error {
	a := &said.Alert
	if said.Stale {
		return nil
	}
	if said.Silent {
		if v := l.variants[a.Rule]; v != nil {
			v.follow(a)
		}
		return nil
	}
	e := l.open[a.ID]
	switch a.State {
	case alert.Pending:
		l.pending[a.ID] = struct{}{}
	case alert.Firing:
		delete(l.pending, a.ID)
		if e == nil {
			e = &Episode{ID: a.ID, Group: a.Group, Rule: a.Rule, Start: a.Start, Fired: now, Cause: a.Reason, Metric: a.SourceMetric, Unit: a.SourceUnit}
			l.open[a.ID] = e
			if e.Start.IsZero() || e.Start.After(now) {
				e.Start = now
			}
		}
		if a.Severity > e.Tier {
			l.tally.page(a.Owner, a.Severity, now)
		}
		e.see(a)
	case alert.Inactive:
		delete(l.pending, a.ID)
		if e == nil {
			return nil
		}
		delete(l.open, a.ID)
		e.level(a)
		e.Reason = a.Reason
		e.end(now)
		return l.close(e)
	}
	return nil
}

func (l *ledger) close(e *Episode) error {
	l.tally.ended(e)
	return l.ended(e)
}

// active reports whether anything is pending or firing.
func (l *ledger) active() bool {
	if len(l.open) > 0 || len(l.pending) > 0 {
		return true
	}
	for _, v := range l.variants {
		if len(v.firing) > 0 {
			return true
		}
	}
	return false
}
