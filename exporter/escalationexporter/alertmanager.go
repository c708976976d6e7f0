package escalationexporter

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"time"

	"go.opentelemetry.io/collector/confmap"
	"go.uber.org/zap"

	"github.com/otelcol-escalation/otelcol-escalation/internal/escalate"
	"github.com/otelcol-escalation/otelcol-escalation/internal/ledger"
	"github.com/otelcol-escalation/otelcol-escalation/internal/notify"
)

const (
	// peerResend is how often a peer is told again of what fires, peerValid how long it takes that for true: three sends in a
	// row may be missed.
	peerResend = time.Minute
	peerValid  = 4 * peerResend
	// peerEnds is how long the end of an alert is repeated, as Prometheus does.
	peerEnds = 15 * time.Minute
	// peerRest is the least time between two looks: in a flood, changes add up.
	peerRest = 100 * time.Millisecond
)

// poster is what the exporter needs of a notify.Peer.
type poster interface {
	Post(ctx context.Context, alerts []notify.Alert, validUntil time.Time) error
	Close()
}

// PeerConfig is one Alertmanager. In a configuration it may be its address alone.
type PeerConfig struct {
	ClientConfig `mapstructure:",squash"`
}

// Format implements fmt.Formatter: no verb shows headers and keys.
func (c PeerConfig) Format(s fmt.State, _ rune) { _, _ = fmt.Fprintf(s, "{%s [REDACTED]}", c.Endpoint) }

// spellOut makes mappings of the entries of `alertmanagers` that are addresses alone.
func spellOut(conf *confmap.Conf) error {
	const key = "alertmanagers"
	given, ok := conf.Get(key).([]any)
	if !ok {
		return nil
	}
	all := make([]any, 0, len(given))
	for i, one := range given {
		switch v := one.(type) {
		case string:
			all = append(all, map[string]any{"endpoint": v})
		case map[string]any:
			all = append(all, v)
		default:
			return fmt.Errorf("%s[%d]: must be an address such as http://alertmanager:9093, or a mapping with endpoint", key, i)
		}
	}
	return conf.Merge(confmap.NewFromStringMap(map[string]any{key: all}))
}

// buildPeers builds the Alertmanagers.
func (c *Config) buildPeers() (peers []poster, errs []error) {
	for i := range c.Alertmanagers {
		path := fmt.Sprintf("alertmanagers[%d]", i)
		client := &c.Alertmanagers[i].ClientConfig
		opts, err := client.options(path)
		if err == nil {
			var peer *notify.Peer
			if peer, err = notify.NewPeer(client.Endpoint, opts); err == nil {
				peers = append(peers, peer)
				continue
			}
		}
		errs = append(errs, fmt.Errorf("%s.%w", path, err))
	}
	return peers, errs
}

// peer keeps one Alertmanager told of the alerts as they stand in the ledger. Its memory only saves requests: after a
// restart everything is told again.
type peer struct {
	x    *escalation
	name string
	to   poster
	told map[string]posted // by episode id
	// failures in a row.
	failures int
}

// posted is what a peer was told of an episode last.
type posted struct {
	alert notify.Alert
	at    time.Time
	// ended is when the ledger said that it had ended.
	ended bool
}

// tell runs until ctx ends.
func (p *peer) tell(ctx context.Context) {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		changed := p.x.ledger.Changed()
		wait := longestWait
		if p.x.ledger.Standing().Leads {
			wait = p.look(ctx)
		} else {
			p.told = map[string]posted{} // who leads may tell other things meanwhile
		}
		timer.Reset(wait)
		select {
		case <-ctx.Done():
			return
		case <-timer.C:
			continue
		case <-changed:
		}
		rest := peerRest
		if p.failures > 0 {
			rest = escalate.Backoff(p.failures, false, 0, p.x.jitter())
		}
		if !p.x.sleep(ctx, rest) {
			return
		}
	}
}

// look tells what has changed and what is due to be repeated. It returns how long nothing more will be.
func (p *peer) look(ctx context.Context) (wait time.Duration) {
	episodes, now, err := p.episodes(ctx)
	if err != nil {
		return ledgerRetry
	}
	next := map[string]posted{}
	var due []notify.Alert
	for _, e := range episodes {
		before, known := p.told[e.ID]
		if e.Open() && e.HeldAt(now) != "" {
			if known && !before.ended {
				due = append(due, over(before.alert, now))
			}
			continue
		}
		if !e.Open() && !known && !p.worthEnding(e, now) {
			continue
		}
		a := p.x.policy.Alert(e, now)
		if known && !maps.Equal(a.Labels, before.alert.Labels) && !before.ended {
			due = append(due, over(before.alert, now)) // to Alertmanager other labels are another alert
		}
		same := known && before.ended == !e.Open() && maps.Equal(a.Labels, before.alert.Labels)
		if same && now.Sub(before.at) < peerResend {
			next[e.ID] = before
			continue
		}
		due = append(due, a)
		next[e.ID] = posted{alert: a, at: now, ended: !e.Open()}
	}
	if len(due) == 0 {
		p.told = next
		return peerResend
	}
	began := time.Now()
	sending, cancel := context.WithTimeout(ctx, sendTimeout)
	err = p.to.Post(sending, due, now.Add(peerValid))
	cancel()
	if ctx.Err() != nil {
		return 0
	}
	if err == nil {
		p.x.obs.delivered(p.name, outcomeAccepted, time.Since(began))
		if p.failures > 0 {
			p.x.logger.Info("An Alertmanager takes alerts again.", zap.String("destination", p.name))
		}
		p.told, p.failures = next, 0
		return peerResend
	}
	outcome, asked := outcomeFailed, time.Duration(0)
	var failure *notify.SendError
	if errors.As(err, &failure) {
		asked = failure.RetryAfter
		if failure.Permanent {
			outcome = outcomeRefused
		}
	}
	p.x.obs.delivered(p.name, outcome, time.Since(began))
	for id, before := range p.told { // it may have been restarted, and keeps alerts in memory alone: all is told again
		before.at = time.Time{}
		p.told[id] = before
	}
	if p.failures++; p.failures == 1 {
		p.x.logger.Warn("An Alertmanager does not take alerts; they are told again until it does.", zap.String("destination", p.name), zap.Error(err))
	}
	return escalate.Backoff(p.failures, false, asked, p.x.jitter())
}

// over is an alert that is no longer told as firing.
func over(a notify.Alert, now time.Time) notify.Alert {
	a.EndsAt = now
	if a.StartsAt.After(now) {
		a.StartsAt = now
	}
	return a
}

// worthEnding reports whether a peer may know an ended episode from before a restart.
func (p *peer) worthEnding(e *ledger.Episode, now time.Time) bool {
	return now.Sub(e.EndedAt) < peerEnds && !e.Unwanted()
}

// episodes are the open ones, and those that ended a short while ago, and what time it is.
func (p *peer) episodes(ctx context.Context) (all []*ledger.Episode, now time.Time, err error) {
	err = p.x.ledger.View(ctx, time.Now(), func(tx ledger.Tx) error {
		all, now = nil, tx.Now()
		open, ended := true, false
		for _, q := range []ledger.Query{{Open: &open, Limit: episodesPerPage}, {Open: &ended, EndedSince: now.Add(-peerEnds), Limit: episodesPerPage}} {
			for {
				page, err := tx.Episodes(q)
				if err != nil {
					return err
				}
				all = append(all, page...)
				if len(page) < episodesPerPage {
					break
				}
				q.After = page[len(page)-1]
			}
		}
		return nil
	})
	return all, now, err
}
