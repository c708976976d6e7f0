package sqlstore

import (
	"slices"
	"time"

	"github.com/otelcol-escalation/otelcol-escalation/internal/alert"
	"github.com/otelcol-escalation/otelcol-escalation/internal/ledger"
)

const exploredColumns = "id, alert_id, rule_group, rule, owner, source_metric, source_unit, highest, labels, started_at, opened_at, ended_at, judged_at, levels"

var (
	putExplored    = upsert("explored", []string{"id"}, exploredColumns)
	selectExplored = "SELECT " + exploredColumns + " FROM explored "
)

func (t *tx) PutExplored(e *ledger.Explored) error {
	return t.write(putExplored, e.ID, e.AlertID, e.RuleGroup, e.Rule, e.Owner, e.SourceMetric, e.SourceUnit, int64(e.Highest),
		document[map[string]string]{e.Labels}, nanos(e.StartedAt), nanos(e.OpenedAt), nanos(e.EndedAt), nanos(e.JudgedAt),
		document[ledger.Levels]{e.Levels})
}

func scanExplored(r row) (*ledger.Explored, error) {
	e := &ledger.Explored{}
	err := r.Scan(&e.ID, &e.AlertID, &e.RuleGroup, &e.Rule, &e.Owner, &e.SourceMetric, &e.SourceUnit, &e.Highest,
		documentAt[map[string]string]{&e.Labels}, timeAt{&e.StartedAt}, timeAt{&e.OpenedAt}, timeAt{&e.EndedAt}, timeAt{&e.JudgedAt},
		documentAt[ledger.Levels]{&e.Levels})
	return e, err
}

func (t *tx) LastExplored(alertID string) (*ledger.Explored, error) {
	return one(t, scanExplored, selectExplored+"WHERE alert_id = ? ORDER BY judged_at DESC LIMIT 1", alertID)
}

func (t *tx) Explored(rule string, since time.Time, limit int) ([]*ledger.Explored, error) {
	newest, err := list(t, scanExplored, selectExplored+"WHERE rule = ? AND opened_at >= ? ORDER BY opened_at DESC, id DESC LIMIT ?",
		rule, nanos(since), int64(limit))
	slices.Reverse(newest)
	return newest, err
}

const changeColumns = "id, rule_group, rule, tier, bound, before, after, at, person, note"

var (
	putChange    = upsert("threshold_changes", []string{"id"}, changeColumns)
	selectChange = "SELECT " + changeColumns + " FROM threshold_changes "
)

func (t *tx) PutChange(c *ledger.Change) error {
	return t.write(putChange, c.ID, c.RuleGroup, c.Rule, int64(c.Tier), c.Bound, c.From, c.To, nanos(c.At), c.By, c.Note)
}

func scanChange(r row) (*ledger.Change, error) {
	c := &ledger.Change{}
	err := r.Scan(&c.ID, &c.RuleGroup, &c.Rule, &c.Tier, &c.Bound, &c.From, &c.To, timeAt{&c.At}, &c.By, &c.Note)
	return c, err
}

func (t *tx) LastChange(rule string, tier alert.Severity, bound string) (*ledger.Change, error) {
	return one(t, scanChange, selectChange+"WHERE rule = ? AND tier = ? AND bound = ? ORDER BY at DESC, id DESC LIMIT 1", rule, int64(tier), bound)
}

func (t *tx) Changes(rule string, since time.Time) ([]*ledger.Change, error) {
	if rule == "" {
		return list(t, scanChange, selectChange+"WHERE at >= ? ORDER BY at, id", nanos(since))
	}
	return list(t, scanChange, selectChange+"WHERE rule = ? AND at >= ? ORDER BY at, id", rule, nanos(since))
}
