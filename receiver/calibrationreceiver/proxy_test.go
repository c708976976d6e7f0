package calibrationreceiver

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"io"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/component/componenttest"
	"go.opentelemetry.io/collector/consumer/consumertest"

	"github.com/otelcol-escalation/otelcol-escalation/internal/alert"
	"github.com/otelcol-escalation/otelcol-escalation/internal/ledger"
	"github.com/otelcol-escalation/otelcol-escalation/internal/ledger/ledgertest"
)

// authority signs certificates for 127.0.0.1, and keeps them as files.
type authority struct {
	t    *testing.T
	dir  string
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

func newAuthority(t *testing.T) *authority {
	a := &authority{t: t, dir: t.TempDir()}
	a.cert, a.key = a.sign(&x509.Certificate{IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign}, "ca", nil)
	return a
}

func (a *authority) file(name string) string { return filepath.Join(a.dir, name+".pem") }

// sign makes a certificate and writes it and its key; by nobody it signs itself.
func (a *authority) sign(template *x509.Certificate, name string, by *authority) (*x509.Certificate, *ecdsa.PrivateKey) {
	a.t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(a.t, err)
	template.SerialNumber, template.Subject = big.NewInt(time.Now().UnixNano()), pkix.Name{CommonName: name}
	template.NotBefore, template.NotAfter = time.Now().Add(-time.Hour), time.Now().Add(time.Hour)
	template.IPAddresses = []net.IP{net.IPv4(127, 0, 0, 1)}
	parent, signer := template, key
	if by != nil {
		parent, signer = by.cert, by.key
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, &key.PublicKey, signer)
	require.NoError(a.t, err)
	cert, err := x509.ParseCertificate(der)
	require.NoError(a.t, err)
	secret, err := x509.MarshalECPrivateKey(key)
	require.NoError(a.t, err)
	for path, block := range map[string]*pem.Block{
		a.file(name): {Type: "CERTIFICATE", Bytes: der}, a.file(name + "-key"): {Type: "EC PRIVATE KEY", Bytes: secret},
	} {
		require.NoError(a.t, os.WriteFile(path, pem.EncodeToMemory(block), 0o600))
	}
	return cert, key
}

// client trusts this authority, and shows a certificate where it has one.
func (a *authority) client(certificates ...tls.Certificate) *http.Transport {
	roots := x509.NewCertPool()
	roots.AddCert(a.cert)
	transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots, Certificates: certificates, MinVersion: tls.VersionTLS12}}
	a.t.Cleanup(transport.CloseIdleConnections)
	return transport
}

func (a *authority) pair(name string) tls.Certificate {
	pair, err := tls.LoadX509KeyPair(a.file(name), a.file(name+"-key"))
	require.NoError(a.t, err)
	return pair
}

// Over mTLS only who has the proxy's certificate is heard, and whom it names is the person.
func TestProxyOverMutualTLS(t *testing.T) {
	ours, others := newAuthority(t), newAuthority(t)
	ours.sign(&x509.Certificate{ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}}, "server", ours)
	ours.sign(&x509.Certificate{ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}}, "proxy", ours)
	others.sign(&x509.Certificate{ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}}, "stranger", others)
	l := ledgertest.New(t)
	id := fire(t, l, time.Now(), alert.Alert{ID: "a"})
	r := newRig(t, newHost(l), `{trusted_user_header: X-Forwarded-User, http: {endpoint: "0.0.0.0:0", tls: {cert_file: `+ours.file("server")+
		`, key_file: `+ours.file("server-key")+`, client_ca_file: `+ours.file("ca")+`}}}`)
	_, port, err := net.SplitHostPort(r.listener.Addr().String())
	require.NoError(t, err)
	verdict := func(transport *http.Transport, user string) (int, error) {
		request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "https://127.0.0.1:"+port+"/api/v1/alerts/"+id+"/verdict", strings.NewReader(`{"verdict":"expected","by":"bob"}`))
		require.NoError(t, err)
		request.Host = "alerts.example.com"
		request.Header.Set("Content-Type", "application/json")
		if user != "" {
			request.Header.Set("X-Forwarded-User", user)
		}
		resp, err := transport.RoundTrip(request)
		if err != nil {
			return 0, err
		}
		_, _ = io.Copy(io.Discard, resp.Body)
		return resp.StatusCode, resp.Body.Close()
	}
	_, err = verdict(ours.client(), "anna")
	require.Error(t, err, "without a certificate")
	_, err = verdict(ours.client(others.pair("stranger")), "anna")
	require.Error(t, err, "with somebody else's")
	proxy := ours.client(ours.pair("proxy"))
	code, err := verdict(proxy, "")
	require.NoError(t, err)
	assert.Equal(t, http.StatusUnauthorized, code, "who is not named")
	code, err = verdict(proxy, "anna")
	require.NoError(t, err)
	assert.Equal(t, http.StatusOK, code)
	assert.Equal(t, "anna", verdictBy(t, l, id))
}

func verdictBy(t testing.TB, l ledger.Ledger, id string) (by string) {
	t.Helper()
	require.NoError(t, l.View(context.Background(), time.Now(), func(tx ledger.Tx) error {
		e, err := tx.Episode(id)
		if err == nil {
			by = e.VerdictBy
		}
		return err
	}))
	return by
}

// On the loopback interface whoever is named is the person; names of the proxy are known, others are not.
func TestProxyOnLoopback(t *testing.T) {
	l := ledgertest.New(t)
	id := fire(t, l, time.Now(), alert.Alert{ID: "a"})
	r := newRig(t, newHost(l), `{trusted_user_header: X-Forwarded-User, trusted_hosts: [alerts.example.com]}`)
	get := func(host, user string) int {
		request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, r.url("/"), http.NoBody)
		require.NoError(t, err)
		request.Host = host
		if user != "" {
			request.Header.Set("x-forwarded-user", user)
		}
		resp, err := http.DefaultTransport.RoundTrip(request)
		require.NoError(t, err)
		require.NoError(t, resp.Body.Close())
		return resp.StatusCode
	}
	assert.Equal(t, http.StatusOK, get("localhost", "anna"))
	assert.Equal(t, http.StatusOK, get("alerts.example.com", "anna"))
	assert.Equal(t, http.StatusUnauthorized, get("alerts.example.com", ""))
	assert.Equal(t, http.StatusMisdirectedRequest, get("evil.example", "anna"), "a name that was made to resolve to this machine")
	for _, user := range []string{"anna", "bob"} {
		resp, _ := ask(t, "POST", r.url("/api/v1/alerts/"+id+"/verdict"), `{"verdict":"expected"}`, append(asJSON, "X-Forwarded-User", user)...)
		assert.Equal(t, http.StatusOK, resp.StatusCode)
		assert.Equal(t, user, verdictBy(t, l, id))
	}
}

// What was checked in the configuration is checked again on the address that the server got.
func TestProxyNotOnLoopback(t *testing.T) {
	for yaml, want := range map[string]string{
		`trusted_user_header: X-User`: "or set http.tls with client_ca_file",
		`{trusted_user_header: X-User, http: {auth: {authenticator: basicauth}}}`: "or set http.tls with client_ca_file",
		`{}`: "or set http.auth",
	} {
		cfg, err := load(t, yaml)
		require.NoError(t, err)
		cfg.HTTP.NetAddr.Endpoint = "0.0.0.0:0" // as a name may resolve
		host := newLedgerHost(t)
		host.extensions[component.MustNewID("basicauth")] = authenticator{}
		own := componenttest.NewTelemetry()
		m, err := NewFactory().CreateMetrics(t.Context(), settings(own), cfg, consumertest.NewNop())
		require.NoError(t, err)
		assert.ErrorContains(t, m.Start(t.Context(), host), want)
		require.NoError(t, m.Shutdown(t.Context()))
		require.NoError(t, own.Shutdown(t.Context()))
	}
}
