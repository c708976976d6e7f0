package escalate

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"time"

	"github.com/otelcol-escalation/otelcol-escalation/internal/alert"
	"github.com/otelcol-escalation/otelcol-escalation/internal/ledger"
	"github.com/otelcol-escalation/otelcol-escalation/internal/notify"
)

// Annotations that a page carries beside the rule's own. They win over the rule's of the same name.
const (
	AnnotationResponse      = "response"
	AnnotationValue         = "value"
	AnnotationThreshold     = "threshold"
	AnnotationStep          = "step"
	AnnotationPageURL       = "page_url"
	AnnotationRespondWithin = "respond_within"
	AnnotationRespondBy     = "respond_by"
	AnnotationFlapping      = "flapping"
	AnnotationDigest        = "digest" // of a digest's alerts: all of it as one text
)

// Page is what a destination is to be told about a group now: one alert per episode, those that fire first, the most
// urgent first. It leaves out what is held, what ended before the destination was last told (see ToldUntil), and
// what nobody was told of while it fired. step is the one that the group has reached.
func (p *Policy) Page(g *ledger.Group, episodes []*ledger.Episode, told time.Time, step int, now time.Time) notify.Message {
	return p.message(g, episodes, step, now, func(e *ledger.Episode) bool {
		return !told.IsZero() && !e.EndedAt.Before(told) && (!e.OpenedAt.After(told) || !e.NotifiedAt.IsZero())
	})
}

// message has the open episodes that are awake, and the ended ones that are news.
func (p *Policy) message(g *ledger.Group, episodes []*ledger.Episode, step int, now time.Time, news func(*ledger.Episode) bool) notify.Message {
	m := notify.Message{Key: g.ID, GroupLabels: g.Labels, Now: now}
	for _, e := range ordered(episodes) {
		if e.Open() && e.HeldAt(now) == "" || !e.Open() && news(e) {
			m.Alerts = append(m.Alerts, p.alertOf(e, g, step, now))
		}
	}
	return m
}

// Firing reports whether a message tells of something that fires.
func Firing(m notify.Message) bool {
	return slices.ContainsFunc(m.Alerts, func(a notify.Alert) bool { return a.EndsAt.IsZero() })
}

func ordered(episodes []*ledger.Episode) []*ledger.Episode {
	sorted := slices.Clone(episodes)
	slices.SortStableFunc(sorted, func(a, b *ledger.Episode) int {
		if a.Open() != b.Open() {
			if a.Open() {
				return -1
			}
			return 1
		}
		return cmp.Or(cmp.Compare(b.Severity, a.Severity), a.OpenedAt.Compare(b.OpenedAt), cmp.Compare(a.AlertID, b.AlertID), cmp.Compare(a.ID, b.ID))
	})
	return sorted
}

func (p *Policy) alertOf(e *ledger.Episode, g *ledger.Group, step int, now time.Time) notify.Alert {
	a := notify.Alert{
		Labels:       pageLabels(e),
		Annotations:  make(map[string]string, len(e.Annotations)+6),
		StartsAt:     e.StartsAt,
		GeneratorURL: p.PageURL(e.ID),
	}
	if a.StartsAt.IsZero() {
		a.StartsAt = e.OpenedAt
	}
	if !e.Open() {
		a.EndsAt = earlier(e.EndedAt, now)
		a.StartsAt = earlier(a.StartsAt, a.EndsAt)
	}
	maps.Copy(a.Annotations, e.Annotations)
	set := func(name, text string) {
		if text != "" {
			a.Annotations[name] = text
		}
	}
	set(AnnotationResponse, e.Response)
	set(AnnotationValue, number(e.Value))
	set(AnnotationThreshold, number(e.Threshold))
	set(AnnotationPageURL, p.PageURL(e.ID))
	if step > 0 {
		set(AnnotationStep, strconv.Itoa(step))
	}
	if o := p.ownerOf(g.Owner); o.respondWithin > 0 {
		set(AnnotationRespondWithin, o.respondWithin.String())
	}
	if e.Open() && !g.RespondBy.IsZero() {
		set(AnnotationRespondBy, g.RespondBy.UTC().Format(time.RFC3339))
	}
	if p.flapsUntil(e, now).After(now) {
		set(AnnotationFlapping, fmt.Sprintf("it has fired or ended %d times within %s: no more pages until it settles", p.flapping.Changes, p.flapping.Within))
	}
	return a
}

// Alert is an episode as a destination is told of it that groups for itself.
func (p *Policy) Alert(e *ledger.Episode, now time.Time) notify.Alert {
	return p.alertOf(e, &ledger.Group{Owner: e.Owner}, 0, now)
}

// pageLabels are the alert's own labels and ours, which win: what identifies a page must not depend on its data.
func pageLabels(e *ledger.Episode) map[string]string {
	labels := make(map[string]string, len(e.Labels)+5)
	maps.Copy(labels, e.Labels)
	for _, name := range [...]string{
		alert.LabelName, alert.LabelSeverity, alert.LabelOwner, alert.LabelAlertID, alert.LabelEpisodeID,
	} {
		labels[name] = pageLabel(e, name)
	}
	return labels
}

func pageLabel(e *ledger.Episode, name string) string {
	switch name {
	case alert.LabelName:
		return e.Rule
	case alert.LabelSeverity:
		return e.Severity.String()
	case alert.LabelOwner:
		return e.Owner
	case alert.LabelAlertID:
		return e.AlertID
	case alert.LabelEpisodeID:
		return e.ID
	}
	return e.Labels[name]
}

// number writes a value as Prometheus does: the shortest text that reads back as the same number.
func number(v *float64) string {
	if v == nil {
		return ""
	}
	return strconv.FormatFloat(*v, 'g', -1, 64)
}
