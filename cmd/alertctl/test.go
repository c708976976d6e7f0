package main

import (
	"errors"
	"fmt"
	"os"
	"regexp"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/otelcol-escalation/otelcol-escalation/internal/rule"
	"github.com/otelcol-escalation/otelcol-escalation/internal/unittest"
)

type testOptions struct {
	run           []string
	junit         string
	debug         bool
	ignoreUnknown bool

	selected *regexp.Regexp
}

func newTest() *cobra.Command {
	var opts testOptions
	cmd := &cobra.Command{
		Use:   "test FILE...",
		Short: "Run unit tests of rules: promtool's test files, with a few keys of our own",
		Long: `test runs unit tests of rules against the evaluator that the threshold processor runs. A test file is one of
promtool's ('promtool test rules'), which run unchanged and with the same verdict: it gives series, and says which alerts
and which query results there must be at which time.

  rule_files: [rules.yaml]            # globs, relative to this file
  evaluation_interval: 1m             # all groups are evaluated at this step
  tests:
    - name: the KV cache fills up
      interval: 1m                    # the distance of the values below
      input_series:
        - series: vllm:kv_cache_usage_perc{instance="gpu-1", service="chat"}
          values: 0.5 0.95x10 0.99x5  # also 1+2x10, stale, _ and native histograms {{...}}
      alert_rule_test:
        - eval_time: 8m
          alertname: KVCacheNearlyFull
          exp_alerts:
            - exp_labels: {instance: gpu-1, service: chat}
              exp_annotations:
                summary: KV cache 95% full on gpu-1
                runbook_url: https://runbooks.example.com/kv-cache
              exp_tier: high                  # ours, compared where it is written:
              exp_owner: inference-platform   # the alert's owner
              exp_state: firing               # or pending
              exp_action: []                  # rollback, manual_intervention
      promql_expr_test:
        - expr: max(vllm:kv_cache_usage_perc)
          eval_time: 12m
          exp_samples: [{labels: '{}', value: 0.99}]

A series whose name is that of a rule's 'metric' is told to the rule as points of an OTLP gauge: job and instance are its
resource's service.name and service.instance.id, the other labels its attributes.

Every FILE is a path or a glob. Results go to the standard output, with file, line, column and key of what failed;
files that cannot be read, and warnings, to the standard error. docs/testing-rules.md says more.

Exit codes: 0 every test passed, 1 a test failed or a file cannot be read, 2 wrong usage.`,
		Example: `  alertctl test tests/*.yaml
  alertctl test --run 'KV cache' tests/vllm.yaml            # only tests whose names match
  alertctl test --junit report.xml 'tests/*.yaml'           # for CI
  alertctl test --debug tests/vllm.yaml 2>samples.txt       # with every sample there was`,
		Args: cobra.MinimumNArgs(1),
		ValidArgsFunction: func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
			return []string{"yaml", "yml"}, cobra.ShellCompDirectiveFilterFileExt
		},
		PreRunE: func(cmd *cobra.Command, _ []string) error {
			if !cmd.Flags().Changed("run") {
				return nil
			}
			selected, err := regexp.Compile(strings.Join(opts.run, "|"))
			if err != nil {
				return fmt.Errorf("--run must be a regular expression: %w", err)
			}
			opts.selected = selected
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error { return test(cmd, args, &opts) },
	}
	flags := cmd.Flags()
	flags.StringArrayVar(&opts.run, "run", nil, "run only the tests whose names match this regular expression (may be given several times)")
	flags.StringVar(&opts.junit, "junit", "", "write the results to this file as JUnit XML as well")
	flags.BoolVar(&opts.debug, "debug", false, "print every sample at the end of each test, those of rules too, to the standard error")
	flags.BoolVar(&opts.ignoreUnknown, "ignore-unknown-fields", false, "pass over unknown keys of rule files, which the processor refuses")
	if err := errors.Join(
		cmd.RegisterFlagCompletionFunc("run", cobra.NoFileCompletions),
		cmd.RegisterFlagCompletionFunc("junit", cobra.FixedCompletions([]string{"xml"}, cobra.ShellCompDirectiveFilterFileExt)),
	); err != nil {
		panic(err) // the flags stand above
	}
	return cmd
}

// test runs all files, also after one that failed.
func test(cmd *cobra.Command, args []string, opts *testOptions) error {
	out := testReport{out: cmd.OutOrStdout(), errs: cmd.ErrOrStderr(), started: time.Now()}
	files, err := rule.Files(args)
	out.refused(err)
	for _, file := range files {
		out.add(unittest.Run(cmd.Context(), file, unittest.Options{
			Run: opts.selected, IgnoreUnknownKeys: opts.ignoreUnknown, Dump: opts.debug,
		}))
	}
	out.summarize()
	if opts.junit != "" {
		if err := writeJUnit(opts.junit, &out); err != nil {
			fmt.Fprintf(cmd.ErrOrStderr(), "the results cannot be written: %v\n", err)
			return exit(exitErrors)
		}
	}
	if out.failed() || out.err != nil {
		return exit(exitErrors)
	}
	return nil
}

func writeJUnit(path string, r *testReport) error {
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	return errors.Join(r.junit().WriteXML(f), f.Close())
}
