package thresholdprocessor

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/component/componenttest"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"

	"github.com/otelcol-escalation/otelcol-escalation/processor/thresholdprocessor/internal/metadatatest"
)

// reloaded is within what the documentation promises.
const reloaded = 5 * time.Second

// folder is a processor that follows the rule files of a folder.
type folder struct {
	*threshold
	t   *testing.T
	dir string
	out *sink
	tel *componenttest.Telemetry
}

// follow runs do with a processor of *.yaml in dir, which has to hold rules already.
func follow(t *testing.T, dir string, do func(*folder)) {
	synctest.Test(t, func(t *testing.T) {
		cfg := createDefaultConfig().(*Config)
		cfg.RuleFiles = []string{filepath.Join(dir, "*.yaml")}
		cfg.Storage = &memoryID
		f := &folder{t: t, dir: dir, out: &sink{}, tel: componenttest.NewTelemetry()}
		f.threshold = runWith(t, f.tel, cfg, f.out, newMemory().known(time.Now()))
		do(f)
		require.NoError(t, f.Shutdown(context.Background()))
		require.NoError(t, f.tel.Shutdown(context.Background()))
	})
}

func (f *folder) write(name, text string) { write(f.t, f.dir, name, text) }

func (f *folder) remove(name string) { require.NoError(f.t, os.Remove(filepath.Join(f.dir, name))) }

// pass lets the time pass within which a change must have been seen.
func (f *folder) pass() {
	time.Sleep(reloaded)
	synctest.Wait()
}

func (f *folder) feed(v float64) {
	require.NoError(f.t, f.ConsumeMetrics(context.Background(), kv(time.Now(), v)))
	time.Sleep(time.Second)
	synctest.Wait()
}

// reloads holds the counter against what it should be, by result.
func (f *folder) reloads(want map[string]int64) {
	f.t.Helper()
	var points []metricdata.DataPoint[int64]
	for result, n := range want {
		points = append(points, metricdata.DataPoint[int64]{Attributes: attribute.NewSet(attribute.String("result", result)), Value: n})
	}
	metadatatest.AssertEqualProcessorThresholdReloads(f.t, f.tel, points, ignoringTime)
}

// ruleAbove is a file with one rule.
func ruleAbove(name string, bound float64) string {
	return fmt.Sprintf("groups: [{name: g, rules: [{alert: %s, metric: kv, owner: a, tiers: {high: {above: %g}}}]}]", name, bound)
}

func TestChangedFile(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, "a.yaml", ruleAbove("Full", 0.9))
	follow(t, dir, func(f *folder) {
		f.feed(0.85)
		assert.Empty(t, f.out.story(t))
		f.write("a.yaml", ruleAbove("Full", 0.8))
		f.pass()
		f.feed(0.85)
		assert.Equal(t, []string{"firing high threshold"}, f.out.story(t))

		// What fires goes on over a change, and is judged by the new threshold.
		f.write("a.yaml", ruleAbove("Full", 0.84))
		f.pass()
		assert.Len(t, f.out.story(t), 1)
		f.feed(0.84)
		assert.Equal(t, []string{"firing high threshold", "inactive high recovered"}, f.out.story(t))
		f.reloads(map[string]int64{"accepted": 2})
	})
}

func TestTouchedFileIsPassedOver(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, "a.yaml", ruleAbove("Full", 0.9))
	follow(t, dir, func(f *folder) {
		f.write("a.yaml", ruleAbove("Full", 0.9))
		require.NoError(t, os.Chtimes(filepath.Join(dir, "a.yaml"), time.Now(), time.Now()))
		f.pass()
		_, err := f.tel.GetMetric("otelcol_processor_threshold_reloads")
		require.Error(t, err, "nothing was counted")
	})
}

// A bad file is refused once, its last good version goes on, and other files follow.
func TestBadFile(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, "a.yaml", ruleAbove("Full", 0.9))
	write(t, dir, "b.yaml", ruleAbove("Fuller", 0.95))
	follow(t, dir, func(f *folder) {
		f.write("a.yaml", "groups: [{name: g, rules: [{alert: Full, metric: kv, tiers: {high: {over: 1}}}]}]")
		f.write("b.yaml", ruleAbove("Fuller", 0.99))
		for range 10 {
			f.pass()
		}
		f.reloads(map[string]int64{"refused": 1, "accepted": 1})
		f.feed(0.97)
		assert.Equal(t, []string{"firing high threshold"}, f.out.story(t), "Full at its old threshold, Fuller at its new one")

		f.write("a.yaml", ruleAbove("Full", 0.98))
		f.pass()
		f.feed(0.97)
		assert.Equal(t, []string{"firing high threshold", "inactive high recovered"}, f.out.story(t))
		f.reloads(map[string]int64{"refused": 1, "accepted": 2})
	})
}

func TestRemovedFile(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, "a.yaml", ruleAbove("Full", 0.9))
	write(t, dir, "b.yaml", ruleAbove("Other", 2))
	follow(t, dir, func(f *folder) {
		f.feed(0.95)
		f.remove("a.yaml")
		f.pass()
		assert.Equal(t, []string{"firing high threshold", "inactive high rule_removed"}, f.out.story(t))
		f.feed(0.95)
		assert.Len(t, f.out.story(t), 2)
		f.reloads(map[string]int64{"removed": 1})

		// A new file comes like a changed one.
		f.write("c.yaml", ruleAbove("Full", 0.9))
		f.pass()
		f.feed(0.95)
		assert.Equal(t, []string{"firing high threshold", "inactive high rule_removed", "firing high threshold"}, f.out.story(t))
	})
}

// A rule that moves to another file keeps what it has firing, in whichever order the files are looked at.
func TestRuleMovesBetweenFiles(t *testing.T) {
	for name, files := range map[string][2]string{"down": {"a.yaml", "b.yaml"}, "up": {"b.yaml", "a.yaml"}} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			write(t, dir, files[0], ruleAbove("Full", 0.9))
			write(t, dir, files[1], ruleAbove("Other", 2))
			follow(t, dir, func(f *folder) {
				f.feed(0.95)
				f.write(files[1], ruleAbove("Full", 0.9))
				f.pass()
				f.reloads(map[string]int64{"refused": 1}) // it stands in both
				f.write(files[0], ruleAbove("Other", 2))
				f.pass()
				f.feed(0.96)
				assert.Equal(t, []string{"firing high threshold"}, f.out.story(t))
				f.feed(0.5)
				assert.Equal(t, []string{"firing high threshold", "inactive high recovered"}, f.out.story(t))
			})
		})
	}
}

// A file that waits for another one is refused once, whatever else changes meanwhile.
func TestWaitingFileIsRefusedOnce(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, "a.yaml", ruleAbove("Full", 0.9))
	write(t, dir, "c.yaml", ruleAbove("Other", 2))
	follow(t, dir, func(f *folder) {
		f.write("b.yaml", ruleAbove("Full", 0.9))
		f.pass()
		f.reloads(map[string]int64{"refused": 1})
		f.write("c.yaml", ruleAbove("Other", 3))
		f.pass()
		f.reloads(map[string]int64{"refused": 1, "accepted": 1})
	})
}

func TestRenamedFile(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, "a.yaml", ruleAbove("Full", 0.9))
	follow(t, dir, func(f *folder) {
		f.feed(0.95)
		require.NoError(t, os.Rename(filepath.Join(dir, "a.yaml"), filepath.Join(dir, "b.yaml")))
		f.pass()
		f.pass()
		f.feed(0.96)
		f.feed(0.5)
		assert.Equal(t, []string{"firing high threshold", "inactive high recovered"}, f.out.story(t))
	})
}

// Kubernetes mounts a ConfigMap as links to a link to a folder, and swaps that: no file's time or name changes.
func TestSymlinkSwap(t *testing.T) {
	dir := t.TempDir()
	for version, bound := range map[string]float64{"v1": 0.9, "v2": 0.8} {
		require.NoError(t, os.Mkdir(filepath.Join(dir, version), 0o700))
		write(t, filepath.Join(dir, version), "a.yaml", ruleAbove("Full", bound))
	}
	link := func(version string) {
		next := filepath.Join(dir, "..data_tmp")
		require.NoError(t, os.Symlink(version, next))
		require.NoError(t, os.Rename(next, filepath.Join(dir, "..data")))
	}
	link("v1")
	require.NoError(t, os.Symlink(filepath.Join("..data", "a.yaml"), filepath.Join(dir, "a.yaml")))
	follow(t, dir, func(f *folder) {
		f.feed(0.85)
		assert.Empty(t, f.out.story(t))
		link("v2")
		f.pass()
		f.feed(0.85)
		assert.Equal(t, []string{"firing high threshold"}, f.out.story(t))
		f.reloads(map[string]int64{"accepted": 1})
	})
}

// An editor that writes a file in two goes must not end the rules that come in the second.
func TestHalfWrittenFileIsNotTaken(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, "a.yaml", ruleAbove("Full", 0.9))
	follow(t, dir, func(f *folder) {
		f.feed(0.95)
		for range 10 { // at whatever moment the processor looks
			f.write("a.yaml", "")
			time.Sleep(reloadTicks * tickInterval / 2)
			f.write("a.yaml", ruleAbove("Full", 0.9))
			time.Sleep(2*reloaded + 300*time.Millisecond)
		}
		synctest.Wait()
		assert.Equal(t, []string{"firing high threshold"}, f.out.story(t))
	})
}
