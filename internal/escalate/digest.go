package escalate

import (
	"strings"
	"time"

	"github.com/otelcol-escalation/otelcol-escalation/internal/alert"
	"github.com/otelcol-escalation/otelcol-escalation/internal/ledger"
	"github.com/otelcol-escalation/otelcol-escalation/internal/notify"
)

// LabelDigest is the group label of a daily digest: the day of its first batch, in UTC.
const LabelDigest = "digest"

const digestPrefix = "digest:"

// DigestID names the digest of an owner that begins with a batch. It is the dedup key of everything that is sent about
// the digest, and never that of a group, whose id begins with a brace.
func DigestID(owner string, batchAt time.Time) string {
	return digestPrefix + batchAt.UTC().Format(time.RFC3339) + ":" + owner
}

// IsDigest reports whether a topic is a digest.
func IsDigest(topic string) bool { return strings.HasPrefix(topic, digestPrefix) }

// DigestPage is what a destination is to be told about a digest: its open episodes, and all that ended since it was
// last told. A digest reports what happened, told of before or not.
func (p *Policy) DigestPage(id string, episodes []*ledger.Episode, told time.Time, step int, now time.Time) notify.Message {
	rest := strings.TrimPrefix(id, digestPrefix)
	at := rest[:min(len(time.RFC3339)-len("07:00"), len(rest))]
	owner := strings.TrimPrefix(rest[len(at):], ":")
	day, _, _ := strings.Cut(at, "T")
	g := &ledger.Group{ID: id, Owner: owner, Labels: map[string]string{alert.LabelOwner: owner, LabelDigest: day}}
	return p.message(g, episodes, step, now, func(e *ledger.Episode) bool { return !e.EndedAt.Before(told) && !e.Unwanted() })
}
