package calibrationreceiver

import (
	"errors"
	"fmt"
	"net"
	"net/textproto"
	"regexp"
	"strings"

	"go.opentelemetry.io/collector/config/confignet"
)

// What keeps others than the people, or their proxy, from the page's server: an authenticator, client certificates, the
// loopback interface, or a unix socket.

// mutual reports whether TLS lets in only who has a client certificate.
func (c *Config) mutual() bool {
	tls := c.HTTP.TLS.Get()
	return tls != nil && tls.ClientCAFile != ""
}

// loopbackOnly reports whether the server must listen on the loopback interface: where it authenticates nobody, or takes the
// word of whoever reaches it for who asks.
func (c *Config) loopbackOnly() bool {
	switch {
	case c.HTTP.NetAddr.Transport == confignet.TransportTypeUnix:
		return false
	case c.TrustedUserHeader != "":
		return !c.mutual()
	}
	return !c.HTTP.Auth.HasValue()
}

// checksHosts reports whether requests must come by a known name: where a browser on this machine needs nothing else, a page
// that has its own name resolve to 127.0.0.1 would be let in.
func (c *Config) checksHosts() bool { return c.loopbackOnly() && !c.HTTP.Auth.HasValue() }

// validateProxy checks trusted_user_header and trusted_hosts.
func (c *Config) validateProxy() error {
	var errs []error
	refuse := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	if c.TrustedUserHeader != "" {
		if why := oddHeader(c.TrustedUserHeader); why != "" {
			refuse("trusted_user_header: %s: name one that only the proxy sets, such as X-Forwarded-User (got %q)", why, c.TrustedUserHeader)
		}
		if host, _, err := net.SplitHostPort(c.HTTP.NetAddr.Endpoint); err == nil && c.loopbackOnly() && !isLoopback(host) {
			refuse("trusted_user_header: whoever reaches http.endpoint could claim any name: listen on a loopback address such as localhost:9195 or on a "+
				"unix socket, or set http.tls with a client_ca_file that has signed the proxy's certificate alone (got %q on %q)", c.TrustedUserHeader, c.HTTP.NetAddr.Endpoint)
		}
	}
	for i, host := range c.TrustedHosts {
		if !hostName.MatchString(host) && net.ParseIP(host) == nil {
			refuse("trusted_hosts[%d]: must be a host name without port, such as alerts.example.com (got %q)", i, host)
		}
	}
	if len(c.TrustedHosts) > 0 && (c.TrustedUserHeader == "" || !c.checksHosts()) {
		refuse("trusted_hosts: must be left out: names are checked only where trusted_user_header comes over the loopback interface without http.auth")
	}
	return errors.Join(errs...)
}

var (
	headerName = regexp.MustCompile(`^[A-Za-z0-9]+(-[A-Za-z0-9]+)*$`)
	hostName   = regexp.MustCompile(`^[A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?(\.[A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?)*$`)
)

// ownHeaders are headers that mean something else: those that end at each hop, and those that clients send, a page of
// another site in their browser among them.
var ownHeaders = map[string]bool{
	"Connection": true, "Keep-Alive": true, "Proxy-Authenticate": true, "Proxy-Authorization": true, "Proxy-Connection": true,
	"Te": true, "Trailer": true, "Transfer-Encoding": true, "Upgrade": true, "Http2-Settings": true,
	"Authorization": true, "Cache-Control": true, "Cookie": true, "Date": true, "Dnt": true, "Expect": true, "Forwarded": true, "Host": true, "Max-Forwards": true,
	"Origin": true, "Pragma": true, "Range": true, "Referer": true, "Save-Data": true, "User-Agent": true, "Via": true, "Www-Authenticate": true,
	"X-Csrf-Token": true, "X-Forwarded-For": true, "X-Forwarded-Host": true, "X-Forwarded-Port": true, "X-Forwarded-Proto": true, "X-Real-Ip": true,
	"X-Requested-With": true, "X-Request-Id": true, "Traceparent": true, "Tracestate": true, "Baggage": true,
}

// oddHeader says why a header cannot name people; "" where it can.
func oddHeader(name string) string {
	canonical := textproto.CanonicalMIMEHeaderKey(name)
	switch {
	case strings.Contains(name, "_"):
		return "must not contain an underscore, which some servers take for a hyphen and others drop, so that a proxy may pass on what a client sends"
	case !headerName.MatchString(name):
		return "must be the name of a header: letters, digits and single hyphens"
	case ownHeaders[canonical]:
		return "must not be a header that clients send, or that ends at the next hop"
	}
	for _, prefix := range []string{"Accept", "Access-Control-", "Content-", "If-", "Sec-"} {
		if strings.HasPrefix(canonical, prefix) {
			return "must not be a header that clients send"
		}
	}
	return ""
}
