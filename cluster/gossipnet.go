package cluster

import (
	"context"
	"fmt"
	"log"
	"net"
	"net/netip"
	"time"

	"github.com/hashicorp/memberlist"

	"dfs/fs"
)

// gossipNet is memberlist's transport under our plaintext policy: the only place where gossip opens sockets.
type gossipNet struct {
	*memberlist.NetTransport
	exposure exposure
	ctx      context.Context // ends dials when the ring closes
}

var _ memberlist.NodeAwareTransport = (*gossipNet)(nil)

// gossipPortAttempts: a free TCP port may be taken for UDP.
const gossipPortAttempts = 10

// openGossip listens on an ip:port for TCP and UDP. ctx must live as long as the transport.
func openGossip(ctx context.Context, bind netip.AddrPort, exp exposure, log *log.Logger) (*gossipNet, error) {
	if err := tryGossip(ctx, bind, exp); err != nil {
		return nil, err
	}
	attempts := 1
	if bind.Port() == 0 {
		attempts = gossipPortAttempts
	}
	var err error
	for range attempts {
		var nt *memberlist.NetTransport
		nt, err = memberlist.NewNetTransport(&memberlist.NetTransportConfig{
			BindAddrs: []string{bind.Addr().String()}, BindPort: int(bind.Port()), Logger: log,
		})
		if err == nil {
			return &gossipNet{NetTransport: nt, exposure: exp, ctx: ctx}, nil
		}
	}
	return nil, fmt.Errorf("listen on %s for gossip, choose another address with --gossip: %w: %w", bind, err, fs.ErrInvalid)
}

// tryGossip opens and closes the sockets that memberlist is about to open, because memberlist's errors cannot be asked
// what they are.
func tryGossip(ctx context.Context, bind netip.AddrPort, exp exposure) error {
	tcp, err := listenTCP(ctx, bind.String(), exp.insecure, "--gossip")
	if err != nil {
		return err
	}
	defer tcp.Close() // nobody has used it
	lc := net.ListenConfig{Control: exp.control}
	udp, err := lc.ListenPacket(ctx, "udp", bind.String())
	if err != nil {
		return listenError(err, bind.String(), "--gossip")
	}
	return udp.Close()
}

func (g *gossipNet) DialAddressTimeout(a memberlist.Address, timeout time.Duration) (net.Conn, error) {
	return g.DialTimeout(a.Addr, timeout)
}

func (g *gossipNet) DialTimeout(addr string, timeout time.Duration) (net.Conn, error) {
	d := net.Dialer{Timeout: timeout, Control: g.exposure.control}
	return d.DialContext(g.ctx, "tcp", addr)
}

func (g *gossipNet) WriteToAddress(b []byte, a memberlist.Address) (time.Time, error) {
	return g.WriteTo(b, a.Addr)
}

func (g *gossipNet) WriteTo(b []byte, addr string) (time.Time, error) {
	if err := g.exposure.check(addr); err != nil {
		return time.Time{}, err
	}
	return g.NetTransport.WriteTo(b, addr)
}

// resolveBind turns the operator's host:port into ip:port.
func resolveBind(ctx context.Context, hostport string) (netip.AddrPort, error) {
	host, port, err := net.SplitHostPort(hostport)
	if err != nil {
		return netip.AddrPort{}, fmt.Errorf("gossip address %q is not HOST:PORT (%v): %w", hostport, err, fs.ErrInvalid)
	}
	n, err := net.DefaultResolver.LookupPort(ctx, "tcp", port)
	if err != nil {
		return netip.AddrPort{}, fmt.Errorf("gossip address %q: %w: %w", hostport, err, fs.ErrInvalid)
	}
	if host == "" {
		host = "0.0.0.0"
	}
	ips, err := net.DefaultResolver.LookupNetIP(ctx, "ip", host)
	if err != nil {
		return netip.AddrPort{}, fmt.Errorf("gossip address %q: %w: %w", hostport, err, fs.ErrInvalid)
	}
	return netip.AddrPortFrom(ips[0].Unmap(), uint16(n)), nil
}
