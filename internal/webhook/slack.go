package webhook

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/prometheus/common/model"
)

// Slack reads what buttons send: of blocks, and of attachments as Alertmanager's slack_configs make them. A button's
// action_id (of an attachment: its name) says what to do, its value what about:
//
//	acknowledge | resolve | snooze:1h | verdict:false_positive
//
// The value is an episode's id, or the dedup key.
type Slack struct{ Secret string }

type slackPayload struct {
	Type string `json:"type"`
	User struct {
		ID       string `json:"id"`
		Username string `json:"username"`
		Name     string `json:"name"`
	} `json:"user"`
	TriggerID string `json:"trigger_id"`
	Container struct {
		MessageTS string `json:"message_ts"`
	} `json:"container"`
	MessageTS string `json:"message_ts"`
	ActionTS  string `json:"action_ts"`
	Actions   []struct {
		ActionID string `json:"action_id"`
		Name     string `json:"name"`
		Value    string `json:"value"`
		ActionTS string `json:"action_ts"`
	} `json:"actions"`
}

// Read implements Source.
func (s Slack) Read(header http.Header, body []byte, now time.Time) (Delivery, error) {
	if !s.verified(header, body, now) {
		return Delivery{}, ErrUnverified
	}
	form, err := url.ParseQuery(string(body))
	if err != nil {
		return Delivery{}, fmt.Errorf("%w: %w", ErrUnreadable, err)
	}
	if !form.Has("payload") {
		return Delivery{}, fmt.Errorf("%w: it has no payload: Interactivity has to send here, not the Events API", ErrUnreadable)
	}
	var p slackPayload
	if err := json.Unmarshal([]byte(form.Get("payload")), &p); err != nil {
		return Delivery{}, fmt.Errorf("%w: payload: %w", ErrUnreadable, err)
	}
	name := nameOf(p.User.Username, nameOf(p.User.Name, nameOf(p.User.ID, "somebody")))
	d := Delivery{EventID: bounded(strings.Join([]string{p.User.ID, p.TriggerID, p.Container.MessageTS + p.MessageTS, p.ActionTS}, "/"), longestName)}
	for _, a := range p.Actions {
		d.EventID = bounded(d.EventID+"/"+a.ActionTS, longestName)
		f := Feedback{By: name + " (Slack)", Person: "slack/" + bounded(p.User.ID, longestName)}
		if !f.ask(a.ActionID+a.Name) || a.Value == "" {
			continue
		}
		f.about(a.Value)
		d.Feedback = append(d.Feedback, f)
	}
	return d, nil
}

// slackReply is a message to the person who has pressed the button, and to nobody else. Without replace_original it would
// stand in the place of the alert, as any other answer of a body would.
type slackReply struct {
	ResponseType    string `json:"response_type"`
	ReplaceOriginal bool   `json:"replace_original"`
	Text            string `json:"text"`
}

// Reply implements Replier.
func (Slack) Reply(d Delivery, a Applied) any {
	reply := slackReply{ResponseType: "ephemeral"}
	switch {
	case a.Repeated:
		reply.Text = "This has been done before."
	case len(d.Feedback) == 0:
		reply.Text = "Nothing was done: alerts know no such button."
	case a.Done == 0:
		reply.Text = "Nothing was done: the alert has ended, or is not known here any more."
	default:
		var said []string
		for _, f := range d.Feedback {
			said = append(said, f.said())
		}
		reply.Text = strings.Join(said, " ")
	}
	return reply
}

// said is what a feedback has done, in words.
func (f *Feedback) said() string {
	switch f.Kind {
	case Acknowledge:
		return "Acknowledged: the steps have stopped."
	case Resolve:
		return "Resolved."
	case Snooze:
		return "Snoozed for " + model.Duration(min(f.For, longestSnooze)).String() + "."
	case Verdict:
		return "Your verdict is recorded: " + strings.ReplaceAll(string(f.Verdict), "_", " ") + "."
	default:
		return "Done."
	}
}

// about takes an episode's id or a dedup key.
func (f *Feedback) about(value string) {
	if strings.ContainsAny(value, "{:") || len(value) == 2*sha256.Size {
		f.Key = value
		return
	}
	f.EpisodeID = value
}

// ask reads what a button does.
func (f *Feedback) ask(action string) bool {
	what, more, _ := strings.Cut(action, ":")
	switch Kind(what) {
	case Acknowledge, Resolve:
		f.Kind = Kind(what)
	case Snooze:
		d, err := model.ParseDuration(more)
		f.Kind, f.For = Snooze, time.Duration(d)
		return err == nil && d > 0
	case Verdict:
		f.Kind, f.Verdict = Verdict, verdict(more)
		return f.Verdict != ""
	default:
		return false
	}
	return true
}

func (s Slack) verified(header http.Header, body []byte, now time.Time) bool {
	stamp := header.Get("X-Slack-Request-Timestamp")
	seconds, err := strconv.ParseInt(stamp, 10, 64)
	if err != nil || now.Sub(time.Unix(seconds, 0)).Abs() > tolerance {
		return false
	}
	h := hmac.New(sha256.New, []byte(s.Secret))
	h.Write([]byte("v0:" + stamp + ":"))
	h.Write(body)
	return hmac.Equal([]byte("v0="+hex.EncodeToString(h.Sum(nil))), []byte(header.Get("X-Slack-Signature")))
}
