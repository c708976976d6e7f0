package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/otelcol-escalation/otelcol-escalation/internal/alert"
	"github.com/otelcol-escalation/otelcol-escalation/internal/retune"
	"github.com/otelcol-escalation/otelcol-escalation/internal/rule"
)

type calibrateOptions struct {
	set        []string
	from       string
	rules      []string
	group      string
	note       string
	write, yes bool
	changes    []retune.Change
}

func newCalibrate() *cobra.Command {
	var opts calibrateOptions
	cmd := &cobra.Command{
		Use:   "calibrate {--from URL | --set RULE=THRESHOLD...} FILE...",
		Short: "Move thresholds in rule files: comments and layout stay, the difference is shown first",
		Long: `calibrate moves thresholds in rule files, and changes nothing else: comments, order and layout stay as they are. The
'clear' of a threshold moves by as much. A threshold that stands in a PromQL expression is moved there.

With --from the calibration receiver is asked what it suggests, and of each suggestion it is said in a sentence what it
would have changed. What it suggests for rules that are in none of the files, or for a threshold that the files do not say
any more, is left alone. A user name and password may stand in the URL; what else is to be sent as the Authorization
header, such as "Bearer …", is taken from the environment variable ALERTCTL_AUTHORIZATION.

With --set you say yourself what is moved:

  KVCacheNearlyFull=0.93            the rule's one threshold
  KVCacheNearlyFull/high=0.93       that of a tier
  InputDrift/high:low=0.1           one bound of outside: low or high

The difference is shown, and nothing is written without --write. With --write you are asked first, unless --yes says that
you have seen it. Every file is read again as the processor reads it: a change that it would refuse is never written. A
running processor follows within seconds. With --from the receiver is told of what was written, so that it is marked where
the rule's quality is drawn.

Exit codes: 0 done, or nothing to do; 1 it cannot be done, or you said no; 2 wrong usage.`,
		Example: `  alertctl calibrate --from http://localhost:9195 'rules/*.yaml'                              # shows what is suggested
  alertctl calibrate --from http://localhost:9195 --write 'rules/*.yaml'                      # and asks
  alertctl calibrate --from http://localhost:9195 --rule KVCacheNearlyFull --write --yes 'rules/*.yaml'
  alertctl replay --rules rules.yaml --what-if 'KVCacheNearlyFull/high=0.93' metrics.json    # what it would change
  alertctl calibrate --set 'KVCacheNearlyFull/high=0.93' --write 'rules/*.yaml'`,
		Args: cobra.MinimumNArgs(1),
		ValidArgsFunction: func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
			return []string{"yaml", "yml"}, cobra.ShellCompDirectiveFilterFileExt
		},
		PreRunE: func(*cobra.Command, []string) error { return opts.complete() },
		RunE: func(cmd *cobra.Command, args []string) error {
			ctx, stop := signal.NotifyContext(cmd.Context(), os.Interrupt)
			defer stop()
			err := opts.run(ctx, args, cmd.InOrStdin(), cmd.OutOrStdout(), cmd.ErrOrStderr())
			if err != nil {
				cmd.PrintErrln("alertctl:", err)
				return exit(exitErrors)
			}
			return nil
		},
	}
	flags := cmd.Flags()
	flags.StringArrayVar(&opts.set, "set", nil, "move this threshold: RULE=NUMBER, RULE/TIER=NUMBER or RULE/TIER:low=NUMBER (may be given several times)")
	flags.StringVar(&opts.from, "from", "", "ask this calibration receiver, such as http://localhost:9195, and tell it what was written")
	flags.StringArrayVar(&opts.rules, "rule", nil, "with --from: take suggestions for this rule alone (may be given several times)")
	flags.StringVar(&opts.note, "note", "", "with --from: why, for the record")
	flags.StringVar(&opts.group, "group", "", "look in groups of this name only")
	flags.BoolVar(&opts.write, "write", false, "write the files")
	flags.BoolVarP(&opts.yes, "yes", "y", false, "do not ask")
	return cmd
}

func (o *calibrateOptions) complete() error {
	switch {
	case len(o.set) == 0 && o.from == "":
		return errors.New("say whom to ask with --from URL, or what to move with --set RULE=THRESHOLD")
	case o.from == "" && (len(o.rules) > 0 || o.note != ""):
		return errors.New("--rule and --note go with --from")
	case len(o.set) > 0 && len(o.rules) > 0:
		return errors.New("--rule chooses among suggestions: it does not go with --set")
	}
	if o.from != "" {
		if err := checkReceiver(o.from); err != nil {
			return fmt.Errorf("--from: %w", err)
		}
	}
	for _, text := range o.set {
		c, err := parseChange(text)
		if err != nil {
			return fmt.Errorf("--set: %w", err)
		}
		c.Group = o.group
		o.changes = append(o.changes, c)
	}
	return nil
}

func parseChange(text string) (retune.Change, error) {
	i := strings.LastIndexByte(text, '=')
	if i <= 0 {
		return retune.Change{}, fmt.Errorf("expected RULE=NUMBER or RULE/TIER=NUMBER (got %q)", text)
	}
	to, err := strconv.ParseFloat(text[i+1:], 64)
	if err != nil || to-to != 0 {
		return retune.Change{}, fmt.Errorf("a threshold must be a number (got %q)", text[i+1:])
	}
	c := retune.Change{Rule: text[:i], To: to}
	if slash := strings.LastIndexByte(c.Rule, '/'); slash > 0 {
		name, side, sided := strings.Cut(c.Rule[slash+1:], ":")
		if tier, err := alert.ParseSeverity(name); err == nil {
			c.Rule, c.Tier = c.Rule[:slash], tier
			switch {
			case sided && side == "low":
				c.Bound = retune.Low
			case sided && side == "high":
				c.Bound = retune.High
			case sided:
				return retune.Change{}, fmt.Errorf("a band has the bounds low and high (got %q)", side)
			}
		}
	}
	return c, nil
}

// edited is a file with its thresholds moved.
type edited struct {
	path          string
	before, after []byte
}

func (o *calibrateOptions) run(ctx context.Context, globs []string, in io.Reader, out, errs io.Writer) error {
	files, err := readRules(globs)
	if err != nil {
		return err
	}
	changes := o.changes
	if len(o.set) == 0 {
		if changes, err = o.suggested(ctx, files, out); err != nil {
			return err
		}
	}
	if changes, err = apply(files, changes); err != nil {
		return err
	}
	files = slices.DeleteFunc(files, func(f *edited) bool { return bytes.Equal(f.before, f.after) })
	if len(files) == 0 {
		fmt.Fprintln(out, "nothing to change: the thresholds are what they should be")
		return nil
	}
	for _, f := range files {
		showDifference(out, f)
	}
	if !o.write {
		fmt.Fprintln(out, "nothing is written without --write")
		return nil
	}
	if !o.yes && !confirmed(in, out, len(files)) {
		return errors.New("nothing was written")
	}
	for _, f := range files {
		if err := replaceFile(f); err != nil {
			return err
		}
	}
	if o.from != "" {
		if err := o.tell(ctx, changes); err != nil {
			fmt.Fprintf(errs, "alertctl: the files are written, but the receiver could not be told of it, and will notice when an alert fires again: %v\n", err)
		}
	}
	return nil
}

func readRules(globs []string) ([]*edited, error) {
	paths, err := rule.Files(globs)
	if err != nil {
		return nil, err
	}
	files := make([]*edited, 0, len(paths))
	for _, path := range paths {
		content, err := rule.Contents(path)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", path, err)
		}
		files = append(files, &edited{path, content, content})
	}
	return files, nil
}

// apply makes all changes before anything is written, and returns them with what they left open. Each must be in exactly one of the
// files. A tier that may move only after another is tried again: each file on the way must be one that the processor takes.
func apply(files []*edited, changes []retune.Change) (done []retune.Change, err error) {
	for pending := changes; len(pending) > 0; {
		var refused []retune.Change
		var why error
		for _, c := range pending {
			f, settled, err := locate(files, c)
			if err != nil {
				return nil, err
			}
			after, err := retune.Apply(f.path, f.after, settled, rule.Defaults{})
			if err != nil {
				refused, why = append(refused, c), errors.Join(why, err)
				continue
			}
			if f.after = after; settled.To != *settled.From {
				done = append(done, settled)
			}
		}
		if len(refused) == len(pending) {
			return nil, why
		}
		pending = refused
	}
	return done, nil
}

// showDifference prints the lines that change. Numbers change within lines, so that both have as many.
func showDifference(out io.Writer, f *edited) {
	fmt.Fprintf(out, "--- %s\n+++ %s\n", f.path, f.path)
	before, after := strings.Split(string(f.before), "\n"), strings.Split(string(f.after), "\n")
	for i := range before {
		if before[i] != after[i] {
			fmt.Fprintf(out, "@@ -%d +%d @@\n-%s\n+%s\n", i+1, i+1, strings.TrimSuffix(before[i], "\r"), strings.TrimSuffix(after[i], "\r"))
		}
	}
}

func confirmed(in io.Reader, out io.Writer, files int) bool {
	what := "this file"
	if files > 1 {
		what = fmt.Sprintf("these %d files", files)
	}
	fmt.Fprintf(out, "write %s? [y/N] ", what)
	answer, _ := bufio.NewReader(in).ReadString('\n')
	switch strings.ToLower(strings.TrimSpace(answer)) {
	case "y", "yes":
		return true
	}
	return false
}

// replaceFile puts the new content in the place of the old in one step: a processor that reads meanwhile finds one of the two whole.
func replaceFile(f *edited) error {
	path, err := filepath.EvalSymlinks(f.path)
	if err != nil {
		return err
	}
	info, err := os.Stat(path)
	if err != nil {
		return err
	}
	if now, err := rule.Contents(path); err != nil {
		return fmt.Errorf("%s: %w", path, err)
	} else if !bytes.Equal(now, f.before) {
		return fmt.Errorf("%s has changed meanwhile: look at the difference again", f.path)
	}
	temporary, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+".*")
	if err != nil {
		return err
	}
	defer func() { _ = os.Remove(temporary.Name()) }()
	_, err = temporary.Write(f.after)
	if err == nil {
		err = temporary.Chmod(info.Mode().Perm())
	}
	if err == nil {
		err = temporary.Sync()
	}
	if err = errors.Join(err, temporary.Close()); err != nil {
		return fmt.Errorf("%s: %w", f.path, err)
	}
	return os.Rename(temporary.Name(), path)
}
