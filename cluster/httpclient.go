package cluster

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"time"

	"dfs/cluster/pki"
)

// HTTPClient makes a client for what [ListenHTTP] serves, under the plaintext policy. With credentials, which may be nil, an
// https address must be a node's: what counts is the role in its certificate, as with every other connection, and not a host
// name. The client follows no redirects, since nodes send none, and has no time-out of its own: a file may be large.
// CloseIdleConnections when it is no longer needed.
func HTTPClient(insecure bool, credentials *pki.Credentials) *http.Client {
	dialer := &net.Dialer{Timeout: connectTimeout, Control: exposure{insecure}.control}
	transport := &http.Transport{
		DialContext: dialer.DialContext, ResponseHeaderTimeout: time.Minute, ExpectContinueTimeout: time.Second,
		MaxIdleConnsPerHost: 4, IdleConnTimeout: time.Minute, DisableCompression: true,
	}
	if credentials != nil {
		transport.DialTLSContext = func(ctx context.Context, network, addr string) (net.Conn, error) {
			return dialHTTPS(ctx, network, addr, credentials)
		}
	}
	return &http.Client{Transport: transport, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
}

func dialHTTPS(ctx context.Context, network, addr string, credentials *pki.Credentials) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, connectTimeout)
	defer cancel()
	raw, err := (&net.Dialer{}).DialContext(ctx, network, addr)
	if err != nil {
		return nil, err
	}
	conn := tls.Client(raw, credentials.Client())
	err = conn.HandshakeContext(ctx)
	if err == nil {
		return conn, nil
	}
	drop(raw)
	if _, ok := errors.AsType[tls.RecordHeaderError](err); ok {
		return nil, errOffersPlain
	}
	return nil, fmt.Errorf("TLS: %w", err)
}

// OffersPlain reports whether an error says that the other side does not speak TLS.
func OffersPlain(err error) bool { return errors.Is(err, errOffersPlain) }

// IsLoopback reports whether an IP:PORT that was bound can be reached from this machine only.
func IsLoopback(bound string) bool { return exposure{}.check(bound) == nil }
