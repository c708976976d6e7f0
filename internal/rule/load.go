package rule

import (
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/otelcol-escalation/otelcol-escalation/internal/alert"
)

// Defaults is what the configuration around the rules says about rules that do not say it themselves.
type Defaults struct {
	// DefaultOwner owns what nobody else does; "" is "unowned".
	DefaultOwner string
	// DefaultSeverity is that of a plain rule without a known `severity` label; NoSeverity is Medium.
	DefaultSeverity alert.Severity
	// SeverityLabels adds to alert.DefaultSeverityLabels.
	SeverityLabels map[string]alert.Severity
	// HoldFor is how long a firing alert outlives its data; 0 is 1h.
	HoldFor time.Duration
	// EvaluationInterval is that of groups without `interval`; 0 leaves them without.
	EvaluationInterval time.Duration
	// ExternalURL is what templates see as $externalURL.
	ExternalURL string
	// IgnoreUnknownKeys passes over keys that are not known, as promtool can: the processor never does.
	IgnoreUnknownKeys bool
	// Lookback is PromQL's look-back, which every selector without a range reads; 0 is 5m.
	Lookback time.Duration
}

func (d Defaults) filled() Defaults {
	if d.DefaultOwner == "" {
		d.DefaultOwner = "unowned"
	}
	if d.DefaultSeverity == alert.NoSeverity {
		d.DefaultSeverity = alert.Medium
	}
	if d.HoldFor == 0 {
		d.HoldFor = time.Hour
	}
	if d.Lookback == 0 {
		d.Lookback = 5 * time.Minute
	}
	labels := alert.DefaultSeverityLabels()
	for name, severity := range d.SeverityLabels {
		labels[strings.ToLower(name)] = severity
	}
	d.SeverityLabels = labels
	return d
}

// Load reads every file that the globs name and the inline groups (see Inline; nil is none), which stand in the
// configuration under `groups`. The error is of type Errors and lists everything that is wrong, over all files.
func Load(globs []string, inline any, d Defaults) (*Set, error) {
	files, err := Files(globs)
	var errs Errors
	errs.add(err)
	var groups []*Group
	for _, file := range files {
		read, err := ReadFile(file, d)
		errs.add(err)
		groups = append(groups, read...)
	}
	read, err := Inline("groups", inline, d)
	errs.add(err)
	set, err := Combine(append(groups, read...))
	errs.add(err)
	if len(errs) > 0 {
		return nil, errs
	}
	return set, nil
}

// add takes over what err consists of.
func (e *Errors) add(err error) {
	var many Errors
	var one *Error
	switch {
	case err == nil:
	case errors.As(err, &many):
		*e = append(*e, many...)
	case errors.As(err, &one):
		*e = append(*e, one)
	default:
		*e = append(*e, &Error{Msg: err.Error()})
	}
}

// Files returns the files that the globs name, each once, in the order of the globs and then of their names. Directories
// are passed over. A glob that names no file is an error: nobody writes down a rule file that does not exist on purpose.
func Files(globs []string) ([]string, error) {
	var files []string
	var errs Errors
	seen := map[string]bool{}
	for _, glob := range globs {
		matches, err := filepath.Glob(glob)
		if err != nil {
			errs = append(errs, fileError("", "the rule file pattern %q cannot be read: %v", glob, err))
			continue
		}
		// A mounted ConfigMap holds directories beside the files.
		matches = slices.DeleteFunc(matches, isDirectory)
		if len(matches) == 0 {
			errs = append(errs, fileError("", "no file matches %q: correct the pattern or create the file", glob))
		}
		for _, file := range matches {
			if !seen[file] {
				seen[file] = true
				files = append(files, file)
			}
		}
	}
	return files, errs.err()
}

func isDirectory(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.IsDir()
}

// ReadFile is LoadFile of what the file holds now.
func ReadFile(path string, d Defaults) ([]*Group, error) {
	content, err := Contents(path)
	if err != nil {
		return nil, Errors{fileError(path, "%v", err)}
	}
	return LoadFile(path, content, d)
}

// Contents is what a file holds, up to one byte more than a rule file may, so that LoadFile sees that it is too large. It
// reads regular files only: a pipe would keep whoever reads it waiting, for ever where nobody writes.
func Contents(path string) ([]byte, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, fmt.Errorf("cannot be read: %w", bare(err))
	}
	if info.IsDir() {
		return nil, errors.New("cannot be read: is a directory")
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("must be a regular file (got %s)", fileKind(info.Mode()))
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("cannot be read: %w", bare(err))
	}
	defer f.Close()
	content, err := io.ReadAll(io.LimitReader(f, maxFileSize+1))
	if err != nil {
		return nil, fmt.Errorf("cannot be read: %w", bare(err))
	}
	return content, nil
}

func fileKind(mode os.FileMode) string {
	switch {
	case mode&os.ModeNamedPipe != 0:
		return "a pipe"
	case mode&os.ModeSocket != 0:
		return "a socket"
	default:
		return "a device"
	}
}

// Read is LoadFile of what r holds; path names it in errors. It reads no more than a file may hold.
func Read(path string, r io.Reader, d Defaults) ([]*Group, error) {
	content, err := io.ReadAll(io.LimitReader(r, maxFileSize+1)) // one more, so that LoadFile sees that it is too large
	if err != nil {
		return nil, Errors{fileError(path, "cannot be read: %v", bare(err))}
	}
	return LoadFile(path, content, d)
}

// bare is a file error without the path, which our errors have already.
func bare(err error) error {
	var pathErr *os.PathError
	if errors.As(err, &pathErr) {
		return pathErr.Err
	}
	return err
}

// LoadFile reads one rule file. A file is taken whole or not at all: the error is of type Errors and lists everything
// that is wrong with it.
func LoadFile(path string, content []byte, d Defaults) ([]*Group, error) {
	root, failed := parseDocument(path, content)
	if failed != nil {
		return nil, Errors{failed}
	}
	if root == nil {
		return nil, nil
	}
	dec := newDecoder(path, d)
	groups := dec.file(dec.root(root, ""))
	return dec.result(groups)
}

// Inline reads the groups of a configuration: what `groups` of a rule file holds, as the Collector's confmap gives it (a
// list of maps). path is where they stand, such as "groups"; positions have no file and no line.
func Inline(path string, groups any, d Defaults) ([]*Group, error) {
	if groups == nil {
		return nil, nil
	}
	node, err := nodeOf(groups)
	if err != nil {
		return nil, Errors{{Position: Position{Path: path}, Msg: err.Error()}}
	}
	dec := newDecoder("", d)
	return dec.result(dec.groups(dec.root(node, path)))
}

// Combine makes one set of the groups of several files and checks what only all of them together can show.
func Combine(groups []*Group) (*Set, error) {
	var errs Errors
	seen, twins := map[string]*Rule{}, twins{}
	all := slices.Clone(groups)
	for i, g := range groups {
		for j, r := range g.Rules {
			key := r.identity()
			first, taken := seen[key]
			if taken && r.Metric != "" {
				if first.Position.File != r.Position.File { // within one file, reading it has found it
					errs = append(errs, r.indistinct(first))
				}
				continue
			}
			seen[key] = r
			if twin := twins.of(r); twin != r.Twin {
				all[i] = all[i].withTwin(j, twin)
			}
		}
	}
	if len(errs) > 0 {
		return nil, errs
	}
	return &Set{Groups: all}, nil
}

// identity is what the ids of a rule's alerts are made of, beside the series.
func (r *Rule) identity() string {
	h := hasher(r.naming())
	if r.Metric == "" {
		h.text(r.Expr) // Prometheus runs such rules side by side, see Twin
	}
	return string(h)
}

// naming is what an alert shows of its rule.
func (r *Rule) naming() string {
	var h hasher
	h.text(r.Group)
	h.text(r.Name)
	h.text(r.Record)
	h.labels(r.Labels)
	return string(h)
}

// indistinct says that r's alerts could have the ids of first's.
func (r *Rule) indistinct(first *Rule) *Error {
	p := r.Position
	p.Path = join(p.Path, "alert")
	if r.Record != "" {
		p.Path = join(r.Position.Path, "record")
	}
	return &Error{Position: p, Msg: fmt.Sprintf(
		"its group, name and labels are those of the rule at %s, so that their alerts could not be told apart: give one of them another name or a label (got %q in group %q)",
		first.Position.place(), r.Name+r.Record, r.Group)}
}

// Warnings returns what a reviewer would remark on, in the order of the rules.
func (s *Set) Warnings() []Warning {
	var all []Warning
	for _, g := range s.Groups {
		all = append(all, g.warnings...)
		for _, r := range g.Rules {
			all = append(all, r.warnings...)
		}
	}
	return all
}

// sortedKeys is for whatever must not depend on a map's order.
func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }
