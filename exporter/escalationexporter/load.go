package escalationexporter

import (
	"context"
	"encoding/json"
	"errors"
	"hash/fnv"
	"strconv"
	"time"

	"go.uber.org/zap"

	"github.com/otelcol-escalation/otelcol-escalation/internal/ledger"
)

// episodesPerPage is how many episodes are read at a time at the start.
const episodesPerPage = 5000

// settingPolicy keeps what the groups' due times were computed by.
const settingPolicy = "escalation.policy"

// load reads what is open into the view. It returns the groups that must be decided anew, because the policy is not
// the one by which they were decided.
func (x *escalation) load(ctx context.Context) (groups []string, err error) {
	began := time.Now()
	policy, err := x.fingerprint()
	if err != nil {
		return nil, err
	}
	x.view.pardon(began)
	var before string
	err = x.ledger.View(ctx, began, func(tx ledger.Tx) error {
		x.tell(tx)
		if x.replica.position, err = tx.LastEvent(); err != nil {
			return err
		}
		if before, err = tx.Setting(settingPolicy); err != nil {
			return err
		}
		if _, err := x.refreshSilences(tx); err != nil {
			return err
		}
		if err := x.readValidFor(tx); err != nil {
			return err
		}
		groups, err = openGroups(tx, func(e *ledger.Episode) {
			x.view.load(e, began, time.Duration(x.validFor.Load()))
			x.sources.learn(x.policy, e)
		})
		return err
	})
	if err != nil {
		return nil, err
	}
	x.logger.Info("Escalation begins.", zap.Int("open_alerts", x.view.open), zap.Bool("leads", x.replica.leads), zap.Duration("took", time.Since(began)))
	if !x.replica.leads {
		return nil, nil // it does so when it leads
	}
	err = x.update(ctx, persistTimeout, func(tx ledger.Tx) error { return x.enact(tx, policy) })
	if before == policy {
		return nil, nil // a ledger that cannot be written now is no reason not to start
	}
	return groups, err
}

// enact notes the policy that groups are decided by from now on, and what the page wants to know of it.
func (x *escalation) enact(tx ledger.Tx, policy string) error {
	if err := tx.PutSetting(settingPolicy, policy); err != nil {
		return err
	}
	return x.publish(tx)
}

// readValidFor takes over the longest `valid_for` that an exporter has seen.
func (x *escalation) readValidFor(tx ledger.Tx) error {
	text, err := tx.Setting(settingValidFor)
	if err != nil {
		return err
	}
	if longest, err := strconv.ParseInt(text, 10, 64); err == nil {
		x.validFor.Store(max(longest, x.validFor.Load()))
	}
	return nil
}

// openGroups reads the open episodes, and returns their groups.
func openGroups(tx ledger.Tx, each func(*ledger.Episode)) (groups []string, err error) {
	open, seen := true, map[string]bool{}
	for q := (ledger.Query{Open: &open, Limit: episodesPerPage}); ; {
		page, err := tx.Episodes(q)
		if err != nil {
			return nil, err
		}
		for _, e := range page {
			each(e)
			if e.GroupID != "" && !seen[e.GroupID] {
				seen[e.GroupID] = true
				groups = append(groups, e.GroupID)
			}
		}
		if len(page) < episodesPerPage {
			return groups, nil
		}
		q.After = page[len(page)-1]
	}
}

// fingerprint changes with everything that decisions depend on.
func (x *escalation) fingerprint() (string, error) {
	text, err := json.Marshal(x.config.Spec)
	if err != nil {
		return "", err
	}
	h := fnv.New64a()
	_, _ = h.Write(text)
	_, _ = h.Write([]byte(x.config.Document.Fingerprint()))
	return strconv.FormatUint(h.Sum64(), 16), nil
}

// publish tells the ledger what its page wants to know of this configuration.
func (x *escalation) publish(tx ledger.Tx) error {
	var receivers []string
	for _, to := range x.sender.All() {
		if n := len(receivers); n == 0 || receivers[n-1] != to.Receiver {
			receivers = append(receivers, to.Receiver)
		}
	}
	for name, value := range map[string]any{
		ledger.SettingReceivers: receivers, ledger.SettingBudgets: x.policy.Budgets(), ledger.SettingTargets: x.actions.policy.Targets(),
	} {
		text, err := json.Marshal(value)
		if err != nil {
			return err
		}
		if err := tx.PutSetting(name, string(text)); err != nil {
			return err
		}
	}
	return nil
}

// makeDue has groups decided now.
func makeDue(tx ledger.Tx, ids []string) error {
	for _, id := range ids {
		g, err := tx.Group(id)
		if errors.Is(err, ledger.ErrNotFound) {
			continue
		}
		if err != nil {
			return err
		}
		if g.DueAt.IsZero() || g.DueAt.After(tx.Now()) {
			g.DueAt = tx.Now()
			if err := tx.PutGroup(g); err != nil {
				return err
			}
		}
	}
	return nil
}
