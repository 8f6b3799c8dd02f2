package cluster

import (
	"net"
	"net/http"
	"time"
)

// NewHTTPClient makes a client of what [ListenHTTP] serves, under the plaintext policy. timeout bounds a request with its
// answer. CloseIdleConnections when it is no longer needed.
func NewHTTPClient(insecure bool, timeout time.Duration) *http.Client {
	dialer := &net.Dialer{Timeout: connectTimeout, Control: exposure{insecure}.control}
	return &http.Client{Timeout: timeout, Transport: &http.Transport{DialContext: dialer.DialContext, MaxIdleConnsPerHost: 1}}
}
