package main

import (
	"cmp"
	"encoding/xml"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/prometheus/prometheus/util/junitxml"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// promtoolTests is where unit tests that other projects publish lie, beside the checkout. They are not part of this
// repository.
const promtoolTests = "../../../shared/testdata/promtests"

// ownTests are ours, in promtool's format without our keys.
const ownTests = "../../internal/unittest/testdata/promtool"

// verdict is what promtool says about a file. The table was made with promtool of Prometheus v0.314.0.
type verdict struct {
	// unread says that the file is no test file. Otherwise passed are how many tests pass, failed the names of the others.
	unread bool
	passed int
	failed []string
	// newer says why an old promtool (Debian has 2.42) judges otherwise.
	newer string
}

var promtoolVerdicts = map[string]verdict{
	"promtool/at-modifier-test.yml":       {passed: 1},
	"promtool/at-modifier.yml":            {unread: true},
	"promtool/bad-input-series.yml":       {failed: []string{"unnamed#0"}},
	"promtool/bad-promql.yml":             {failed: []string{"unnamed#0"}},
	"promtool/failing.yml":                {failed: []string{"Failing test", "Failing alert test"}},
	"promtool/features.yml":               {unread: true},
	"promtool/long-period.yml":            {passed: 1},
	"promtool/negative-offset-test.yml":   {passed: 1},
	"promtool/negative-offset.yml":        {unread: true},
	"promtool/no-test-group-interval.yml": {passed: 1, newer: "a test's interval is the evaluation_interval by default"},
	"promtool/prometheus-rules.lint.yml":  {unread: true},
	"promtool/rules-bad.yml":              {unread: true},
	"promtool/rules.yml":                  {unread: true},
	"promtool/rules_duplicates.yml":       {unread: true},
	"promtool/rules_run.yml":              {passed: 1, failed: []string{"wrong test"}},
	"promtool/rules_run_fuzzy.yml":        {passed: 1, failed: []string{"wrong fuzzy match"}, newer: "fuzzy_compare"},
	"promtool/rules_run_no_fuzzy.yml":     {failed: []string{"correct fuzzy match"}, newer: "fuzzy_compare"},
	"promtool/start-time-test.yml":        {passed: 4, newer: "start_timestamp"},
	"promtool/unittest.yml":               {passed: 5, newer: "histograms in exp_samples"},

	"odh-unit-tests/kserve-alerting.rules.yaml":        {unread: true},
	"odh-unit-tests/kserve-alerting.unit-tests.yaml":   {passed: 4},
	"odh-unit-tests/prometheus-configs.yaml":           {unread: true},
	"odh-unit-tests/ray-alerting.rules.yaml":           {unread: true},
	"odh-unit-tests/ray-alerting.unit-tests.yaml":      {passed: 3},
	"odh-unit-tests/trustyai-alerting.rules.yaml":      {unread: true},
	"odh-unit-tests/trustyai-alerting.unit-tests.yaml": {passed: 4},
}

// TestVerdictsArePromtools runs every file of promtoolTests and compares the verdicts with the table, and with a promtool
// where there is one: in $PROMTOOL, or in the path.
func TestVerdictsArePromtools(t *testing.T) {
	files, err := filepath.Glob(filepath.Join(promtoolTests, "*", "*.y*ml"))
	require.NoError(t, err)
	if len(files) == 0 {
		t.Skipf("NOT TESTED: no unit tests of other projects in %s", promtoolTests)
	}
	promtool := newPromtool(t)
	assert.Len(t, files, len(promtoolVerdicts), "every file has its verdict")
	for _, file := range files {
		name, err := filepath.Rel(promtoolTests, file)
		require.NoError(t, err)
		t.Run(name, func(t *testing.T) {
			want, known := promtoolVerdicts[filepath.ToSlash(name)]
			require.True(t, known, "a new file: add its verdict")
			code, suite := junit(t, file)
			wantCode := 0
			if want.unread || len(want.failed) > 0 {
				wantCode = 1
			}
			assert.Equal(t, wantCode, code)
			assert.Equal(t, want.unread, suite.ErrorCount > 0)
			assert.Equal(t, want.failed, failedCases(suite))
			if !want.unread {
				assert.Equal(t, want.passed, suite.TestCount-len(want.failed))
			}
			promtool.compare(t, file, want.newer, code, suite)
		})
	}
}

// TestOwnTestsUnderPromtool runs our tests in promtool's format under a promtool that is new enough for them.
func TestOwnTestsUnderPromtool(t *testing.T) {
	promtool := newPromtool(t)
	files, err := filepath.Glob(filepath.Join(ownTests, "*.yaml"))
	require.NoError(t, err)
	require.NotEmpty(t, files)
	for _, file := range files {
		if strings.HasSuffix(file, ".rules.yaml") {
			continue
		}
		t.Run(filepath.Base(file), func(t *testing.T) {
			code, suite := junit(t, file)
			promtool.compare(t, file, "names, start_timestamp, query_offset", code, suite)
		})
	}
}

// junit runs a file under alertctl.
func junit(t *testing.T, file string) (code int, suite *junitxml.TestSuite) {
	t.Helper()
	out := filepath.Join(t.TempDir(), "junit.xml")
	code, stdout, stderr := alertctl("", "test", "--junit", out, file)
	t.Log(stdout + stderr)
	return code, readJUnit(t, out)
}

func readJUnit(t *testing.T, path string) *junitxml.TestSuite {
	t.Helper()
	content, err := os.ReadFile(path)
	require.NoError(t, err)
	var x junitxml.JUnitXML
	require.NoError(t, xml.Unmarshal(content, &x))
	require.Len(t, x.Suites, 1)
	return x.Suites[0]
}

func failedCases(suite *junitxml.TestSuite) []string {
	var failed []string
	for _, c := range suite.Cases {
		if len(c.Failures) > 0 {
			failed = append(failed, c.Name)
		}
	}
	return failed
}

// promtool is a promtool to compare with.
type promtool struct {
	path string
	// old ones know less of the format, and only their exit code says something.
	old bool
}

func newPromtool(t *testing.T) promtool {
	t.Helper()
	path, err := exec.LookPath(cmp.Or(os.Getenv("PROMTOOL"), "promtool"))
	if err != nil {
		t.Log("NOT COMPARED with promtool: there is none in $PROMTOOL or in the path; the table alone counts")
		return promtool{}
	}
	help, _ := exec.Command(path, "test", "rules", "--help").CombinedOutput() //nolint:gosec,noctx // the developer's own
	return promtool{path: path, old: !strings.Contains(string(help), "--junit")}
}

// compare holds our verdict against promtool's.
func (p promtool) compare(t *testing.T, file, newer string, code int, suite *junitxml.TestSuite) {
	t.Helper()
	if p.path == "" || p.old && newer != "" {
		t.Logf("NOT COMPARED: this takes a newer promtool (%s)", newer)
		return
	}
	args := []string{"test", "rules", file}
	out := filepath.Join(t.TempDir(), "promtool.xml")
	if !p.old {
		args = []string{"test", "rules", "--junit=" + out, file}
	}
	command := exec.Command(p.path, args...) //nolint:gosec,noctx // the developer's own
	said, _ := command.CombinedOutput()
	require.Equal(t, code, command.ProcessState.ExitCode(), "promtool says:\n%s", said)
	if !p.old {
		theirs := readJUnit(t, out)
		assert.Equal(t, failedCases(theirs), failedCases(suite), "promtool says:\n%s", said)
		assert.Equal(t, theirs.ErrorCount, suite.ErrorCount)
		assert.Equal(t, theirs.TestCount, suite.TestCount)
	}
}
