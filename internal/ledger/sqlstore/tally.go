package sqlstore

import (
	"slices"
	"time"

	"github.com/otelcol-escalation/otelcol-escalation/internal/alert"
	"github.com/otelcol-escalation/otelcol-escalation/internal/ledger"
)

// A tally's state is what Tallies asks of an episode, in one number, so that an index that ends in it and OpenedAt
// answers without reading a row: bit 0 open, bit 1 notified, three bits of the verdict's number (0: none), bit 5 transient,
// bit 6 flapping, bit 7 answered.
const (
	tallyOpen        = 1 << 0
	tallyNotified    = 1 << 1
	tallyVerdict     = 2
	tallyVerdictMask = 7
	tallyTransient   = 1 << 5
	tallyFlapping    = 1 << 6
	tallyAnswered    = 1 << 7
)

func tallyState(e *ledger.Episode) int64 {
	state := int64(slices.Index(ledger.Verdicts[:], e.Verdict)+1) << tallyVerdict
	if e.Open() {
		state |= tallyOpen
	}
	if !e.NotifiedAt.IsZero() {
		state |= tallyNotified
	}
	if e.Transient() {
		state |= tallyTransient
	}
	if !e.FlapNoticedAt.IsZero() || e.Suppressed == ledger.SuppressedFlapping {
		state |= tallyFlapping
	}
	if e.Answered() {
		state |= tallyAnswered
	}
	return state
}

type tallyRow struct {
	rule, owner, source string
	highest             alert.Severity
	state, n            int64
	oldest              time.Time
}

func scanTally(r row) (t tallyRow, err error) {
	err = r.Scan(&t.rule, &t.owner, &t.source, &t.highest, &t.state, &t.n, timeAt{&t.oldest})
	return t, err
}

func (t *tx) Tallies(since time.Time) ([]ledger.Tally, error) {
	rows, err := list(t, scanTally,
		"SELECT rule, owner, source_metric, highest, tally, count(*), min(opened_at) FROM episodes "+
			"WHERE opened_at >= ? GROUP BY rule, owner, source_metric, highest, tally "+
			"ORDER BY rule, owner, source_metric, highest, tally", nanos(since))
	if err != nil {
		return nil, err
	}
	var tallies []ledger.Tally
	for _, r := range rows {
		last := len(tallies) - 1
		if last < 0 || tallies[last].Rule != r.rule || tallies[last].Owner != r.owner ||
			tallies[last].SourceMetric != r.source || tallies[last].Severity != r.highest {
			tallies = append(tallies, ledger.Tally{
				Rule: r.rule, Owner: r.owner, SourceMetric: r.source, Severity: r.highest,
				Verdicts: map[ledger.Verdict]int64{},
			})
			last++
		}
		addTally(&tallies[last], r)
	}
	return tallies, nil
}

func addTally(t *ledger.Tally, r tallyRow) {
	t.Episodes += r.n
	if r.state&tallyOpen != 0 {
		t.Open += r.n
		if t.OldestOpen.IsZero() || r.oldest.Before(t.OldestOpen) {
			t.OldestOpen = r.oldest
		}
	}
	if r.state&tallyTransient != 0 {
		t.Transient += r.n
	}
	if r.state&tallyFlapping != 0 {
		t.Flapping += r.n
	}
	verdict := r.state >> tallyVerdict & tallyVerdictMask
	if verdict == 0 && r.state&tallyOpen == 0 && (r.state&tallyNotified != 0 || r.highest == alert.Low) {
		t.Unjudged += r.n
	}
	if r.state&tallyNotified != 0 {
		t.Notified += r.n
		if verdict > 0 {
			t.NotifiedJudged += r.n
		}
		if r.state&tallyOpen == 0 {
			t.NotifiedEnded += r.n
			if verdict == 0 && r.state&tallyAnswered == 0 {
				t.Unacknowledged += r.n
			}
		}
	}
	if verdict > 0 {
		t.Verdicts[ledger.Verdicts[verdict-1]] += r.n
	}
}
