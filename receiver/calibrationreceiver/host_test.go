package calibrationreceiver

import (
	"context"
	"testing"

	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/component/componentstatus"

	"github.com/otelcol-escalation/otelcol-escalation/internal/ledger"
	"github.com/otelcol-escalation/otelcol-escalation/internal/ledger/ledgertest"
)

// ledgerHost is a Collector with a ledger and whatever else a test puts there.
type ledgerHost struct {
	extensions map[component.ID]component.Component
	statuses   chan *componentstatus.Event
}

func newLedgerHost(t testing.TB) *ledgerHost { return newHost(ledgertest.New(t)) }

func newHost(l ledger.Ledger) *ledgerHost {
	return &ledgerHost{
		extensions: map[component.ID]component.Component{component.MustNewID("alert_ledger"): &provider{ledger: l}},
		statuses:   make(chan *componentstatus.Event, 100),
	}
}

func (h *ledgerHost) GetExtensions() map[component.ID]component.Component { return h.extensions }
func (h *ledgerHost) Report(e *componentstatus.Event)                     { h.statuses <- e }

// provider is the alert_ledger extension as the receiver sees it.
type provider struct{ ledger ledger.Ledger }

func (p *provider) Start(context.Context, component.Host) error { return nil }
func (p *provider) Shutdown(context.Context) error              { return nil }
func (p *provider) Ledger() ledger.Ledger                       { return p.ledger }
