package escalate

import (
	"crypto/sha256"
	"encoding/hex"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/otelcol-escalation/otelcol-escalation/internal/ledger"
)

// GroupLabels returns the labels that decide about an episode's group. A label that the episode does not have is left
// out, as Alertmanager does.
func (p *Policy) GroupLabels(e *ledger.Episode) map[string]string {
	labels := make(map[string]string, len(p.groupBy))
	for _, name := range p.groupBy {
		if value := pageLabel(e, name); value != "" {
			labels[name] = value
		}
	}
	return labels
}

// longestKey bounds a key: what labels hold is the data's choice, and keys go out to pagers.
const longestKey = 512

// GroupKey is the canonical form of group labels, as PromQL writes them. A long one is cut and made unique by a hash.
func GroupKey(labels map[string]string) string {
	var b strings.Builder
	b.WriteByte('{')
	for i, name := range slices.Sorted(maps.Keys(labels)) {
		if i > 0 {
			b.WriteString(", ")
		}
		b.WriteString(name)
		b.WriteByte('=')
		b.WriteString(strconv.Quote(labels[name]))
	}
	b.WriteByte('}')
	if b.Len() <= longestKey {
		return b.String()
	}
	hash := sha256.Sum256([]byte(b.String()))
	tail := "…" + hex.EncodeToString(hash[:16])
	return strings.ToValidUTF8(b.String()[:longestKey-len(tail)], "") + tail
}

// Open returns the group that a firing episode opens. Its id is the dedup key of everything that is sent about it.
func (p *Policy) Open(e *ledger.Episode, now time.Time) *ledger.Group {
	labels := p.GroupLabels(e)
	key := GroupKey(labels)
	return &ledger.Group{
		ID: key + ":" + e.ID, Key: key, Labels: labels, Owner: e.Owner,
		Tier: e.Severity, OpenedAt: now, TierSince: now, DueAt: now,
	}
}

// Join tells an open group that an episode has come to it. decide is set where the group must be decided at once: the
// episode raises its tier. Otherwise the group is due now if nothing was owed yet; if something was, DueAt knows of it
// already, so that of ten thousand episodes that join a group one makes it due.
func Join(group ledger.Group, e *ledger.Episode, now time.Time) (_ ledger.Group, decide bool) {
	if e.Severity > group.Tier {
		return group, true
	}
	if !group.Dirty {
		group.Dirty = true
		if group.DueAt.IsZero() || group.DueAt.After(now) {
			group.DueAt = now
		}
	}
	return group, false
}
