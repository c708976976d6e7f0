package escalationexporter

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/component/componentstatus"
	"go.opentelemetry.io/collector/component/componenttest"
	"go.opentelemetry.io/collector/pdata/pmetric"

	"github.com/otelcol-escalation/otelcol-escalation/internal/alert"
	"github.com/otelcol-escalation/otelcol-escalation/internal/escalate"
	"github.com/otelcol-escalation/otelcol-escalation/internal/ledger"
	"github.com/otelcol-escalation/otelcol-escalation/internal/ledger/ledgertest"
	"github.com/otelcol-escalation/otelcol-escalation/internal/notify"
)

// rig is an exporter with a ledger of its own and destinations that only write down what they are sent.
type rig struct {
	t      *testing.T
	ledger *shaky
	people *people
	hook   *hook
	host   *host
	start  time.Time
	x      *escalation
	judged int64
	// change, where set, is applied to the configuration of the next start.
	change  func(*Config)
	inhibit []escalate.InhibitRule
	// peers are the Alertmanagers of the next start.
	peers []poster
}

func testSpec() escalate.Spec {
	s := escalate.DefaultSpec()
	s.ExternalURL = "https://alerts.example.com"
	s.Owners = map[string]escalate.OwnerSpec{
		"inference": {Steps: []escalate.StepSpec{
			{Receivers: []string{"oncall"}},
			{After: 15 * time.Minute, Receivers: []string{"lead"}},
		}},
		"unowned": {Steps: []escalate.StepSpec{{Receivers: []string{"everyone"}}}},
	}
	return s
}

// play runs a test in a bubble of its own time, with a started exporter.
func play(t *testing.T, test func(t *testing.T, r *rig)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, ledgertest.New(t))
		r.begin()
		t.Cleanup(r.finish) // runs before the ledger is closed, and also after a failure
		test(t, r)
	})
}

func newRig(t *testing.T, l ledger.Ledger) *rig {
	r := &rig{t: t, ledger: &shaky{Ledger: l}, people: newPeople(), hook: &hook{}, start: time.Now()}
	r.host = &host{Host: componenttest.NewNopHost(), provider: provider{r.ledger}}
	return r
}

// begin starts an exporter on the ledger.
func (r *rig) begin() {
	r.t.Helper()
	config := createDefaultConfig().(*Config)
	config.Spec = testSpec()
	if r.change != nil {
		r.change(config)
	}
	policy, err := escalate.Build(config.Spec, escalate.Document{Receiver: func(string) bool { return true }, InhibitRules: r.inhibit})
	require.NoError(r.t, err)
	r.x, err = newEscalation(component.MustNewID("escalation"), componenttest.NewNopTelemetrySettings(), config, policy, r.actions(config), r.people)
	require.NoError(r.t, err)
	r.x.jitter = func() float64 { return 0 }
	require.NoError(r.t, r.x.start(r.t.Context(), r.host))
	r.settle()
}

// finish shuts the exporter down.
func (r *rig) finish() {
	if r.x != nil {
		assert.NoError(r.t, r.x.shutdown(context.Background()))
		r.x = nil
	}
}

// kill stops the exporter as a crash would: nothing that it still wants to write reaches the ledger.
func (r *rig) kill() {
	r.t.Helper()
	broken := r.ledger
	broken.set(errors.New("killed"))
	_ = r.x.shutdown(context.Background())
	r.x = nil
	r.ledger = &shaky{Ledger: broken.Ledger}
	r.host.provider = provider{r.ledger}
}

// settle waits until nothing more happens without time passing.
func (r *rig) settle() { synctest.Wait() }

// after lets time pass.
func (r *rig) after(d time.Duration) {
	time.Sleep(d)
	r.settle()
}

// judge is a judgement about an alert, newer than every one before.
func (r *rig) judge(id string, state alert.State, severity alert.Severity, change ...func(*alert.Alert)) alert.Alert {
	r.judged++
	value, threshold := 0.97, 0.9
	a := alert.Alert{
		ID: id, Group: "vllm", Rule: "KVCacheNearlyFull", Severity: severity, Owner: "inference",
		Labels: map[string]string{"instance": id}, State: state,
		Start: r.start.Add(-time.Minute), Time: time.Now().Add(time.Duration(r.judged)),
		Value: &value, ObservedAt: time.Now(), Threshold: &threshold, ValidFor: 3 * time.Minute,
		Reason: alert.ReasonThreshold, SourceMetric: "vllm:kv_cache_usage_perc", Response: "Drain the replica.",
		Annotations: map[string]string{"summary": "KV cache full"},
	}
	if state == alert.Inactive {
		a.Reason = alert.ReasonRecovered
	}
	for _, c := range change {
		c(&a)
	}
	return a
}

func batch(judgements ...alert.Alert) pmetric.Metrics {
	md := pmetric.NewMetrics()
	w := alert.NewWriter(md)
	for i := range judgements {
		w.Append(&judgements[i])
	}
	return md
}

// consume gives the exporter judgements in one batch.
func (r *rig) consume(judgements ...alert.Alert) {
	r.t.Helper()
	require.NoError(r.t, r.x.consume(r.t.Context(), batch(judgements...)))
	r.settle()
}

func (r *rig) fires(id string, severity alert.Severity) {
	r.t.Helper()
	r.consume(r.judge(id, alert.Firing, severity))
}

func (r *rig) recovers(id string) {
	r.t.Helper()
	r.consume(r.judge(id, alert.Inactive, alert.Low))
}

// episode is the newest of an alert.
func (r *rig) episode(id string) *ledger.Episode {
	r.t.Helper()
	var e *ledger.Episode
	require.NoError(r.t, r.ledger.View(r.t.Context(), time.Now(), func(tx ledger.Tx) (err error) {
		e, err = tx.LastEpisode(id)
		return err
	}))
	return e
}

func (r *rig) group(id string) *ledger.Group {
	r.t.Helper()
	e := r.episode(id)
	var g *ledger.Group
	require.NoError(r.t, r.ledger.View(r.t.Context(), time.Now(), func(tx ledger.Tx) (err error) {
		g, err = tx.Group(e.GroupID)
		return err
	}))
	return g
}

// does lets a person do something to an alert's newest episode.
func (r *rig) does(id string, deed func(tx ledger.Tx, episodeID string) error) {
	r.t.Helper()
	e := r.episode(id)
	require.NoError(r.t, r.ledger.Update(r.t.Context(), time.Now(), func(tx ledger.Tx) error { return deed(tx, e.ID) }))
	r.settle()
}

func (r *rig) acknowledges(by, id string) {
	r.t.Helper()
	r.does(id, func(tx ledger.Tx, e string) error { return ledger.Acknowledge(tx, e, by, "") })
}

// expect compares what was sent since the last call with lines such as "15m0s oncall/webhook[0] firing: a, b".
func (r *rig) expect(lines ...string) {
	r.t.Helper()
	var got []string
	sent := r.people.take()
	slices.SortStableFunc(sent, func(a, b message) int { // destinations do not wait for each other
		return cmp.Or(a.at.Compare(b.at), cmp.Compare(a.destination, b.destination))
	})
	for _, m := range sent {
		got = append(got, m.describe(r.start))
	}
	require.Equal(r.t, lines, got)
}

// message is what a destination was sent.
type message struct {
	at          time.Time
	destination string
	notify.Message
}

func (m message) describe(start time.Time) string {
	line := fmt.Sprintf("%s %s", m.at.Sub(start), m.destination)
	for i, a := range m.Alerts {
		state := "firing"
		if !a.EndsAt.IsZero() {
			state = "resolved"
		}
		if i > 0 {
			line += ","
		}
		line += fmt.Sprintf(" %s %s %s", a.Labels["instance"], a.Labels["severity"], state)
	}
	return line
}

// people are destinations: one webhook per receiver.
type people struct {
	mu   sync.Mutex
	sent []message
	// answer, where set for a destination, decides about each try.
	answer map[string]func(ctx context.Context, m notify.Message) error
	tries  map[string]int
}

func newPeople() *people {
	return &people{answer: map[string]func(context.Context, notify.Message) error{}, tries: map[string]int{}}
}

func (p *people) names() []string { return []string{"oncall", "lead", "everyone"} }

func (p *people) Destinations(receiver string) ([]notify.Destination, bool) {
	for _, name := range p.names() {
		if name == receiver {
			return []notify.Destination{{Name: name + "/webhook[0]", Receiver: name, SendResolved: true}}, true
		}
	}
	return nil, false
}

func (p *people) All() []notify.Destination {
	var all []notify.Destination
	for _, name := range p.names() {
		d, _ := p.Destinations(name)
		all = append(all, d...)
	}
	return all
}

func (p *people) answers(destination string, answer func(context.Context, notify.Message) error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.answer[destination] = answer
}

func (p *people) Send(ctx context.Context, destination string, m notify.Message) error {
	p.mu.Lock()
	p.tries[destination]++
	answer := p.answer[destination]
	p.mu.Unlock()
	if answer != nil {
		if err := answer(ctx, m); err != nil {
			return err
		}
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.sent = append(p.sent, message{at: time.Now(), destination: destination, Message: m})
	return nil
}

func (p *people) take() []message {
	p.mu.Lock()
	defer p.mu.Unlock()
	sent := p.sent
	p.sent = nil
	return sent
}

func (p *people) Close() {}

// shaky is a ledger that can be made to fail.
type shaky struct {
	ledger.Ledger
	mu      sync.Mutex
	err     error
	updates int
}

func (s *shaky) set(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.err = err
}

func (s *shaky) failure() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.err
}

func (s *shaky) Update(ctx context.Context, now time.Time, fn func(ledger.Tx) error) error {
	s.mu.Lock()
	s.updates++
	s.mu.Unlock()
	if err := s.failure(); err != nil {
		return err
	}
	return s.Ledger.Update(ctx, now, fn)
}

func (s *shaky) View(ctx context.Context, now time.Time, fn func(ledger.Tx) error) error {
	if err := s.failure(); err != nil {
		return err
	}
	return s.Ledger.View(ctx, now, fn)
}

func (s *shaky) Healthy(ctx context.Context) error {
	if err := s.failure(); err != nil {
		return err
	}
	return s.Ledger.Healthy(ctx)
}

// provider is the extension.
type provider struct{ of ledger.Ledger }

func (p provider) Start(context.Context, component.Host) error { return nil }
func (p provider) Shutdown(context.Context) error              { return nil }
func (p provider) Ledger() ledger.Ledger                       { return p.of }

// host has the ledger's extension, and remembers what the exporter reports about itself.
type host struct {
	component.Host
	provider provider
	storage  component.Component // nil: none
	mu       sync.Mutex
	statuses []componentstatus.Status
}

func (h *host) GetExtensions() map[component.ID]component.Component {
	all := map[component.ID]component.Component{component.MustNewID("alert_ledger"): h.provider}
	if h.storage != nil {
		all[storageID] = h.storage
	}
	return all
}

func (h *host) Report(e *componentstatus.Event) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.statuses = append(h.statuses, e.Status())
}

func (h *host) reported() []componentstatus.Status {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.statuses
}

// actions are the configured ones, with hooks that only write down what they are asked.
func (r *rig) actions(config *Config) *actions {
	a, errs := config.Actions.build()
	require.Empty(r.t, errs)
	a.peers = r.peers
	for name := range a.hooks {
		a.hooks[name] = r.hook
	}
	return a
}

// hook is a deployment system.
type hook struct {
	mu    sync.Mutex
	asked []notify.Rollback
	err   error
}

func (h *hook) Ask(_ context.Context, r notify.Rollback, _ time.Time) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.asked = append(h.asked, r)
	return h.err
}

func (h *hook) Close() {}

func (h *hook) answers(err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.err = err
}

func (h *hook) take() []notify.Rollback {
	h.mu.Lock()
	defer h.mu.Unlock()
	asked := h.asked
	h.asked = nil
	return asked
}
