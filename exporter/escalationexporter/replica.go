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
	// signEvery is how often an exporter that does not lead looks which of its alerts the ledger should hear of.
	signEvery = 10 * time.Second
	// signsPerUpdate bounds one transaction, eventsPerRead what is read at a time.
	signsPerUpdate = 100
	eventsPerRead  = 1000
)

// replica is what this exporter is among those that share a ledger. All of them take judgements; one leads, which alone
// decides what falls due, and sends. Only the reconciler uses it.
type replica struct {
	leads bool
	// heard is the number of others' commits whose events have been read, position the last event.
	heard, position int64
	// signed is when signs of life were last written.
	signed time.Time
}

// stand takes over what others have written, and reports whether this exporter leads. One that does not tells the ledger of
// the alerts that only it hears of.
func (x *escalation) stand(ctx context.Context, groups *[]string, reclaim *bool, write func(func(ledger.Tx) error) error) (leads bool, err error) {
	standing := x.ledger.Standing()
	x.passed.Store(time.Now().UnixNano())
	if !standing.Shared {
		return true, nil
	}
	if standing.Others != x.replica.heard {
		if err := x.catchUp(ctx); err != nil {
			return false, err
		}
		x.replica.heard = standing.Others
	}
	switch {
	case !standing.Leads:
		if x.replica.leads {
			x.logger.Warn("Another exporter leads now; this one goes on taking alerts.")
		}
		x.replica.leads = false
		return false, x.sign(ctx, time.Now())
	case !x.replica.leads:
		affected, err := x.promote(ctx, write)
		if err != nil {
			return false, err
		}
		*groups = append(*groups, affected...)
		x.replica.leads, *reclaim, x.former = true, true, true
	}
	return true, nil
}

// leads asks the ledger whether this exporter leads. Where it was frozen for a while it may have missed that another does.
func (x *escalation) leads(tx ledger.Tx) (bool, error) {
	if !x.ledger.Standing().Shared {
		return true, nil
	}
	return tx.Leads()
}

// promote prepares to lead. It returns the groups that must be decided anew, should the one that led before have gone by
// another configuration.
func (x *escalation) promote(ctx context.Context, write func(func(ledger.Tx) error) error) (groups []string, err error) {
	policy, err := x.fingerprint()
	if err != nil {
		return nil, err
	}
	x.view.pardon(time.Now()) // it has not heard of what only the other heard of
	x.logger.Info("This exporter leads now.")
	var before string
	err = x.ledger.View(ctx, time.Now(), func(tx ledger.Tx) (err error) {
		if before, err = tx.Setting(settingPolicy); err != nil || before == policy {
			return err
		}
		groups, err = openGroups(tx, func(*ledger.Episode) {})
		return err
	})
	if err != nil {
		return nil, err
	}
	return groups, write(func(tx ledger.Tx) error { return x.enact(tx, policy) })
}

// tell keeps the view's idea of the ledger's clock, and returns what that shows.
func (x *escalation) tell(tx ledger.Tx) time.Time {
	now := tx.Now()
	x.view.mu.Lock()
	defer x.view.mu.Unlock()
	x.view.ahead = 0
	if x.view.shared {
		x.view.ahead = time.Until(now)
	}
	return now
}

// ledgerTime is a time of this machine's clock on the ledger's.
func (v *view) ledgerTime(t time.Time) time.Time {
	v.mu.Lock()
	defer v.mu.Unlock()
	return t.Add(v.ahead)
}

// catchUp reads what has happened since it last did, and takes over the episodes that another exporter, or a person at
// another exporter's page, has changed.
func (x *escalation) catchUp(ctx context.Context) error {
	for {
		var events []*ledger.Event
		err := x.ledger.View(ctx, time.Now(), func(tx ledger.Tx) (err error) {
			now := time.Now()
			x.tell(tx)
			if err := x.readValidFor(tx); err != nil {
				return err
			}
			if events, err = tx.EventsAfter(x.replica.position, eventsPerRead); err != nil {
				return err
			}
			seen := map[string]bool{}
			for _, event := range events {
				switch event.Name {
				case alert.EventFired, alert.EventSeverity, alert.EventOwner, alert.EventNoData, alert.EventResolved:
				default:
					continue
				}
				if seen[event.EpisodeID] {
					continue
				}
				seen[event.EpisodeID] = true
				e, err := tx.Episode(event.EpisodeID)
				if errors.Is(err, ledger.ErrNotFound) {
					continue
				}
				if err != nil {
					return err
				}
				x.view.follow(e, now, time.Duration(x.validFor.Load()))
				x.sources.learn(x.policy, e)
			}
			return nil
		})
		if err != nil {
			return err
		}
		if len(events) == 0 {
			return nil
		}
		x.replica.position = events[len(events)-1].Seq
	}
}

// follow takes over an episode that another exporter may have changed.
func (v *view) follow(e *ledger.Episode, now time.Time, validFor time.Duration) {
	v.mu.Lock()
	defer v.mu.Unlock()
	en := v.entries[e.AlertID]
	ended := !e.Open() && e.EndedBy != ledger.EndedByPerson
	switch {
	case en == nil && !e.Open():
		return
	case en == nil:
		en = &entry{alertID: e.AlertID, seen: now, told: now, validFor: validFor}
		v.entries[e.AlertID] = en
	case en.episodeID != e.ID && !e.JudgedAt.After(en.judgedAt):
		return // what is known is newer
	case en.episodeID != e.ID && !e.Open():
		return
	case ended:
		v.drop(en)
		return
	}
	v.know(en, e)
	v.expiry.schedule(en)
}

// sign writes that alerts are heard of, which another exporter leads and would give up otherwise: three times in the span
// for which a judgement holds. What was observed goes with it.
func (x *escalation) sign(ctx context.Context, now time.Time) error {
	if x.ledgerDown() || now.Sub(x.replica.signed) < signEvery {
		return nil
	}
	for ctx.Err() == nil {
		due := x.view.unsigned(now, signsPerUpdate)
		if len(due) == 0 {
			break
		}
		if err := x.update(ctx, persistTimeout, func(tx ledger.Tx) error { return sign(tx, due) }); err != nil {
			return fmt.Errorf("%w: %w", errLooked, err)
		}
		x.view.sign(due, now)
	}
	x.replica.signed = now
	return nil
}

func sign(tx ledger.Tx, due []loss) error {
	for _, l := range due {
		e, err := tx.Episode(l.episodeID) // with what was observed here
		if errors.Is(err, ledger.ErrNotFound) || err == nil && !e.Open() {
			continue
		}
		if err != nil {
			return err
		}
		e.SeenAt = tx.Now()
		if err := tx.PutEpisode(e); err != nil {
			return err
		}
	}
	return nil
}

// unsigned returns alerts that have been heard of since the ledger was last told, a third of valid_for ago or more.
func (v *view) unsigned(now time.Time, limit int) (due []loss) {
	v.mu.Lock()
	defer v.mu.Unlock()
	for _, en := range v.entries {
		if en.open && en.episodeID != "" && en.seen.After(en.told) && now.Sub(en.told) >= en.validFor/3 {
			if due = append(due, loss{en: en, episodeID: en.episodeID}); len(due) == limit {
				break
			}
		}
	}
	return due
}

func (v *view) sign(due []loss, now time.Time) {
	v.mu.Lock()
	defer v.mu.Unlock()
	for _, l := range due {
		l.en.told = now
	}
}

// heardElsewhere returns when another exporter has last heard of an alert, on this machine's clock; zero where that is too
// long ago. Signs of life are written a third of valid_for apart and with some delay: half of it more is granted.
func (x *escalation) heardElsewhere(tx ledger.Tx, l loss, now time.Time) (time.Time, error) {
	if !x.ledger.Standing().Shared {
		return time.Time{}, nil
	}
	e, err := tx.Episode(l.episodeID)
	if errors.Is(err, ledger.ErrNotFound) {
		return time.Time{}, nil
	}
	if err != nil {
		return time.Time{}, err
	}
	ago := tx.Now().Sub(e.SeenAt)
	if ago >= l.validFor+l.validFor/2 || !e.LostAt.IsZero() {
		return time.Time{}, nil
	}
	return now.Add(-ago), nil
}

// hear takes over that alerts were heard of elsewhere, and returns the other losses.
func (v *view) hear(losses, heard []loss) []loss {
	if len(heard) == 0 {
		return losses
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	alive := map[*entry]bool{}
	for _, l := range heard {
		alive[l.en] = true
		if v.entries[l.en.alertID] != l.en {
			continue
		}
		l.en.seen = later(l.en.seen, l.heard)
		v.expiry.remove(l.en)
		v.expiry.scheduleAt(l.en, l.en.seen.Add(l.en.validFor+l.en.validFor/2))
	}
	var lost []loss
	for _, l := range losses {
		if !alive[l.en] {
			lost = append(lost, l)
		}
	}
	return lost
}
