package thresholdprocessor

import (
	"context"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/component/componenttest"
	"go.opentelemetry.io/collector/confmap/confmaptest"
	"go.opentelemetry.io/collector/consumer"
	"go.opentelemetry.io/collector/extension/xextension/storage"
	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/pmetric"
	"go.opentelemetry.io/collector/processor/processortest"

	"github.com/otelcol-escalation/otelcol-escalation/internal/alert"
)

// sink keeps what arrives, in order, unless refuse says otherwise.
type sink struct {
	mu      sync.Mutex
	batches []pmetric.Metrics
	refuse  func(pmetric.Metrics) error
}

func (*sink) Capabilities() consumer.Capabilities { return consumer.Capabilities{} }

func (s *sink) ConsumeMetrics(_ context.Context, md pmetric.Metrics) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.refuse != nil {
		if err := s.refuse(md); err != nil {
			return err
		}
	}
	kept := pmetric.NewMetrics()
	md.CopyTo(kept)
	s.batches = append(s.batches, kept)
	return nil
}

func (s *sink) refuseWith(refuse func(pmetric.Metrics) error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.refuse = refuse
}

// all is everything that arrived, in the order in which it did.
func (s *sink) all() pmetric.Metrics {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := pmetric.NewMetrics()
	for _, md := range s.batches {
		for _, rm := range md.ResourceMetrics().All() {
			rm.CopyTo(all.ResourceMetrics().AppendEmpty())
		}
	}
	return all
}

// states are the judgements that arrived, in order, without those that only repeat.
func (s *sink) states(t testing.TB) []alert.Alert {
	var states []alert.Alert
	last := map[string]alert.Alert{}
	alert.Read(s.all(), func(a alert.Alert) {
		before, known := last[a.ID]
		last[a.ID] = a
		if !known || before.State != a.State || before.Severity != a.Severity || before.Reason != a.Reason {
			states = append(states, a)
		}
	}, func(p alert.Problem) { t.Errorf("an alert.state point cannot be read: %s", p) })
	return states
}

// story is states in short: "firing high threshold".
func (s *sink) story(t testing.TB) []string {
	var story []string
	for _, a := range s.states(t) {
		story = append(story, a.State.String()+" "+a.Severity.String()+" "+string(a.Reason))
	}
	return story
}

func (s *sink) clear() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.batches = nil
}

func isState(md pmetric.Metrics) bool {
	return md.ResourceMetrics().Len() > 0 &&
		md.ResourceMetrics().At(0).ScopeMetrics().At(0).Metrics().At(0).Name() == alert.MetricState
}

// configOf reads a processor's configuration as the Collector does. Relative rule files are those beside it.
func configOf(t testing.TB, path string) *Config {
	t.Helper()
	conf, err := confmaptest.LoadConf(path)
	require.NoError(t, err)
	cfg := createDefaultConfig().(*Config)
	require.NoError(t, conf.Unmarshal(cfg))
	for i, file := range cfg.RuleFiles {
		if !filepath.IsAbs(file) {
			cfg.RuleFiles[i] = filepath.Join(filepath.Dir(path), file)
		}
	}
	return cfg
}

// kvRule is one group with one rule over the gauge "kv": critical above 0.98 for 1m, high above 0.9 at once.
func kvRule() []any {
	return []any{map[string]any{"name": "g", "rules": []any{map[string]any{
		"alert": "Full", "metric": "kv", "owner": "platform",
		"tiers": map[string]any{
			"critical": map[string]any{"above": 0.98, "for": "1m"},
			"high":     map[string]any{"above": 0.9},
		},
	}}}}
}

func kvConfig() *Config {
	cfg := createDefaultConfig().(*Config)
	cfg.Groups = kvRule()
	return cfg
}

// kv is a batch of one gauge with one point per value, of the series "0", "1" and so on.
func kv(at time.Time, values ...float64) pmetric.Metrics {
	md := pmetric.NewMetrics()
	rm := md.ResourceMetrics().AppendEmpty()
	rm.Resource().Attributes().PutStr("service.name", "vllm")
	rm.Resource().Attributes().PutStr("service.instance.id", "i-1")
	m := rm.ScopeMetrics().AppendEmpty().Metrics().AppendEmpty()
	m.SetName("kv")
	points := m.SetEmptyGauge().DataPoints()
	for i, v := range values {
		p := points.AppendEmpty()
		p.SetDoubleValue(v)
		p.SetTimestamp(pcommon.NewTimestampFromTime(at))
		p.Attributes().PutInt("gpu", int64(i))
	}
	return md
}

// run starts the processor; it is shut down with the test unless it has been killed.
func run(t testing.TB, cfg *Config, next consumer.Metrics, host component.Host) *threshold {
	t.Helper()
	return runWith(t, componenttest.NewTelemetry(), cfg, next, host)
}

func runWith(t testing.TB, tel *componenttest.Telemetry, cfg *Config, next consumer.Metrics, host component.Host) *threshold {
	t.Helper()
	require.NoError(t, cfg.Validate())
	set := processortest.NewNopSettings(NewFactory().Type())
	set.TelemetrySettings = tel.NewTelemetrySettings()
	p, err := NewFactory().CreateMetrics(context.Background(), set, cfg, next)
	require.NoError(t, err)
	require.NoError(t, p.Start(context.Background(), host))
	return p.(*threshold)
}

// memory is a storage extension that outlives the processors which use it, and fails or hangs as told.
type memory struct {
	component.StartFunc
	component.ShutdownFunc

	mu   sync.Mutex
	kept map[string][]byte
	err  error
	hang chan struct{} // what is asked meanwhile waits until it is closed
}

var memoryID = component.MustNewID("memory")

func newMemory() *memory { return &memory{kept: map[string][]byte{}} }

// known makes the storage one that an earlier run has used, so that recoveries are not announced.
func (m *memory) known(at time.Time) *memory {
	m.kept["v1/meta"] = []byte(`{"as_of":"` + at.UTC().Format(time.RFC3339Nano) + `"}`)
	return m
}

func (m *memory) GetExtensions() map[component.ID]component.Component {
	return map[component.ID]component.Component{memoryID: m}
}

func (m *memory) GetClient(context.Context, component.Kind, component.ID, string) (storage.Client, error) {
	return m, nil
}

func (m *memory) set(err error, hang chan struct{}) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.err, m.hang = err, hang
}

// holds reports whether something is stored under keys that begin so.
func (m *memory) holds(prefix string) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	for key := range m.kept {
		if strings.HasPrefix(key, prefix) {
			return true
		}
	}
	return false
}

func (m *memory) Batch(_ context.Context, ops ...*storage.Operation) error {
	m.mu.Lock()
	hang := m.hang
	m.mu.Unlock()
	if hang != nil {
		<-hang // whatever the context says: a stuck disk does not ask
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.err != nil {
		return m.err
	}
	for _, op := range ops {
		switch op.Type {
		case storage.Get:
			op.Value = slices.Clone(m.kept[op.Key])
		case storage.Set:
			m.kept[op.Key] = slices.Clone(op.Value)
		case storage.Delete:
			delete(m.kept, op.Key)
		}
	}
	return nil
}

func (m *memory) Get(ctx context.Context, key string) ([]byte, error) {
	op := storage.GetOperation(key)
	return op.Value, m.Batch(ctx, op)
}

func (m *memory) Set(ctx context.Context, key string, value []byte) error {
	return m.Batch(ctx, storage.SetOperation(key, value))
}

func (m *memory) Delete(ctx context.Context, key string) error {
	return m.Batch(ctx, storage.DeleteOperation(key))
}

func (*memory) Close(context.Context) error { return nil }
