package escalationexporter

import (
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/otelcol-escalation/otelcol-escalation/internal/alert"
	"github.com/otelcol-escalation/otelcol-escalation/internal/escalate"
	"github.com/otelcol-escalation/otelcol-escalation/internal/ledger"
	"github.com/otelcol-escalation/otelcol-escalation/internal/notify"
)

// undeliverableAfter is how long a page may wait for its destination before others are paged. What a destination refuses
// is not waited for.
const undeliverableAfter = time.Minute

// annotationUndeliverable says, to who is paged instead, which destinations could not be told.
const annotationUndeliverable = "undeliverable"

// reasonUndeliverable is the reason of such an order.
const reasonUndeliverable escalate.Reason = "undeliverable"

// divert pages the receivers of `undeliverable_to` where a delivery does not get through, once for each order. The
// delivery itself stays owed.
func (x *escalation) divert(tx ledger.Tx, d *ledger.Delivery, done *applied) error {
	if d.Kind == ledger.DeliverEnd || slices.Contains(x.config.Undeliverable, d.Receiver) {
		return nil
	}
	var added []string
	for _, receiver := range x.config.Undeliverable {
		destinations, _ := x.sender.Destinations(receiver)
		for _, to := range destinations {
			before, err := tx.Delivery(d.Topic, to.Name)
			if err != nil && !errors.Is(err, ledger.ErrNotFound) {
				return err
			}
			if err == nil && !before.OrderedAt.Before(d.OrderedAt) {
				continue // it has been told, or is being told, of this order
			}
			instead := &ledger.Delivery{
				Topic: d.Topic, Destination: to.Name, Receiver: receiver, Kind: d.Kind, Tier: d.Tier, Step: d.Step, Wanted: d.Wanted,
			}
			if err := x.want(tx, instead, tx.Now(), done); err != nil {
				return err
			}
			if !slices.Contains(added, receiver) {
				added = append(added, receiver)
			}
		}
	}
	if len(added) == 0 {
		return nil
	}
	done.orders = append(done.orders, escalate.Order{Kind: d.Kind, Reason: reasonUndeliverable})
	if escalate.IsDigest(d.Topic) {
		return nil
	}
	return x.diverted(tx, d, added)
}

// diverted writes into the group's record who was paged instead.
func (x *escalation) diverted(tx ledger.Tx, d *ledger.Delivery, receivers []string) error {
	g, err := tx.Group(d.Topic)
	if errors.Is(err, ledger.ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	for _, name := range receivers {
		if !slices.Contains(g.Paged, name) { // the end goes to it, too
			g.Paged = append(g.Paged, name)
		}
	}
	if err := tx.PutGroup(g); err != nil {
		return err
	}
	episodes, err := tx.GroupEpisodes(g.ID)
	if err != nil {
		return err
	}
	for i, e := range slices.DeleteFunc(episodes, func(e *ledger.Episode) bool { return !e.Open() || e.HeldAt(tx.Now()) != "" }) {
		if i == failureEvents {
			break
		}
		if err := ledger.Step(tx, e.ID, d.Step, receivers, string(reasonUndeliverable)); err != nil {
			return err
		}
	}
	return nil
}

// explain tells who is paged instead of others which destinations do not take the page.
func (x *escalation) explain(tx ledger.Tx, d *ledger.Delivery, m notify.Message) error {
	if !slices.Contains(x.config.Undeliverable, d.Receiver) {
		return nil
	}
	all, err := tx.Deliveries(d.Topic)
	if err != nil {
		return err
	}
	var failing []string
	for _, other := range all {
		if other.Wanted > other.Sent && other.LastError != "" && other.Destination != d.Destination {
			failing = append(failing, other.Destination)
		}
	}
	if len(failing) == 0 {
		return nil
	}
	for i := range m.Alerts {
		m.Alerts[i].Annotations[annotationUndeliverable] = "not accepted by " + strings.Join(failing, ", ")
	}
	return nil
}

// stuck reports whether a delivery waits behind others of a destination that fails.
func (x *escalation) stuck(d *ledger.Delivery, now time.Time) bool {
	to := x.destinations[d.Destination]
	return to != nil && to.failing() && d.Tier > alert.Low && now.Sub(d.OrderedAt) >= undeliverableAfter
}
