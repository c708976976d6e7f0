package quality

import (
	"cmp"
	"slices"
	"time"

	"github.com/otelcol-escalation/otelcol-escalation/internal/alert"
	"github.com/otelcol-escalation/otelcol-escalation/internal/ledger"
)

// Owner is how one owner is paged, and how that goes.
type Owner struct {
	Name string
	// Load is nil where the owner has no budget.
	Load *Load
	// Pages are those of the window: groups that were first paged in it.
	Pages int64
	// Open is how many alerts are open now, OldestOpen when the oldest of them opened.
	Open       int64
	OldestOpen time.Time
	// Episodes, Notified, Judged (of the notified) and Verdicts are those of the window, Unjudged what waits for a verdict.
	Episodes, Notified, Judged, Unjudged int64
	Verdicts                             map[ledger.Verdict]int64
	// Steps taken and durations are counted since the ledger's first start.
	Steps                int64
	Acknowledge, Resolve Durations
}

// Durations are how long something took.
type Durations struct {
	Count       uint64
	Median, P90 time.Duration
}

// Owners returns everybody who has had an alert within the window, has one open or has a budget: those with the most of their
// budget used first, then the others by name. since is when steps and durations began to be counted.
func (a *Assessor) Owners(tx ledger.Tx) (all []*Owner, since time.Time, err error) {
	if since, err = tx.CountersSince(); err != nil {
		return nil, since, err
	}
	owners := map[string]*Owner{}
	of := func(name string) *Owner {
		o := owners[name]
		if o == nil {
			o = &Owner{Name: name, Verdicts: map[ledger.Verdict]int64{}}
			owners[name] = o
			all = append(all, o)
		}
		return o
	}
	begin := tx.Now().Add(-a.Window)
	recent, err := a.Tallies(tx)
	if err != nil {
		return nil, since, err
	}
	for i := range recent {
		of(recent[i].Owner).add(&recent[i])
	}
	// What has been open for longer than the window is little.
	open := true
	old, err := tx.Episodes(ledger.Query{Open: &open, Until: begin})
	if err != nil {
		return nil, since, err
	}
	for _, e := range old {
		of(e.Owner).opened(1, e.OpenedAt)
	}
	loads, err := Loads(tx)
	if err != nil {
		return nil, since, err
	}
	for i := range loads {
		of(loads[i].Owner).Load = &loads[i]
	}
	if err := fromCounters(tx, owners); err != nil {
		return nil, since, err
	}
	for _, o := range all {
		if o.Pages, err = tx.Paged(o.Name, begin); err != nil {
			return nil, since, err
		}
	}
	slices.SortFunc(all, func(a, b *Owner) int { return cmp.Or(cmp.Compare(b.used(), a.used()), cmp.Compare(a.Name, b.Name)) })
	return all, since, nil
}

func (o *Owner) add(t *ledger.Tally) {
	o.Episodes += t.Episodes
	o.Notified += t.Notified
	o.Judged += t.NotifiedJudged
	o.Unjudged += t.Unjudged
	for v, n := range t.Verdicts {
		o.Verdicts[v] += n
	}
	if t.Open > 0 {
		o.opened(t.Open, t.OldestOpen)
	}
}

// opened counts open alerts, the oldest of which opened at a time.
func (o *Owner) opened(n int64, oldest time.Time) {
	o.Open += n
	if o.OldestOpen.IsZero() || oldest.Before(o.OldestOpen) {
		o.OldestOpen = oldest
	}
}

// used is the part of the budget that is used; less than 0 without one.
func (o *Owner) used() float64 {
	if o.Load == nil {
		return -1
	}
	return o.Load.Used()
}

// fromCounters fills in what the ledger counts by itself.
func fromCounters(tx ledger.Tx, owners map[string]*Owner) error {
	counters, err := tx.Counters()
	if err != nil {
		return err
	}
	for _, c := range counters {
		if o := owners[c.Owner]; o != nil && c.Metric == alert.MetricEscalations {
			o.Steps += c.N
		}
	}
	histograms, err := tx.Histograms()
	if err != nil {
		return err
	}
	acknowledge, resolve := map[string][]ledger.Histogram{}, map[string][]ledger.Histogram{}
	for _, h := range histograms {
		switch h.Metric {
		case alert.MetricTimeToAcknowledge:
			acknowledge[h.Owner] = append(acknowledge[h.Owner], h)
		case alert.MetricTimeToResolve:
			resolve[h.Owner] = append(resolve[h.Owner], h)
		}
	}
	for name, o := range owners {
		o.Acknowledge, o.Resolve = durationsOf(acknowledge[name]), durationsOf(resolve[name])
	}
	return nil
}

func durationsOf(all []ledger.Histogram) (d Durations) {
	sum := Merge(all)
	d.Count = sum.Count
	median, _ := Quantile(sum, 0.5)
	p90, _ := Quantile(sum, 0.9)
	d.Median, d.P90 = seconds(median), seconds(p90)
	return d
}

func seconds(s float64) time.Duration { return time.Duration(s * float64(time.Second)) }
