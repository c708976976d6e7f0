package calibrationreceiver

import (
	"fmt"
	"net"
	"net/http"
	"slices"
	"time"

	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/config/confighttp"
	"go.opentelemetry.io/collector/config/confignet"

	"github.com/otelcol-escalation/otelcol-escalation/internal/web"
)

// What both servers have in common: who may send how much how slowly, and what who may not is told.

// noCompression is confighttp's way to say that bodies come as they are: nothing that is sent here is worth compressing.
var noCompression = []string{""}

// validateServer checks what is configured of a server below a path.
func validateServer(path string, c *confighttp.ServerConfig, example string, maxBody int64) (errs []error) {
	refuse := func(format string, args ...any) { errs = append(errs, fmt.Errorf(path+"."+format, args...)) }
	switch c.NetAddr.Transport {
	case confignet.TransportTypeUnix:
	case confignet.TransportTypeTCP, confignet.TransportTypeTCP4, confignet.TransportTypeTCP6:
		if _, _, err := net.SplitHostPort(c.NetAddr.Endpoint); err != nil {
			refuse("endpoint: must be host:port, such as %s (got %q)", example, c.NetAddr.Endpoint)
		}
	default:
		refuse("transport: must be tcp, tcp4, tcp6 or unix (got %q)", c.NetAddr.Transport)
	}
	if auth := c.Auth.Get(); auth != nil && auth.Config.AuthenticatorID == (component.ID{}) {
		refuse("auth.authenticator: must name an extension that authenticates, such as basicauth")
	}
	if c.CORS.HasValue() {
		refuse("cors: not supported: only the receiver's own page may use it from within a browser")
	}
	if !slices.Equal(c.CompressionAlgorithms, noCompression) {
		refuse("compression_algorithms: not supported: bodies are taken as they are (got %q)", c.CompressionAlgorithms)
	}
	if n := c.MaxRequestBodySize; n <= 0 || n > maxBody {
		refuse("max_request_body_size: must be from 1 to %d (got %d)", maxBody, n)
	}
	for _, t := range []struct {
		key   string
		value time.Duration
	}{{"read_header_timeout", c.ReadHeaderTimeout}, {"read_timeout", c.ReadTimeout}, {"write_timeout", c.WriteTimeout}} {
		if t.value <= 0 {
			refuse("%s: must be positive, so that slow clients are cut off (got %s)", t.key, t.value)
		}
	}
	return errs
}

// refuse returns what answers where confighttp refuses a request before anybody else sees it. A browser asks for a password
// only if it is told to.
func (c *calibration) refuse(config *confighttp.ServerConfig) func(w http.ResponseWriter, _ *http.Request, text string, code int) {
	return func(w http.ResponseWriter, _ *http.Request, text string, code int) {
		h := w.Header()
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Cache-Control", "no-store")
		if code == http.StatusUnauthorized {
			h.Set("WWW-Authenticate", challenge(config.Auth.Get().Config.AuthenticatorID.Type()))
			text = "authenticate first" // an authenticator's own words may help who should not get in
		}
		web.WriteError(w, code, text)
		c.obs.answered("none", code)
	}
}

var bearerAuthenticators = map[string]bool{"bearertokenauth": true, "oidc": true}

// challenge is how an authenticator wants to be answered. Those that want a token of their own say so; any other may
// as well be asked by a password prompt.
func challenge(authenticator component.Type) string {
	const realm = ` realm="alerts"`
	if bearerAuthenticators[authenticator.String()] {
		return "Bearer" + realm
	}
	return "Basic" + realm + `, charset="UTF-8"`
}
