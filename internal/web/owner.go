package web

import (
	"fmt"
	"math"
	"net/http"
	"net/url"
	"time"

	"github.com/prometheus/common/model"

	"github.com/otelcol-escalation/otelcol-escalation/internal/calibrate"
	"github.com/otelcol-escalation/otelcol-escalation/internal/ledger"
	"github.com/otelcol-escalation/otelcol-escalation/internal/quality"
)

const ownersPath = "/owners"

// Owner is how one owner is paged, as the API gives it; docs/http-api.md says what each field means.
type Owner struct {
	Owner string `json:"owner"`
	// Budget is missing where the owner has none.
	Budget   *Budget   `json:"budget,omitempty"`
	Pages    int64     `json:"pages"`
	Open     int64     `json:"open"`
	OldestAt time.Time `json:"oldest_open_at,omitzero"`
	Episodes int64     `json:"episodes"`
	Notified int64     `json:"notified"`
	Judged   int64     `json:"judged"`
	Unjudged int64     `json:"unjudged"`
	// Coverage is missing where nobody was paged, FalsePositives where nobody has judged.
	Coverage          *float64                 `json:"verdict_coverage,omitempty"`
	Verdicts          map[ledger.Verdict]int64 `json:"verdicts"`
	FalsePositives    *Ratio                   `json:"false_positive_ratio,omitempty"`
	Steps             int64                    `json:"steps"`
	TimeToAcknowledge *Durations               `json:"time_to_acknowledge,omitempty"`
	TimeToResolve     *Durations               `json:"time_to_resolve,omitempty"`
}

// Budget is how many pages an owner has agreed to, and how much of that is used.
type Budget struct {
	Pages  int            `json:"pages"`
	Within model.Duration `json:"within"`
	Paged  int64          `json:"paged"`
	Used   float64        `json:"used"`
}

// Durations are how long something took, in seconds.
type Durations struct {
	Median float64 `json:"median"`
	P90    float64 `json:"p90"`
	Of     uint64  `json:"of"`
}

// Owners is the answer of GET /api/v1/owners.
type Owners struct {
	WindowDays float64 `json:"window_days"`
	// CountedSince is when steps and durations began to be counted.
	CountedSince time.Time `json:"counted_since,omitzero"`
	Owners       []Owner   `json:"owners"`
}

func ownerOf(o *quality.Owner) Owner {
	out := Owner{
		Owner: o.Name, Pages: o.Pages, Open: o.Open, OldestAt: o.OldestOpen.UTC(), Episodes: o.Episodes, Notified: o.Notified, Judged: o.Judged,
		Unjudged: o.Unjudged, Verdicts: o.Verdicts, FalsePositives: ratioOf(calibrate.FalsePositives(o.Verdicts)), Steps: o.Steps,
		TimeToAcknowledge: durationsOf(o.Acknowledge), TimeToResolve: durationsOf(o.Resolve),
	}
	if o.Load != nil {
		out.Budget = &Budget{Pages: o.Load.Pages, Within: model.Duration(o.Load.Within), Paged: o.Load.Paged, Used: o.Load.Used()}
	}
	if p, ok := calibrate.NewProportion(o.Judged, o.Notified); ok {
		out.Coverage = &p.Ratio
	}
	return out
}

func durationsOf(d quality.Durations) *Durations {
	if d.Count == 0 {
		return nil
	}
	return &Durations{Median: d.Median.Seconds(), P90: d.P90.Seconds(), Of: d.Count}
}

func (s *Site) owners(r *http.Request) (all Owners, now time.Time, err error) {
	all = Owners{WindowDays: s.opts.Assessor.Window.Hours() / 24, Owners: []Owner{}}
	now, err = s.view(r.Context(), func(rd *reader) error {
		owners, since, err := s.opts.Assessor.Owners(rd.tx)
		all.CountedSince = since.UTC()
		for _, o := range owners {
			all.Owners = append(all.Owners, ownerOf(o))
		}
		return err
	})
	return all, now, err
}

// listOwners answers GET /api/v1/owners.
func (s *Site) listOwners(w http.ResponseWriter, r *http.Request) error {
	if err := noQuery(r.URL.Query()); err != nil {
		return err
	}
	all, _, err := s.owners(r)
	if err != nil {
		return err
	}
	writeJSON(w, http.StatusOK, all)
	return nil
}

type ownersPage struct {
	frame
	Owners
}

// Cards are the owners as the page shows them.
func (p ownersPage) Cards() []ownerCard {
	var cards []ownerCard
	for i, o := range p.Owners.Owners {
		cards = append(cards, ownerCard{Owner: o, Number: i + 1, now: p.Now})
	}
	return cards
}

// ownerCard is one owner on the page.
type ownerCard struct {
	Owner
	Number int
	now    time.Time
}

// ListURL is the list of the owner's alerts, JudgeURL the queue of those that wait for a verdict.
func (c ownerCard) ListURL() string { return pageQuery{Owner: c.Owner.Owner}.url() }

// JudgeURL is the queue of the owner's alerts.
func (c ownerCard) JudgeURL() string {
	return withQuery(judgePath, url.Values{"owner": {c.Owner.Owner}})
}

// Oldest is how long the oldest open alert has been open.
func (c ownerCard) Oldest() instant { return lasting(c.now, c.OldestAt) }

// Over reports whether there were more pages than agreed.
func (b Budget) Over() bool { return b.Used > 1 }

// Percent is the used part of the budget.
func (b Budget) Percent() string { return percent(b.Used) }

// Span is the time that the budget is for.
func (b Budget) Span() string {
	if days := time.Duration(b.Within).Hours() / 24; days == math.Trunc(days) && days > 1 {
		return fmt.Sprintf("%.0f days", days)
	}
	return span(time.Duration(b.Within))
}

// The bar is 100 wide and shows up to the budget, or up to what was paged where that is more.

// Filled is how wide the bar is filled.
func (b Budget) Filled() string { return position(b.Used / max(b.Used, 1)) }

// Mark is where the bar has the budget.
func (b Budget) Mark() string { return position(1 / max(b.Used, 1)) }

// Percent is the share.
func (r Ratio) Percent() string { return percent(r.Ratio) }

// Bounds say how sure that is.
func (r Ratio) Bounds() string {
	return fmt.Sprintf("%s, of %d judged", bounds(calibrate.Proportion{Lower: r.Lower, Upper: r.Upper}), r.Of)
}

// Covered is the share of notified alerts that somebody has judged.
func (c ownerCard) Covered() string {
	if c.Coverage == nil {
		return ""
	}
	return percent(*c.Coverage)
}

// Half and Most are the durations as people say them.
func (d Durations) Half() string { return span(seconds(d.Median)) }

// Most is within what nine of ten were done.
func (d Durations) Most() string { return span(seconds(d.P90)) }

func seconds(s float64) time.Duration { return time.Duration(s * float64(time.Second)) }

// position writes a part of a hundred as an SVG has it.
func position(v float64) string { return fmt.Sprintf("%.1f", 100*v) }

// showOwners answers GET /owners.
func (s *Site) showOwners(w http.ResponseWriter, r *http.Request) error {
	if err := noQuery(r.URL.Query()); err != nil {
		return err
	}
	p := ownersPage{frame: s.frame(s.person(r, ""))}
	p.Title, p.Section = "Owners", ownersPath
	var err error
	if p.Owners, p.Now, err = s.owners(r); err != nil {
		return err
	}
	render(w, http.StatusOK, "owners.html", p)
	return nil
}
