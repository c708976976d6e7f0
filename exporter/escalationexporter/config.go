package escalationexporter

import (
	"errors"
	"fmt"
	"log/slog"
	"time"

	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/confmap"

	"github.com/otelcol-escalation/otelcol-escalation/internal/escalate"
	"github.com/otelcol-escalation/otelcol-escalation/internal/notify"
)

// Config is the exporter's configuration. Beside its own keys it takes `receivers`, `global` and `templates` of
// Alertmanager's document.
type Config struct {
	// Ledger is the extension that keeps the record.
	Ledger component.ID `mapstructure:"ledger"`
	// LedgerTimeout is how long a commit may take before transitions go to the journal.
	LedgerTimeout time.Duration `mapstructure:"ledger_timeout"`
	// Storage is the extension that keeps the journal; without one it is in memory.
	Storage *component.ID `mapstructure:"storage"`

	escalate.Spec `mapstructure:",squash"`

	// Document is Alertmanager's part. It hides its content, most of which is secrets.
	Document notify.Document `mapstructure:"-"`

	// RefusePrivate keeps what `receivers` send out of private networks and off this machine.
	RefusePrivate bool `mapstructure:"refuse_private_addresses"`

	// Undeliverable names the receivers that are paged where others cannot be.
	Undeliverable []string       `mapstructure:"undeliverable_to"`
	Watchdog      WatchdogConfig `mapstructure:"watchdog"`
	// Actions are what alerts may ask of deployment systems.
	Actions ActionsConfig `mapstructure:"actions"`

	// Alertmanagers are the peers that are told of every alert, by their API v2.
	Alertmanagers []PeerConfig `mapstructure:"alertmanagers"`

	MuteTimeIntval any `mapstructure:"mute_time_intervals"`
}

// WatchdogConfig is a page that goes out again and again while all is well; somebody else misses it when it stops.
type WatchdogConfig struct {
	// Receiver takes it; empty: there is none.
	Receiver string `mapstructure:"receiver"`
	// Interval is the time between two of them.
	Interval time.Duration `mapstructure:"interval"`
}

var (
	_ component.Config    = (*Config)(nil)
	_ confmap.Unmarshaler = (*Config)(nil)
	_ confmap.Validator   = (*Config)(nil)
)

func createDefaultConfig() component.Config {
	return &Config{
		Ledger:        component.MustNewID("alert_ledger"),
		LedgerTimeout: time.Second,
		Spec:          escalate.DefaultSpec(),
		Watchdog:      WatchdogConfig{Interval: time.Minute},
		Actions:       ActionsConfig{Rollback: RollbackConfig{RollbackSpec: escalate.DefaultRollbackSpec()}},
	}
}

// Unmarshal takes Alertmanager's keys out before the rest is read: they are not the Collector's to understand.
func (c *Config) Unmarshal(conf *confmap.Conf) error {
	document, err := notify.ReadDocument(conf)
	if err != nil {
		return err
	}
	ours := confmap.New()
	if err := ours.Merge(conf); err != nil {
		return err
	}
	for _, key := range notify.Keys {
		ours.Delete(key)
	}
	if err := spellOut(ours); err != nil {
		return err
	}
	type plain Config // without this method
	if err := ours.Unmarshal((*plain)(c)); err != nil {
		return err
	}
	c.Document = document
	return nil
}

// Validate builds what Start will use.
func (c *Config) Validate() error {
	_, actions, receivers, err := c.build(nil)
	if err == nil {
		receivers.Close()
		actions.close()
	}
	return err
}

// build compiles the policy, the actions and the receivers.
func (c *Config) build(logger *slog.Logger) (*escalate.Policy, *actions, *notify.Receivers, error) {
	var errs []error
	if c.LedgerTimeout <= 0 {
		errs = append(errs, fmt.Errorf("ledger_timeout: must be positive (got %s)", c.LedgerTimeout))
	}
	if escalate.IsSet(c.MuteTimeIntval) {
		errs = append(errs, errors.New("mute_time_intervals: is Alertmanager's old name of time_intervals: rename it"))
	}
	receivers, err := notify.Build(c.Document, notify.Options{
		ExternalURL: c.ExternalURL, Logger: logger, Guard: notify.Guard{Private: c.RefusePrivate},
	})
	document := escalate.Document{Receiver: func(string) bool { return true }} // without receivers, every name in a step would be an error too many
	if err != nil {
		errs = append(errs, err)
	} else {
		document.Receiver = func(name string) bool {
			_, ok := receivers.Destinations(name)
			return ok
		}
		document.TimeIntervals = receivers.TimeIntervals()
		rules, err := receivers.InhibitRules()
		errs = append(errs, err)
		for _, r := range rules {
			document.InhibitRules = append(document.InhibitRules, escalate.InhibitRule(r))
		}
	}
	errs = append(errs, c.checkReceivers(document.Receiver)...)
	actions, actionErrs := c.Actions.build()
	errs = append(errs, actionErrs...)
	peers, peerErrs := c.buildPeers()
	errs, actions.peers = append(errs, peerErrs...), peers
	policy, err := escalate.Build(c.Spec, document)
	if err = errors.Join(append(errs, err)...); err != nil {
		if receivers != nil {
			receivers.Close()
		}
		actions.close()
		return nil, nil, nil, err
	}
	return policy, actions, receivers, nil
}

// checkReceivers checks the names that stand outside of the policy.
func (c *Config) checkReceivers(known func(string) bool) (errs []error) {
	for i, name := range c.Undeliverable {
		if !known(name) {
			errs = append(errs, fmt.Errorf("undeliverable_to[%d]: no receiver has this name (got %q)", i, name))
		}
	}
	if name := c.Watchdog.Receiver; name != "" && !known(name) {
		errs = append(errs, fmt.Errorf("watchdog.receiver: no receiver has this name (got %q)", name))
	}
	if c.Watchdog.Interval < time.Second {
		errs = append(errs, fmt.Errorf("watchdog.interval: must be at least 1s (got %s)", c.Watchdog.Interval))
	}
	return errs
}
