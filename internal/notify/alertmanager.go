package notify

import (
	"bytes"
	"context"
	"encoding/json"
	"net/http"
	"strings"
	"time"
	"unicode/utf8"
)

// Peer is one Alertmanager, spoken to by its API v2. Every peer of a cluster is told on its own: they tell duplicates
// themselves.
type Peer struct{ *Hook }

// alertsPerPost bounds one request.
const alertsPerPost = 256

// Bounds of what a peer is told: Alertmanager keeps every label of every alert in memory.
const (
	longestLabel = 1024
	longestName  = 128
	mostLabels   = 64
)

// NewPeer returns the Alertmanager at an address such as http://alertmanager:9093, with a path before /api where it has one.
func NewPeer(endpoint string, opts HookOptions) (*Peer, error) {
	h, err := newHook(http.MethodPost, endpoint, opts)
	if err != nil {
		return nil, err
	}
	h.url = strings.TrimSuffix(h.url, "/") + "/api/v2/alerts"
	return &Peer{h}, nil
}

// postable is an alert as API v2 takes it.
type postable struct {
	Labels       map[string]string `json:"labels"`
	Annotations  map[string]string `json:"annotations,omitempty"`
	StartsAt     time.Time         `json:"startsAt"`
	EndsAt       time.Time         `json:"endsAt"`
	GeneratorURL string            `json:"generatorURL,omitempty"`
}

// Post tells the peer of alerts. Those that fire do so until validUntil, unless the peer is told again before. A *SendError
// says whether trying again makes sense.
func (p *Peer) Post(ctx context.Context, alerts []Alert, validUntil time.Time) error {
	for len(alerts) > 0 {
		part := alerts[:min(alertsPerPost, len(alerts))]
		alerts = alerts[len(part):]
		if err := p.post(ctx, part, validUntil); err != nil {
			return err
		}
	}
	return nil
}

func (p *Peer) post(ctx context.Context, alerts []Alert, validUntil time.Time) error {
	fail := func(permanent bool, err error) error {
		return &SendError{Destination: p.name, Permanent: permanent && ctx.Err() == nil, Err: redact(err)}
	}
	all := make([]postable, 0, len(alerts))
	for _, a := range alerts {
		one := postable{Labels: postableLabels(a.Labels), Annotations: bounded16K(a.Annotations), StartsAt: a.StartsAt.UTC(), EndsAt: a.EndsAt.UTC(), GeneratorURL: a.GeneratorURL}
		if a.EndsAt.IsZero() {
			one.EndsAt = validUntil.UTC()
		}
		all = append(all, one)
	}
	body, err := json.Marshal(all)
	if err != nil {
		return fail(true, err)
	}
	request, err := http.NewRequestWithContext(ctx, p.method, p.url, bytes.NewReader(body))
	if err != nil {
		return fail(true, err)
	}
	request.Header = p.header.Clone()
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set("User-Agent", "otelcol-escalation")
	response, err := p.client.Do(request)
	if err != nil {
		return fail(false, err)
	}
	defer response.Body.Close()
	return refusal(ctx, p.name, response, time.Now())
}

// postableLabels are labels that every Alertmanager takes: names of letters, digits and underscores, values that are not
// empty, and not without end.
func postableLabels(labels map[string]string) map[string]string {
	out := make(map[string]string, len(labels))
	for name, value := range labels {
		if value == "" || len(out) == mostLabels {
			continue
		}
		out[labelName(name)] = cut(strings.ToValidUTF8(value, "\uFFFD"), longestLabel)
	}
	// What a route goes by is never what falls to the bound.
	for _, name := range []string{"alertname", "severity", "owner", "alert_id", "episode_id"} {
		if value := labels[name]; value != "" {
			out[name] = cut(strings.ToValidUTF8(value, "\uFFFD"), longestLabel)
		}
	}
	return out
}

func labelName(name string) string {
	var b strings.Builder
	for i, r := range cut(name, longestName) {
		letter := r == '_' || r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z'
		if letter || i > 0 && r >= '0' && r <= '9' {
			b.WriteRune(r)
		} else {
			b.WriteByte('_')
		}
	}
	if b.Len() == 0 {
		return "_"
	}
	return b.String()
}

func bounded16K(texts map[string]string) map[string]string {
	out := make(map[string]string, len(texts))
	for name, text := range texts {
		out[labelName(name)] = cut(strings.ToValidUTF8(text, "\uFFFD"), maxText)
	}
	return out
}

// cut shortens a text to at most n bytes, at the end of a character.
func cut(text string, n int) string {
	if len(text) <= n {
		return text
	}
	n -= len("…")
	for n > 0 && !utf8.RuneStart(text[n]) {
		n--
	}
	return text[:n] + "…"
}
