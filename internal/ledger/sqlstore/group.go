package sqlstore

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"slices"
	"time"

	"github.com/otelcol-escalation/otelcol-escalation/internal/alert"
	"github.com/otelcol-escalation/otelcol-escalation/internal/ledger"
)

const groupColumns = "id, group_key, labels, owner, tier, opened_at, tier_since, paged_at, updated_at, dirty, step, " +
	"step_at, paged, acknowledged_at, acknowledged_by, digest_id, closed_at, due_at, next_step, sequence, respond_by"

var (
	putGroup    = upsert("page_groups", []string{"id"}, groupColumns+", hash")
	selectGroup = "SELECT " + groupColumns + " FROM page_groups "
)

func (t *tx) PutGroup(g *ledger.Group) error {
	return t.write(putGroup,
		g.ID, g.Key, document[map[string]string]{g.Labels}, g.Owner, int64(g.Tier), nanos(g.OpenedAt),
		nanos(g.TierSince), nanos(g.PagedAt), nanos(g.UpdatedAt), flag(g.Dirty), int64(g.Step), nanos(g.StepAt),
		document[[]string]{g.Paged}, nanos(g.AcknowledgedAt), g.AcknowledgedBy, g.DigestID, nanos(g.ClosedAt),
		nanos(g.DueAt), g.NextStep, g.Sequence, nanos(g.RespondBy), hashOf(g.ID))
}

func scanGroup(r row) (*ledger.Group, error) {
	g := &ledger.Group{}
	err := r.Scan(
		&g.ID, &g.Key, documentAt[map[string]string]{&g.Labels}, &g.Owner, &g.Tier, timeAt{&g.OpenedAt},
		timeAt{&g.TierSince}, timeAt{&g.PagedAt}, timeAt{&g.UpdatedAt}, &g.Dirty, &g.Step, timeAt{&g.StepAt},
		documentAt[[]string]{&g.Paged}, timeAt{&g.AcknowledgedAt}, &g.AcknowledgedBy, &g.DigestID, timeAt{&g.ClosedAt},
		timeAt{&g.DueAt}, &g.NextStep, &g.Sequence, timeAt{&g.RespondBy})
	return g, err
}

func (t *tx) Group(id string) (*ledger.Group, error) {
	return one(t, scanGroup, selectGroup+"WHERE id = ?", id)
}

// hashOf is what Alertmanager's integrations make of a dedup key.
func hashOf(id string) string {
	sum := sha256.Sum256([]byte(id))
	return hex.EncodeToString(sum[:])
}

func (t *tx) GroupByKey(key string) (*ledger.Group, error) {
	g, err := t.Group(key)
	if !errors.Is(err, ledger.ErrNotFound) {
		return g, err
	}
	return one(t, scanGroup, selectGroup+"WHERE hash = ? AND hash <> '' ORDER BY opened_at DESC LIMIT 1", key)
}

func (t *tx) OpenGroup(key string) (*ledger.Group, error) {
	return one(t, scanGroup, selectGroup+"WHERE group_key = ? AND closed_at = 0", key)
}

// tiers are all that a row may have, most urgent first.
var tiers = slices.Concat(alert.Severities[:], []alert.Severity{alert.NoSeverity})

// DueGroups asks tier by tier, so that each question is a range of the index and what is not yet due is not read.
func (t *tx) DueGroups(limit int) ([]*ledger.Group, error) {
	var due []*ledger.Group
	for _, tier := range tiers {
		if len(due) >= limit {
			break
		}
		some, err := list(t, scanGroup, selectGroup+
			"WHERE tier = ? AND due_at > 0 AND due_at <= ? ORDER BY due_at, id LIMIT ?"+t.claim(),
			int64(tier), nanos(t.now), limit-len(due))
		if err != nil {
			return nil, err
		}
		due = append(due, some...)
	}
	return due, nil
}

func (t *tx) NextGroupDue() (time.Time, error) {
	var next time.Time
	for _, tier := range tiers {
		at, err := list(t, scanInt, "SELECT due_at FROM page_groups WHERE tier = ? AND due_at > 0 ORDER BY due_at LIMIT 1", int64(tier))
		if err != nil {
			return time.Time{}, err
		}
		if len(at) == 1 && (next.IsZero() || fromNanos(at[0]).Before(next)) {
			next = fromNanos(at[0])
		}
	}
	return next, nil
}

func flag(b bool) int64 {
	if b {
		return 1
	}
	return 0
}
