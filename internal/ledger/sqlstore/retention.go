package sqlstore

import (
	"context"
	"time"
)

// pruneChunk is how many episodes one transaction removes: other updates get their turn in between.
const pruneChunk = 200

// Episodes go with their events, groups with nothing left in them, and deliveries whose topic, a group or a digest, has
// gone. What belongs to a group that is open or was closed recently stays with it. A destination that could not be told
// of an end for the whole retention is not told any more.
const (
	oldEpisodes = `SELECT id FROM episodes WHERE ended_at > 0 AND ended_at < ?1
AND NOT EXISTS (SELECT 1 FROM page_groups g WHERE g.id = episodes.group_id AND (g.closed_at = 0 OR g.closed_at >= ?1))
ORDER BY ended_at LIMIT ?2`

	oldGroups = `SELECT id FROM page_groups WHERE closed_at > 0 AND closed_at < ?1
AND NOT EXISTS (SELECT 1 FROM episodes e WHERE e.group_id = page_groups.id) ORDER BY closed_at LIMIT ?2`

	oldTopics = `SELECT topic FROM deliveries WHERE ordered_at < ?1
AND NOT EXISTS (SELECT 1 FROM page_groups g WHERE g.id = deliveries.topic)
AND NOT EXISTS (SELECT 1 FROM page_groups g WHERE g.digest_id = deliveries.topic AND g.digest_id <> '')
ORDER BY ordered_at LIMIT ?2`

	oldSilences = `SELECT id FROM silences WHERE ends_at < ?1 ORDER BY ends_at LIMIT ?2`
	oldMisses   = `SELECT id FROM misses WHERE at < ?1 ORDER BY at LIMIT ?2`
	oldExplored = `SELECT id FROM explored WHERE opened_at < ?1 ORDER BY opened_at LIMIT ?2`
	oldChanges  = `SELECT id FROM threshold_changes WHERE at < ?1 ORDER BY at LIMIT ?2`
	oldEvents   = `SELECT CAST(seq AS TEXT) FROM events WHERE episode_id IS NULL AND at < ?1 LIMIT ?2`
	oldTrials   = `SELECT id FROM trials WHERE requested_at < ?1 LIMIT ?2`

	oldSeen    = `SELECT id FROM seen_events WHERE at < ?1 LIMIT 1`
	removeSeen = "DELETE FROM seen_events WHERE at < ?"
)

// remembered is how long an event that was taken is known at least, however short the retention: PagerDuty sends one again for two
// days, and it must change nothing then.
const remembered = 3 * 24 * time.Hour

// Prune removes what ended before a time: episodes with their events and actions, then the groups and deliveries that nothing
// refers to any more. It returns the number of episodes removed. Counters and histograms stay.
func (l *Ledger) Prune(ctx context.Context, now, before time.Time) (removed int, err error) {
	for _, part := range []struct {
		find, remove string
		count        *int
	}{
		{oldEpisodes, "DELETE FROM episodes WHERE id = ?", &removed},
		{oldGroups, "DELETE FROM page_groups WHERE id = ?", new(int)},
		{oldTopics, "DELETE FROM deliveries WHERE topic = ?", new(int)},
		{oldSilences, "DELETE FROM silences WHERE id = ?", new(int)},
		{oldMisses, "DELETE FROM misses WHERE id = ?", new(int)},
		{oldExplored, "DELETE FROM explored WHERE id = ?", new(int)},
		{oldChanges, "DELETE FROM threshold_changes WHERE id = ?", new(int)},
		{oldEvents, "DELETE FROM events WHERE seq = CAST(CAST(? AS TEXT) AS BIGINT)", new(int)},
		{oldTrials, "DELETE FROM trials WHERE id = ?", new(int)},
	} {
		for {
			var old []string
			err := l.submit(ctx, l.requests, now, func(t *tx) (err error) {
				if old, err = list(t, scanText, part.find, nanos(before), pruneChunk); err != nil {
					return err
				}
				for _, key := range old {
					if err := t.write(part.remove, key); err != nil {
						return err
					}
				}
				return nil
			})
			if err != nil {
				return removed, err
			}
			*part.count += len(old)
			if len(old) < pruneChunk {
				break
			}
		}
	}
	if at := now.Add(-remembered); at.Before(before) {
		before = at
	}
	return removed, l.submit(ctx, l.requests, now, func(t *tx) error {
		old, err := list(t, scanText, oldSeen, nanos(before))
		if err != nil || len(old) == 0 { // nothing is written where nothing goes
			return err
		}
		return t.write(removeSeen, nanos(before))
	})
}
