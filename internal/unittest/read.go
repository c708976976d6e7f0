package unittest

import (
	"fmt"
	"io"
	"math"
	"os"
	"slices"
	"strconv"
	"time"

	"github.com/otelcol-escalation/otelcol-escalation/internal/alert"
	"github.com/otelcol-escalation/otelcol-escalation/internal/rule"
)

// ReadFile is Read of what the file holds.
func ReadFile(path string) (*File, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err // it names the file
	}
	defer f.Close()
	content, err := io.ReadAll(io.LimitReader(f, maxFile))
	if err != nil {
		return nil, fmt.Errorf("%s cannot be read: %w", path, err)
	}
	return Read(path, content)
}

// maxFile is more than rule.ReadDocument accepts, which says so.
const maxFile = 64 << 20

// defaultInterval is promtool's evaluation_interval where none is written.
const defaultInterval = time.Minute

// Read reads a unit-test file. The error is of type rule.Errors and lists everything that is wrong with its form. What
// stands in the file as PromQL, or in the notation of series, is read when a test runs: a broken test fails alone.
func Read(path string, content []byte) (*File, error) {
	f := &File{Path: path}
	if err := rule.ReadDocument(path, content, f.read); err != nil {
		return nil, err
	}
	if f.EvaluationInterval == 0 {
		f.EvaluationInterval = defaultInterval
	}
	for _, t := range f.Tests {
		if t.Interval == 0 {
			t.Interval = f.EvaluationInterval
		}
	}
	return f, nil
}

func (f *File) read(root rule.Value) {
	m := root.Mapping([]string{"rule_files", "evaluation_interval", "group_eval_order", "tests", "fuzzy_compare"})
	f.RuleFiles = texts(m, "rule_files")
	f.EvaluationInterval = duration(m, "evaluation_interval")
	f.GroupOrder = texts(m, "group_eval_order")
	if order, ok := m.Get("group_eval_order"); ok {
		for i, name := range f.GroupOrder {
			if slices.ContainsFunc(f.GroupOrder[:i], func(t Text) bool { return t.Value == name.Value }) {
				order.List()[i].Errorf("stands twice: name each group once (got %q)", name.Value)
			}
		}
	}
	if fuzzy, ok := m.Get("fuzzy_compare"); ok {
		f.Fuzzy, _ = fuzzy.Bool()
	}
	for i, v := range list(m, "tests") {
		t := readTest(v)
		if t.Title = t.Name; t.Title == "" {
			t.Title = "unnamed#" + strconv.Itoa(i) // as promtool calls it
		}
		f.Tests = append(f.Tests, t)
	}
}

func readTest(v rule.Value) *Test {
	m := v.Mapping([]string{
		"name", "interval", "start_timestamp", "input_series", "alert_rule_test", "promql_expr_test", "external_labels", "external_url",
	})
	t := &Test{
		Position:    v.Position(),
		Name:        text(m, "name").Value,
		Interval:    duration(m, "interval"),
		Start:       time.Unix(0, 0).UTC(),
		ExternalURL: text(m, "external_url").Value,
	}
	if start, ok := m.Get("start_timestamp"); ok {
		t.Start = timestamp(start)
	}
	if labels, ok := m.Get("external_labels"); ok {
		t.ExternalLabels = labels.Strings()
	}
	for _, v := range list(m, "input_series") {
		m := v.Mapping([]string{"series", "values"})
		t.Series = append(t.Series, Series{Position: v.Position(), Name: text(m, "series"), Values: text(m, "values")})
	}
	for _, v := range list(m, "alert_rule_test") {
		t.Alerts = append(t.Alerts, readAlertTest(v))
	}
	for _, v := range list(m, "promql_expr_test") {
		t.Exprs = append(t.Exprs, readExprTest(v))
	}
	if last := t.last(); latest.Sub(t.Start) < last {
		v.Errorf("start_timestamp and the last eval_time together must lie before %d (got %s and %s)", latest.Year(), t.Start.Format(time.RFC3339), last)
	}
	return t
}

// latest is the last time that has a Unix time in nanoseconds.
var latest = time.Unix(0, math.MaxInt64).UTC()

func readAlertTest(v rule.Value) AlertTest {
	m := v.Mapping([]string{"eval_time", "alertname", "exp_alerts"})
	a := AlertTest{Position: v.Position(), At: duration(m, "eval_time"), Alertname: text(m, "alertname").Value}
	for _, v := range list(m, "exp_alerts") {
		a.Expected = append(a.Expected, readExpectedAlert(v))
	}
	return a
}

func readExpectedAlert(v rule.Value) ExpectedAlert {
	m := v.Mapping([]string{"exp_labels", "exp_annotations", "exp_tier", "exp_owner", "exp_action", "exp_state"})
	e := ExpectedAlert{Position: v.Position(), Owner: text(m, "exp_owner").Value, State: alert.Firing}
	if labels, ok := m.Get("exp_labels"); ok {
		e.Labels = labels.Strings()
	}
	if annotations, ok := m.Get("exp_annotations"); ok {
		e.Annotations = annotations.Strings()
	}
	if tier, ok := m.Get("exp_tier"); ok {
		if name, ok := tier.Text(); ok {
			severity, err := alert.ParseSeverity(name)
			if err != nil {
				tier.Errorf("%v", err)
			}
			e.Tier = severity
		}
	}
	if state, ok := m.Get("exp_state"); ok {
		switch name, ok := state.Text(); {
		case !ok:
		case name == alert.Pending.String():
			e.State = alert.Pending
		case name != alert.Firing.String():
			state.Errorf("must be pending or firing; an alert that is neither is left out (got %q)", name)
		}
	}
	if actions, ok := m.Get("exp_action"); ok {
		e.HasActions = true
		for _, v := range actions.List() {
			name, ok := v.Text()
			if a := alert.Action(name); a == alert.ActionRollback || a == alert.ActionManualIntervention {
				e.Actions = append(e.Actions, a)
			} else if ok {
				v.Errorf("must be %s or %s (got %q)", alert.ActionRollback, alert.ActionManualIntervention, name)
			}
		}
		slices.Sort(e.Actions)
	}
	return e
}

func readExprTest(v rule.Value) ExprTest {
	m := v.Mapping([]string{"expr", "eval_time", "exp_samples"})
	e := ExprTest{Position: v.Position(), Expr: text(m, "expr").Value, At: duration(m, "eval_time")}
	for _, v := range list(m, "exp_samples") {
		m := v.Mapping([]string{"labels", "value", "histogram"})
		s := ExpectedSample{Position: v.Position(), Labels: text(m, "labels").Value, Histogram: text(m, "histogram").Value}
		if value, ok := m.Get("value"); ok {
			s.Value, _ = value.Float()
		}
		e.Expected = append(e.Expected, s)
	}
	return e
}

// timestamp reads seconds since the epoch, or RFC 3339.
func timestamp(v rule.Value) time.Time {
	epoch := time.Unix(0, 0).UTC()
	text, ok := v.Text()
	if !ok {
		return epoch
	}
	t, err := time.Parse(time.RFC3339Nano, text)
	if seconds, numErr := strconv.ParseFloat(text, 64); numErr == nil {
		if math.Abs(seconds) < math.MaxInt64/1e9 { // false for NaN
			whole, part := math.Modf(seconds)
			t, err = time.Unix(int64(whole), int64(part*1e9)).UTC(), nil
		} else {
			err = numErr
			t = latest.Add(1)
		}
	}
	switch {
	case err != nil:
		v.Errorf("must be seconds since 1970, or a time such as 2024-01-31T12:00:00Z (got %s)", v.Got())
	case t.Before(epoch) || t.After(latest):
		v.Errorf("must lie between %d and %d (got %s)", epoch.Year(), latest.Year(), v.Got())
	default:
		return t
	}
	return epoch
}

// text reads a string; one that is absent is "".
func text(m rule.Fields, key string) Text {
	v, ok := m.Get(key)
	if !ok {
		return Text{}
	}
	s, _ := v.Text()
	return Text{Value: s, Position: v.Position()}
}

func texts(m rule.Fields, key string) []Text {
	var all []Text
	for _, v := range list(m, key) {
		s, _ := v.Text()
		all = append(all, Text{Value: s, Position: v.Position()})
	}
	return all
}

func list(m rule.Fields, key string) []rule.Value {
	v, ok := m.Get(key)
	if !ok {
		return nil
	}
	return v.List()
}

// duration reads a duration; one that is absent is 0.
func duration(m rule.Fields, key string) time.Duration {
	v, ok := m.Get(key)
	if !ok {
		return 0
	}
	d, _ := v.Duration()
	return d
}
