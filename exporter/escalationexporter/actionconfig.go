package escalationexporter

import (
	"context"
	"crypto/tls"
	"fmt"
	"time"

	"go.opentelemetry.io/collector/config/configopaque"
	"go.opentelemetry.io/collector/config/configoptional"
	"go.opentelemetry.io/collector/config/configtls"

	"github.com/otelcol-escalation/otelcol-escalation/internal/escalate"
	"github.com/otelcol-escalation/otelcol-escalation/internal/notify"
)

// ActionsConfig says what becomes of what alerts ask for.
type ActionsConfig struct {
	Rollback RollbackConfig `mapstructure:"rollback"`
}

// RollbackConfig is escalate.RollbackSpec with the targets.
type RollbackConfig struct {
	escalate.RollbackSpec `mapstructure:",squash"`
	Targets               []TargetConfig `mapstructure:"targets"`
}

// TargetConfig is something that can be rolled back. With neither Webhook nor ArgoRollouts it is for controllers that poll
// the gate of its name.
type TargetConfig struct {
	Name         string                                  `mapstructure:"name"`
	Rules        []string                                `mapstructure:"rules"`
	Match        map[string]string                       `mapstructure:"match"`
	Webhook      configoptional.Optional[WebhookConfig]  `mapstructure:"webhook"`
	ArgoRollouts configoptional.Optional[RolloutsConfig] `mapstructure:"argo_rollouts"`
}

// Format implements fmt.Formatter: no verb shows the secrets, which fmt would find where an optional value keeps them.
func (t TargetConfig) Format(s fmt.State, _ rune) {
	_, _ = fmt.Fprintf(s, "{%s %v %v [REDACTED]}", t.Name, t.Rules, t.Match)
}

// WebhookConfig is a webhook by the Standard Webhooks specification.
type WebhookConfig struct {
	// SigningSecret is base64, with or without "whsec_".
	SigningSecret configopaque.String `mapstructure:"signing_secret"`
	ClientConfig  `mapstructure:",squash"`
}

// RolloutsConfig is a rollout of Argo Rollouts, reached by its dashboard's HTTP API.
type RolloutsConfig struct {
	Namespace    string `mapstructure:"namespace"`
	Rollout      string `mapstructure:"rollout"`
	ClientConfig `mapstructure:",squash"`
}

// ClientConfig is where a target is reached.
type ClientConfig struct {
	Endpoint string                                          `mapstructure:"endpoint"`
	Headers  map[string]configopaque.String                  `mapstructure:"headers"`
	TLS      configoptional.Optional[configtls.ClientConfig] `mapstructure:"tls"`
}

// asker carries out a rollback.
type asker interface {
	Ask(ctx context.Context, r notify.Rollback, now time.Time) error
	Close()
}

// actions are what else the exporter talks to, built.
type actions struct {
	policy *escalate.ActionPolicy
	// hooks are by target; a target without one is for controllers that poll.
	hooks map[string]asker
	// peers are the Alertmanagers.
	peers []poster
}

func (a *actions) close() {
	for _, h := range a.hooks {
		h.Close()
	}
	for _, p := range a.peers {
		p.Close()
	}
}

// build checks and builds the actions.
func (c *ActionsConfig) build() (*actions, []error) {
	var specs []escalate.TargetSpec
	for _, t := range c.Rollback.Targets {
		specs = append(specs, escalate.TargetSpec{Name: t.Name, Rules: t.Rules, Match: t.Match})
	}
	policy, errs := escalate.BuildActions(c.Rollback.RollbackSpec, specs)
	a := &actions{policy: policy, hooks: map[string]asker{}}
	for i := range c.Rollback.Targets {
		t := &c.Rollback.Targets[i]
		path := fmt.Sprintf("actions.rollback.targets[%d]", i)
		if t.Webhook.HasValue() && t.ArgoRollouts.HasValue() {
			errs = append(errs, fmt.Errorf("%s: must have webhook or argo_rollouts, not both", path))
			continue
		}
		h, kind, err := t.hook()
		switch {
		case err != nil:
			errs = append(errs, fmt.Errorf("%s.%s.%w", path, kind, err))
		case h != nil:
			a.hooks[t.Name] = h
		}
	}
	return a, errs
}

// hook returns nil where the target has none.
func (t *TargetConfig) hook() (h asker, kind string, err error) {
	var hook *notify.Hook
	switch {
	case t.Webhook.HasValue():
		c := t.Webhook.Get()
		kind = "webhook"
		opts, optsErr := c.options(t.Name)
		if err = optsErr; err == nil {
			hook, err = notify.NewWebhook(c.Endpoint, string(c.SigningSecret), opts)
		}
	case t.ArgoRollouts.HasValue():
		c := t.ArgoRollouts.Get()
		kind = "argo_rollouts"
		opts, optsErr := c.options(t.Name)
		if err = optsErr; err == nil {
			hook, err = notify.NewArgoRollouts(c.Endpoint, c.Namespace, c.Rollout, opts)
		}
	}
	if hook == nil {
		return nil, kind, err
	}
	return hook, kind, err
}

func (c *ClientConfig) options(name string) (notify.HookOptions, error) {
	opts := notify.HookOptions{Name: name, Headers: map[string]string{}}
	for key, value := range c.Headers {
		opts.Headers[key] = string(value)
	}
	if !c.TLS.HasValue() {
		return opts, nil
	}
	var err error
	if opts.TLS, err = c.TLS.Get().LoadTLSConfig(context.Background()); err != nil {
		return opts, fmt.Errorf("tls: %w", err)
	}
	if opts.TLS == nil {
		opts.TLS = &tls.Config{MinVersion: tls.VersionTLS12}
	}
	return opts, nil
}
