package escalationexporter

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/pdata/pmetric"
	"go.uber.org/zap"

	"github.com/otelcol-escalation/otelcol-escalation/internal/alert"
	"github.com/otelcol-escalation/otelcol-escalation/internal/escalate"
	"github.com/otelcol-escalation/otelcol-escalation/internal/ledger"
	"github.com/otelcol-escalation/otelcol-escalation/internal/notify"
)

// transitionsPerUpdate bounds what one transaction takes: other updates get their turn, the first page of a flood goes
// out while the rest is being written, and no commit nears ledger_timeout by its size.
const transitionsPerUpdate = 100

// errJournalFull gives a batch back to its sender, who shall try again.
var errJournalFull = errors.New("the ledger takes nothing, and the journal is full")

// sender is what the exporter needs of notify.Receivers.
type sender interface {
	Destinations(receiver string) ([]notify.Destination, bool)
	All() []notify.Destination
	Send(ctx context.Context, destination string, m notify.Message) error
	Close()
}

// escalation is the exporter.
type escalation struct {
	id     component.ID
	config *Config
	policy *escalate.Policy
	// actions are what alerts may ask for.
	actions *actions
	sender  sender
	logger  *zap.Logger
	obs     *obsreport
	jitter  func() float64

	ledger  ledger.Ledger
	host    component.Host
	replica replica

	view         *view
	journal      *journal
	keeper       *keeper // nil without `storage`
	destinations map[string]*destination
	resolved     map[string]bool // by destination: it is told of ends
	// validFor is the longest `valid_for` seen, in nanoseconds.
	validFor atomic.Int64
	health   health
	silences silences
	sources  sources
	trials   underway
	explorer explorer
	// passed is when the reconciler last looked, in nanoseconds.
	passed atomic.Int64
	// former: what a former life had leased has not been taken back yet.
	former bool

	wake   chan struct{}
	cancel context.CancelFunc
	work   sync.WaitGroup
}

func newEscalation(id component.ID, set component.TelemetrySettings, config *Config, policy *escalate.Policy, a *actions, s sender) (*escalation, error) {
	obs, err := newObsreport(set)
	if err != nil {
		return nil, err
	}
	x := &escalation{
		id: id, config: config, policy: policy, actions: a, sender: s, logger: set.Logger, obs: obs, jitter: rand.Float64,
		view: newView(), journal: newJournal(journalLimit), explorer: newExplorer(), wake: make(chan struct{}, 1),
		destinations: map[string]*destination{}, resolved: map[string]bool{},
	}
	x.validFor.Store(int64(alert.DefaultValidFor))
	return x, nil
}

// start finds the ledger, loads what is open, and begins to work on what is due.
func (x *escalation) start(ctx context.Context, host component.Host) error {
	x.host = host
	extension, ok := host.GetExtensions()[x.config.Ledger]
	if !ok {
		return fmt.Errorf("ledger: there is no extension %q: configure it, and list it under service.extensions", x.config.Ledger)
	}
	provider, ok := extension.(ledger.Provider)
	if !ok {
		return fmt.Errorf("ledger: the extension %q keeps no alerts: name one of the type alert_ledger", x.config.Ledger)
	}
	if x.ledger = provider.Ledger(); x.ledger == nil {
		return fmt.Errorf("ledger: the extension %q has not been started", x.config.Ledger)
	}
	standing := x.ledger.Standing()
	x.view.shared, x.replica.heard, x.replica.leads = standing.Shared, standing.Others, standing.Leads

	working, cancel := context.WithCancel(context.Background()) // not Start's context, which ends with the start
	x.cancel = cancel
	for _, to := range x.sender.All() {
		x.resolved[to.Name] = to.SendResolved
		x.destinations[to.Name] = x.newDestination(working, to.Name)
	}
	groups, err := x.load(ctx)
	if err != nil {
		cancel()
		return fmt.Errorf("read the ledger: %w", err)
	}
	// Before anything new is taken: once it has been decided anew, nobody could tell what a former life may have sent.
	write := func(fn func(ledger.Tx) error) error { return x.update(ctx, persistTimeout, fn) }
	if standing.Leads {
		x.former = x.takeBack(ctx, true, write) != nil // a ledger that cannot be written now is no reason not to start
	}
	if err := x.recall(ctx, working); err != nil {
		cancel()
		return err
	}
	if err := x.obs.observe(x); err != nil {
		cancel()
		return err
	}
	x.passed.Store(time.Now().UnixNano())
	x.work.Go(func() { x.reconcile(working, groups) })
	x.work.Go(func() { x.drain(working) })
	x.work.Go(func() { x.explore(working) })
	for i, to := range x.actions.peers {
		p := &peer{x: x, name: fmt.Sprintf("alertmanagers[%d]", i), to: to, told: map[string]posted{}}
		x.work.Go(func() { p.tell(working) })
	}
	if x.config.Watchdog.Receiver != "" {
		x.work.Go(func() { x.watch(working) })
	}
	return nil
}

// recall takes over what an earlier run left in the journal's storage. The view assumes it as it did then, so that what
// comes next is judged by it; what the ledger has of it already, the ledger drops.
func (x *escalation) recall(ctx, working context.Context) error {
	if x.config.Storage == nil {
		return nil
	}
	k, err := openKeeper(ctx, x.host, *x.config.Storage, x.id, x.journal, x.logger, x.obs.journalFailed)
	if err != nil {
		return err
	}
	left, err := k.restore(ctx)
	if err != nil {
		return errors.Join(err, k.client.Close(ctx))
	}
	if len(left) > 0 {
		x.logger.Info("Transitions that the ledger has not taken yet were found in the storage.", zap.Int("transitions", len(left)))
	}
	now := time.Now()
	for i := range left {
		x.view.judge(&left[i], now)
	}
	x.keeper = k
	go k.run(working)
	return nil
}

func (x *escalation) newDestination(ctx context.Context, name string) *destination {
	return &destination{
		name: name, ctx: ctx, jitter: x.jitter, known: map[string]*job{}, limiter: limiterFor(name),
		send: func(ctx context.Context, topic string) sent { return x.deliver(ctx, name, topic) },
		changed: func(err error) {
			if err != nil {
				x.logger.Warn("A destination does not take pages; they are kept and tried again.", zap.String("destination", name), zap.Error(err))
				return
			}
			x.logger.Info("A destination takes pages again.", zap.String("destination", name))
		},
	}
}

// shutdown stops all work. What is owed stays in the ledger.
func (x *escalation) shutdown(ctx context.Context) error {
	if x.cancel != nil {
		x.cancel()
	}
	x.work.Wait()
	var left []leased
	for _, d := range x.destinations {
		for _, topic := range d.stop() {
			left = append(left, leased{topic: topic, destination: d.name})
		}
	}
	if x.ledger != nil {
		x.release(ctx, left)
		x.flush(ctx)
		x.keep(ctx)
	}
	x.sender.Close()
	x.actions.close()
	x.obs.shutdown()
	return nil
}

// consume takes the judgements of a batch. When it returns nil the transitions among them are in the ledger, or in the
// journal while the ledger does not answer.
func (x *escalation) consume(ctx context.Context, md pmetric.Metrics) error {
	now := time.Now()
	seenAt := x.view.ledgerTime(now)
	var transitions []alert.Alert
	observations := map[string]ledger.Observation{}
	ignored := map[verdict]int{}
	alert.Read(md, func(a alert.Alert) {
		switch v, episodeID := x.view.judge(&a, now); v {
		case transition:
			transitions = append(transitions, a)
		case repetition:
			ignored[repetition]++
			if episodeID != "" && a.State == alert.Firing {
				observations[episodeID] = observation(&a, seenAt)
			}
		default:
			ignored[v]++
		}
	}, x.obs.rejected)
	x.obs.passed(ignored)
	if len(observations) > 0 {
		x.ledger.Observe(observations)
	}
	alert.ReadExplored(md, func(a alert.Alert) { x.explorer.put(a, x.obs.exploreDropped) }, x.obs.rejected)
	if len(transitions) > transitionsPerUpdate {
		urgentFirst(transitions)
	}
	return x.take(ctx, transitions)
}

// urgentFirst orders a flood, so that the most urgent alerts are paged before the rest is written. The transitions of
// one alert stay in their order.
func urgentFirst(transitions []alert.Alert) {
	urgency := make(map[string]alert.Severity, len(transitions))
	for i := range transitions {
		if a := &transitions[i]; a.State == alert.Firing {
			urgency[a.ID] = max(urgency[a.ID], a.Severity)
		}
	}
	slices.SortStableFunc(transitions, func(a, b alert.Alert) int { return cmp.Compare(urgency[b.ID], urgency[a.ID]) })
}

func observation(a *alert.Alert, seenAt time.Time) ledger.Observation {
	return ledger.Observation{
		Value: a.Value, FiringLevel: a.FiringLevel, Levels: ledger.LevelsOf(a), ObservedAt: a.ObservedAt, JudgedAt: a.Time, SeenAt: seenAt,
	}
}

// take commits transitions, or puts what cannot be committed into the journal. Transitions follow those that wait.
func (x *escalation) take(ctx context.Context, transitions []alert.Alert) error {
	for len(transitions) > 0 {
		if until, waiting, taken := x.journal.follow(transitions); taken {
			x.store(until)
			return nil
		} else if waiting {
			return x.refuse(transitions)
		}
		part := transitions[:min(transitionsPerUpdate, len(transitions))]
		if err := x.commit(ctx, x.config.LedgerTimeout, part); err != nil {
			until, taken := x.journal.add(transitions)
			if !taken {
				return x.refuse(transitions)
			}
			x.store(until)
			return nil
		}
		transitions = transitions[len(part):]
	}
	return nil
}

// store waits until what the journal took last is in its storage, if it has one.
func (x *escalation) store(until uint64) {
	if x.keeper != nil {
		x.keeper.await(until, x.config.LedgerTimeout)
	}
}

// refuse gives transitions back: their sender will repeat them.
func (x *escalation) refuse(transitions []alert.Alert) error {
	now := time.Now()
	for i := range transitions {
		x.view.doubt(transitions[i].ID, now)
	}
	x.obs.refused(len(transitions))
	return errJournalFull
}

// commit records transitions in one transaction and starts what follows from them.
func (x *escalation) commit(ctx context.Context, timeout time.Duration, transitions []alert.Alert) error {
	var done *recording
	err := x.update(ctx, timeout, func(tx ledger.Tx) (err error) {
		done, err = x.record(tx, transitions)
		return err
	})
	if err != nil {
		return err
	}
	for i := range done.changes {
		x.view.learn(done.changes[i])
		if e := done.changes[i].episode; e != nil {
			x.sources.learn(x.policy, e)
		}
	}
	x.obs.recorded(done.changes)
	if done.validFor > 0 {
		x.validFor.Store(int64(done.validFor))
	}
	x.dispatch(&done.applied)
	return nil
}

// update runs a transaction to its end, whatever becomes of the caller, and watches the ledger's health by it.
func (x *escalation) update(ctx context.Context, timeout time.Duration, fn func(ledger.Tx) error) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), timeout)
	defer cancel()
	err := x.ledger.Update(ctx, time.Now(), fn)
	switch {
	case err == nil:
		x.ledgerWorks()
	case !errors.Is(err, ledger.ErrNotFound):
		x.ledgerFailed(err)
	}
	return err
}

// dispatch hands deliveries that are durable, and leased to this exporter, to their destinations.
func (x *escalation) dispatch(done *applied) {
	x.obs.decided(done)
	for _, d := range done.deliveries {
		if to := x.destinations[d.Destination]; to != nil {
			to.offer(d)
		}
	}
}
