package ledger

import (
	"slices"
	"time"
)

// recentLimit bounds Episode.Recent: a policy cannot ask for more changes.
const recentLimit = 16

// MaxFlapChanges is the largest number of changes by which a policy may tell that an alert flaps.
const MaxFlapChanges = recentLimit

// follows takes over what is known of the alert's last episode.
func (e *Episode) follows(last *Episode) {
	if last == nil {
		return
	}
	e.Recent = append(slices.Clone(last.Recent), last.OpenedAt, last.EndedAt)
	if n := len(e.Recent) - recentLimit; n > 0 {
		e.Recent = e.Recent[n:]
	}
	e.FlapNoticedAt = last.FlapNoticedAt
}

// Flapping returns until when an alert flaps: it has fired or ended at least `changes` times within a time up to now,
// and from then on it will not have, should nothing change. Zero where it does not flap, or where changes is 0.
func (e *Episode) Flapping(now time.Time, changes int, within time.Duration) (until time.Time) {
	if changes <= 0 {
		return time.Time{}
	}
	all := append(slices.Clone(e.Recent), e.OpenedAt)
	if !e.Open() {
		all = append(all, e.EndedAt)
	}
	if len(all) < changes {
		return time.Time{}
	}
	if until = all[len(all)-changes].Add(within); until.After(now) {
		return until
	}
	return time.Time{}
}

// FlappedBefore is Flapping just before the episode opened.
func (e *Episode) FlappedBefore(changes int, within time.Duration) bool {
	n := len(e.Recent) - changes
	return changes > 0 && n >= 0 && e.Recent[n].Add(within).After(e.OpenedAt)
}

// NoticeFlapping records that a page was accepted which says that the alert flaps.
func NoticeFlapping(tx Tx, episodeID string) error {
	e, err := tx.Episode(episodeID)
	if err != nil || !e.Open() || !e.FlapNoticedAt.IsZero() {
		return err
	}
	e.FlapNoticedAt = tx.Now()
	return write(tx, e, nil, nil)
}
