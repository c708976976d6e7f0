package escalationexporter

import (
	"context"
	"errors"
	"sync"
	"time"

	"go.opentelemetry.io/collector/component/componentstatus"
	"go.uber.org/zap"

	"github.com/otelcol-escalation/otelcol-escalation/internal/alert"
	"github.com/otelcol-escalation/otelcol-escalation/internal/ledger"
)

// health knows whether the ledger takes what it is given.
type health struct {
	mu     sync.Mutex
	failed bool
	// recovered is set when an outage is over and has not been seen to yet.
	recovered bool
}

// ledgerFailed notes an outage; only its beginning is reported.
func (x *escalation) ledgerFailed(err error) {
	x.obs.ledgerFailed()
	x.health.mu.Lock()
	before := x.health.failed
	x.health.failed = true
	x.health.mu.Unlock()
	if before {
		return
	}
	x.logger.Error("The ledger does not take transitions; they wait in the journal.", zap.Bool("durable", x.keeper != nil), zap.Error(err))
	componentstatus.ReportStatus(x.host, componentstatus.NewRecoverableErrorEvent(err))
}

// ledgerWorks notes the end of an outage. Transitions may still wait in the journal.
func (x *escalation) ledgerWorks() {
	x.health.mu.Lock()
	before := x.health.failed
	x.health.failed, x.health.recovered = false, x.health.recovered || before
	x.health.mu.Unlock()
	if !before {
		return
	}
	// Nobody was heard of while nothing could be written down.
	x.view.pardon(time.Now())
	x.logger.Info("The ledger takes transitions again.")
	componentstatus.ReportStatus(x.host, componentstatus.NewEvent(componentstatus.StatusOK))
	x.rouse()
}

// ledgerDown reports whether the last update failed.
func (x *escalation) ledgerDown() bool {
	x.health.mu.Lock()
	defer x.health.mu.Unlock()
	return x.health.failed
}

// afterOutage reports once that an outage is over.
func (x *escalation) afterOutage() bool {
	x.health.mu.Lock()
	defer x.health.mu.Unlock()
	after := x.health.recovered
	x.health.recovered = false
	return after
}

// drain commits what waits in the journal, in order.
func (x *escalation) drain(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-x.journal.filled:
		}
		for size := transitionsPerUpdate; x.journal.size() > 0; {
			part := x.journal.first(size)
			err := x.commit(ctx, persistTimeout, part)
			switch {
			case err == nil:
				x.journal.remove(len(part))
				size = transitionsPerUpdate
			case errors.Is(err, context.DeadlineExceeded), x.unusable(ctx):
				if !x.sleep(ctx, ledgerRetry) {
					return
				}
			case len(part) > 1:
				size = max(len(part)/8, 1) // one of them is the reason: find it
			default:
				x.discard(part[0], err)
			}
		}
	}
}

// unusable reports whether it is the ledger that fails, and not one transition.
func (x *escalation) unusable(ctx context.Context) bool {
	ctx, cancel := context.WithTimeout(ctx, persistTimeout)
	defer cancel()
	return x.ledger.Healthy(ctx) != nil
}

// discard gives up a transition that a working ledger refuses: it must not hold up all others for ever.
func (x *escalation) discard(a alert.Alert, err error) {
	x.logger.Error("The ledger refuses a transition; it is given up.",
		zap.String("rule", a.Rule), zap.String("alert_id", a.ID), zap.Stringer("state", a.State), zap.Error(err))
	x.journal.remove(1)
	x.view.doubt(a.ID, time.Now())
	x.obs.recorded([]change{{judged: &a, kind: kindDiscarded}})
}

// kindDiscarded counts what discard gave up.
const kindDiscarded ledger.ChangeKind = "discarded"

// flush tries once more to commit the journal, at the shutdown.
func (x *escalation) flush(ctx context.Context) {
	for x.journal.size() > 0 && ctx.Err() == nil {
		part := x.journal.first(transitionsPerUpdate)
		if err := x.commit(ctx, x.config.LedgerTimeout, part); err != nil {
			x.logger.Error("The ledger does not take the transitions that wait in the journal, even at this shutdown.",
				zap.Int("transitions", x.journal.size()), zap.Error(err))
			return
		}
		x.journal.remove(len(part))
	}
}

// keep ends the journal: what waits there stays in its storage, or is lost.
func (x *escalation) keep(ctx context.Context) {
	if x.keeper != nil {
		err := x.keeper.close(ctx)
		if err == nil {
			return
		}
		x.logger.Error("The journal's storage was not closed well.", zap.Error(err))
	}
	if n := x.journal.size(); n > 0 {
		x.logger.Error("Transitions are lost with this shutdown, because the ledger does not take them.", zap.Int("transitions", n))
	}
}

func (x *escalation) sleep(ctx context.Context, d time.Duration) bool {
	select {
	case <-ctx.Done():
		return false
	case <-time.After(d):
		return true
	}
}
