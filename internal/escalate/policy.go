// Package escalate decides what is due for a group of alert episodes, and why. Its functions are pure: a policy, the
// ledger's records and a time in, the group's new state and what is to be sent out. It sends and stores nothing, and
// reads no clock.
package escalate

import (
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/otelcol-escalation/otelcol-escalation/internal/alert"
)

// Policy is a checked Spec. It is immutable and safe for concurrent use.
type Policy struct {
	// GroupInterval, AcknowledgeFor and LostAfter are as in Spec.
	GroupInterval, AcknowledgeFor, LostAfter time.Duration

	tiers       [alert.Critical + 1]tier
	batch       timeOfDay
	groupBy     []string
	externalURL *url.URL // nil: none
	owners      map[string]*owner
	flapping    FlappingSpec
	inhibit     []InhibitRule
}

// tier is what a policy says about a tier that is paged.
type tier struct {
	window, repeat time.Duration
}

// owner is who answers for alerts, and the chain of who is asked. One of the map always has steps: Unowned.
type owner struct {
	batch         timeOfDay
	respondWithin time.Duration
	steps         []step
	hours         *hours // nil: paged at any time
	muteCritical  bool
	budget        Budget
}

type step struct {
	after     time.Duration
	receivers []string
	tiers     [alert.Critical + 1]bool
}

// ownerOf returns who is paged for an owner's alerts: the owner, where it has steps, otherwise Unowned.
func (p *Policy) ownerOf(name string) *owner {
	if o := p.owners[name]; o != nil && len(o.steps) > 0 {
		return o
	}
	return p.owners[Unowned]
}

// next returns the number of the first step behind `taken` that is taken for a tier, 0 where there is none. Steps are
// numbered from 1.
func (o *owner) next(taken int, t alert.Severity) int {
	for n := taken + 1; n <= len(o.steps); n++ {
		if o.steps[n-1].tiers[t] {
			return n
		}
	}
	return 0
}

// reached returns the last step up to `taken` that is taken for a tier: whom a repeat goes to. After a fall that may
// be an earlier one than the last that was taken. Where there is none it is the tier's first.
func (o *owner) reached(taken int, t alert.Severity) int {
	for n := min(taken, len(o.steps)); n > 0; n-- {
		if o.steps[n-1].tiers[t] {
			return n
		}
	}
	return max(o.next(0, t), 1)
}

func (o *owner) step(n int) step { return o.steps[n-1] }

// Window is the time between a group's opening, or its last rise, and its page. Low has none: it is batched.
func (p *Policy) Window(t alert.Severity) time.Duration { return p.tiers[t].window }

// Receivers lists every receiver that a step names, sorted, each once.
func (p *Policy) Receivers() []string {
	var all []string
	for _, o := range p.owners {
		for _, s := range o.steps {
			all = append(all, s.receivers...)
		}
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// PageURL is the address of an episode's story; "" without an external URL.
func (p *Policy) PageURL(episodeID string) string {
	if p.externalURL == nil {
		return ""
	}
	return p.externalURL.JoinPath("alerts", episodeID).String()
}

// list joins names as a sentence does.
func list(names []string) string { return strings.Join(names, ", ") }

// Budget is how many pages an owner should have to take within a time. Zero: nobody has said.
type Budget struct {
	Pages  int           `json:"pages"`
	Within time.Duration `json:"within"`
}

// Budgets returns the budgets of the owners that have one.
func (p *Policy) Budgets() map[string]Budget {
	all := map[string]Budget{}
	for name, o := range p.owners {
		if o.budget.Pages > 0 {
			all[name] = o.budget
		}
	}
	return all
}
