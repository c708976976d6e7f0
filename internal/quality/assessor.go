package quality

import (
	"cmp"
	"context"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/otelcol-escalation/otelcol-escalation/internal/alert"
	"github.com/otelcol-escalation/otelcol-escalation/internal/calibrate"
	"github.com/otelcol-escalation/otelcol-escalation/internal/ledger"
)

const (
	// settles is how long conclusions hold although alerts come and go; a verdict counts at once.
	settles = 5 * time.Minute
	// holds is how long they hold at most: the window moves.
	holds = time.Hour
	// eventsPerRead is how many events are read at a time.
	eventsPerRead = 5000
	// atOnce is how many episodes are read while somebody waits: in less than 0.1 s. tallyAtOnce is how many are counted,
	// which an index does.
	atOnce      = 2000
	tallyAtOnce = 50_000
	// rest is how long conclusions hold whatever happens, for each episode that they rest on: a rule of 100,000 that is judged
	// all the time is concluded about every 100 s, which takes a twentieth of that.
	rest = time.Millisecond
	// mostKept is about how many rules is concluded beside, and kept: their names come over the network.
	mostKept = 10_000
)

// Assessor keeps what has been concluded about each rule. It is safe for concurrent use.
//
// What is asked for is concluded anew at once where something has happened and it takes little time. Where it takes longer, the
// conclusions that are there are given, and Renew draws them anew beside.
type Assessor struct {
	// Window is the time up to now from which episodes count, Limits say when a suggestion stands.
	Window time.Duration
	Limits calibrate.Limits

	mu    sync.Mutex
	begun bool
	// position is the last event that was looked at.
	position int64
	rules    map[string]*entry
	counted  counted
}

// entry is what is kept about a rule.
type entry struct {
	*Rule
	// touched says that something has happened since, judged that somebody has answered.
	touched, judged bool
}

// counted are the episodes of the window, and the same by rule.
type counted struct {
	at        time.Time
	position  int64
	episodes  int64
	tallies   []ledger.Tally
	summaries []*Summary
	// aside are the rules beyond mostKept: about one of them is concluded when somebody asks for it, and only then.
	aside map[string]bool
}

// Look returns what is concluded about a rule.
func (a *Assessor) Look(tx ledger.Tx, rule string) (*Rule, error) {
	position, err := a.catchUp(tx)
	if err != nil {
		return nil, err
	}
	known := a.known(rule)
	if known.Rule != nil && (known.Episodes > atOnce || !known.touched && !known.judged) && known.holds(tx.Now()) {
		return known.Rule, nil
	}
	return a.renew(tx, rule, position)
}

// Rules returns every rule that fired in the window, by name. About rules that nothing has been concluded about, for want of time,
// there is but the summary.
func (a *Assessor) Rules(tx ledger.Tx) ([]*Rule, error) {
	position, err := a.catchUp(tx)
	if err != nil {
		return nil, err
	}
	c, err := a.count(tx, position, atHand(tx.Now()))
	if err != nil {
		return nil, err
	}
	now, budget := tx.Now(), int64(atOnce)
	rules := make([]*Rule, 0, len(c.summaries))
	for _, s := range c.summaries {
		known := a.known(s.Rule)
		r := known.Rule
		if !known.good(now) && s.Episodes <= budget && !c.aside[s.Rule] {
			if r, err = a.renew(tx, s.Rule, position); err != nil {
				return nil, err
			}
			budget -= s.Episodes
		}
		if r == nil {
			r = &Rule{}
		}
		fresh := *r
		fresh.Summary = s
		rules = append(rules, &fresh)
	}
	return rules, nil
}

// Tallies counts the episodes of the window. Nobody may change them. Of many episodes the counts are those of the last Renew.
func (a *Assessor) Tallies(tx ledger.Tx) ([]ledger.Tally, error) {
	position, err := a.catchUp(tx)
	if err != nil {
		return nil, err
	}
	c, err := a.count(tx, position, atHand(tx.Now()))
	return c.tallies, err
}

// atHand says when counts that are kept will do for who waits: where counting anew would take long.
func atHand(now time.Time) func(counted) bool {
	return func(c counted) bool { return c.episodes > tallyAtOnce && c.holds(now) }
}

// Renew concludes anew about what has changed, one rule after the other, each from one state of the ledger. Whoever serves pages
// of a large ledger calls it now and then, from one goroutine.
func (a *Assessor) Renew(ctx context.Context, l ledger.Ledger, now time.Time) error {
	var due []string
	err := l.View(ctx, now, func(tx ledger.Tx) error {
		position, err := a.catchUp(tx)
		if err != nil {
			return err
		}
		c, err := a.count(tx, position, func(c counted) bool { return c.position == position && c.holds(tx.Now()) })
		if err != nil {
			return err
		}
		due = due[:0] // it may be run again
		for _, s := range c.summaries {
			if known := a.known(s.Rule); !known.good(tx.Now()) && !c.aside[s.Rule] {
				due = append(due, s.Rule)
			}
		}
		return nil
	})
	for _, rule := range due {
		if err != nil {
			return err
		}
		err = l.View(ctx, now, func(tx ledger.Tx) error {
			position, err := a.catchUp(tx)
			if err != nil {
				return err
			}
			_, err = a.renew(tx, rule, position)
			return err
		})
	}
	return err
}

// known returns what is kept about a rule; nothing where its Rule is nil.
func (a *Assessor) known(rule string) entry {
	a.mu.Lock()
	defer a.mu.Unlock()
	if e := a.rules[rule]; e != nil {
		return *e
	}
	return entry{}
}

// renew concludes about a rule and keeps it, as far as there is anything to it: a rule may be any name that somebody asks for.
func (a *Assessor) renew(tx ledger.Tx, rule string, position int64) (*Rule, error) {
	r, err := a.conclude(tx, rule)
	if err != nil {
		return nil, err
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	switch before := a.rules[rule]; {
	case r.Episodes == 0 && len(r.Misses) == 0, a.counted.aside[rule]:
		delete(a.rules, rule)
	case before == nil || !before.At.After(r.At):
		// Another may have looked at later events meanwhile, which may have been about this rule.
		missed := a.position > position
		a.rules[rule] = &entry{Rule: r, touched: missed, judged: missed}
	}
	return r, nil
}

// count returns the summaries of all rules: those that are kept, if they will do.
func (a *Assessor) count(tx ledger.Tx, position int64, will func(counted) bool) (counted, error) {
	a.mu.Lock()
	c := a.counted
	a.mu.Unlock()
	if !c.at.IsZero() && will(c) {
		return c, nil
	}
	tallies, err := tx.Tallies(tx.Now().Add(-a.Window))
	if err != nil {
		return c, err
	}
	c = counted{at: tx.Now(), position: position, tallies: tallies, summaries: Summaries(tallies)}
	c.aside = aside(c.summaries)
	for _, s := range c.summaries {
		c.episodes += s.Episodes
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if !a.counted.at.After(c.at) {
		a.counted = c
	}
	fires := make(map[string]bool, len(c.summaries))
	for _, s := range c.summaries {
		fires[s.Rule] = true
	}
	maps.DeleteFunc(a.rules, func(rule string, e *entry) bool { return !fires[rule] && !e.holds(c.at) || c.aside[rule] })
	return c, nil
}

// aside returns the rules beyond mostKept: those that people have judged come first, then those with more episodes.
func aside(all []*Summary) map[string]bool {
	if len(all) <= mostKept {
		return nil
	}
	judged := func(s *Summary) (n int64) {
		for _, v := range s.Verdicts {
			n += v
		}
		return n
	}
	ranked := slices.Clone(all)
	slices.SortStableFunc(ranked, func(x, y *Summary) int {
		return cmp.Or(cmp.Compare(judged(y), judged(x)), cmp.Compare(y.Episodes, x.Episodes))
	})
	rest := make(map[string]bool, len(all)-mostKept)
	for _, s := range ranked[mostKept:] {
		rest[s.Rule] = true
	}
	return rest
}

func (c counted) holds(now time.Time) bool { return fresh(c.at, now) }

func (e entry) holds(now time.Time) bool { return fresh(e.At, now) }

// fresh reports whether what is of one time still holds at another. Clocks may be set back.
func fresh(at, now time.Time) bool { age := now.Sub(at); return age >= 0 && age < holds }

// good reports whether nothing has happened that changes a conclusion, or too little time has gone by since it was drawn.
func (e entry) good(now time.Time) bool {
	if e.Rule == nil || !e.holds(now) {
		return false
	}
	age, resting := now.Sub(e.At), time.Duration(e.Episodes)*rest
	switch {
	case e.judged:
		return e.Episodes > atOnce && age < resting
	case e.touched:
		return age < max(settles, resting)
	}
	return true
}

// catchUp notes what has happened since it last did, and returns the last event of the transaction's state.
func (a *Assessor) catchUp(tx ledger.Tx) (int64, error) {
	a.mu.Lock()
	begun, position := a.begun, a.position
	a.mu.Unlock()
	if !begun {
		last, err := tx.LastEvent()
		if err != nil {
			return 0, err
		}
		a.mu.Lock()
		defer a.mu.Unlock()
		if !a.begun {
			a.begun, a.position, a.rules = true, last, map[string]*entry{}
		}
		return last, nil
	}
	last, err := tx.LastEvent()
	if err != nil {
		return 0, err
	}
	for position < last {
		events, err := tx.EventsAfter(position, eventsPerRead)
		if err != nil {
			return 0, err
		}
		if len(events) == 0 {
			break
		}
		position = events[len(events)-1].Seq
		a.note(events)
	}
	return last, nil
}

// note has events change what is kept about their rules.
func (a *Assessor) note(events []*ledger.Event) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, e := range events {
		known := a.rules[e.Rule]
		if known == nil || e.Seq <= a.position {
			continue
		}
		known.touched = true
		switch e.Name {
		case alert.EventVerdict, alert.EventAcknowledged, alert.EventThreshold:
			known.judged = true
		}
	}
	a.position = max(a.position, events[len(events)-1].Seq)
}

// Forget has a rule looked at again: what has happened to it is no event.
func (a *Assessor) Forget(rule string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if known := a.rules[rule]; known != nil {
		known.judged = true
	}
}
