package escalationexporter

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"go.uber.org/zap"

	"github.com/otelcol-escalation/otelcol-escalation/internal/alert"
	"github.com/otelcol-escalation/otelcol-escalation/internal/escalate"
	"github.com/otelcol-escalation/otelcol-escalation/internal/failpoint"
	"github.com/otelcol-escalation/otelcol-escalation/internal/ledger"
	"github.com/otelcol-escalation/otelcol-escalation/internal/notify"
)

const (
	// annotationAction tells the owner what is asked of the deployment system, and how far that has come.
	annotationAction = "action"
	// reasonAction is the reason of the update that tells so.
	reasonAction escalate.Reason = "action_asked"
	// actionsPerUpdate bounds one claim.
	actionsPerUpdate = 10
)

// ask records what an alert asks for, and has those told who have been paged.
func (x *escalation) ask(tx ledger.Tx, e *ledger.Episode, judged time.Time, done *applied) error {
	earlier, err := tx.Actions(ledger.ActionQuery{EpisodeID: e.ID})
	if err != nil {
		return err
	}
	asked := false
	// What a person has to decide comes first: a rollback of the same judgement waits for it.
	for _, kind := range []alert.Action{alert.ActionManualIntervention, alert.ActionRollback} {
		known := slices.ContainsFunc(earlier, func(a *ledger.Action) bool { return a.Kind == kind })
		if !slices.Contains(e.Actions, kind) || known {
			continue
		}
		a, err := x.actions.policy.Propose(escalate.Asked{
			Episode: e, Kind: kind, JudgedAt: judged, Earlier: earlier,
			Recent: func(target string) ([]*ledger.Action, error) {
				return tx.Actions(ledger.ActionQuery{Target: target, Since: tx.Now().Add(-48 * time.Hour)})
			},
		}, tx.Now())
		if err != nil {
			return err
		}
		if a == nil {
			continue
		}
		if err := ledger.Ask(tx, e, a); err != nil {
			return err
		}
		earlier, asked = append(earlier, a), true
		if kind == alert.ActionManualIntervention {
			if err := holdBack(tx, earlier); err != nil {
				return err
			}
		}
	}
	if !asked {
		return nil
	}
	return x.tellOfAction(tx, e, done)
}

// holdBack gives a rollback that nobody had to decide about back to a person, unless it is on its way.
func holdBack(tx ledger.Tx, all []*ledger.Action) error {
	for _, a := range all {
		if a.Kind == alert.ActionRollback && a.State == ledger.ActionApproved && a.DecidedBy == "" && !a.LeasedUntil.After(tx.Now()) {
			a.State, a.Reason, a.DueAt = ledger.ActionWaiting, ledger.BecauseManual, time.Time{}
			if err := tx.PutAction(a); err != nil {
				return err
			}
		}
	}
	return nil
}

// tellOfAction orders an update at once. Before a group's first page there is nobody to tell; that page tells of it.
func (x *escalation) tellOfAction(tx ledger.Tx, e *ledger.Episode, done *applied) error {
	if e.GroupID == "" || e.HeldAt(tx.Now()) != "" {
		return nil
	}
	g, err := tx.Group(e.GroupID)
	if errors.Is(err, ledger.ErrNotFound) {
		return nil
	}
	if err != nil || !g.Open() || g.PagedAt.IsZero() || g.UpdatedAt.Equal(tx.Now()) {
		return err
	}
	g.Sequence, g.UpdatedAt, g.Dirty = escalate.Sequence(g.Sequence, tx.Now()), tx.Now(), false
	if err := tx.PutGroup(g); err != nil {
		return err
	}
	return x.order(tx, g, escalate.Order{Kind: ledger.DeliverUpdate, Receivers: g.Paged, Step: g.Step, Reason: reasonAction}, done)
}

// tellActions puts into a message what its episodes have asked for.
func tellActions(tx ledger.Tx, episodes []*ledger.Episode, m notify.Message, pageURL func(string) string) error {
	for _, e := range episodes {
		if len(e.Actions) == 0 {
			continue
		}
		all, err := tx.Actions(ledger.ActionQuery{EpisodeID: e.ID})
		if err != nil {
			return err
		}
		var texts []string
		for _, a := range all {
			texts = append(texts, describeAction(a, pageURL(e.ID)))
		}
		for i := range m.Alerts {
			if m.Alerts[i].Labels[alert.LabelEpisodeID] == e.ID && len(texts) > 0 {
				m.Alerts[i].Annotations[annotationAction] = strings.Join(texts, "; ")
			}
		}
	}
	return nil
}

func describeAction(a *ledger.Action, pageURL string) string {
	what := "rollback"
	if a.Kind == alert.ActionManualIntervention {
		what = "manual intervention"
	}
	if a.Target != "" {
		what += " of " + a.Target
	}
	switch a.State {
	case ledger.ActionWaiting:
		what += fmt.Sprintf(" waits for a decision (%s)", a.Reason)
		if pageURL != "" {
			what += ": " + pageURL
		}
		return what
	case ledger.ActionApproved:
		return what + " is under way"
	case ledger.ActionFailed:
		return what + " failed: do it by hand"
	}
	return what + " is " + string(a.State)
}

// carryOut asks for what has been approved. Claims are leased like deliveries, so that a killed exporter's are taken up again,
// under the same id.
func (x *escalation) carryOut(ctx context.Context, write func(func(ledger.Tx) error) error) (next time.Time, err error) {
	var due []*ledger.Action
	var now time.Time
	stopped := false
	err = x.ledger.View(ctx, time.Now(), func(tx ledger.Tx) (err error) {
		now = tx.Now()
		text, err := tx.Setting(ledger.SettingStopped)
		if err != nil {
			return err
		}
		if stopped = text != ""; stopped {
			return nil
		}
		next, err = tx.NextActionDue()
		return err
	})
	if err != nil || stopped || next.IsZero() || next.After(now) {
		return next, err
	}
	err = write(func(tx ledger.Tx) error {
		due = nil
		claimed, err := tx.DueActions(actionsPerUpdate)
		if err != nil {
			return err
		}
		for _, a := range claimed {
			send, err := x.lease(tx, a)
			if err != nil {
				return err
			}
			if send {
				due = append(due, a)
			}
		}
		return nil
	})
	if err != nil {
		return now, err
	}
	for _, a := range due {
		x.work.Go(func() { x.carry(ctx, a) })
	}
	return now, nil
}

// lease looks once more whether an action stands, in the transaction that sets it on its way.
func (x *escalation) lease(tx ledger.Tx, a *ledger.Action) (send bool, err error) {
	e, err := tx.Episode(a.EpisodeID)
	if err != nil {
		return false, err
	}
	because, cancel := x.actions.policy.Stands(a, e, tx.Now())
	switch {
	case because != "" && cancel:
		return false, ledger.Cancel(tx, a.ID, because)
	case because != "":
		a.State, a.Reason, a.DueAt, a.LeasedUntil = ledger.ActionWaiting, because, time.Time{}, time.Time{}
		return false, tx.PutAction(a)
	case x.actions.hooks[a.Target] == nil: // controllers that poll see that it is approved
		return false, ledger.Carried(tx, a.ID)
	}
	a.LeasedUntil = tx.Now().Add(leaseFor)
	return true, tx.PutAction(a)
}

// carry asks the target once and writes down what became of it.
func (x *escalation) carry(ctx context.Context, a *ledger.Action) {
	var r notify.Rollback
	err := x.ledger.View(ctx, time.Now(), func(tx ledger.Tx) error {
		e, err := tx.Episode(a.EpisodeID)
		if err != nil {
			return err
		}
		r = notify.Rollback{
			ID: a.ID, Target: a.Target, EpisodeID: e.ID, AlertID: e.AlertID, Rule: e.Rule, Severity: e.Severity.String(), Owner: e.Owner,
			Labels: e.Labels, Value: e.Value, Threshold: e.Threshold, ApprovedBy: a.DecidedBy, PageURL: x.policy.PageURL(e.ID), At: a.RequestedAt,
		}
		return nil
	})
	if err != nil {
		x.ledgerFailed(err) // the lease runs out
		return
	}
	began := time.Now()
	sending, cancel := context.WithTimeout(ctx, sendTimeout)
	failpoint.Reach(failpoint.BeforeSend)
	err = x.actions.hooks[a.Target].Ask(sending, r, began)
	cancel()
	if ctx.Err() != nil {
		return // shutting down: it is asked for again, under the same id
	}
	outcome, permanent, asked := outcomeAccepted, false, time.Duration(0)
	var failure *notify.SendError
	if err != nil {
		if outcome = outcomeFailed; errors.As(err, &failure) {
			permanent, asked = failure.Permanent, failure.RetryAfter
		}
		if permanent {
			outcome = outcomeRefused
		}
		x.logger.Error("A target does not take a rollback.", zap.String("target", a.Target), zap.Bool("permanent", permanent), zap.Error(err))
	} else {
		failpoint.Reach(failpoint.AfterSend)
		x.logger.Warn("A rollback has been asked for.", zap.String("target", a.Target), zap.String("rule", a.Rule), zap.String("episode", a.EpisodeID))
	}
	x.obs.delivered("actions/"+a.Target, outcome, time.Since(began))
	x.persist(ctx, func(tx ledger.Tx) error {
		switch {
		case err == nil:
			return ledger.Carried(tx, a.ID)
		case permanent:
			return ledger.Fail(tx, a.ID, err.Error())
		}
		now, getErr := tx.Action(a.ID)
		if getErr != nil || now.State != ledger.ActionApproved {
			return getErr
		}
		now.Attempts++
		now.LastError, now.LeasedUntil = err.Error(), time.Time{}
		now.DueAt = tx.Now().Add(escalate.Backoff(now.Attempts, false, asked, x.jitter()))
		return tx.PutAction(now)
	})
}
