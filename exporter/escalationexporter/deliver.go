package escalationexporter

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/otelcol-escalation/otelcol-escalation/internal/alert"
	"github.com/otelcol-escalation/otelcol-escalation/internal/escalate"
	"github.com/otelcol-escalation/otelcol-escalation/internal/failpoint"
	"github.com/otelcol-escalation/otelcol-escalation/internal/ledger"
	"github.com/otelcol-escalation/otelcol-escalation/internal/notify"
)

const (
	// sendTimeout is how long a destination may take to answer.
	sendTimeout = 30 * time.Second
	// leaseFor keeps other replicas away from a delivery while this one has it. It outlasts one try.
	leaseFor = time.Minute
	// notedPerUpdate bounds what one transaction writes about a message with many alerts: others get their turn.
	notedPerUpdate = 100
	// persistTimeout is how long a commit may take that nobody waits for.
	persistTimeout = 10 * time.Second
	// ledgerRetry is how long to wait for a ledger that does not answer.
	ledgerRetry = time.Second
	// failureEvents bounds the events of one failed delivery.
	failureEvents = 100
)

// errNothing says that there is nothing to send.
var errNothing = errors.New("nothing to tell")

// parcel is a message with what has to be known when it has been accepted.
type parcel struct {
	delivery ledger.Delivery
	message  notify.Message
	// reflects is the topic's sequence that the message tells of.
	reflects int64
	// resolved: the destination is told of ends. open: the topic has an open episode, if only a snoozed one.
	resolved, open bool
}

// deliver tells a destination the latest state of a topic: it reads it, sends it outside of any transaction, and
// writes down what became of it. Killed in between, it will be told once more, under the same key.
func (x *escalation) deliver(ctx context.Context, destination, topic string) sent {
	p, err := x.pack(ctx, destination, topic)
	switch {
	case errors.Is(err, errNothing):
		x.obs.settled(destination)
		x.persist(ctx, func(tx ledger.Tx) error { return settle(tx, topic, destination, p.reflects) })
		return sent{}
	case errors.Is(err, ledger.ErrNotFound), errors.Is(err, errDeposed):
		return sent{}
	case err != nil:
		// The ledger cannot be read; the lease runs out, and the delivery is due again.
		x.ledgerFailed(err)
		return sent{}
	}

	began := time.Now()
	sending, cancel := context.WithTimeout(ctx, sendTimeout)
	failpoint.Reach(failpoint.BeforeSend)
	err = x.sender.Send(sending, destination, p.message)
	cancel()
	took := time.Since(began)
	if err == nil {
		failpoint.Reach(failpoint.AfterSend)
		x.obs.delivered(destination, outcomeAccepted, took)
		x.accepted(ctx, p)
		return sent{}
	}
	if ctx.Err() != nil { // shutting down: it stays owed, and may have arrived
		_ = x.update(ctx, x.config.LedgerTimeout, func(tx ledger.Tx) error { return presumed(tx, p.delivery) })
		return sent{err: ctx.Err()}
	}
	result := sent{err: err}
	var failure *notify.SendError
	if errors.As(err, &failure) {
		result.permanent, result.asked = failure.Permanent, failure.RetryAfter
	}
	outcome := outcomeFailed
	if result.permanent {
		outcome = outcomeRefused
	}
	x.obs.delivered(destination, outcome, took)
	x.failed(ctx, p, result)
	return result
}

// pack reads what a destination is to be told.
func (x *escalation) pack(ctx context.Context, destination, topic string) (parcel, error) {
	p := parcel{resolved: x.resolved[destination]}
	err := x.ledger.View(ctx, time.Now(), func(tx ledger.Tx) error {
		if leads, err := x.leads(tx); err != nil {
			return err
		} else if !leads {
			return errDeposed // who leads now has taken it back
		}
		d, err := tx.Delivery(topic, destination)
		if err != nil {
			return err
		}
		p.delivery, p.reflects = *d, d.Wanted
		if d.Wanted <= d.Sent {
			return errNothing
		}
		told := escalate.ToldUntil(d.Sent)
		if escalate.IsDigest(topic) {
			episodes, err := tx.DigestEpisodes(topic)
			if err != nil {
				return err
			}
			p.open = slices.ContainsFunc(episodes, (*ledger.Episode).Open)
			p.message = x.policy.DigestPage(topic, episodes, told, d.Step, tx.Now())
			return x.explain(tx, d, p.message)
		}
		g, err := tx.Group(topic)
		if errors.Is(err, ledger.ErrNotFound) { // too old to be remembered
			return errNothing
		}
		if err != nil {
			return err
		}
		episodes, err := tx.GroupEpisodes(topic)
		if err != nil {
			return err
		}
		p.open, p.reflects = g.Open(), max(g.Sequence, d.Wanted)
		p.message = x.policy.Page(g, episodes, told, d.Step, tx.Now())
		if err := tellActions(tx, episodes, p.message, x.policy.PageURL); err != nil {
			return err
		}
		return x.explain(tx, d, p.message)
	})
	if err == nil && !p.worthSending() {
		err = errNothing
	}
	return p, err
}

// worthSending reports whether the far side has something to learn. While something is open, if only snoozed, nothing is
// sent that it would take for the end.
func (p *parcel) worthSending() bool {
	if escalate.Firing(p.message) {
		return true
	}
	return len(p.message.Alerts) > 0 && p.resolved && !p.open
}

// accepted writes down that a message has arrived. While the ledger does not take it the delivery stays here, so that
// it is not sent again.
func (x *escalation) accepted(ctx context.Context, p parcel) {
	d, firing := p.delivery, escalate.Firing(p.message)
	var told []string
	flapping := map[string]bool{}
	for _, a := range p.message.Alerts {
		if id := a.Labels[alert.LabelEpisodeID]; a.Annotations[escalate.AnnotationFlapping] != "" {
			flapping[id] = true
		}
		// An end is noted where it was the news.
		if a.EndsAt.IsZero() || !firing {
			told = append(told, a.Labels[alert.LabelEpisodeID])
		}
	}
	for {
		part := told[:min(notedPerUpdate, len(told))]
		told = told[len(part):]
		last := len(told) == 0
		x.persist(ctx, func(tx ledger.Tx) error {
			for _, id := range part {
				err := ledger.Notify(tx, id, d.Receiver, d.Kind, d.Step)
				if err == nil && flapping[id] && d.Kind != ledger.DeliverDigest {
					err = ledger.NoticeFlapping(tx, id)
				}
				if err != nil && !errors.Is(err, ledger.ErrNotFound) {
					return err
				}
			}
			if !last {
				return nil
			}
			now, err := tx.Delivery(d.Topic, d.Destination)
			if err != nil {
				return err
			}
			now.Sent, now.SentFiring = max(now.Sent, p.reflects), firing
			now.Attempts, now.LastError = 0, ""
			if now.Wanted <= now.Sent {
				now.LeasedUntil = time.Time{}
			}
			return tx.PutDelivery(now)
		})
		if last {
			return
		}
	}
}

// presumed writes down that a message may have arrived.
func presumed(tx ledger.Tx, sent ledger.Delivery) error {
	d, err := tx.Delivery(sent.Topic, sent.Destination)
	if err != nil {
		return err
	}
	if err := presume(tx, d); err != nil {
		return err
	}
	return tx.PutDelivery(d)
}

// settle writes down that a destination need not be told.
func settle(tx ledger.Tx, topic, destination string, reflects int64) error {
	d, err := tx.Delivery(topic, destination)
	if errors.Is(err, ledger.ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	if d.Wanted <= reflects {
		d.Sent = d.Wanted
	}
	d.LeasedUntil = time.Time{}
	return tx.PutDelivery(d)
}

// failed writes down when to try again. The story of an episode tells of the first failure in a row.
func (x *escalation) failed(ctx context.Context, p parcel, result sent) {
	var done *applied
	defer func() { x.dispatch(done) }()
	x.persist(ctx, func(tx ledger.Tx) error {
		done = &applied{}
		d, err := tx.Delivery(p.delivery.Topic, p.delivery.Destination)
		if err != nil {
			return err
		}
		if errors.Is(result.err, context.DeadlineExceeded) {
			if err := presume(tx, d); err != nil { // it did not answer in time, and may have taken it
				return err
			}
		}
		d.Attempts++
		d.LastError = result.err.Error()
		d.Due = tx.Now().Add(escalate.Backoff(d.Attempts, result.permanent, result.asked, x.jitter()))
		d.LeasedUntil = time.Time{}
		if err := tx.PutDelivery(d); err != nil {
			return err
		}
		if result.permanent || tx.Now().Sub(d.OrderedAt) >= undeliverableAfter {
			if err := x.divert(tx, d, done); err != nil {
				return err
			}
		}
		if d.Attempts > 1 {
			return nil
		}
		for i, a := range p.message.Alerts {
			if i == failureEvents || !a.EndsAt.IsZero() {
				break // those that fire stand first
			}
			severity, _ := alert.ParseSeverity(a.Labels[alert.LabelSeverity])
			if err := tx.AppendEvent(&ledger.Event{
				Name: alert.EventPageFailed, EpisodeID: a.Labels[alert.LabelEpisodeID], Severity: severity,
				Owner: a.Labels[alert.LabelOwner], Rule: a.Labels[alert.LabelName],
				Receiver: d.Receiver, Reason: string(d.Kind), Step: d.Step, Note: d.LastError,
			}); err != nil {
				return err
			}
		}
		return nil
	})
}

// persist writes what must not be forgotten, however long the ledger takes. A shutdown ends it, after one try.
func (x *escalation) persist(ctx context.Context, write func(ledger.Tx) error) {
	for {
		err := x.update(ctx, persistTimeout, write)
		if err == nil || errors.Is(err, ledger.ErrNotFound) {
			return
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(ledgerRetry):
		}
	}
}
