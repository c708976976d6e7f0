package escalationexporter

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/otelcol-escalation/otelcol-escalation/internal/ledger"
)

// leased is a delivery that this exporter has leased.
type leased struct{ topic, destination string }

// takeBack ends leases that nobody works on: of a former life of this exporter, of an update whose answer was lost, and of
// the exporter that led before this one.
//
// What a former life, or another exporter, had leased may have been sent by it.
func (x *escalation) takeBack(ctx context.Context, former bool, write func(func(ledger.Tx) error) error) error {
	var stranded []leased
	err := x.ledger.View(ctx, time.Now(), func(tx ledger.Tx) error {
		stranded = nil
		all, err := tx.LeasedDeliveries()
		for _, d := range all {
			if to := x.destinations[d.Destination]; to != nil && !to.knows(d.Topic) {
				stranded = append(stranded, leased{topic: d.Topic, destination: d.Destination})
			}
		}
		return err
	})
	for part := range slices.Chunk(stranded, deliveriesPerUpdate) {
		if err := write(func(tx ledger.Tx) error { return unlease(tx, part, former) }); err != nil {
			return err
		}
	}
	return err
}

// presume enters that what a destination is owed may have arrived there, although nobody lived to write it down. It
// stays owed; but should everything have ended before it is sent again, the destination is told of the end, without
// which an incident would stay open there for ever. One too many, of something that the destination never heard of,
// does no harm. What it has accepted before stays what it was told last: from there on everything is told anew.
func presume(tx ledger.Tx, d *ledger.Delivery) error {
	if d.Sent > 0 || d.Wanted == 0 {
		return nil
	}
	told := d.Wanted
	if d.Kind == ledger.DeliverEnd { // the end itself is still owed: what may have arrived is the page before it
		g, err := tx.Group(d.Topic)
		if errors.Is(err, ledger.ErrNotFound) || err == nil && g.PagedAt.IsZero() {
			return nil
		}
		if err != nil {
			return err
		}
		told = g.PagedAt.UnixNano()
	}
	d.Sent, d.Wanted = told, max(d.Wanted, told+1)
	return nil
}

// abandoned reports whether a delivery of a shared ledger is leased by another exporter, which may have sent it.
func (x *escalation) abandoned(d *ledger.Delivery) bool {
	to := x.destinations[d.Destination]
	return x.ledger.Standing().Shared && to != nil && !d.LeasedUntil.IsZero() && !to.knows(d.Topic)
}

// release ends the leases of what could not be sent before the shutdown.
func (x *escalation) release(ctx context.Context, left []leased) {
	for part := range slices.Chunk(left, deliveriesPerUpdate) {
		if err := x.update(ctx, x.config.LedgerTimeout, func(tx ledger.Tx) error { return unlease(tx, part, false) }); err != nil {
			return
		}
	}
}

func unlease(tx ledger.Tx, part []leased, sent bool) error {
	for _, l := range part {
		d, err := tx.Delivery(l.topic, l.destination)
		if errors.Is(err, ledger.ErrNotFound) {
			continue
		}
		if err != nil {
			return err
		}
		d.LeasedUntil = time.Time{}
		if sent {
			if err := presume(tx, d); err != nil {
				return err
			}
		}
		if err := tx.PutDelivery(d); err != nil {
			return err
		}
	}
	return nil
}
