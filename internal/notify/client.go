package notify

import (
	"context"
	"fmt"
	"maps"
	"net"
	"net/netip"
	"reflect"
	"slices"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/prometheus/alertmanager/config"
	commoncfg "github.com/prometheus/common/config"
)

// Guard decides which addresses messages may go to. It looks at the address that is dialled, after name resolution, so
// that no name can lead around it. E-mail and SNS do not pass it: they dial for themselves.
type Guard struct {
	// Resolver is for tests; nil is the system's.
	Resolver *net.Resolver
	// Private refuses private and loopback addresses, too: for senders that have nobody to tell in their own network.
	Private bool
}

// metadata services of clouds that are not link-local.
var metadata = []netip.Addr{
	netip.MustParseAddr("fd00:ec2::254"),   // AWS
	netip.MustParseAddr("100.100.100.200"), // Alibaba Cloud
}

// refused says why an address must not be dialled, "" where it may.
func refused(addr netip.Addr) string {
	addr = addr.Unmap()
	switch {
	case addr.IsUnspecified():
		return "unspecified"
	case addr.IsLinkLocalUnicast(), addr.IsLinkLocalMulticast(), addr.IsInterfaceLocalMulticast():
		return "link-local"
	case addr.IsMulticast():
		return "multicast"
	}
	for _, m := range metadata {
		if addr == m {
			return "a metadata service"
		}
	}
	return ""
}

// dialer returns the guarded way out.
func (g Guard) dialer(all *connections) commoncfg.DialContextFunc {
	d := &net.Dialer{
		Timeout:  10 * time.Second,
		Resolver: g.Resolver,
		Control: func(_, address string, _ syscall.RawConn) error {
			ap, err := netip.ParseAddrPort(address)
			if err != nil {
				return fmt.Errorf("address %q cannot be read: %w", address, err)
			}
			why := refused(ap.Addr())
			if addr := ap.Addr().Unmap(); why == "" && g.Private && (addr.IsPrivate() || addr.IsLoopback()) {
				why = "private"
			}
			if why != "" {
				return fmt.Errorf("address %s is refused: it is %s", ap.Addr(), why)
			}
			return nil
		},
	}
	return func(ctx context.Context, network, address string) (net.Conn, error) {
		conn, err := d.DialContext(ctx, network, address)
		if err != nil {
			return nil, err
		}
		return all.add(conn), nil
	}
}

// connections are those that are open: HTTP clients keep idle ones, and offer no way to close them.
type connections struct {
	mu   sync.Mutex
	open map[*bounded]struct{}
}

func (c *connections) add(conn net.Conn) net.Conn {
	b := &bounded{Conn: conn, all: c}
	b.left.Store(maxResponse)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.open[b] = struct{}{}
	return b
}

func (c *connections) remove(b *bounded) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.open, b)
}

func (c *connections) close() {
	c.mu.Lock()
	open := slices.Collect(maps.Keys(c.open))
	c.mu.Unlock()
	for _, b := range open {
		_ = b.Close()
	}
}

// maxResponse bounds what is read from one connection between two writes: a response of ours is at most 64 KiB, and TLS
// and headers take something beside it.
const maxResponse = 96 << 10

// bounded is a connection whose far side cannot make us read without end.
type bounded struct {
	net.Conn
	left atomic.Int64 // an HTTP client reads and writes at the same time
	all  *connections
}

// Close implements net.Conn.
func (b *bounded) Close() error {
	b.all.remove(b)
	return b.Conn.Close()
}

// Read implements net.Conn.
func (b *bounded) Read(p []byte) (int, error) {
	left := b.left.Load()
	if left <= 0 {
		return 0, fmt.Errorf("the response is larger than %d bytes", maxResponse)
	}
	n, err := b.Conn.Read(p[:min(int64(len(p)), left)])
	b.left.Add(-int64(n))
	return n, err
}

// Write implements net.Conn: a new request may be answered again.
func (b *bounded) Write(p []byte) (int, error) {
	b.left.Store(maxResponse)
	return b.Conn.Write(p)
}

// refuseRedirects sets follow_redirects: false wherever the configuration has an HTTP client, and TLS 1.2 at the least.
func refuseRedirects(cfg *config.Config) {
	harden(cfg.Global.HTTPConfig)
	for i := range cfg.Receivers {
		walk(reflect.ValueOf(&cfg.Receivers[i]).Elem())
	}
}

// walk hardens every HTTP client configuration in v. Those that stand for the global one are given a copy of their own.
func walk(v reflect.Value) {
	switch v.Kind() {
	case reflect.Pointer:
		if client, ok := v.Interface().(*commoncfg.HTTPClientConfig); ok {
			if client != nil && v.CanSet() {
				own := *client
				harden(&own)
				v.Set(reflect.ValueOf(&own))
			}
			return
		}
		if !v.IsNil() {
			walk(v.Elem())
		}
	case reflect.Struct:
		for i := range v.NumField() {
			if v.Type().Field(i).IsExported() {
				walk(v.Field(i))
			}
		}
	case reflect.Slice:
		for i := range v.Len() {
			walk(v.Index(i))
		}
	}
}

func harden(client *commoncfg.HTTPClientConfig) {
	if client == nil {
		return
	}
	client.FollowRedirects = false
	if client.TLSConfig.MinVersion < commoncfg.TLSVersion(0x0303) {
		client.TLSConfig.MinVersion = commoncfg.TLSVersion(0x0303)
	}
}
