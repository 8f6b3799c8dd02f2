package cluster

import (
	"context"
	"net"
)

// ListenHTTP opens a port for the protocols that outsiders speak, status pages and metrics, under the plaintext policy.
// flag is what an error tells the operator to change; the errors are those of Listen.
func ListenHTTP(ctx context.Context, addr string, insecure bool, flag string) (net.Listener, error) {
	return listenTCP(ctx, addr, insecure, flag)
}
