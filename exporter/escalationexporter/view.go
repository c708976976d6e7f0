package escalationexporter

import (
	"slices"
	"sync"
	"time"

	"github.com/otelcol-escalation/otelcol-escalation/internal/alert"
	"github.com/otelcol-escalation/otelcol-escalation/internal/ledger"
)

// verdict is what a judgement is to the view.
type verdict string

const (
	transition verdict = "transition" // the ledger must hear of it
	repetition verdict = "repetition" // nothing new: a sign of life
	// The others are ignored; they are the `reason` of a counter.
	notNewer  verdict = "not_newer"
	noEpisode verdict = "no_episode"
	resolved  verdict = "resolved"
)

// entry is what the view knows about one alert: the last judgement that was accepted from its evaluator, which the
// ledger has taken or will take.
type entry struct {
	alertID, episodeID, groupID string

	// open is false where a person has ended the episode while its evaluator still repeats the breach.
	open     bool
	severity alert.Severity
	owner    string
	reason   alert.Reason
	// actions are those that the ledger knows to be asked for.
	actions  []alert.Action
	start    time.Time
	judgedAt time.Time
	// told is when the ledger last heard that the alert is heard of; only of a shared one.
	told time.Time
	// doubtful entries take whatever comes next to the ledger: an earlier judgement may not have reached it.
	doubtful bool

	// seen is when the last judgement arrived; it holds for validFor.
	seen     time.Time
	validFor time.Duration
	// lostAt is when that had passed; zero while the evaluator is heard of.
	lostAt time.Time
	// place is the entry's place in the expiry, from 1; 0: none.
	place int
}

// view tells repetitions from transitions without asking the ledger, and knows when alerts were last heard of. It is
// not the record: what it takes for a transition and is none, the ledger drops.
type view struct {
	// shared: other exporters open and end episodes, too.
	shared bool

	mu      sync.Mutex
	entries map[string]*entry // by alert id
	open    int
	groups  map[string]int // open alerts by group
	expiry  expiry
	// grace is the time before which nothing counts as unheard of: the start, or the end of an outage.
	grace time.Time
	// ahead is how far the ledger's clock is ahead of this machine's.
	ahead time.Duration
}

func newView() *view {
	return &view{entries: map[string]*entry{}, groups: map[string]int{}}
}

// judge says what a judgement is and, where it is a transition, assumes that the ledger will take it.
func (v *view) judge(a *alert.Alert, now time.Time) (verdict, string) {
	v.mu.Lock()
	defer v.mu.Unlock()
	en := v.entries[a.ID]
	switch {
	case en == nil && a.State == alert.Inactive && v.shared:
		return transition, "" // another exporter may have opened it a moment ago
	case en == nil && a.State != alert.Firing:
		return noEpisode, ""
	case en == nil:
		en = &entry{alertID: a.ID}
		v.entries[a.ID] = en
	case en.doubtful:
	case !a.Time.After(en.judgedAt):
		return notNewer, ""
	case en.open && en.repeats(a):
		en.judgedAt, en.seen, en.validFor = a.Time, now, a.ValidFor
		return repetition, en.episodeID
	case !en.open && a.State == alert.Firing && !a.Start.IsZero() && !a.Start.After(en.start):
		en.judgedAt, en.seen, en.validFor = a.Time, now, a.ValidFor
		return resolved, ""
	case !en.open && a.State == alert.Pending:
		return noEpisode, ""
	case !en.open && a.State == alert.Inactive:
		v.drop(en)
		return noEpisode, ""
	}
	v.assume(en, a, now)
	return transition, ""
}

// repeats reports whether a judgement says of an open alert what is known. A pending state is a sign of life only: the
// evaluator has begun anew.
func (en *entry) repeats(a *alert.Alert) bool {
	if !en.lostAt.IsZero() {
		return false
	}
	return a.State == alert.Pending || a.State == alert.Firing &&
		a.Severity == en.severity && a.Owner == en.owner && a.Reason == en.reason && !a.Start.After(en.start) && !en.asks(a)
}

// asks reports whether a judgement asks for an action that the alert has not asked for before.
func (en *entry) asks(a *alert.Alert) bool {
	for _, action := range a.Actions {
		if !slices.Contains(en.actions, action) {
			return true
		}
	}
	return false
}

// assume takes over what a transition says; the caller holds mu.
func (v *view) assume(en *entry, a *alert.Alert, now time.Time) {
	if a.State == alert.Inactive {
		v.drop(en)
		return
	}
	en.doubtful = false
	en.judgedAt, en.seen, en.validFor, en.lostAt = a.Time, now, a.ValidFor, time.Time{}
	if a.State == alert.Firing {
		en.start = a.Start
		en.severity, en.owner, en.reason = a.Severity, a.Owner, a.Reason
		if !en.open {
			en.actions = nil
		}
		for _, action := range a.Actions {
			if !slices.Contains(en.actions, action) {
				en.actions = append(slices.Clone(en.actions), action)
			}
		}
		v.setOpen(en, true)
	}
	v.expiry.schedule(en)
}

// learn corrects the view by what the ledger made of a transition.
func (v *view) learn(c change) {
	v.mu.Lock()
	defer v.mu.Unlock()
	en := v.entries[c.judged.ID]
	if en != nil && en.judgedAt.After(c.judged.Time) { // something newer has been assumed, and will be learnt of
		if c.episode != nil && c.episode.Open() {
			en.episodeID = c.episode.ID
			v.setGroup(en, c.episode.GroupID)
		}
		return
	}
	// What the evaluator has ended, or the ledger knows nothing of, needs no entry. What a person has ended does, while
	// its evaluator repeats it.
	e := c.episode
	if e == nil || c.judged.State == alert.Inactive || !e.Open() && e.EndedBy != ledger.EndedByPerson {
		if en != nil {
			v.drop(en)
		}
		return
	}
	if en == nil {
		en = &entry{alertID: c.judged.ID, judgedAt: c.judged.Time, seen: c.at.Add(-v.ahead), validFor: c.judged.ValidFor}
		v.entries[c.judged.ID] = en
	}
	en.told = c.at.Add(-v.ahead)
	v.know(en, e)
	if e.Open() {
		en.start = later(en.start, c.judged.Start)
	}
	v.expiry.schedule(en)
}

// know takes over an episode as it is in the ledger; the caller holds mu.
func (v *view) know(en *entry, e *ledger.Episode) {
	en.episodeID = e.ID
	en.severity, en.owner, en.reason, en.start, en.lostAt = e.Severity, e.Owner, e.Reason, e.StartedAt, e.LostAt
	if !en.lostAt.IsZero() {
		en.lostAt = en.lostAt.Add(-v.ahead)
	}
	en.actions = e.Actions
	if e.JudgedAt.After(en.judgedAt) {
		en.judgedAt = e.JudgedAt
	}
	v.setOpen(en, e.Open())
	v.setGroup(en, e.GroupID)
}

// load enters an open episode at the start. It counts as heard of now.
func (v *view) load(e *ledger.Episode, now time.Time, validFor time.Duration) {
	v.mu.Lock()
	defer v.mu.Unlock()
	en := &entry{alertID: e.AlertID, seen: now, validFor: validFor}
	v.entries[e.AlertID] = en
	v.know(en, e)
	v.expiry.schedule(en)
}

// doubt forgets what was assumed of a transition that will not reach the ledger: its sender will repeat it.
func (v *view) doubt(alertID string, now time.Time) {
	v.mu.Lock()
	defer v.mu.Unlock()
	en := v.entries[alertID]
	if en == nil {
		en = &entry{alertID: alertID, seen: now, validFor: alert.DefaultValidFor}
		v.entries[alertID] = en
		v.expiry.schedule(en)
	}
	en.doubtful = true
}

func (v *view) setOpen(en *entry, open bool) {
	if en.open == open {
		return
	}
	v.ungroup(en)
	en.open = open
	if open {
		v.open++
	} else {
		v.open--
	}
	v.group(en)
}

func (v *view) setGroup(en *entry, id string) {
	if en.groupID == id {
		return
	}
	v.ungroup(en)
	en.groupID = id
	v.group(en)
}

func (v *view) group(en *entry) {
	if en.open && en.groupID != "" {
		v.groups[en.groupID]++
	}
}

func (v *view) ungroup(en *entry) {
	if !en.open || en.groupID == "" {
		return
	}
	if v.groups[en.groupID]--; v.groups[en.groupID] <= 0 {
		delete(v.groups, en.groupID)
	}
}

func (v *view) drop(en *entry) {
	v.setOpen(en, false)
	v.expiry.remove(en)
	delete(v.entries, en.alertID)
}

// counts returns the number of open alerts and of groups that have one.
func (v *view) counts() (alerts, groups int) {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.open, len(v.groups)
}
