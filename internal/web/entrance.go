package web

import (
	"errors"
	"net"
	"net/http"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// entrance says why a request is not let in at all, whatever it asks for; the zero problem lets it in.
func (s *Site) entrance(r *http.Request) problem {
	if s.opts.LoopbackHosts && !s.known(r.Host) {
		return problem{http.StatusMisdirectedRequest, "this server is not known by that name: it answers on localhost, and to the names that it is configured with"}
	}
	if s.opts.UserHeader != "" {
		if _, err := userIn(r.Header, s.opts.UserHeader); err != nil {
			return problem{http.StatusUnauthorized, "not authenticated: " + err.Error()}
		}
	}
	return problem{}
}

// known reports whether a Host header names the loopback interface, or is one of the names of the proxy in front.
func (s *Site) known(host string) bool {
	name, _, err := net.SplitHostPort(host)
	if err != nil {
		name = strings.TrimSuffix(strings.TrimPrefix(host, "["), "]")
	}
	ip := net.ParseIP(name)
	return strings.EqualFold(name, "localhost") || ip != nil && ip.IsLoopback() ||
		slices.ContainsFunc(s.opts.Hosts, func(one string) bool { return strings.EqualFold(name, one) })
}

// Why a proxy's header names nobody. Callers are not told what it is called.
var (
	errNobody    = errors.New("the proxy in front of this page has not said who asks")
	errTwice     = errors.New("the proxy in front of this page has said twice who asks: it must replace what a client sends in its place")
	errHopByHop  = errors.New("the request asks to have the name of its person dropped on the way")
	errUnnamable = errors.New("the name that the proxy in front of this page has given must be UTF-8 of at most 200 characters, none of them a control character")
)

// userIn returns the person whom a proxy names in a header. A header that comes twice may be the client's beside the
// proxy's own, and one that Connection lists was to be dropped on the way.
func userIn(h http.Header, name string) (string, error) {
	values := h.Values(name)
	if len(values) == 0 {
		return "", errNobody
	}
	if len(values) > 1 {
		return "", errTwice
	}
	for _, listed := range h.Values("Connection") {
		for one := range strings.SplitSeq(listed, ",") {
			if strings.EqualFold(strings.TrimSpace(one), name) {
				return "", errHopByHop
			}
		}
	}
	user := strings.TrimSpace(values[0])
	switch {
	case user == "":
		return "", errNobody
	case !utf8.ValidString(user), utf8.RuneCountInString(user) > longestName, strings.ContainsFunc(user, unicode.IsControl):
		return "", errUnnamable
	}
	return user, nil
}
