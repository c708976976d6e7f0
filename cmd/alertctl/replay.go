package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"slices"
	"time"

	"github.com/prometheus/common/model"
	"github.com/spf13/cobra"

	"github.com/otelcol-escalation/otelcol-escalation/internal/replay"
	"github.com/otelcol-escalation/otelcol-escalation/internal/rule"
)

const outputCSV = "csv"

type replayOptions struct {
	rules      []string
	output     string
	format     string
	limit      int
	whatIf     []string
	labels     string
	start      string
	interval   string
	window     string
	lookback   string
	evaluation string
	owner      string
	noProgress bool

	replay.Options
}

func newReplay() *cobra.Command {
	var opts replayOptions
	cmd := &cobra.Command{
		Use:   "replay --rules FILE... RECORDING...",
		Short: "What rules would have done on a recording of metrics",
		Long: `replay runs rules over recorded metrics, on the evaluator that the threshold processor runs, and prints when they
would have fired, who would have been called how often, and what other thresholds would have changed. Time is the
recording's own, so that a week takes as long as reading it does.

A recording is one file or several, of any size, compressed with gzip, zstd or not at all:

  otlp-json    what the Collector's file exporter writes, or one document
  otlp-proto   the same exporter's 'format: proto', or one ExportMetricsServiceRequest
  prometheus   the text exposition: scrapes with timestamps one behind the other, or a file per scrape without; those
               are taken --interval apart, in the order in which they are given
  csv          with a column of times (RFC 3339, 2006-01-02 15:04:05 in UTC, or Unix time): either a column of values
               and columns of labels, or a column per metric

The format is told by the content. Points of all files are taken in order of time; a point that comes more than
--window after a newer one of its file is judged late, and counted.

What is printed:

  episodes     every time an alert fired: from, how long, tier, owner, peak, threshold, and the firing level, which is the
               most extreme threshold at which it would still have fired
  pages        how often each owner would have been called, per day and on the worst day
  rules        episodes, time firing, longest and median
  what if      how many episodes stricter thresholds would have left, read off the firing levels; others, laxer ones too, are
               run beside the rules with --what-if
  incidents    with --labels: known incidents that each rule caught and missed, and episodes that met none

Exit codes: 0 done, whatever fired; 1 rules or recording cannot be read; 2 wrong usage.`,
		Example: `  alertctl replay --rules 'rules/*.yaml' metrics.json
  alertctl replay --rules vllm.yaml metrics-*.json.gz                      # rotated and compressed files
  alertctl replay --rules vllm.yaml --what-if 'KVCacheNearlyFull=0.8,0.85' metrics.json
  alertctl replay --rules vllm.yaml --what-if 'KVCacheNearlyFull/critical=0.95' metrics.json
  alertctl replay --rules cpu.yaml --metric cpu --labels outages.csv cpu.csv  # outages.csv: start,end[,series]
  alertctl replay --rules vllm.yaml --plot drawings/ metrics.json          # an SVG per series that fired
  alertctl replay --rules vllm.yaml --output csv metrics.json > episodes.csv
  alertctl replay --rules vllm.yaml --output json metrics.json | jq '.summary.pages'
  zstd -dc old.json.zst | alertctl replay --rules vllm.yaml -

  To make a recording, put the file exporter behind the metrics for a while:

    exporters: {file: {path: /tmp/metrics.json}}`,
		Args: cobra.MinimumNArgs(1),
		ValidArgsFunction: func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
			return nil, cobra.ShellCompDirectiveDefault
		},
		PreRunE: opts.complete,
		RunE: func(cmd *cobra.Command, _ []string) error {
			ctx, stop := signal.NotifyContext(cmd.Context(), os.Interrupt)
			defer stop()
			return runReplay(ctx, cmd, &opts)
		},
	}
	flags := cmd.Flags()
	flags.StringArrayVarP(&opts.rules, "rules", "r", nil, "rule file or glob (may be given several times)")
	flags.StringVarP(&opts.output, "output", "o", outputText, "how to report: text, json (episodes, then the summary) or csv (episodes alone)")
	flags.IntVar(&opts.limit, "limit", 50, "show so many episodes in the text; 0 shows all")
	flags.StringArrayVar(&opts.whatIf, "what-if", nil, "run these thresholds, too: 'Rule=0.8,0.85', or 'Rule/tier=0.8' for a tier other than the lowest")
	flags.StringVar(&opts.labels, "labels", "", "CSV of known incidents (start,end[,series]): says which were caught and missed")
	flags.StringVar(&opts.Plot, "plot", "", "draw the series that fired into this directory, as SVG")
	flags.IntVar(&opts.Plots, "plots", 20, "draw at most so many series")
	flags.StringVar(&opts.format, "format", string(replay.Auto), "what the recording is: auto, otlp-json, otlp-proto, prometheus or csv")
	flags.StringVar(&opts.CSV.TimeColumn, "time-column", "", "CSV: the column of times")
	flags.StringVar(&opts.CSV.ValueColumn, "value-column", "", "CSV: the column of values; the others are labels then")
	flags.StringVar(&opts.CSV.Metric, "metric", "", "CSV: the metric's name (default: the column metric, or the value column's name)")
	flags.StringVar(&opts.CSV.FileLabel, "file-label", "", "CSV: tell series of several files apart by this label, which is the file's name without its endings")
	flags.StringVar(&opts.start, "start", "", "Prometheus text without timestamps: the time of the first file (default: when that was last changed)")
	flags.StringVar(&opts.interval, "interval", "1m", "Prometheus text without timestamps: the distance of the files")
	flags.StringVar(&opts.window, "window", "1m", "how much out of order points of a file are put in order")
	flags.BoolVar(&opts.KeepGoing, "keep-going", false, "pass over what cannot be read, and count it")
	flags.StringVar(&opts.owner, "default-owner", "", "the processor's default_owner")
	flags.StringToStringVar(&opts.ExternalLabels, "external-label", nil, "one of the processor's external_labels, as name=value")
	flags.StringVar(&opts.lookback, "lookback", "5m", "the processor's lookback")
	flags.StringVar(&opts.evaluation, "evaluation-interval", "1m", "the processor's evaluation_interval, for groups without one")
	flags.StringVar(&opts.TranslationStrategy, "translation-strategy", "UnderscoreEscapingWithSuffixes", "the processor's translation_strategy")
	flags.StringSliceVar(&opts.PromoteResourceAttributes, "promote-resource-attributes", nil, "the processor's promote_resource_attributes")
	flags.IntVar(&opts.SeriesPerRule, "series-per-rule", 10_000, "the processor's limits.series_per_rule")
	flags.IntVar(&opts.Series, "series", 1_000_000, "the processor's limits.series")
	flags.BoolVar(&opts.noProgress, "no-progress", false, "show no progress bar; without a terminal there is none anyway")
	if err := errors.Join(
		cmd.MarkFlagRequired("rules"),
		cmd.MarkFlagFilename("rules", "yaml", "yml"),
		cmd.MarkFlagFilename("labels", "csv"),
		cmd.MarkFlagDirname("plot"),
		cmd.RegisterFlagCompletionFunc("output", cobra.FixedCompletions(replayOutputs, cobra.ShellCompDirectiveNoFileComp)),
		cmd.RegisterFlagCompletionFunc("format", cobra.FixedCompletions(replay.Formats, cobra.ShellCompDirectiveNoFileComp)),
		cmd.RegisterFlagCompletionFunc("translation-strategy", cobra.FixedCompletions(strategies, cobra.ShellCompDirectiveNoFileComp)),
	); err != nil {
		panic(err) // the flags stand above
	}
	for _, name := range []string{"limit", "what-if", "plots", "time-column", "value-column", "metric", "file-label", "start", "interval", "window",
		"default-owner", "external-label", "lookback", "evaluation-interval", "promote-resource-attributes", "series-per-rule", "series"} {
		if err := cmd.RegisterFlagCompletionFunc(name, cobra.NoFileCompletions); err != nil {
			panic(err)
		}
	}
	return cmd
}

var (
	replayOutputs = []string{outputText, outputJSON, outputCSV}
	strategies    = []string{"UnderscoreEscapingWithSuffixes", "UnderscoreEscapingWithoutSuffixes", "NoUTF8EscapingWithSuffixes", "NoTranslation"}
)

// complete makes options of what was written, as far as that needs no file but the first recording's time.
func (o *replayOptions) complete(cmd *cobra.Command, args []string) error {
	if !slices.Contains(replayOutputs, o.output) {
		return fmt.Errorf("--output must be text, json or csv (got %q)", o.output)
	}
	if !slices.Contains(replay.Formats, o.format) {
		return fmt.Errorf("--format must be one of %v (got %q)", replay.Formats, o.format)
	}
	if !slices.Contains(strategies, o.TranslationStrategy) {
		return fmt.Errorf("--translation-strategy must be one of %v (got %q)", strategies, o.TranslationStrategy)
	}
	o.Format = replay.Format(o.format)
	for _, d := range []struct {
		name, text string
		into       *time.Duration
	}{
		{"interval", o.interval, &o.Interval}, {"window", o.window, &o.Window},
		{"lookback", o.lookback, &o.Lookback}, {"evaluation-interval", o.evaluation, &o.EvaluationInterval},
	} {
		parsed, err := model.ParseDuration(d.text)
		if err != nil || parsed == 0 && d.name != "window" {
			return fmt.Errorf("--%s must be a duration such as 1m (got %q)", d.name, d.text)
		}
		*d.into = time.Duration(parsed)
	}
	for _, text := range o.whatIf {
		w, err := replay.ParseWhatIf(text)
		if err != nil {
			return fmt.Errorf("--what-if: %w", err)
		}
		o.WhatIf = append(o.WhatIf, w)
	}
	if o.limit < 0 || o.Plots < 0 || o.Series < 1 || o.SeriesPerRule < 1 {
		return errors.New("--limit and --plots must not be negative, --series and --series-per-rule must be positive")
	}
	if o.start != "" {
		start, err := time.Parse(time.RFC3339, o.start)
		if err != nil {
			return fmt.Errorf("--start must be a time such as 2026-03-01T08:00:00Z (got %q)", o.start)
		}
		o.Start = start
	} else if info, err := os.Stat(args[0]); err == nil {
		o.Start = info.ModTime().Truncate(time.Second)
	} else {
		o.Start = time.Now().Truncate(time.Second)
	}
	o.Files, o.Stdin = args, cmd.InOrStdin()
	return nil
}

func runReplay(ctx context.Context, cmd *cobra.Command, opts *replayOptions) error {
	stderr := cmd.ErrOrStderr()
	set, err := rule.Load(opts.rules, nil, rule.Defaults{DefaultOwner: opts.owner, EvaluationInterval: opts.EvaluationInterval, Lookback: opts.Lookback})
	if err != nil {
		fmt.Fprintln(stderr, err)
		return exit(exitErrors)
	}
	opts.Rules = set
	if opts.labels != "" {
		if opts.Incidents, err = readIncidents(opts.labels); err != nil {
			fmt.Fprintln(stderr, err)
			return exit(exitErrors)
		}
	}
	out := newEpisodes(opts.output, cmd.OutOrStdout(), opts.limit)
	bar := newProgress(stderr, opts.noProgress)
	opts.Progress = &bar.Progress
	opts.Episode = func(e *replay.Episode) error { return bar.around(func() error { return out.episode(e) }) }
	opts.Refused = func(err error) {
		_ = bar.around(func() error { _, err := fmt.Fprintf(stderr, "passed over: %v\n", err); return err })
	}
	bar.start()
	summary, err := replay.Run(ctx, opts.Options)
	bar.stop()
	if err != nil {
		fmt.Fprintln(stderr, hint(err))
		return exit(exitErrors)
	}
	if err := out.close(&summary); err != nil {
		return exit(exitErrors) // whoever reads it has gone away
	}
	return nil
}

func readIncidents(path string) ([]replay.Incident, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	incidents, err := replay.ReadIncidents(path, f)
	if incidents == nil {
		incidents = []replay.Incident{} // known to be none
	}
	return incidents, err
}

// hint says how to go on in spite of an error, where that is possible.
func hint(err error) error {
	var bad *replay.InputError
	if errors.As(err, &bad) && bad.Passable {
		return fmt.Errorf("%w\n(--keep-going passes over what cannot be read)", err)
	}
	return err
}
