package escalationexporter

import (
	"container/heap"
	"time"
)

// expiry orders alerts by when they may next have been lost. An alert that is heard of is not moved, which would cost
// every repetition; it is looked at when its old time comes, and put back.
type expiry struct{ items []expiring }

type expiring struct {
	at time.Time
	en *entry
}

func (x *expiry) Len() int           { return len(x.items) }
func (x *expiry) Less(i, j int) bool { return x.items[i].at.Before(x.items[j].at) }
func (x *expiry) Swap(i, j int) {
	x.items[i], x.items[j] = x.items[j], x.items[i]
	x.items[i].en.place, x.items[j].en.place = i+1, j+1
}
func (x *expiry) Push(item any) {
	x.items = append(x.items, item.(expiring))
	x.items[len(x.items)-1].en.place = len(x.items)
}
func (x *expiry) Pop() any {
	last := x.items[len(x.items)-1]
	x.items[len(x.items)-1] = expiring{}
	x.items = x.items[:len(x.items)-1]
	last.en.place = 0
	return last
}

// schedule makes sure that an entry is looked at when what was last heard of it stops to hold, or before.
func (x *expiry) schedule(en *entry) {
	x.scheduleAt(en, en.seen.Add(en.validFor))
}

func (x *expiry) scheduleAt(en *entry, at time.Time) {
	switch {
	case en.place == 0:
		heap.Push(x, expiring{at: at, en: en})
	case at.Before(x.items[en.place-1].at):
		x.items[en.place-1].at = at
		heap.Fix(x, en.place-1)
	}
}

func (x *expiry) remove(en *entry) {
	if en.place > 0 {
		heap.Remove(x, en.place-1)
	}
}

// loss is an alert that has not been heard of for too long.
type loss struct {
	en        *entry
	episodeID string
	validFor  time.Duration
	// gone: it has been no_data for lost_after, and ends.
	gone bool
	// heard is when another exporter has heard of it.
	heard time.Time
}

// lost returns alerts whose time has come, at most limit, and when the next one may come: zero where there is none.
// Who is returned comes again after retry, unless lostNow or gone is called.
func (v *view) lost(now time.Time, lostAfter, retry time.Duration, limit int) (losses []loss, next time.Time) {
	v.mu.Lock()
	defer v.mu.Unlock()
	for len(v.expiry.items) > 0 && len(losses) < limit {
		first := v.expiry.items[0]
		if first.at.After(now) {
			break
		}
		en := first.en
		heap.Pop(&v.expiry)
		deadline := later(en.seen, v.grace).Add(en.validFor)
		gone := !en.lostAt.IsZero()
		if gone {
			deadline = later(deadline, en.lostAt.Add(lostAfter))
		}
		switch {
		case deadline.After(now):
			v.expiry.scheduleAt(en, deadline)
		case !en.open:
			v.drop(en)
		case en.episodeID == "": // its opening waits in the journal
			v.expiry.scheduleAt(en, now.Add(en.validFor))
		default:
			losses = append(losses, loss{en: en, episodeID: en.episodeID, validFor: en.validFor, gone: gone})
			v.expiry.scheduleAt(en, now.Add(retry))
		}
	}
	if len(v.expiry.items) > 0 {
		next = v.expiry.items[0].at
	}
	return losses, next
}

// settle takes over that the ledger knows of losses.
func (v *view) settle(losses []loss, now time.Time, lostAfter time.Duration) {
	v.mu.Lock()
	defer v.mu.Unlock()
	for _, l := range losses {
		switch {
		case v.entries[l.en.alertID] != l.en || l.en.episodeID != l.episodeID: // another episode meanwhile
		case l.gone:
			v.drop(l.en)
		case l.en.lostAt.IsZero():
			l.en.lostAt = now
			v.expiry.remove(l.en)
			v.expiry.scheduleAt(l.en, now.Add(lostAfter))
		}
	}
}

// pardon lets nothing count as unheard of before now: the exporter, not the evaluator, was away.
func (v *view) pardon(now time.Time) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.grace = now
}

func later(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}
