package notify

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"time"

	amalert "github.com/prometheus/alertmanager/alert"
	amnotify "github.com/prometheus/alertmanager/notify"
	"github.com/prometheus/common/model"
)

// Send delivers a message to a destination once; it does not retry. A *SendError says whether trying again makes sense.
func (r *Receivers) Send(ctx context.Context, destination string, m Message) error {
	to, ok := r.integrations[destination]
	if !ok {
		return &SendError{Destination: destination, Permanent: true, Err: errors.New("there is no such destination")}
	}
	ctx = amnotify.WithReceiverName(ctx, to.Receiver)
	ctx = amnotify.WithGroupKey(ctx, m.Key)
	ctx = amnotify.WithGroupLabels(ctx, to.style.labelSet(m.GroupLabels))
	ctx = amnotify.WithNow(ctx, m.Now)
	ctx = amnotify.WithRepeatInterval(ctx, time.Hour)
	alerts := make([]*amalert.Alert, 0, len(m.Alerts))
	for i := range m.Alerts {
		if to.style.alerts > 0 && len(alerts) == to.style.alerts {
			break // those that fire stand first, the most urgent first
		}
		if m.Alerts[i].EndsAt.IsZero() || to.Destination.SendResolved {
			alerts = append(alerts, m.Alerts[i].model(m.Now, to.style))
		}
	}
	if len(alerts) == 0 {
		return nil // everything has ended, and the destination does not want to know
	}
	recoverable, err := deliver(ctx, to, alerts)
	if err == nil {
		return nil
	}
	failed := &SendError{Destination: destination, Permanent: !recoverable && ctx.Err() == nil, Err: redact(err)}
	if tooMany.MatchString(err.Error()) {
		failed.Permanent, failed.RetryAfter = false, tooManyWait
	}
	return failed
}

// tooMany is how integrations put a status 429, which some of them call a refusal for good. They keep the answer's headers to
// themselves, Retry-After too; tooManyWait stands for it.
var tooMany = regexp.MustCompile(`\bstatus code:? 429\b`)

const tooManyWait = 15 * time.Second

// deliver contains what an integration may do wrong.
func deliver(ctx context.Context, to *integration, alerts []*amalert.Alert) (recoverable bool, err error) {
	defer func() {
		if p := recover(); p != nil {
			recoverable, err = false, fmt.Errorf("the integration panicked: %v", p)
		}
	}()
	return to.Notify(ctx, alerts...)
}

// model is the alert in Alertmanager's own type. Alertmanager calls an alert resolved when its end is not in the future.
func (a *Alert) model(now time.Time, s style) *amalert.Alert {
	return &amalert.Alert{
		Alert: model.Alert{
			Labels:       s.labelSet(a.Labels),
			Annotations:  s.labelSet(a.Annotations),
			StartsAt:     a.StartsAt,
			EndsAt:       a.EndsAt,
			GeneratorURL: a.GeneratorURL,
		},
		UpdatedAt: now,
	}
}

// maxText bounds one label or annotation, in bytes.
const maxText = 16 << 10

// style is how text has to be for a product, whatever a template makes of it.
type style struct {
	// text bounds one label or annotation, in bytes; alerts a message, 0 where the product has no limit.
	text, alerts int
	// escape makes text of what the product would take for markup.
	escape func(string) string
}

// styleOf returns the style of an integration. Slack takes & < and > for markup, with which a label could mention everybody or
// link anywhere, and messages of 40,000 characters at most.
func styleOf(integration string) style {
	if integration == "slack" {
		return style{text: 2 << 10, alerts: 100, escape: strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;").Replace}
	}
	return style{text: maxText}
}

func (s style) labelSet(m map[string]string) model.LabelSet {
	set := make(model.LabelSet, len(m))
	for name, value := range m {
		if len(value) > s.text {
			value = value[:s.text] + "…"
		}
		value = strings.ToValidUTF8(value, "\uFFFD")
		if s.escape != nil {
			value = s.escape(value)
		}
		set[model.LabelName(strings.ToValidUTF8(name, "\uFFFD"))] = model.LabelValue(value)
	}
	return set
}

// Close closes the connections that are open.
func (r *Receivers) Close() { r.connections.close() }
