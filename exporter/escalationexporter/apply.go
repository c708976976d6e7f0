package escalationexporter

import (
	"errors"
	"time"

	"github.com/otelcol-escalation/otelcol-escalation/internal/alert"
	"github.com/otelcol-escalation/otelcol-escalation/internal/escalate"
	"github.com/otelcol-escalation/otelcol-escalation/internal/ledger"
)

// applied is what decisions of one transaction put into the ledger, for when it is durable.
type applied struct {
	// deliveries are leased to this exporter.
	deliveries []*ledger.Delivery
	orders     []escalate.Order
	lags       []time.Duration
	validFor   time.Duration // set where it has grown
	// opened are episodes of this transaction that may inhibit others.
	opened []*ledger.Episode
}

// decide decides a group and writes what follows.
func (x *escalation) decide(tx ledger.Tx, g *ledger.Group, episodes []*ledger.Episode, done *applied) error {
	if !g.DueAt.IsZero() {
		done.lags = append(done.lags, max(tx.Now().Sub(g.DueAt), 0))
	}
	d := x.policy.Decide(*g, episodes, tx.Now(), x.circumstances(tx, done.opened))
	open := make(map[string]*ledger.Episode, len(episodes))
	for _, e := range episodes {
		if e.Open() {
			open[e.ID] = e
		}
	}
	if d.Expired != "" {
		for _, e := range episodes {
			if !e.Open() {
				continue
			}
			if err := tx.AppendEvent(&ledger.Event{
				Name: alert.EventAckExpired, EpisodeID: e.ID, From: d.Expired,
				Severity: e.Severity, Owner: e.Owner, Rule: e.Rule,
			}); err != nil {
				return err
			}
		}
	}
	for _, hold := range d.Holds {
		e := open[hold.EpisodeID]
		hold.Apply(e)
		if err := tx.PutEpisode(e); err != nil {
			return err
		}
	}
	for _, order := range d.Orders {
		if err := x.order(tx, &d.Group, order, done); err != nil {
			return err
		}
		if order.Kind != ledger.DeliverPage {
			continue
		}
		for _, e := range episodes {
			if !e.Open() || e.HeldAt(tx.Now()) != "" {
				continue
			}
			if err := ledger.Step(tx, e.ID, order.Step, order.Receivers, string(order.Reason)); err != nil {
				return err
			}
		}
	}
	if d.Digest != nil {
		if err := x.digest(tx, &d, done); err != nil {
			return err
		}
	}
	if err := tx.PutGroup(&d.Group); err != nil {
		return err
	}
	if d.Closed && d.Group.DigestID != "" {
		return x.endDigest(tx, d.Group.DigestID, done)
	}
	return nil
}

// order writes what the destinations of an order must be told. Where this exporter leads, the rows carry its lease, and it
// sends as soon as they are durable.
func (x *escalation) order(tx ledger.Tx, g *ledger.Group, o escalate.Order, done *applied) error {
	done.orders = append(done.orders, o)
	for _, receiver := range o.Receivers {
		destinations, _ := x.sender.Destinations(receiver) // a receiver that the configuration lost tells nobody
		for _, to := range destinations {
			d := &ledger.Delivery{
				Topic: g.ID, Destination: to.Name, Receiver: receiver, Kind: o.Kind, Tier: g.Tier, Step: o.Step,
				Wanted: g.Sequence,
			}
			if err := x.want(tx, d, tx.Now(), done); err != nil {
				return err
			}
		}
	}
	return nil
}

// want puts a delivery, over the one that its destination is still owed: it always means the latest state.
func (x *escalation) want(tx ledger.Tx, d *ledger.Delivery, due time.Time, done *applied) error {
	before, err := tx.Delivery(d.Topic, d.Destination)
	if err != nil && !errors.Is(err, ledger.ErrNotFound) {
		return err
	}
	if before != nil {
		if x.abandoned(before) {
			if err := presume(tx, before); err != nil {
				return err
			}
		}
		d.Sent, d.SentFiring, d.Attempts, d.LastError = before.Sent, before.SentFiring, before.Attempts, before.LastError
		if owed := before.Wanted > before.Sent; owed && before.Kind == ledger.DeliverPage && d.Kind != ledger.DeliverEnd {
			d.Kind = ledger.DeliverPage // a page that did not get through stays one
		}
	}
	d.Due, d.OrderedAt = due, tx.Now()
	if !due.After(tx.Now()) && x.ledger.Standing().Leads { // otherwise it is for who leads
		d.LeasedUntil = tx.Now().Add(leaseFor)
		done.deliveries = append(done.deliveries, d)
	}
	return tx.PutDelivery(d)
}
