package escalate

import (
	"fmt"
	"regexp"
	"slices"
	"time"

	"github.com/prometheus/alertmanager/pkg/labels"

	"github.com/otelcol-escalation/otelcol-escalation/internal/alert"
	"github.com/otelcol-escalation/otelcol-escalation/internal/ledger"
)

// RollbackSpec says what becomes of a rollback that an alert asks for.
type RollbackSpec struct {
	// Mode is recommend or automatic.
	Mode string `mapstructure:"mode"`
	// Cooldown is the least time between two automatic rollbacks of a target, MaxPerDay how many there may be in 24 h.
	Cooldown  time.Duration `mapstructure:"cooldown"`
	MaxPerDay int           `mapstructure:"max_per_day"`
	// MaxAge is how old the judgement that asks for an automatic rollback may be when it is carried out.
	MaxAge time.Duration `mapstructure:"max_age"`
}

// TargetSpec says which alerts may roll a target back.
type TargetSpec struct {
	Name string
	// Rules are the names of the rules that may; Match are labels that their alerts must have, with equal values.
	Rules []string
	Match map[string]string
}

// DefaultRollbackSpec is careful: nothing happens without a person.
func DefaultRollbackSpec() RollbackSpec {
	return RollbackSpec{Mode: string(ledger.ActionRecommend), Cooldown: time.Hour, MaxPerDay: 3, MaxAge: 5 * time.Minute}
}

// ActionPolicy decides about actions. It is immutable.
type ActionPolicy struct {
	mode      ledger.ActionMode
	cooldown  time.Duration
	maxPerDay int
	// MaxAge is as in RollbackSpec.
	MaxAge  time.Duration
	targets []target
}

type target struct {
	name  string
	rules []string
	match labels.Matchers
}

// targetName is what may stand in the path of a gate.
var targetName = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$`)

// BuildActions checks what is configured; errs have their paths below `actions.rollback`.
func BuildActions(spec RollbackSpec, targets []TargetSpec) (p *ActionPolicy, errs []error) {
	fail := func(path, format string, args ...any) {
		errs = append(errs, fmt.Errorf("actions.rollback."+path+": "+format, args...))
	}
	p = &ActionPolicy{mode: ledger.ActionMode(spec.Mode), cooldown: spec.Cooldown, maxPerDay: spec.MaxPerDay, MaxAge: spec.MaxAge}
	if p.mode != ledger.ActionRecommend && p.mode != ledger.ActionAutomatic {
		fail("mode", "must be recommend or automatic (got %q)", spec.Mode)
	}
	if spec.Cooldown < 0 {
		fail("cooldown", "must not be negative (got %s)", spec.Cooldown)
	}
	if spec.MaxPerDay <= 0 {
		fail("max_per_day", "must be positive: to have none, set mode: recommend (got %d)", spec.MaxPerDay)
	}
	if spec.MaxAge <= 0 {
		fail("max_age", "must be positive (got %s)", spec.MaxAge)
	}
	for i, t := range targets {
		at := fmt.Sprintf("targets[%d]", i)
		if !targetName.MatchString(t.Name) {
			fail(at+".name", "must be letters, digits, dots, dashes and underscores: it is part of an address (got %q)", t.Name)
		}
		if slices.ContainsFunc(targets[:i], func(other TargetSpec) bool { return other.Name == t.Name }) {
			fail(at+".name", "must not be given twice (got %q)", t.Name)
		}
		if len(t.Rules) == 0 {
			fail(at+".rules", "must name the rules that may roll it back")
		}
		built := target{name: t.Name, rules: slices.Clone(t.Rules)}
		for _, name := range sortedKeys(t.Match) {
			m, err := labels.NewMatcher(labels.MatchEqual, name, t.Match[name])
			if err != nil {
				fail(at+".match."+name, "%w", err)
				continue
			}
			built.match = append(built.match, m)
		}
		p.targets = append(p.targets, built)
	}
	return p, errs
}

func sortedKeys(m map[string]string) []string {
	names := make([]string, 0, len(m))
	for name := range m {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// Targets are the names of the configured targets.
func (p *ActionPolicy) Targets() []string {
	names := make([]string, 0, len(p.targets))
	for _, t := range p.targets {
		names = append(names, t.name)
	}
	return names
}

// Asked is what an alert asks for, and what is known of it.
type Asked struct {
	Episode *ledger.Episode
	Kind    alert.Action
	// JudgedAt is the evaluator's time of the judgement.
	JudgedAt time.Time
	// Earlier are the episode's other actions.
	Earlier []*ledger.Action
	// Recent returns the actions of a target that were asked for within the last day, newest first.
	Recent func(target string) ([]*ledger.Action, error)
}

// day is what max_per_day is counted over.
const day = 24 * time.Hour

// Propose returns the action that follows from what an alert asks for: waiting for a person, with the reason, or approved.
// An action on data that are missing is none: nil.
func (p *ActionPolicy) Propose(asked Asked, now time.Time) (*ledger.Action, error) {
	e := asked.Episode
	if e.Reason == alert.ReasonNoData {
		return nil, nil
	}
	a := &ledger.Action{Kind: asked.Kind, Mode: p.mode, State: ledger.ActionWaiting}
	var matching []string
	for _, t := range p.targets {
		if slices.Contains(t.rules, e.Rule) && matches(t.match, e) {
			matching = append(matching, t.name)
		}
	}
	if len(matching) == 1 {
		a.Target = matching[0]
	}
	switch {
	case asked.Kind == alert.ActionManualIntervention:
		a.Mode, a.Reason = ledger.ActionRecommend, ledger.BecauseManual
		return a, nil
	case len(matching) == 0:
		a.Mode, a.Reason = ledger.ActionRecommend, ledger.BecauseNoTarget
		return a, nil
	case len(matching) > 1:
		a.Mode, a.Reason = ledger.ActionRecommend, ledger.BecauseManyTargets
		return a, nil
	case p.mode == ledger.ActionRecommend:
		a.Reason = ledger.BecauseRecommended
		return a, nil
	case intervened(asked):
		a.Reason = ledger.BecauseManual
		return a, nil
	case now.Sub(asked.JudgedAt) > p.MaxAge:
		a.Reason = ledger.BecauseStale
		return a, nil
	}
	recent, err := asked.Recent(a.Target)
	if err != nil {
		return nil, err
	}
	if a.Reason = p.limited(recent, now); a.Reason == "" {
		a.State = ledger.ActionApproved
	}
	return a, nil
}

// intervened reports whether a person has to decide: the alert is, or was, past its manual-intervention threshold, and
// nobody has said yes.
func intervened(asked Asked) bool {
	if !slices.Contains(asked.Episode.Actions, alert.ActionManualIntervention) {
		return false
	}
	return !slices.ContainsFunc(asked.Earlier, func(a *ledger.Action) bool {
		return a.Kind == alert.ActionManualIntervention && a.State == ledger.ActionDone
	})
}

// limited says why a target must not be rolled back automatically again yet; "" where it may. What was rejected, cancelled
// or waits does not count.
func (p *ActionPolicy) limited(recent []*ledger.Action, now time.Time) string {
	carried := 0
	for _, a := range recent {
		if a.Kind != alert.ActionRollback || a.State != ledger.ActionApproved && a.State != ledger.ActionDone && a.State != ledger.ActionFailed {
			continue
		}
		at := later(a.DecidedAt, a.DoneAt)
		if now.Sub(at) < p.cooldown {
			return ledger.BecauseCooldown
		}
		if now.Sub(at) < day {
			carried++
		}
	}
	if carried >= p.maxPerDay {
		return ledger.BecauseDailyLimit
	}
	return ""
}

// Stands says why an approved rollback must not be carried out now: because is "" where it may. Then cancel says that it is over,
// otherwise that it goes back to a person. What a person has approved stands as long as the alert is open.
func (p *ActionPolicy) Stands(a *ledger.Action, e *ledger.Episode, now time.Time) (because string, cancel bool) {
	switch {
	case !e.Open():
		return ledger.BecauseEnded, true
	case !slices.Contains(p.Targets(), a.Target):
		return ledger.BecauseNotConfigured, true
	case a.DecidedBy != "":
		return "", false
	case e.Reason == alert.ReasonNoData || !e.LostAt.IsZero():
		return ledger.BecauseNoData, false
	case now.Sub(a.RequestedAt) > p.MaxAge || now.Sub(e.SeenAt) > p.MaxAge:
		return ledger.BecauseStale, false
	}
	return "", false
}
