package main

//go:generate go run . schema --out ../../rules/schema.json

import (
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"github.com/otelcol-escalation/otelcol-escalation/internal/rule"
)

func newSchema() *cobra.Command {
	var out string
	cmd := &cobra.Command{
		Use:   "schema",
		Short: "Print the JSON Schema of rule files, for editors",
		Long: `schema prints the JSON Schema (draft 2020-12) of a rule file. With it an editor completes keys, explains them, and marks
what is misspelt while it is being written. What only reading a file can find, such as PromQL that does not parse or
tiers in the wrong order, is found by 'alertctl check'.

Editors that use yaml-language-server (VS Code, Neovim, Helix, …) take it from the first line of a rule file:

  # yaml-language-server: $schema=./schema.json`,
		Example: `  alertctl schema > schema.json
  alertctl schema --out rules/schema.json`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			text, err := rule.Schema()
			if err == nil && out != "" {
				err = os.WriteFile(out, text, 0o644) //nolint:gosec // it is to be read by everybody
			} else if err == nil {
				_, err = cmd.OutOrStdout().Write(text)
			}
			if err != nil {
				fmt.Fprintf(cmd.ErrOrStderr(), "alertctl: %v\n", err)
				return exit(exitErrors)
			}
			return nil
		},
	}
	cmd.Flags().StringVar(&out, "out", "", "write it into this file instead")
	return cmd
}
