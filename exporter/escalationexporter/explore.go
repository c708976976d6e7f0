package escalationexporter

import (
	"context"
	"time"

	"github.com/otelcol-escalation/otelcol-escalation/internal/alert"
	"github.com/otelcol-escalation/otelcol-escalation/internal/ledger"
)

const (
	// exploreRoom is how many judgements of silent tracks wait for the ledger at most.
	exploreRoom = 10_000
	// explorePerUpdate is how many one transaction takes: alerts get their turn in between.
	explorePerUpdate = 100
	// exploreRetry is how long they wait while the ledger takes nothing.
	exploreRetry = 5 * time.Second
)

// explorer is what silent tracks have told and the ledger has not taken. It is a sample for statistics: it must never
// hold up an alert, and what finds no room is counted and gone.
type explorer chan alert.Alert

func newExplorer() explorer { return make(explorer, exploreRoom) }

func (e explorer) put(a alert.Alert, dropped func(int)) {
	select {
	case e <- a:
	default:
		dropped(1)
	}
}

// explore records what silent tracks tell, in order, until ctx ends; then what is left, once.
func (x *escalation) explore(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			for {
				left := x.explorer.some(nil)
				if len(left) == 0 {
					return
				}
				if x.recordExplored(left) != nil {
					x.obs.exploreDropped(len(left) + len(x.explorer))
					return
				}
			}
		case a := <-x.explorer:
			some := x.explorer.some([]alert.Alert{a})
			for x.recordExplored(some) != nil {
				select {
				case <-ctx.Done():
					x.obs.exploreDropped(len(some) + len(x.explorer))
					return
				case <-time.After(exploreRetry):
				}
			}
		}
	}
}

// some takes what waits, as much as goes into one transaction.
func (e explorer) some(all []alert.Alert) []alert.Alert {
	for len(all) < explorePerUpdate {
		select {
		case a := <-e:
			all = append(all, a)
		default:
			return all
		}
	}
	return all
}

func (x *escalation) recordExplored(all []alert.Alert) error {
	return x.update(context.Background(), persistTimeout, func(tx ledger.Tx) error {
		for i := range all {
			if err := ledger.Explore(tx, &all[i]); err != nil {
				return err
			}
		}
		return nil
	})
}
