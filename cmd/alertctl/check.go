package main

import (
	"fmt"
	"io"
	"slices"

	"github.com/spf13/cobra"

	"github.com/otelcol-escalation/otelcol-escalation/internal/rule"
)

type checkOptions struct {
	output string
	strict bool
	owner  string
}

func newCheck() *cobra.Command {
	var opts checkOptions
	cmd := &cobra.Command{
		Use:   "check FILE...",
		Short: "Check rule files: errors with file, line and key, and what a reviewer would remark on",
		Long: `check reads rule files with the code that the threshold processor reads them with: what passes here loads there.

Every FILE is a path or a glob ("rules/*.yaml", quoted so that the shell leaves it alone); "-" is the standard input.
All files are checked together, as one configuration, so that rules of different files whose alerts could not be told
apart are found.

Errors and warnings go to the standard error, one per line:

  file:line:column: path: message

Exit codes: 0 nothing is wrong (there may be warnings), 1 errors, 2 wrong usage, 3 warnings with --strict.`,
		Example: `  alertctl check rules.yaml
  alertctl check 'rules/*.yaml' team/extra.yaml
  alertctl check --strict 'rules/*.yaml'                # for CI: warnings fail as well
  alertctl check --output json rules.yaml | jq -r '.errors[] | "\(.file):\(.line) \(.message)"'
  kubectl get configmap rules -o jsonpath='{.data.rules\.yaml}' | alertctl check -`,
		Args: cobra.MinimumNArgs(1),
		ValidArgsFunction: func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
			return []string{"yaml", "yml"}, cobra.ShellCompDirectiveFilterFileExt
		},
		PreRunE: func(*cobra.Command, []string) error {
			if !slices.Contains(outputs, opts.output) {
				return fmt.Errorf("--output must be text or json (got %q)", opts.output)
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			r := check(args, cmd.InOrStdin(), rule.Defaults{DefaultOwner: opts.owner})
			if err := r.write(opts.output, cmd.OutOrStdout(), cmd.ErrOrStderr()); err != nil {
				return exit(exitErrors) // whoever reads it has gone away
			}
			if code := r.exitCode(opts.strict); code != exitOK {
				return exit(code)
			}
			return nil
		},
	}
	flags := cmd.Flags()
	flags.StringVarP(&opts.output, "output", "o", outputText, "how to report: text or json")
	flags.BoolVar(&opts.strict, "strict", false, "exit with 3 when there are warnings")
	flags.StringVar(&opts.owner, "default-owner", "", "the processor's default_owner, for the warnings about owners")
	if err := cmd.RegisterFlagCompletionFunc("output", cobra.FixedCompletions(outputs, cobra.ShellCompDirectiveNoFileComp)); err != nil {
		panic(err) // the flag stands five lines above
	}
	return cmd
}

// stdinName is how positions name the standard input.
const stdinName = "<stdin>"

// check reads every file and returns what there is to say. It goes on after a bad file.
func check(args []string, stdin io.Reader, defaults rule.Defaults) *report {
	r := &report{Files: []string{}, Errors: []finding{}, Warnings: []finding{}}
	var globs []string
	var groups []*rule.Group
	for _, arg := range args {
		if arg != "-" {
			globs = append(globs, arg)
			continue
		}
		if slices.Contains(r.Files, stdinName) {
			continue
		}
		r.Files = append(r.Files, stdinName)
		read, err := rule.Read(stdinName, stdin, defaults)
		r.fail(err)
		groups = append(groups, read...)
	}
	files, err := rule.Files(globs)
	r.fail(err)
	for _, file := range files {
		r.Files = append(r.Files, file)
		read, err := rule.ReadFile(file, defaults)
		r.fail(err)
		groups = append(groups, read...)
	}
	set, err := rule.Combine(groups)
	r.fail(err)
	if err != nil {
		set = &rule.Set{Groups: groups}
	}
	r.Rules = len(set.Rules())
	for _, w := range set.Warnings() {
		r.Warnings = append(r.Warnings, newFinding(w.Position, w.Msg, severityWarning))
	}
	return r
}
