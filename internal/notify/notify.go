// Package notify sends: it builds the integrations of Alertmanager's own document and delivers messages to them.
// It decides nothing about who is told what, or when.
package notify

import "time"

// Message is what one destination is told about one topic.
type Message struct {
	// Key is the dedup key: the same for every message about the same group, through rises and repeats.
	Key string
	// GroupLabels are the labels that all alerts of the group share.
	GroupLabels map[string]string
	Alerts      []Alert
	// Now is the sender's clock, for templates and for what is firing.
	Now time.Time
}

// Alert is one episode in Alertmanager's data model.
type Alert struct {
	Labels, Annotations map[string]string
	StartsAt            time.Time
	// EndsAt is zero while the alert fires.
	EndsAt       time.Time
	GeneratorURL string
}

// Destination is one integration of one receiver.
type Destination struct {
	// Name is unique and stable: "inference-oncall/pagerduty[0]".
	Name     string
	Receiver string
	// SendResolved says that the destination wants to be told of ends (`send_resolved`).
	SendResolved bool
}

// SendError is a failed delivery.
type SendError struct {
	Destination string
	// Permanent is set where the far side will not accept this message however often it is sent.
	Permanent bool
	// RetryAfter is what the far side asked for, 0 where it did not.
	RetryAfter time.Duration
	Err        error
}

func (e *SendError) Error() string { return e.Destination + ": " + e.Err.Error() }
func (e *SendError) Unwrap() error { return e.Err }
