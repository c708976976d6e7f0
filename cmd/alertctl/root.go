package main

import (
	"errors"
	"fmt"
	"io"

	"github.com/spf13/cobra"
)

// Exit codes, the same for every command. They are part of the interface: scripts and CI branch on them.
const (
	exitOK       = 0
	exitErrors   = 1 // the rules are wrong, or a test of theirs fails
	exitUsage    = 2 // the command line is wrong
	exitWarnings = 3 // --strict, and there are warnings but no errors
)

// exit is a command's result where it is not exitOK and has been reported already.
type exit int

func (e exit) Error() string { return fmt.Sprintf("exit code %d", int(e)) }

// run is the whole command: arguments and streams in, exit code out.
func run(args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	root := newRoot()
	root.SetArgs(args)
	root.SetIn(stdin)
	root.SetOut(stdout)
	root.SetErr(stderr)
	err := root.Execute()
	var code exit
	switch {
	case err == nil:
		return exitOK
	case errors.As(err, &code):
		return int(code)
	default: // every other error is cobra's, about the command line
		fmt.Fprintf(stderr, "alertctl: %v\nSee 'alertctl --help'.\n", err)
		return exitUsage
	}
}

func newRoot() *cobra.Command {
	root := &cobra.Command{
		Use:   "alertctl",
		Short: "Check, test, replay, calibrate and draw alert rule files",
		Long: `alertctl works on the rule files of the threshold processor: Prometheus rule files, with keys of our own for
metrics that are checked as they pass through an OpenTelemetry Collector.

A first rule, to be saved as rules.yaml and checked with 'alertctl check rules.yaml':

  groups:
    - name: vllm
      rules:
        - alert: KVCacheNearlyFull
          metric: vllm:kv_cache_usage_perc
          tiers:
            critical: {above: 0.98, for: 1m, clear: 0.95}
            high:     {above: 0.90, for: 5m}
          owner: inference-platform
          response: Drain the replica, then add one.
          annotations:
            summary: KV cache {{ $value | humanizePercentage }} full on {{ $labels.instance }}
            runbook_url: https://runbooks.example.com/kv-cache`,
		SilenceErrors: true,
		SilenceUsage:  true,
	}
	root.AddCommand(newCheck(), newTest(), newReplay(), newCalibrate(), newDashboard())
	root.AddCommand(newSchema())
	return root
}
