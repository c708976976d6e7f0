package escalate

import (
	"errors"
	"fmt"
	"maps"
	"net/url"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/prometheus/alertmanager/timeinterval"
	prommodel "github.com/prometheus/common/model"

	"github.com/otelcol-escalation/otelcol-escalation/internal/alert"
	"github.com/otelcol-escalation/otelcol-escalation/internal/ledger"
)

// Document is what a policy refers to in Alertmanager's document.
type Document struct {
	// Receiver reports whether a receiver of a name exists.
	Receiver func(name string) bool
	// TimeIntervals has what `time_intervals` says, by name.
	TimeIntervals map[string][]timeinterval.TimeInterval
	InhibitRules  []InhibitRule
}

// Build checks a Spec and compiles it. The error joins everything that is wrong, each with its path in the configuration.
func Build(spec Spec, d Document) (*Policy, error) {
	b := &builder{Document: d}
	p := &Policy{
		GroupInterval:  spec.GroupInterval,
		AcknowledgeFor: spec.AcknowledgeFor,
		LostAfter:      spec.LostAfter,
		groupBy:        slices.Clone(spec.GroupBy),
		owners:         map[string]*owner{},
		flapping:       spec.Flapping,
		inhibit:        d.InhibitRules,
	}
	p.externalURL = b.address("external_url", spec.ExternalURL)
	p.tiers[alert.Critical] = b.tier("tiers.critical", spec.Tiers.Critical)
	p.tiers[alert.High] = b.tier("tiers.high", spec.Tiers.High)
	p.tiers[alert.Medium] = b.tier("tiers.medium", spec.Tiers.Medium)
	p.batch = b.batch("tiers.low", spec.Tiers.Low)
	b.groupBy("group_by", spec.GroupBy)
	b.positive("group_interval", spec.GroupInterval)
	b.positive("acknowledge_for", spec.AcknowledgeFor)
	b.positive("lost_after", spec.LostAfter)
	if n := spec.Flapping.Changes; n < 0 || n == 1 || n > ledger.MaxFlapChanges {
		b.fail("flapping.changes", "must be from 2 to %d, or 0 for none (got %d)", ledger.MaxFlapChanges, n)
	} else if n > 0 {
		b.positive("flapping.within", spec.Flapping.Within)
	}
	for _, name := range slices.Sorted(maps.Keys(spec.Owners)) {
		p.owners[name] = b.owner("owners."+name, spec.Owners[name], p.batch)
	}
	if _, ok := spec.Owners[Unowned]; !ok {
		b.fail("owners."+Unowned, "must exist: alerts whose owner has no steps go there")
	} else if len(spec.Owners[Unowned].Steps) == 0 {
		b.fail("owners."+Unowned+".steps", "must not be empty: alerts whose owner has no steps go there")
	}
	return p, errors.Join(b.errs...)
}

type builder struct {
	Document
	errs []error
}

func (b *builder) fail(path, format string, args ...any) {
	b.errs = append(b.errs, fmt.Errorf(path+": "+format, args...))
}

func (b *builder) positive(path string, d time.Duration) {
	if d <= 0 {
		b.fail(path, "must be positive (got %s)", d)
	}
}

func (b *builder) notNegative(path string, d time.Duration) {
	if d < 0 {
		b.fail(path, "must not be negative (got %s)", d)
	}
}

// IsSet reports whether a key that was read into an `any` asks for something.
func IsSet(value any) bool {
	v := reflect.ValueOf(value)
	switch v.Kind() {
	case reflect.Invalid:
		return false
	case reflect.Map, reflect.Slice:
		return v.Len() > 0
	default:
		return !v.IsZero()
	}
}

func (b *builder) address(path, text string) *url.URL {
	if text == "" {
		return nil
	}
	u, err := url.Parse(text)
	switch {
	case err != nil:
		b.fail(path, "must be an absolute http or https address: %w", err)
	case u.Scheme != "http" && u.Scheme != "https", u.Host == "":
		b.fail(path, "must be an absolute http or https address (got %q)", u.Redacted())
	case u.User != nil || u.RawQuery != "" || u.Fragment != "":
		b.fail(path, "must have no user, query or fragment: every page carries it (got %q)", u.Redacted())
	default:
		return u
	}
	return nil
}

func (b *builder) tier(path string, spec PagedSpec) tier {
	b.notNegative(path+".window", spec.Window)
	b.notNegative(path+".repeat_interval", spec.RepeatInterval)
	return tier{window: spec.Window, repeat: spec.RepeatInterval}
}

func (b *builder) batch(path string, spec BatchedSpec) timeOfDay {
	hour, minute, err := parseTimeOfDay(spec.BatchAt)
	if err != nil {
		b.fail(path+".batch_at", "%w", err)
	}
	return timeOfDay{hour: hour, minute: minute, zone: b.zone(path+".time_zone", spec.TimeZone)}
}

func (b *builder) zone(path, name string) *time.Location {
	zone, err := parseZone(name)
	if err != nil {
		b.fail(path, "%w", err)
		return time.UTC
	}
	return zone
}

func (b *builder) groupBy(path string, names []string) {
	if !slices.Contains(names, alert.LabelOwner) {
		b.fail(path, "must contain %q: a group is paged to one owner (got %q)", alert.LabelOwner, names)
	}
	for i, name := range names {
		at := fmt.Sprintf("%s[%d]", path, i)
		switch {
		case name == "":
			b.fail(at, "must not be empty")
		case name == "...":
			b.fail(at, "is not supported: to page every alert by itself, use %q (got %q)", alert.LabelAlertID, name)
		case name == alert.LabelSeverity:
			b.fail(at, "must not be the tier: a rise would open another group (got %q)", name)
		case name == alert.LabelEpisodeID:
			b.fail(at, "must not be the episode: use %q to page every alert by itself (got %q)", alert.LabelAlertID, name)
		case slices.Index(names, name) < i:
			b.fail(at, "must not be named twice (got %q)", name)
		}
	}
}

func (b *builder) owner(path string, spec OwnerSpec, batch timeOfDay) *owner {
	o := &owner{batch: batch, respondWithin: spec.RespondWithin}
	if spec.TimeZone != "" {
		o.batch.zone = b.zone(path+".time_zone", spec.TimeZone)
	}
	b.notNegative(path+".respond_within", spec.RespondWithin)
	o.budget = b.budget(path+".alert_budget", spec.AlertBudget)
	o.hours, o.muteCritical = b.hours(path, spec), spec.MuteCritical
	for i, s := range spec.Steps {
		o.steps = append(o.steps, b.step(fmt.Sprintf("%s.steps[%d]", path, i), i, s))
	}
	if len(o.steps) == 0 {
		return o
	}
	if n := o.next(o.next(0, alert.Low), alert.Low); n > 1 {
		b.fail(fmt.Sprintf("%s.steps[%d].tiers", path, n-1),
			"is never taken for low, which goes out in one digest to its first step, steps[%d]", o.next(0, alert.Low)-1)
	}
	for _, t := range alert.Severities {
		if o.next(0, t) == 0 {
			b.fail(path+".steps", "no step is taken for %s: name it in a step's tiers", t)
		}
	}
	return o
}

// budget reads "2 per 12h".
func (b *builder) budget(path, text string) Budget {
	if text == "" {
		return Budget{}
	}
	count, within, ok := strings.Cut(text, " per ")
	pages, err := strconv.Atoi(strings.TrimSpace(count))
	d, durationErr := prommodel.ParseDuration(strings.TrimSpace(within))
	if !ok || err != nil || durationErr != nil || pages <= 0 || d <= 0 {
		b.fail(path, `must be a number of pages and a time, such as "2 per 12h" (got %q)`, text)
		return Budget{}
	}
	return Budget{Pages: pages, Within: time.Duration(d)}
}

func (b *builder) hours(path string, spec OwnerSpec) *hours {
	h := &hours{}
	for _, part := range []struct {
		key   string
		names []string
		into  *[]timeinterval.TimeInterval
	}{
		{"mute_time_intervals", spec.MuteTimeIntervals, &h.mute},
		{"active_time_intervals", spec.ActiveTimeIntervals, &h.active},
	} {
		for i, name := range part.names {
			intervals, ok := b.TimeIntervals[name]
			if !ok {
				b.fail(fmt.Sprintf("%s.%s[%d]", path, part.key, i), "no entry of time_intervals has this name (got %q)", name)
			}
			*part.into = append(*part.into, intervals...)
		}
	}
	if len(spec.MuteTimeIntervals) == 0 && len(spec.ActiveTimeIntervals) == 0 {
		if spec.MuteCritical {
			b.fail(path+".mute_critical", "says nothing without mute_time_intervals or active_time_intervals")
		}
		return nil
	}
	return h
}

func (b *builder) step(path string, i int, spec StepSpec) step {
	s := step{after: spec.After, receivers: slices.Clone(spec.Receivers)}
	switch {
	case i == 0 && spec.After != 0:
		b.fail(path+".after", "must not be set: the first step is taken when the tier's window has passed (got %s)", spec.After)
	case i > 0 && spec.After <= 0:
		b.fail(path+".after", "must be positive: it is the time since the step before (got %s)", spec.After)
	}
	if len(spec.Receivers) == 0 {
		b.fail(path+".receivers", "must not be empty")
	}
	for j, name := range spec.Receivers {
		at := fmt.Sprintf("%s.receivers[%d]", path, j)
		switch {
		case !b.Receiver(name):
			b.fail(at, "no receiver has this name (got %q)", name)
		case slices.Index(spec.Receivers, name) < j:
			b.fail(at, "must not be named twice (got %q)", name)
		}
	}
	if len(spec.Tiers) == 0 {
		s.tiers[alert.Critical], s.tiers[alert.High] = true, true
		s.tiers[alert.Medium], s.tiers[alert.Low] = i == 0, i == 0
	}
	for j, name := range spec.Tiers {
		at := fmt.Sprintf("%s.tiers[%d]", path, j)
		t, err := alert.ParseSeverity(strings.TrimSpace(name))
		switch {
		case err != nil:
			b.fail(at, "%w", err)
		case s.tiers[t]:
			b.fail(at, "must not be named twice (got %q)", name)
		default:
			s.tiers[t] = true
		}
	}
	return s
}
