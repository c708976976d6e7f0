package replay

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/otelcol-escalation/otelcol-escalation/internal/evaluate"
	"github.com/otelcol-escalation/otelcol-escalation/internal/rule"
)

// Options say what is replayed and how.
type Options struct {
	Rules *rule.Set
	// Files are the recording's; "-" is Stdin.
	Files  []string
	Stdin  io.Reader
	Format Format
	CSV    CSVOptions
	// Start and Interval place scrapes without timestamps: the first file at Start, each other one Interval later.
	Start    time.Time
	Interval time.Duration
	// Window is how far back a point may come after a newer one of the same file and still be put in order.
	Window time.Duration
	WhatIf []WhatIf
	// Incidents are what is known to have happened; nil: nothing is known.
	Incidents []Incident

	// The processor's configuration, as far as it matters here.
	ExternalLabels            map[string]string
	Lookback                  time.Duration
	EvaluationInterval        time.Duration
	TranslationStrategy       string
	PromoteResourceAttributes []string
	SeriesPerRule, Series     int

	// KeepGoing passes over what cannot be read; each such thing is told to Refused.
	KeepGoing bool
	Refused   func(error)
	// Episode is told every episode at its end.
	Episode func(*Episode) error
	// Plot is where drawings go, "" for none; Plots bounds them.
	Plot  string
	Plots int
	// Progress is kept up to date, for another goroutine to look at.
	Progress *Progress
}

// Progress is how far a replay is.
type Progress struct {
	// Read counts the bytes read of the files, Total is how many there are; 0 where nobody knows.
	Read, Total atomic.Int64
	Points      atomic.Int64
	Episodes    atomic.Int64
}

// neverMatched is how long a rule must have found nothing at the end of a recording to be told of.
const neverMatched = 5 * time.Minute

// Run replays a recording.
func Run(ctx context.Context, opts Options) (Summary, error) {
	if opts.Progress == nil {
		opts.Progress = &Progress{}
	}
	set, variants, err := withVariants(opts.Rules, opts.WhatIf)
	if err != nil {
		return Summary{}, err
	}
	r := &run{opts: opts}
	r.size()
	var plots *plots
	if opts.Plot != "" {
		if slices.Contains(opts.Files, "-") {
			return Summary{}, errors.New("plots need the recording twice, and the standard input can be read but once: give files")
		}
		plots = newPlots(opts.Plots)
		opts.Progress.Total.Store(2 * opts.Progress.Total.Load())
	}
	known := newTally(opts.Rules, opts.Incidents)
	l := &ledger{
		open: map[string]*Episode{}, pending: map[string]struct{}{}, variants: variants, tally: known,
		ended: func(e *Episode) error {
			opts.Progress.Episodes.Add(1)
			if plots != nil {
				plots.note(e)
			}
			if opts.Episode == nil {
				return nil
			}
			return opts.Episode(e)
		},
	}
	tracked := tracks(set)
	p := &player{follow: l.follow, awake: func() bool { return tracked || l.active() }}
	first, err := r.play(ctx, p, set, 10*time.Second)
	if err != nil {
		return Summary{}, err
	}
	for _, e := range stillOpen(l.open) {
		e.Open = true
		e.end(p.now)
		if err := l.close(e); err != nil {
			return Summary{}, err
		}
	}
	s := known.summary(first, p.now, sorted(variants))
	if p.e != nil {
		s.judged(p.e, variants, p.now)
	}
	s.Points, s.Batches, s.Late, s.Untimed, s.Refused = r.points, r.batches, r.late, r.untimed, r.refused
	if plots != nil && len(plots.lines) > 0 {
		if s.Plots, err = r.draw(ctx, plots, s); err != nil {
			return s, err
		}
	}
	return s, nil
}

// run is one replay at work.
type run struct {
	opts                           Options
	points, batches, late, untimed int64
	refused                        int64
}

// size adds up the files, for progress.
func (r *run) size() {
	var total int64
	for _, name := range r.opts.Files {
		info, err := os.Stat(name)
		if name == "-" || err != nil || !info.Mode().IsRegular() {
			return // what is read is all there is to say
		}
		total += info.Size()
	}
	r.opts.Progress.Total.Store(total)
}

// files are the recording's files as they will be opened.
func (r *run) files() []*file {
	files := make([]*file, len(r.opts.Files))
	for i, name := range r.opts.Files {
		files[i] = &file{
			name: name, format: r.opts.Format, stdin: r.opts.Stdin, csv: r.opts.CSV,
			untimedAt: r.opts.Start.Add(time.Duration(i) * r.opts.Interval),
			read:      &r.opts.Progress.Read, untimed: &r.untimed,
		}
	}
	return files
}

// play runs rules over the whole recording and returns when it began.
func (r *run) play(ctx context.Context, p *player, set *rule.Set, resend time.Duration) (first time.Time, err error) {
	r.points, r.batches, r.late, r.untimed, r.refused = 0, 0, 0, 0, 0
	m, err := newMerger(ctx, r.files(), r.opts.Window, r.refuse)
	if err != nil {
		return first, err
	}
	defer m.close()
	for {
		b, late, err := m.next(ctx)
		if errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			return first, err
		}
		if p.e == nil {
			first = b.Time
			start := b.Time.Add(-time.Second)
			p.e = evaluate.New(set, r.options(resend), start)
			p.begin(start)
		}
		r.points += int64(b.Points)
		r.batches++
		if late {
			r.late += int64(b.Points)
		}
		r.opts.Progress.Points.Store(r.points)
		if err := p.batch(ctx, b); err != nil {
			return first, err
		}
	}
	if p.e == nil {
		return first, nil
	}
	return first, p.finish(ctx)
}

// refuse decides whether a replay goes on after what cannot be read.
func (r *run) refuse(err error) error {
	if !r.opts.KeepGoing {
		return err
	}
	r.refused++
	if r.opts.Refused != nil {
		r.opts.Refused(err)
	}
	return nil
}

func (r *run) options(resend time.Duration) evaluate.Options {
	return evaluate.Options{
		Tagging: evaluate.TagNone, ExternalLabels: r.opts.ExternalLabels, ResendInterval: resend,
		NeverMatched: neverMatched, MaxAge: time.Hour, MaxFuture: 5 * time.Minute,
		SeriesPerRule: r.opts.SeriesPerRule, Series: r.opts.Series,
		TranslationStrategy: r.opts.TranslationStrategy, PromoteResourceAttributes: r.opts.PromoteResourceAttributes,
		Lookback: r.opts.Lookback, EvaluationInterval: r.opts.EvaluationInterval, WholeHistory: true,
	}
}

// tracks reports whether some rule misses series that are quiet.
func tracks(set *rule.Set) bool {
	return slices.ContainsFunc(set.Rules(), func(r *rule.Rule) bool { return r.NoData.Action == rule.NoDataRaise })
}

// stillOpen are the open episodes in the order in which they fired.
func stillOpen(open map[string]*Episode) []*Episode {
	var all []*Episode
	for _, e := range open {
		all = append(all, e)
	}
	slices.SortFunc(all, func(a, b *Episode) int {
		if c := a.Fired.Compare(b.Fired); c != 0 {
			return c
		}
		return strings.Compare(a.Group+"\x00"+a.Rule+"\x00"+a.ID, b.Group+"\x00"+b.Rule+"\x00"+b.ID)
	})
	return all
}

func sorted(variants map[string]*variant) []*variant {
	var all []*variant
	for n := range len(variants) {
		for name, v := range variants {
			if strings.HasSuffix(name, fmt.Sprintf("%s%d", variantMark, n)) {
				all = append(all, v)
			}
		}
	}
	return all
}
