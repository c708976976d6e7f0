package webhook

import (
	"github.com/otelcol-escalation/otelcol-escalation/internal/alert"
	"github.com/otelcol-escalation/otelcol-escalation/internal/ledger"
)

// Opinion is what a gate says to a deployment controller that polls.
type Opinion string

// The opinions.
const (
	Continue     Opinion = "continue"
	RollBack     Opinion = "rollback"
	Inconclusive Opinion = "inconclusive" // a person has to decide
)

// Gate is a target's opinion now: a rollback that was approved, or that nobody had to approve, stands as long as the alert that
// asked for it is open; the kill switch takes it back.
func Gate(tx ledger.Tx, target string) (Opinion, error) {
	stopped, err := tx.Setting(ledger.SettingStopped)
	if err != nil {
		return Inconclusive, err
	}
	opinion := Continue
	for _, state := range []ledger.ActionState{ledger.ActionWaiting, ledger.ActionApproved, ledger.ActionDone} {
		found, err := tx.Actions(ledger.ActionQuery{Target: target, State: state, Limit: 100})
		if err != nil {
			return Inconclusive, err
		}
		for _, a := range found {
			e, err := tx.Episode(a.EpisodeID)
			if err != nil {
				return Inconclusive, err
			}
			switch {
			case !e.Open():
			case a.State == ledger.ActionWaiting || stopped != "":
				opinion = Inconclusive
			case a.Kind == alert.ActionRollback:
				return RollBack, nil
			}
		}
	}
	return opinion, nil
}
