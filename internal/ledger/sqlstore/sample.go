package sqlstore

import (
	"time"

	"github.com/otelcol-escalation/otelcol-escalation/internal/ledger"
)

const selectSample = "SELECT id, alert_id, rule_group, rule, owner, source_metric, source_unit, highest, opened_at, ended_at, notified_at, " +
	"acknowledged_at, outcome, verdict, verdict_by, levels FROM episodes "

func scanSample(r row) (*ledger.Sample, error) {
	s := &ledger.Sample{}
	err := r.Scan(&s.ID, &s.AlertID, &s.RuleGroup, &s.Rule, &s.Owner, &s.SourceMetric, &s.SourceUnit, &s.Highest,
		timeAt{&s.OpenedAt}, timeAt{&s.EndedAt}, timeAt{&s.NotifiedAt}, timeAt{&s.AcknowledgedAt},
		&s.Outcome, &s.Verdict, &s.VerdictBy, documentAt[ledger.Levels]{&s.Levels})
	return s, err
}

func (t *tx) Samples(rule string, since time.Time) ([]*ledger.Sample, error) {
	return list(t, scanSample, selectSample+"WHERE rule = ? AND opened_at >= ? ORDER BY opened_at, id", rule, nanos(since))
}

func (t *tx) Paged(owner string, since time.Time) (int64, error) {
	n, err := list(t, scanInt, "SELECT count(*) FROM page_groups WHERE owner = ? AND paged_at >= ? AND paged_at > 0", owner, nanos(since))
	if err != nil {
		return 0, err
	}
	return n[0], nil
}

const missColumns = "id, rule, at, labels, person, note, reported_at"

var (
	putMiss    = upsert("misses", []string{"id"}, missColumns)
	selectMiss = "SELECT " + missColumns + " FROM misses "
)

func (t *tx) PutMiss(m *ledger.Miss) error {
	return t.write(putMiss, m.ID, m.Rule, nanos(m.At), document[map[string]string]{m.Labels}, m.By, m.Note, nanos(m.ReportedAt))
}

func scanMiss(r row) (*ledger.Miss, error) {
	m := &ledger.Miss{}
	err := r.Scan(&m.ID, &m.Rule, timeAt{&m.At}, documentAt[map[string]string]{&m.Labels}, &m.By, &m.Note, timeAt{&m.ReportedAt})
	return m, err
}

func (t *tx) Misses(rule string, since time.Time) ([]*ledger.Miss, error) {
	if rule == "" {
		return list(t, scanMiss, selectMiss+"WHERE at >= ? ORDER BY at, id", nanos(since))
	}
	return list(t, scanMiss, selectMiss+"WHERE rule = ? AND at >= ? ORDER BY at, id", rule, nanos(since))
}
