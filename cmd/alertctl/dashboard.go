package main

//go:generate go run . dashboard --rules ../../rules/*.yaml --out ../../dashboards/

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/otelcol-escalation/otelcol-escalation/internal/dashboard"
	"github.com/otelcol-escalation/otelcol-escalation/internal/evaluate/translate"
	"github.com/otelcol-escalation/otelcol-escalation/internal/rule"
)

type dashboardOptions struct {
	rules    []string
	from     string
	out      string
	title    string
	strategy string
	owner    string
}

func newDashboard() *cobra.Command {
	var opts dashboardOptions
	cmd := &cobra.Command{
		Use:   "dashboard [--rules FILE...] [--from URL]",
		Short: "Draw a Grafana dashboard of the alerts' quality, and of each rule with its thresholds",
		Long: `dashboard prints a Grafana dashboard as JSON, which Grafana imports (Dashboards, New, Import). Its queries are for a
Prometheus that receives the Collector's metrics over OTLP; which one, is chosen on the dashboard.

Without --rules it is about the quality of all alerts: which rules are worst, what is open, what became of pages, budgets,
cycle times, false alarms with what the verdicts can tell, coverage, and noise that nobody had to judge. With --rules it is
about the alerts of these rules, and has a section for each of them: the rule's signal, the thresholds of its tiers as lines,
the threshold that was in force and the suggested one over time, when it fired and when a threshold changed.

With --from the calibration receiver is asked. Then the worst rules come first, and the descriptions say what is suggested
and why. A user name and password may stand in the URL; what else is to be sent as the Authorization header, such as
"Bearer …", is taken from the environment variable ALERTCTL_AUTHORIZATION.

With --out DIRECTORY/ there is a dashboard for each rule file, and alert-quality.json about all alerts.

The same rules give the same bytes, and a dashboard's uid is made of its title, so that importing it again replaces it.

Exit codes: 0 done; 1 rules cannot be read, or the receiver does not answer; 2 wrong usage.`,
		Example: `  alertctl dashboard > alert-quality.json
  alertctl dashboard --rules 'rules/*.yaml' --title 'Model servers' > dashboard.json
  alertctl dashboard --rules vllm.yaml --from http://localhost:9195 --out vllm.json   # worst first, with suggestions
  alertctl dashboard --rules 'rules/*.yaml' --out dashboards/                         # one for each file`,
		Args:    cobra.NoArgs,
		PreRunE: func(*cobra.Command, []string) error { return opts.complete() },
		RunE: func(cmd *cobra.Command, _ []string) error {
			ctx, stop := signal.NotifyContext(cmd.Context(), os.Interrupt)
			defer stop()
			err := opts.run(ctx, cmd.OutOrStdout())
			var many rule.Errors
			if errors.As(err, &many) {
				for _, one := range many {
					cmd.PrintErrln(one)
				}
				return exit(exitErrors)
			}
			if err != nil {
				cmd.PrintErrln("alertctl:", err)
				return exit(exitErrors)
			}
			return nil
		},
	}
	flags := cmd.Flags()
	flags.StringArrayVarP(&opts.rules, "rules", "r", nil, "rule file or glob (may be given several times)")
	flags.StringVar(&opts.from, "from", "", "ask this calibration receiver, such as http://localhost:9195")
	flags.StringVar(&opts.out, "out", "", "write it into this file; into a directory (which ends in / or exists), one for each rule file")
	flags.StringVar(&opts.title, "title", "", "the dashboard's title (default: after the rule file)")
	flags.StringVar(&opts.strategy, "translation-strategy", "UnderscoreEscapingWithSuffixes", "Prometheus' otlp.translation_strategy")
	flags.StringVar(&opts.owner, "default-owner", "", "the processor's default_owner")
	if err := errors.Join(
		cmd.MarkFlagFilename("rules", "yaml", "yml"),
		cmd.MarkFlagFilename("out", "json"),
		cmd.RegisterFlagCompletionFunc("translation-strategy", cobra.FixedCompletions(strategies, cobra.ShellCompDirectiveNoFileComp)),
	); err != nil {
		panic(err) // the flags stand above
	}
	for _, name := range []string{"from", "title", "default-owner"} {
		if err := cmd.RegisterFlagCompletionFunc(name, cobra.NoFileCompletions); err != nil {
			panic(err)
		}
	}
	return cmd
}

// qualityTitle is that of the dashboard about all alerts, and packTitle what those about rules begin with.
const (
	qualityTitle = "Alert quality"
	packTitle    = "Alerts"
)

func (o *dashboardOptions) complete() error {
	if err := (translate.Options{Strategy: o.strategy}).Validate(); err != nil {
		return fmt.Errorf("--translation-strategy: %w", err)
	}
	if o.from != "" {
		if err := checkReceiver(o.from); err != nil {
			return fmt.Errorf("--from: %w", err)
		}
	}
	if o.directory() && o.title != "" {
		return errors.New("--title is that of one dashboard: in a directory each is called after its rule file")
	}
	return nil
}

// directory reports whether there is to be a dashboard for each rule file.
func (o *dashboardOptions) directory() bool {
	if strings.HasSuffix(o.out, "/") || strings.HasSuffix(o.out, string(filepath.Separator)) {
		return true
	}
	info, err := os.Stat(o.out)
	return o.out != "" && err == nil && info.IsDir()
}

func (o *dashboardOptions) run(ctx context.Context, stdout io.Writer) error {
	set := &rule.Set{}
	if len(o.rules) > 0 {
		var err error
		if set, err = rule.Load(o.rules, nil, rule.Defaults{DefaultOwner: o.owner}); err != nil {
			return err
		}
	}
	var calibration []dashboard.Quality
	if o.from != "" {
		var answer struct {
			Rules []dashboard.Quality `json:"rules"`
		}
		if err := askReceiver(ctx, o.from, "/api/v1/rules", &answer); err != nil {
			return err
		}
		calibration = answer.Rules
	}
	if o.directory() {
		return o.writeEach(set, calibration)
	}
	content, err := o.draw(set.Rules(), o.titleOf(set), calibration)
	if err != nil {
		return err
	}
	if o.out != "" {
		return os.WriteFile(o.out, content, 0o644) //nolint:gosec // it is to be read by everybody
	}
	_, err = stdout.Write(content)
	return err
}

func (o *dashboardOptions) draw(rules []*rule.Rule, title string, calibration []dashboard.Quality) ([]byte, error) {
	d, err := dashboard.New(rules, dashboard.Options{Title: title, Strategy: o.strategy, Calibration: calibration})
	if err != nil {
		return nil, err
	}
	return d.JSON()
}

// titleOf is the title of one dashboard about all of the rules.
func (o *dashboardOptions) titleOf(set *rule.Set) string {
	files := filesOf(set)
	switch {
	case o.title != "":
		return o.title
	case len(set.Groups) == 0:
		return qualityTitle
	case len(files) == 1:
		return packTitle + ": " + stem(files[0])
	default:
		return packTitle
	}
}

// filesOf are the files with groups, in order.
func filesOf(set *rule.Set) (files []string) {
	for _, g := range set.Groups {
		if len(files) == 0 || files[len(files)-1] != g.File {
			files = append(files, g.File)
		}
	}
	return files
}

// stem is a file's name without its ending.
func stem(path string) string { return strings.TrimSuffix(filepath.Base(path), filepath.Ext(path)) }

// writeEach writes a dashboard for each file, and one about all alerts.
func (o *dashboardOptions) writeEach(set *rule.Set, calibration []dashboard.Quality) error {
	if err := os.MkdirAll(o.out, 0o755); err != nil { //nolint:gosec // as above
		return err
	}
	all := []struct {
		name, title string
		rules       []*rule.Rule
	}{{"alert-quality", qualityTitle, nil}}
	from := map[string]string{"alert-quality": "the one about all alerts"}
	for _, file := range filesOf(set) {
		one := &rule.Set{}
		for _, g := range set.Groups {
			if g.File == file {
				one.Groups = append(one.Groups, g)
			}
		}
		name := stem(file)
		if other, taken := from[name]; taken {
			return fmt.Errorf("%s: its dashboard would take the place of another (%s): write them to two directories", file, other)
		}
		from[name] = file
		all = append(all, struct {
			name, title string
			rules       []*rule.Rule
		}{name, packTitle + ": " + name, one.Rules()})
	}
	for _, d := range all {
		content, err := o.draw(d.rules, d.title, calibration)
		if err == nil {
			err = os.WriteFile(filepath.Join(o.out, d.name+".json"), content, 0o644) //nolint:gosec // as above
		}
		if err != nil {
			return err
		}
	}
	return nil
}
