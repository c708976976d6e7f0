package notify

import (
	"context"
	"errors"
	"fmt"
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
	ctx = amnotify.WithGroupLabels(ctx, labelSet(m.GroupLabels))
	ctx = amnotify.WithNow(ctx, m.Now)
	ctx = amnotify.WithRepeatInterval(ctx, time.Hour)
	alerts := make([]*amalert.Alert, 0, len(m.Alerts))
	for i := range m.Alerts {
		if m.Alerts[i].EndsAt.IsZero() || to.Destination.SendResolved {
			alerts = append(alerts, m.Alerts[i].model(m.Now))
		}
	}
	if len(alerts) == 0 {
		return nil // everything has ended, and the destination does not want to know
	}
	recoverable, err := deliver(ctx, to, alerts)
	if err == nil {
		return nil
	}
	return &SendError{Destination: destination, Permanent: !recoverable && ctx.Err() == nil, Err: redact(err)}
}

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
func (a *Alert) model(now time.Time) *amalert.Alert {
	return &amalert.Alert{
		Alert: model.Alert{
			Labels:       labelSet(a.Labels),
			Annotations:  labelSet(a.Annotations),
			StartsAt:     a.StartsAt,
			EndsAt:       a.EndsAt,
			GeneratorURL: a.GeneratorURL,
		},
		UpdatedAt: now,
	}
}

// maxText bounds one label or annotation.
const maxText = 16 << 10

func labelSet(m map[string]string) model.LabelSet {
	set := make(model.LabelSet, len(m))
	for name, value := range m {
		if len(value) > maxText {
			value = value[:maxText] + "…"
		}
		set[model.LabelName(strings.ToValidUTF8(name, "\uFFFD"))] = model.LabelValue(strings.ToValidUTF8(value, "\uFFFD"))
	}
	return set
}

// Close closes the connections that are open.
func (r *Receivers) Close() { r.connections.close() }
