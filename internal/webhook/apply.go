package webhook

import (
	"errors"
	"time"

	"github.com/otelcol-escalation/otelcol-escalation/internal/ledger"
)

// Applied says what became of a delivery.
type Applied struct {
	// Done are feedbacks that were applied, Unknown those about episodes that are not here or have ended. Repeated says that
	// the event was here before: nothing was done.
	Done, Unknown int
	Repeated      bool
	// Ignored says that the delivery asked for nothing.
	Ignored bool
}

// longestSnooze bounds a snooze, as on the page.
const longestSnooze = 30 * 24 * time.Hour

// Apply applies a delivery, once for its event.
func Apply(tx ledger.Tx, source string, d Delivery) (Applied, error) {
	var a Applied
	if d.EventID != "" {
		first, err := tx.Once(source, d.EventID)
		if err != nil || !first {
			a.Repeated = true
			return a, err
		}
	}
	for _, f := range d.Feedback {
		ids, err := episodes(tx, f)
		if err != nil {
			return a, err
		}
		done := false
		for _, id := range ids {
			switch err := f.apply(tx, id); {
			case err == nil:
				done = true
			case errors.Is(err, ledger.ErrEnded), errors.Is(err, ledger.ErrNotFound):
			default:
				return a, err
			}
		}
		if done {
			a.Done++
		} else {
			a.Unknown++
		}
	}
	return a, nil
}

// episodes are those that a feedback is about: of a group all open ones, but for an acknowledgement, which one of them takes
// for all.
func episodes(tx ledger.Tx, f Feedback) (ids []string, err error) {
	switch {
	case f.EpisodeID != "" && (f.Kind == Acknowledge || f.Kind == Unacknowledge):
		return together(tx, f.EpisodeID)
	case f.EpisodeID != "":
		return []string{f.EpisodeID}, nil
	case f.AlertID != "":
		e, err := tx.LastEpisode(f.AlertID)
		if errors.Is(err, ledger.ErrNotFound) {
			return nil, nil
		}
		if err != nil {
			return nil, err
		}
		return []string{e.ID}, nil
	}
	g, err := tx.GroupByKey(f.Key)
	if errors.Is(err, ledger.ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	members, err := tx.GroupEpisodes(g.ID)
	if err != nil {
		return nil, err
	}
	for _, e := range members {
		if !e.Open() && f.Kind != Verdict {
			continue
		}
		ids = append(ids, e.ID)
		if f.Kind == Acknowledge || f.Kind == Unacknowledge {
			break
		}
	}
	return ids, nil
}

// together is an episode, or, where it has ended, an open one of those that it was paged with: the button of a message
// about several is meant for all of them.
func together(tx ledger.Tx, id string) ([]string, error) {
	e, err := tx.Episode(id)
	if errors.Is(err, ledger.ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	if e.Open() || e.GroupID == "" {
		return []string{id}, nil
	}
	members, err := tx.GroupEpisodes(e.GroupID)
	if err != nil {
		return nil, err
	}
	for _, one := range members {
		if one.Open() {
			return []string{one.ID}, nil
		}
	}
	return nil, nil
}

func (f Feedback) apply(tx ledger.Tx, id string) error {
	switch f.Kind {
	case Acknowledge:
		return ledger.Acknowledge(tx, id, f.By, f.Note)
	case Unacknowledge:
		return ledger.Unacknowledge(tx, id, f.By)
	case Resolve:
		e, err := tx.Episode(id)
		switch {
		case err != nil:
			return err
		case !e.Open():
			return ledger.ErrEnded
		}
		return ledger.Resolve(tx, id, f.By, f.Note)
	case Snooze:
		return ledger.Snooze(tx, id, tx.Now().Add(min(f.For, longestSnooze)), f.By, f.Note)
	case Verdict:
		note := f.Note
		if f.By != "" {
			note = f.By + ": " + note
		}
		return ledger.Judge(tx, id, f.Verdict, f.Person, note)
	default:
		return ledger.Notify(tx, id, f.By, ledger.DeliverPage, 0)
	}
}
