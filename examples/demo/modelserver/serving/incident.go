package serving

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// Incidents says when decoding is slow: First after the start, then once in every Every, for Lasts.
type Incidents struct {
	First, Every, Lasts time.Duration
}

// Validate refuses what would be one incident without end.
func (i Incidents) Validate() error {
	if i.First < 0 || i.Lasts < 0 {
		return errors.New("incidents must not begin before the start or last less than nothing")
	}
	if i.Lasts > 0 && i.Every <= i.Lasts {
		return fmt.Errorf("incidents must be further apart than they last (got every %s, lasting %s)", i.Every, i.Lasts)
	}
	return nil
}

// At reports whether there is an incident so long after the start, and how long until that changes.
func (i Incidents) At(elapsed time.Duration) (bool, time.Duration) {
	if i.Lasts == 0 {
		return false, i.Every
	}
	if elapsed < i.First {
		return false, i.First - elapsed
	}
	into := (elapsed - i.First) % i.Every
	if into < i.Lasts {
		return true, i.Lasts - into
	}
	return false, i.Every - into
}

// Pace is how long one iteration takes.
type Pace struct {
	Usual, Incident time.Duration
}

// Run steps the engine until ctx ends. say gets one sentence when an incident begins, and one when it ends.
func (e *Engine) Run(ctx context.Context, pace Pace, incidents Incidents, say func(string)) {
	start := time.Now()
	slow := false
	tick := time.NewTimer(pace.Usual)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case now := <-tick.C:
			e.Step(now)
			is, rest := incidents.At(now.Sub(start))
			if is != slow {
				say(e.report(is, rest, pace))
				slow = is
			}
			if slow {
				tick.Reset(pace.Incident)
			} else {
				tick.Reset(pace.Usual)
			}
		}
	}
}

func (e *Engine) report(begins bool, rest time.Duration, pace Pace) string {
	e.mu.Lock()
	defer e.mu.Unlock()
	state := fmt.Sprintf("%d running, %d waiting, KV cache %.0f %% full",
		len(e.running), len(e.waiting), 100*(1-float64(e.free)/float64(e.size.Blocks)))
	if begins {
		return fmt.Sprintf("incident begins: a token now takes %s instead of %s, for %s (%s)",
			pace.Incident, pace.Usual, rest.Round(time.Second), state)
	}
	return fmt.Sprintf("incident ends: a token takes %s again; the next one begins in %s (%s)",
		pace.Usual, rest.Round(time.Second), state)
}
