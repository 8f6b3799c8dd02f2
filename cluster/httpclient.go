package cluster

import (
	"net"
	"net/http"
	"time"
)

// HTTPClient makes a client for the HTTP ports of nodes, under the plaintext policy. It follows no redirects, since nodes
// send none, and has no time-out of its own: a file may be large.
func HTTPClient(insecure bool) *http.Client {
	dialer := &net.Dialer{Timeout: connectTimeout, Control: exposure{insecure}.control}
	return &http.Client{
		Transport: &http.Transport{
			DialContext: dialer.DialContext, ResponseHeaderTimeout: time.Minute, ExpectContinueTimeout: time.Second,
			MaxIdleConnsPerHost: 4, IdleConnTimeout: time.Minute, DisableCompression: true,
		},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// IsLoopback reports whether an IP:PORT that was bound can be reached from this machine only.
func IsLoopback(bound string) bool { return exposure{}.check(bound) == nil }
