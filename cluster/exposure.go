package cluster

import (
	"fmt"
	"net"
	"net/netip"
	"syscall"

	"dfs/fs"
)

// exposure is the policy for plaintext: loopback only, unless the operator has said that the network is trusted. It is
// applied to the resolved address, just before the kernel binds or connects, so that no host name can slip through.
type exposure struct{ insecure bool } // insecure also where TLS, or the gossip key, protects what is sent

// control is a net.Dialer's and net.ListenConfig's Control.
func (e exposure) control(network, address string, _ syscall.RawConn) error {
	return e.check(address)
}

// check refuses an ip:port that is not on loopback. The error is fs.ErrPermission.
func (e exposure) check(address string) error {
	if e.insecure {
		return nil
	}
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return fmt.Errorf("address %q is not IP:PORT: %w", address, fs.ErrInvalid)
	}
	// What is no address, such as the empty host that stands for all interfaces, is not loopback either.
	if ip, err := netip.ParseAddr(host); err == nil && ip.Unmap().IsLoopback() {
		return nil
	}
	return fmt.Errorf("%s is not a loopback address, and no TLS is set up: say --tls-dir with a directory made by \"dfs ca issue\", "+
		"or --insecure if every machine on that network is trusted: %w", address, fs.ErrPermission)
}
