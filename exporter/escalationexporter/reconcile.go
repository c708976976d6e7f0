package escalationexporter

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/otelcol-escalation/otelcol-escalation/internal/alert"
	"github.com/otelcol-escalation/otelcol-escalation/internal/ledger"
)

const (
	// groupsPerUpdate and deliveriesPerUpdate bound one transaction of the reconciler.
	groupsPerUpdate     = 50
	deliveriesPerUpdate = 100
	lossesPerUpdate     = 100
	// episodesPerUpdate bounds the groups by their members: the one that passes it is the last.
	episodesPerUpdate = 1000
	// restPerEpisode is how long the reconciler rests after deciding groups of many members, longestRest at most: each
	// change makes a group due, and ten thousand alerts that recover one after the other would have all of them read
	// each time. Until then the changes add up.
	restPerEpisode = 50 * time.Microsecond
	longestRest    = time.Second
	// longestWait bounds the time between two looks, should a clock be set back.
	longestWait = time.Minute
)

// rouse lets the reconciler look at once.
func (x *escalation) rouse() {
	select {
	case x.wake <- struct{}{}:
	default:
	}
}

// reconcile works on what is due, until ctx ends: whenever the ledger changes, whenever something falls due, and when
// an alert has not been heard of for too long. groups must be decided anew first.
func (x *escalation) reconcile(ctx context.Context, groups []string) {
	timer := time.NewTimer(0)
	defer timer.Stop()
	reclaim := x.former
	for ctx.Err() == nil {
		changed := x.ledger.Changed()
		wait, rest, err := x.pass(ctx, &groups, &reclaim)
		if err != nil && ctx.Err() == nil {
			if !errors.Is(err, errLooked) && !errors.Is(err, errDeposed) {
				x.ledgerFailed(err)
			}
			rest = ledgerRetry
		}
		if rest > 0 && !x.sleep(ctx, rest) {
			return
		}
		timer.Reset(max(wait-rest, 0))
		select {
		case <-ctx.Done():
		case <-changed:
		case <-timer.C:
		case <-x.wake:
		}
	}
}

// errLooked marks an error that update has already reported.
var errLooked = errors.New("the ledger does not take an update")

// errDeposed says that another exporter leads now: what this one wanted to do is no longer its to do.
var errDeposed = errors.New("another exporter leads")

// pass does a bounded part of everything that is due. It returns how long nothing more will be, and how long to rest
// first, whatever is.
func (x *escalation) pass(ctx context.Context, groups *[]string, reclaim *bool) (wait, rest time.Duration, err error) {
	write := func(fn func(ledger.Tx) error) error {
		var leads bool
		err := x.update(ctx, persistTimeout, func(tx ledger.Tx) (err error) {
			if leads, err = x.leads(tx); err != nil || !leads {
				return err
			}
			return fn(tx)
		})
		if err == nil && !leads {
			return errDeposed
		}
		if err != nil {
			return fmt.Errorf("%w: %w", errLooked, err)
		}
		return nil
	}
	if x.ledgerDown() {
		if err := x.ledger.Healthy(ctx); err != nil { // that it can be read again does not mean that it can be written
			return 0, 0, err
		}
		x.ledgerWorks()
	}
	if leads, err := x.stand(ctx, groups, reclaim, write); err != nil || !leads {
		return signEvery, 0, err
	}
	if *reclaim || x.afterOutage() {
		*reclaim = true
		if err := x.takeBack(ctx, x.former, write); err != nil {
			return 0, 0, err
		}
		*reclaim, x.former = false, false
	}
	more := false
	if n := min(len(*groups), groupsPerUpdate); n > 0 {
		if err := write(func(tx ledger.Tx) error { return makeDue(tx, (*groups)[:n]) }); err != nil {
			return 0, 0, err
		}
		*groups, more = (*groups)[n:], true
	}

	var now time.Time
	var groupDue, deliveryDue time.Time
	var trials []*ledger.Trial
	err = x.ledger.View(ctx, time.Now(), func(tx ledger.Tx) (err error) {
		now = x.tell(tx)
		affected, err := x.refreshSilences(tx)
		if err != nil {
			return err
		}
		*groups = append(*groups, affected...)
		if trials, err = tx.Trials(); err != nil {
			return err
		}
		if groupDue, err = tx.NextGroupDue(); err != nil {
			return err
		}
		deliveryDue, err = tx.NextDeliveryDue()
		return err
	})
	if err != nil {
		return 0, 0, err
	}
	more = more || len(*groups) > 0
	x.try(ctx, trials, now)
	due := func(t time.Time) bool { return !t.IsZero() && !t.After(now) }
	if due(groupDue) {
		more = true
		seen, err := x.decideDue(write)
		if err != nil {
			return 0, 0, err
		}
		if seen >= episodesPerUpdate {
			rest = min(time.Duration(seen)*restPerEpisode, longestRest)
		}
	}
	if due(deliveryDue) {
		more = true
		if err := x.claim(write); err != nil {
			return 0, 0, err
		}
	}
	lostDue, err := x.expire(time.Now(), write)
	if err != nil {
		return 0, 0, err
	}
	actionDue, err := x.carryOut(ctx, write)
	if err != nil {
		return 0, 0, err
	}
	if !lostDue.IsZero() {
		wait = time.Until(lostDue)
	} else {
		wait = longestWait
	}
	if more || wait <= 0 || due(actionDue) {
		return 0, rest, nil
	}
	wait = min(wait, longestWait)
	for _, t := range []time.Time{groupDue, deliveryDue, actionDue} {
		if !t.IsZero() {
			wait = min(wait, t.Sub(now))
		}
	}
	return wait, rest, nil
}

// decideDue decides groups that are due. It returns how many episodes they have.
func (x *escalation) decideDue(write func(func(ledger.Tx) error) error) (seen int, err error) {
	var done *applied
	err = write(func(tx ledger.Tx) error {
		done, seen = &applied{}, 0
		due, err := tx.DueGroups(groupsPerUpdate)
		if err != nil {
			return err
		}
		for _, g := range due {
			episodes, err := tx.GroupEpisodes(g.ID)
			if err != nil {
				return err
			}
			if err := x.decide(tx, g, episodes, done); err != nil {
				return err
			}
			if seen += len(episodes); seen >= episodesPerUpdate {
				break // the others stay due
			}
		}
		return nil
	})
	if err == nil {
		x.dispatch(done)
	}
	return seen, err
}

// claim leases deliveries that are due and hands them to their destinations. What a destination has already is leased
// anew: it waits in its queue.
func (x *escalation) claim(write func(func(ledger.Tx) error) error) error {
	var due []*ledger.Delivery
	var done *applied
	err := write(func(tx ledger.Tx) (err error) {
		done = &applied{}
		if due, err = tx.DueDeliveries(deliveriesPerUpdate); err != nil {
			return err
		}
		for _, d := range due {
			if x.destinations[d.Destination] == nil {
				d.LastError = "the configuration has no such destination any more"
				d.Sent = d.Wanted
			} else {
				if x.abandoned(d) {
					if err := presume(tx, d); err != nil {
						return err
					}
				}
				d.LeasedUntil = tx.Now().Add(leaseFor)
			}
			if err := tx.PutDelivery(d); err != nil {
				return err
			}
			if x.stuck(d, tx.Now()) {
				if err := x.divert(tx, d, done); err != nil {
					return err
				}
			}
		}
		return nil
	})
	if err == nil {
		x.dispatch(done)
		for _, d := range due {
			if to := x.destinations[d.Destination]; to != nil {
				to.offer(d)
			}
		}
	}
	return err
}

// expire marks what has not been heard of for too long, and ends what has been lost for too long.
func (x *escalation) expire(now time.Time, write func(func(ledger.Tx) error) error) (next time.Time, err error) {
	if x.ledgerDown() || x.journal.size() > 0 {
		return now.Add(ledgerRetry), nil // what waits may be a sign of life
	}
	losses, next := x.view.lost(now, x.policy.LostAfter, ledgerRetry, lossesPerUpdate)
	if len(losses) == 0 {
		return next, nil
	}
	var heard []loss
	err = write(func(tx ledger.Tx) error {
		heard = nil
		for _, l := range losses {
			if elsewhere, err := x.heardElsewhere(tx, l, now); err != nil {
				return err
			} else if !elsewhere.IsZero() {
				l.heard = elsewhere
				heard = append(heard, l)
				continue
			}
			err := ledger.Lose(tx, l.episodeID)
			if l.gone {
				err = ledger.End(tx, l.episodeID, alert.ReasonSeriesGone)
			}
			if err != nil && !errors.Is(err, ledger.ErrNotFound) {
				return err
			}
		}
		return nil
	})
	if err == nil {
		losses = x.view.hear(losses, heard)
		x.view.settle(losses, now, x.policy.LostAfter)
		x.obs.expired(losses)
	}
	return now, err
}
