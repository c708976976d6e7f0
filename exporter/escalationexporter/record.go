package escalationexporter

import (
	"errors"
	"strconv"
	"time"

	"github.com/otelcol-escalation/otelcol-escalation/internal/alert"
	"github.com/otelcol-escalation/otelcol-escalation/internal/escalate"
	"github.com/otelcol-escalation/otelcol-escalation/internal/ledger"
)

// change is what the ledger made of a transition.
type change struct {
	judged  *alert.Alert
	kind    ledger.ChangeKind
	episode *ledger.Episode // nil: there is none
	at      time.Time
}

// recording is what one transaction did, for when it is durable.
type recording struct {
	changes []change
	applied
}

// settingValidFor keeps the longest `valid_for` that was seen: after a restart nothing is lost before it has passed.
const settingValidFor = "escalation.valid_for"

// record takes transitions, assigns new episodes to groups, and decides the groups that have something urgent: those
// that open and those whose tier rises. Everything else is decided by the reconciler, which is told by DueAt.
func (x *escalation) record(tx ledger.Tx, transitions []alert.Alert) (*recording, error) {
	r := &recording{}
	b := &book{policy: x.policy, tx: tx, byKey: map[string]*touched{}, byID: map[string]*touched{}, unput: map[string]*touched{}}
	longest := time.Duration(x.validFor.Load())
	for i := range transitions {
		a := &transitions[i]
		if err := b.settle(a.ID); err != nil {
			return nil, err
		}
		kind, e, err := ledger.RecordIn(tx, a, b.join)
		if err != nil {
			return nil, err
		}
		switch kind {
		case ledger.Opened, ledger.Unchanged, ledger.Dropped:
		default:
			err = b.changed(e, kind == ledger.Raised)
		}
		if err != nil {
			return nil, err
		}
		r.changes = append(r.changes, change{judged: a, kind: kind, episode: e, at: tx.Now()})
		if e != nil && e.Open() && x.policy.Inhibits(e) {
			r.opened = append(r.opened, e)
		}
		longest = max(longest, a.ValidFor)
	}
	for _, t := range b.order {
		if !t.decide {
			continue
		}
		if err := x.decideTouched(tx, t, &r.applied); err != nil {
			return nil, err
		}
	}
	for _, c := range r.changes {
		if c.kind == ledger.Dropped || c.kind == ledger.Ended || c.episode == nil || len(c.judged.Actions) == 0 || !c.episode.Open() {
			continue
		}
		e, err := tx.Episode(c.episode.ID) // a decision may have changed it
		if err != nil {
			return nil, err
		}
		if err := x.ask(tx, e, c.judged.Time, &r.applied); err != nil {
			return nil, err
		}
	}
	if longest > time.Duration(x.validFor.Load()) {
		r.validFor = longest
		return r, tx.PutSetting(settingValidFor, strconv.FormatInt(int64(longest), 10))
	}
	return r, nil
}

// decideTouched decides a group of this transaction. Of one that this transaction opened, and that no deed has touched
// since, everything is known without asking the ledger.
func (x *escalation) decideTouched(tx ledger.Tx, t *touched, done *applied) error {
	group, episodes := t.group, t.episodes
	if !t.opened || t.stale {
		var err error
		if group, err = tx.Group(t.group.ID); err != nil {
			return err
		}
		if episodes, err = tx.GroupEpisodes(group.ID); err != nil {
			return err
		}
	}
	return x.decide(tx, group, episodes, done)
}

// book knows the groups that a transaction has to do with.
type book struct {
	policy *escalate.Policy
	tx     ledger.Tx
	byKey  map[string]*touched
	byID   map[string]*touched
	unput  map[string]*touched // by alert id: the opened groups of new episodes, while they are not in the ledger
	order  []*touched
}

// touched is a group that a transaction changes.
type touched struct {
	group    *ledger.Group
	episodes []*ledger.Episode // complete only where opened is set and stale is not
	opened   bool              // by this transaction
	put      bool              // opened, and in the ledger before it has been decided
	stale    bool              // a deed may have changed it since
	decide   bool
}

// join assigns a new episode to the open group of its labels, or opens one.
func (b *book) join(e *ledger.Episode) error {
	b.policy.Begin(e)
	key := escalate.GroupKey(b.policy.GroupLabels(e))
	t := b.byKey[key]
	if t == nil {
		g, err := b.tx.OpenGroup(key)
		switch {
		case errors.Is(err, ledger.ErrNotFound):
			t, err = &touched{group: b.policy.Open(e, b.tx.Now()), opened: true, decide: true}, nil
		case err == nil:
			t = &touched{group: g}
		}
		if err != nil {
			return err
		}
		b.add(t)
	}
	if !t.opened || t.stale {
		if err := b.joinOpen(t, e); err != nil {
			return err
		}
	}
	t.episodes = append(t.episodes, e)
	e.GroupID = t.group.ID
	if t.opened && !t.put {
		b.unput[e.AlertID] = t
	}
	return nil
}

// settle puts the group of an episode of this transaction before a second transition of the same alert, whose deed may
// want it. Otherwise the decision, which follows at once, is what puts it: half the writes of a flood's groups.
func (b *book) settle(alertID string) error {
	t := b.unput[alertID]
	if t == nil || t.put {
		return nil
	}
	t.put = true
	return b.tx.PutGroup(t.group)
}

// joinOpen tells a group that stands in the ledger. Once it knows that something is owed it need not be told again.
func (b *book) joinOpen(t *touched, e *ledger.Episode) error {
	if t.stale {
		g, err := b.tx.Group(t.group.ID)
		if err != nil {
			return err
		}
		t.group = g
	}
	if t.group.Dirty && (t.decide || e.Severity <= t.group.Tier) {
		return nil
	}
	group, decide := escalate.Join(*t.group, e, b.tx.Now())
	group.Dirty = true
	t.group, t.decide = &group, t.decide || decide
	return b.tx.PutGroup(t.group)
}

// changed notes that a deed has touched an episode's group.
func (b *book) changed(e *ledger.Episode, raised bool) error {
	if e.GroupID == "" {
		return nil
	}
	t := b.byID[e.GroupID]
	if t == nil {
		if !raised {
			return nil // the deed has made it due
		}
		g, err := b.tx.Group(e.GroupID)
		if err != nil {
			return err
		}
		t = &touched{group: g}
		b.add(t)
	}
	t.stale = true
	t.decide = t.decide || raised
	return nil
}

func (b *book) add(t *touched) {
	b.byID[t.group.ID] = t
	if t.group.Open() {
		b.byKey[t.group.Key] = t
	}
	b.order = append(b.order, t)
}
