package quality

import (
	"time"

	"github.com/otelcol-escalation/otelcol-escalation/internal/ledger"
)

// Day counts the episodes that opened on one day: those that somebody was told of by what people made of them, and Untold
// those that nobody was.
type Day struct {
	At                               time.Time // its beginning, UTC
	Verified, False, Other, Unjudged int
	Untold                           int
}

// Pages is how many of them somebody was told of.
func (d Day) Pages() int { return d.Verified + d.False + d.Other + d.Unjudged }

// Days returns every day up to and with the last one, n of them.
func Days(samples []*ledger.Sample, last time.Time, n int) []Day {
	const day = 24 * time.Hour
	first := last.UTC().Truncate(day).Add(-time.Duration(n-1) * day)
	days := make([]Day, n)
	for i := range days {
		days[i].At = first.Add(time.Duration(i) * day)
	}
	for _, s := range samples {
		i := int(s.OpenedAt.Sub(first) / day)
		if s.OpenedAt.Before(first) || i >= n {
			continue
		}
		switch d := &days[i]; {
		case !s.Told():
			d.Untold++
		case s.Verdict == ledger.TruePositive:
			d.Verified++
		case s.Verdict == ledger.FalsePositive:
			d.False++
		case s.Verdict == "":
			d.Unjudged++
		default:
			d.Other++
		}
	}
	return days
}
