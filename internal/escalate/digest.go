package escalate

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
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
	in := func(e *ledger.Episode) bool { return !e.EndedAt.Before(told) && !e.Unwanted() }
	m := p.message(g, episodes, step, now, in)
	if len(m.Alerts) == 0 {
		return m
	}
	included := map[string]bool{}
	for _, a := range m.Alerts {
		included[a.Labels[alert.LabelEpisodeID]] = true
	}
	text := digestText(owner, slices.DeleteFunc(slices.Clone(episodes), func(e *ledger.Episode) bool { return !included[e.ID] }), now)
	for _, a := range m.Alerts {
		a.Annotations[AnnotationDigest] = text // common to all, which is how templates find it
	}
	return m
}

// digestRules bounds the lines of a digest's text.
const digestRules = 30

// digestText says what happened, a line for each rule: how often it fired, on how much, for how long, what is still open and
// what nobody has judged.
func digestText(owner string, episodes []*ledger.Episode, now time.Time) string {
	type line struct {
		rule                    string
		fired, open, unjudged   int
		series                  map[string]bool
		lasted, longest, oldest time.Duration
	}
	byRule := map[string]*line{}
	open, unjudged := 0, 0
	for _, e := range episodes {
		l := byRule[e.Rule]
		if l == nil {
			l = &line{rule: e.Rule, series: map[string]bool{}}
			byRule[e.Rule] = l
		}
		until := now
		if !e.Open() {
			until = e.EndedAt
		}
		lasted := max(until.Sub(e.OpenedAt), 0)
		l.fired++
		l.series[e.AlertID] = true
		l.lasted += lasted
		l.longest = max(l.longest, lasted)
		if e.Open() {
			l.open++
			open++
			l.oldest = max(l.oldest, lasted)
		}
		if e.Verdict == "" {
			l.unjudged++
			unjudged++
		}
	}
	lines := slices.SortedFunc(maps.Values(byRule), func(a, b *line) int {
		return cmp.Or(cmp.Compare(b.fired, a.fired), cmp.Compare(b.lasted, a.lasted), cmp.Compare(a.rule, b.rule))
	})
	var b strings.Builder
	fmt.Fprintf(&b, "%s of %s, by %s; %d still open, %d not judged.", counted(len(episodes), "alert"), owner, counted(len(lines), "rule"), open, unjudged)
	for i, l := range lines {
		if i == digestRules {
			fmt.Fprintf(&b, "\n… and %s more.", counted(len(lines)-i, "rule"))
			break
		}
		fmt.Fprintf(&b, "\n%s: %s on %s, for %s", l.rule, counted(l.fired, "time"), counted(len(l.series), "series"), roughly(l.lasted))
		if l.fired > 1 {
			fmt.Fprintf(&b, " altogether, %s at most", roughly(l.longest))
		}
		if l.open > 0 {
			fmt.Fprintf(&b, "; %d still open, since %s", l.open, roughly(l.oldest))
		}
		if l.unjudged > 0 {
			fmt.Fprintf(&b, "; %d not judged", l.unjudged)
		}
	}
	return b.String()
}

func counted(n int, what string) string {
	if n == 1 || what == "series" {
		return fmt.Sprintf("%d %s", n, what)
	}
	return fmt.Sprintf("%d %ss", n, what)
}

// roughly writes a duration in its two largest units: 3d4h, 2h5m, 45s.
func roughly(d time.Duration) string {
	const day = 24 * time.Hour
	switch {
	case d >= day:
		return fmt.Sprintf("%dd%dh", d/day, d%day/time.Hour)
	case d >= time.Hour:
		return fmt.Sprintf("%dh%dm", d/time.Hour, d%time.Hour/time.Minute)
	case d >= time.Minute:
		return fmt.Sprintf("%dm%ds", d/time.Minute, d%time.Minute/time.Second)
	}
	return d.Round(time.Second).String()
}
