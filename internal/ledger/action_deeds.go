package ledger

import (
	"errors"
	"fmt"

	"github.com/otelcol-escalation/otelcol-escalation/internal/alert"
)

// Errors of decisions about actions.
var (
	ErrDecided  = errors.New("it has been decided already")
	ErrNoTarget = errors.New("there is no target to carry it out: do it by hand")
)

// Why an action waits, or why it was cancelled.
const (
	BecauseRecommended   = "recommended"         // actions are only recommended
	BecauseManual        = "manual_intervention" // past that threshold a person decides
	BecauseNoTarget      = "no_target"           // no configured target matches
	BecauseManyTargets   = "several_targets"     // more than one does
	BecauseCooldown      = "cooldown"            // the target's last one is too recent
	BecauseDailyLimit    = "max_per_day"         // the target has had enough of them today
	BecauseStale         = "stale"               // what asks for it is too old
	BecauseStopped       = "stopped"             // the kill switch
	BecauseEnded         = "ended"               // the alert has ended
	BecauseNoData        = "no_data"             // nobody knows how it is
	BecauseNotConfigured = "not_configured"      // its target is not configured any more
)

// SettingStopped is the kill switch: who stopped all actions, and when, in words; "" where they run.
const SettingStopped = "actions.stopped"

// Ask records an action of an episode, unless the episode has one of its kind. It sets the action's id and time.
func Ask(tx Tx, e *Episode, a *Action) error {
	a.EpisodeID, a.Rule, a.Owner = e.ID, e.Rule, e.Owner
	a.ID, a.RequestedAt = newID(tx.Now()), tx.Now()
	if a.State == ActionApproved {
		a.DecidedAt, a.DueAt = tx.Now(), tx.Now()
	}
	if err := tx.PutAction(a); err != nil {
		return err
	}
	name := alert.EventRollbackWanted
	if a.Kind == alert.ActionManualIntervention {
		name = alert.EventIntervention
	}
	return appendAction(tx, name, a, e)
}

// Approve releases what waits. Repeating it changes nothing. Approving a manual intervention approves the episode's
// rollback that waits for it, too.
func Approve(tx Tx, id, by, note string) error {
	a, err := tx.Action(id)
	if err != nil {
		return err
	}
	switch {
	case a.DecidedBy == by && (a.State == ActionApproved || a.State == ActionDone):
		return nil
	case a.State != ActionWaiting:
		return ErrDecided
	case a.Kind == alert.ActionRollback && a.Target == "":
		return ErrNoTarget
	}
	e, err := tx.Episode(a.EpisodeID)
	if err != nil {
		return err
	}
	if !e.Open() {
		return ErrEnded
	}
	return decide(tx, e, a, true, by, note)
}

// Reject refuses what waits. Repeating it changes nothing. Rejecting a manual intervention rejects the episode's rollback that
// waits for it, too.
func Reject(tx Tx, id, by, note string) error {
	a, err := tx.Action(id)
	if err != nil {
		return err
	}
	switch {
	case a.DecidedBy == by && a.State == ActionRejected:
		return nil
	case a.State != ActionWaiting:
		return ErrDecided
	}
	e, err := tx.Episode(a.EpisodeID)
	if err != nil {
		return err
	}
	return decide(tx, e, a, false, by, note)
}

func decide(tx Tx, e *Episode, a *Action, approve bool, by, note string) error {
	a.DecidedAt, a.DecidedBy, a.Note = tx.Now(), by, note
	name := alert.EventActionRejected
	switch {
	case !approve:
		a.State = ActionRejected
	case a.Kind == alert.ActionManualIntervention: // to have decided is all there is to it
		a.State, a.DoneAt, name = ActionDone, tx.Now(), alert.EventActionApproved
	default:
		a.State, a.DueAt, name = ActionApproved, tx.Now(), alert.EventActionApproved
	}
	if err := tx.PutAction(a); err != nil {
		return err
	}
	if err := appendAction(tx, name, a, e); err != nil || a.Kind != alert.ActionManualIntervention {
		return err
	}
	others, err := tx.Actions(ActionQuery{EpisodeID: e.ID, State: ActionWaiting})
	if err != nil {
		return err
	}
	for _, other := range others {
		if other.Kind == alert.ActionRollback && other.Reason == BecauseManual && (!approve || other.Target != "") {
			if err := decide(tx, e, other, approve, by, note); err != nil {
				return err
			}
		}
	}
	return nil
}

// Carried records that a target took an action.
func Carried(tx Tx, id string) error {
	a, err := tx.Action(id)
	if err != nil || a.State != ActionApproved {
		return err
	}
	a.State, a.DoneAt, a.LastError = ActionDone, tx.Now(), ""
	return settleAction(tx, a, alert.EventActionDone)
}

// Fail records that a target will not take an action.
func Fail(tx Tx, id, why string) error {
	a, err := tx.Action(id)
	if err != nil || a.State != ActionApproved {
		return err
	}
	a.State, a.LastError = ActionFailed, why
	return settleAction(tx, a, alert.EventActionFailed)
}

// Cancel ends an action that no longer stands.
func Cancel(tx Tx, id, because string) error {
	a, err := tx.Action(id)
	if err != nil || a.Settled() {
		return err
	}
	a.State, a.Reason = ActionCancelled, because
	return settleAction(tx, a, alert.EventActionCancelled)
}

func settleAction(tx Tx, a *Action, event string) error {
	a.DueAt, a.LeasedUntil = zeroTime, zeroTime
	if err := tx.PutAction(a); err != nil {
		return err
	}
	e, err := tx.Episode(a.EpisodeID)
	if err != nil {
		return err
	}
	return appendAction(tx, event, a, e)
}

// cancelActions ends what an episode has asked for when it ends.
func cancelActions(tx Tx, e *Episode) error {
	all, err := tx.Actions(ActionQuery{EpisodeID: e.ID})
	if err != nil {
		return err
	}
	for _, a := range all {
		if a.Settled() {
			continue
		}
		a.State, a.Reason, a.DueAt, a.LeasedUntil = ActionCancelled, BecauseEnded, zeroTime, zeroTime
		if err := tx.PutAction(a); err != nil {
			return err
		}
		if err := appendAction(tx, alert.EventActionCancelled, a, e); err != nil {
			return err
		}
	}
	return nil
}

func appendAction(tx Tx, name string, a *Action, e *Episode) error {
	event := e.event(name)
	event.By, event.Note, event.Reason, event.Receiver, event.From = a.DecidedBy, a.Note, a.Reason, a.Target, string(a.Kind)
	if name == alert.EventActionFailed {
		event.Note = a.LastError
	}
	return tx.AppendEvent(event)
}

// Stop throws the kill switch: nothing is carried out until Resume. What is on its way to a target is not taken back.
// Repeating it changes nothing.
func Stop(tx Tx, by, note string) error {
	before, err := tx.Setting(SettingStopped)
	if err != nil || before != "" {
		return err
	}
	text := fmt.Sprintf("%s by %s", tx.Now().UTC().Format("2006-01-02T15:04:05Z"), by)
	if note != "" {
		text += ": " + note
	}
	return tx.PutSetting(SettingStopped, text)
}

// Resume takes the kill switch back. What was approved meanwhile is carried out now, where it still stands.
func Resume(tx Tx) error { return tx.PutSetting(SettingStopped, "") }
