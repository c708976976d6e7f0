// Package translate turns OTLP metrics into Prometheus series, as Prometheus' own OTLP endpoint does it and with its
// library, but only those that somebody wants: rules select a handful of names out of everything that a pipeline
// carries.
package translate

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/prometheus/otlptranslator"
	"github.com/prometheus/prometheus/config"
	"github.com/prometheus/prometheus/model/histogram"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/storage/remote/otlptranslator/prometheusremotewrite"
	"go.opentelemetry.io/collector/pdata/pmetric"
)

// Sink takes the series. Both methods are called by many goroutines at once.
type Sink interface {
	// Wants says whether a series of this metric name could be selected.
	Wants(name string) bool
	// Append takes one sample; st, t and now are milliseconds, st is 0 where the start is not known. An error says that
	// this sample was refused and nothing about the next one. The sink may keep ls and h.
	Append(ls labels.Labels, st, t int64, v float64, h *histogram.Histogram, fh *histogram.FloatHistogram, now int64) error
}

// Options say how names and labels are made, and what is bounded how. The zero value is Prometheus' default
// configuration.
type Options struct {
	// Strategy is one of Prometheus' translation strategies (otlp.translation_strategy); "" is its default,
	// UnderscoreEscapingWithSuffixes.
	Strategy string
	// Promote names the resource attributes that become labels of every series (otlp.promote_resource_attributes).
	Promote []string
	// PromoteAll makes labels of all resource attributes except those in Ignore.
	PromoteAll bool
	Ignore     []string
	// PromoteScope makes labels of a scope's name, version, schema URL and attributes.
	PromoteScope bool
	// KeepIdentifying leaves service.name, service.namespace and service.instance.id in target_info.
	KeepIdentifying bool
	// Lookback is the evaluation's lookback delta: within a batch target_info gets a sample every half of it. 0: 5 minutes.
	Lookback time.Duration

	// MaxAge and MaxFuture bound the event times that are taken, relative to now; 0 is no bound.
	MaxAge, MaxFuture time.Duration

	// Names bounds how many OTLP metrics (name, unit and type) decisions are remembered for, and how many translated
	// names are described. 0: 20,000.
	Names int
	// Series bounds how many series' labels are remembered; of further ones they are made anew with every point, which
	// takes ten times as long. 0: 100,000.
	Series int
	// Streams bounds how many delta streams are accumulated at once; points of further ones are dropped and counted.
	// 0: 100,000.
	Streams int
	// Forget is how long the sum of a delta stream is kept without a point; a later point begins a new sum. 0: 1 hour.
	Forget time.Duration
}

const (
	defaultNames    = 20_000
	defaultSeries   = 100_000
	defaultStreams  = 100_000
	defaultForget   = time.Hour
	defaultLookback = 5 * time.Minute
)

// Validate finds what New would not accept; the errors are meant for whoever wrote the configuration.
func (o Options) Validate() error {
	switch otlptranslator.TranslationStrategyOption(o.Strategy) {
	case "", otlptranslator.UnderscoreEscapingWithSuffixes, otlptranslator.UnderscoreEscapingWithoutSuffixes,
		otlptranslator.NoUTF8EscapingWithSuffixes, otlptranslator.NoTranslation:
	default:
		return fmt.Errorf("translation strategy must be one of %s, %s, %s, %s (got %q)",
			otlptranslator.UnderscoreEscapingWithSuffixes, otlptranslator.UnderscoreEscapingWithoutSuffixes,
			otlptranslator.NoUTF8EscapingWithSuffixes, otlptranslator.NoTranslation, o.Strategy)
	}
	if o.PromoteAll && len(o.Promote) > 0 {
		return fmt.Errorf("all resource attributes are promoted already, so none can be named for it (got %q)", o.Promote)
	}
	if !o.PromoteAll && len(o.Ignore) > 0 {
		return fmt.Errorf("resource attributes can be ignored only where all are promoted (got %q)", o.Ignore)
	}
	names := NewNames(o.Strategy)
	for _, name := range o.Promote {
		if _, err := names.Label(name); err != nil {
			return fmt.Errorf("resource attribute %q cannot become a label: %w", name, err)
		}
	}
	return nil
}

func (o Options) strategy() otlptranslator.TranslationStrategyOption {
	if o.Strategy == "" {
		return otlptranslator.UnderscoreEscapingWithSuffixes
	}
	return otlptranslator.TranslationStrategyOption(o.Strategy)
}

// Translator turns OTLP into series of its sink. Many goroutines may use one at once.
type Translator struct {
	opts     Options
	sink     Sink
	settings prometheusremotewrite.Settings
	labels   otlptranslator.LabelNamer
	choices  choices
	families families
	known    *streams
	deltas   *accumulator
	sessions sync.Pool
}

// New expects options that Validate accepts.
func New(opts Options, sink Sink) *Translator {
	opts.Names = orDefault(opts.Names, defaultNames)
	opts.Series = orDefault(opts.Series, defaultSeries)
	opts.Streams = orDefault(opts.Streams, defaultStreams)
	opts.Forget = orDefault(opts.Forget, defaultForget)
	opts.Lookback = orDefault(opts.Lookback, defaultLookback)
	strategy, names := opts.strategy(), NewNames(opts.Strategy)
	t := &Translator{
		opts:   opts,
		sink:   sink,
		labels: names.labels,
		settings: prometheusremotewrite.Settings{
			AddMetricSuffixes: strategy.ShouldAddSuffixes(),
			AllowUTF8:         !strategy.ShouldEscape(),
			PromoteResourceAttributes: prometheusremotewrite.NewPromoteResourceAttributes(config.OTLPConfig{
				PromoteAllResourceAttributes: opts.PromoteAll,
				PromoteResourceAttributes:    opts.Promote,
				IgnoreResourceAttributes:     opts.Ignore,
			}),
			PromoteScopeMetadata:                 opts.PromoteScope,
			KeepIdentifyingResourceAttributes:    opts.KeepIdentifying,
			LookbackDelta:                        opts.Lookback,
			LabelNameUnderscoreSanitization:      config.DefaultOTLPConfig.LabelNameUnderscoreSanitization,
			LabelNamePreserveMultipleUnderscores: config.DefaultOTLPConfig.LabelNamePreserveMultipleUnderscores,
			ConvertHistogramsToNHCB:              config.DefaultOTLPConfig.ConvertHistogramsToNHCB,
		},
		known:  newStreams(opts.Series),
		deltas: newAccumulator(opts.Streams, opts.Forget),
	}
	t.choices.limit, t.families.limit = opts.Names, opts.Names
	t.choices.namer = names.metrics
	t.sessions.New = func() any { return newSession(t) }
	t.Reselect()
	return t
}

func orDefault[T int | time.Duration](v, fallback T) T {
	if v <= 0 {
		return fallback
	}
	return v
}

// Reselect asks the sink anew what it wants. It must be called after the sink's answers have changed: they are
// remembered. What is under way in other goroutines may still go by the old ones.
func (t *Translator) Reselect() {
	t.choices.reset(t.sink)
	t.families.keep(t.sink)
}

// Counts say what became of a batch: what nobody wants is not in them. Repeated batches are told apart by the sink, not
// here, except for deltas.
type Counts struct {
	// Appended and Refused are samples that the sink took and did not take.
	Appended, Refused int
	// NoTime, Old and Future are points without a time and with one out of bounds.
	NoTime, Old, Future int
	// Missing are points without a value: blank readings, and numbers of no type.
	Missing int
	// Repeated are delta points that are not newer than what has been added up.
	Repeated int
	// Overflow are delta points of streams beyond the limit.
	Overflow int
	// Untranslatable are metrics and points that have no equal in Prometheus: names without a valid character, sums without
	// a temporality, exponential histograms with buckets wider than a factor of 2^16.
	Untranslatable int
}

// Dropped is how many points and samples were not appended.
func (c Counts) Dropped() int {
	return c.Refused + c.NoTime + c.Old + c.Future + c.Missing + c.Repeated + c.Overflow + c.Untranslatable
}

// Consume appends what is wanted of md, and leaves md as it is. A batch is taken whole whatever becomes of the request
// that brought it. The order of points within a stream is the sender's.
func (t *Translator) Consume(_ context.Context, md pmetric.Metrics, now time.Time) Counts {
	if !t.choices.any(md) {
		return Counts{}
	}
	s := t.sessions.Get().(*session)
	counts := s.take(md, now)
	if !s.worn() {
		t.sessions.Put(s)
	}
	return counts
}
