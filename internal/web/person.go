package web

import (
	"net/http"
	"strings"

	"go.opentelemetry.io/collector/client"

	"github.com/otelcol-escalation/otelcol-escalation/internal/calibrate"
)

// person is who asks.
type person struct {
	// subject identifies the person towards us: a form belongs to whom it was shown to.
	subject string
	// name is what is shown, and recorded with a deed.
	name string
	// verdictBy is what is recorded with a verdict: callers who did not authenticate count as one person.
	verdictBy string
}

// attributes of client.AuthData that hold a caller's name: oidc has a subject, basicauth a username.
var nameAttributes = [...]string{"subject", "username"}

// anonymous reports whether nobody authenticates callers.
func (s *Site) anonymous() bool { return s.opts.Authenticator == "" && s.opts.UserHeader == "" }

// person returns who asks. by is the name that the caller gives; it counts only where nobody authenticates.
func (s *Site) person(r *http.Request, by string) person {
	if s.anonymous() {
		by = strings.TrimSpace(by)
		name := by
		if name == "" {
			name = calibrate.Local
		}
		return person{subject: calibrate.Local, name: name, verdictBy: calibrate.LocalPerson(by)}
	}
	subject := s.opts.Authenticator
	if s.opts.UserHeader != "" {
		// Where there is an authenticator as well, it has authenticated the proxy.
		subject, _ = userIn(r.Header, s.opts.UserHeader) // that there is one was found when the request came in
	} else if auth := client.FromContext(r.Context()).Auth; auth != nil {
		for _, attribute := range nameAttributes {
			if name, ok := auth.GetAttribute(attribute).(string); ok && name != "" {
				subject = strings.ToValidUTF8(name, "\uFFFD")
				break
			}
		}
	}
	subject = calibrate.Authenticated(subject)
	return person{subject: subject, name: subject, verdictBy: subject}
}
