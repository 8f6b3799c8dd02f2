package cluster

import (
	"context"
	"fmt"
	"log"
	"net"
	"net/netip"
	"sync"
	"time"

	"github.com/hashicorp/memberlist"

	"dfs/fs"
)

// gossipNet is memberlist's transport under our plaintext policy: the only place where gossip opens sockets.
type gossipNet struct {
	*memberlist.NetTransport
	exposure exposure
	ctx      context.Context // ends dials when the ring closes

	log     *log.Logger // memberlist's: within a quota
	streams chan net.Conn
	places  chan struct{}      // one token a stream
	refuse  context.CancelFunc // from now on streams are closed instead of handed on
	stop    context.CancelFunc // there will be no more streams
	done    sync.WaitGroup
}

// Bounds of what another node may send as gossip: memberlist's decoder has none of its own. Packets are of 64 KiB at most.
const (
	gossipStreamMax  = 2 << 20 // bytes of a stream: what one node knows of all, at most 1 KiB each
	gossipStreamsMax = 32      // streams at once; memberlist bounds their time by seconds
)

var _ memberlist.NodeAwareTransport = (*gossipNet)(nil)

// gossipPortAttempts: a free TCP port may be taken for UDP.
const gossipPortAttempts = 10

// openGossip listens on an ip:port for TCP and UDP, until Shutdown. Nothing is dialled any more when ctx has ended.
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
			return newGossipNet(ctx, nt, exp, log), nil
		}
	}
	return nil, fmt.Errorf("listen on %s for gossip, choose another address with --gossip: %w: %w", bind, err, fs.ErrInvalid)
}

func newGossipNet(ctx context.Context, nt *memberlist.NetTransport, exp exposure, log *log.Logger) *gossipNet {
	life, stop := context.WithCancel(context.Background())
	open, refuse := context.WithCancel(life)
	g := &gossipNet{NetTransport: nt, exposure: exp, ctx: ctx, log: log, refuse: refuse, stop: stop,
		streams: make(chan net.Conn), places: make(chan struct{}, gossipStreamsMax)}
	g.done.Go(func() { g.admit(life, open) })
	return g
}

// StreamCh implements memberlist.Transport.
func (g *gossipNet) StreamCh() <-chan net.Conn { return g.streams }

// Shutdown implements memberlist.Transport. NetTransport waits for the goroutine that accepts, and that one for somebody who
// takes what it has accepted: so admit goes on until it has ended.
func (g *gossipNet) Shutdown() error {
	g.refuse()
	err := g.NetTransport.Shutdown()
	g.stop()
	g.done.Wait()
	return err
}

// admit takes streams until life ends, and hands them on, each with its bound, as long as open does not.
func (g *gossipNet) admit(life, open context.Context) {
	for {
		select {
		case conn := <-g.NetTransport.StreamCh():
			g.admitOne(open, conn)
		case <-life.Done():
			return
		}
	}
}

func (g *gossipNet) admitOne(ctx context.Context, conn net.Conn) {
	select {
	case g.places <- struct{}{}:
	default:
		g.log.Printf("[WARN] memberlist: stream from %s refused: %d are open", conn.RemoteAddr(), gossipStreamsMax)
		drop(conn)
		return
	}
	bounded := &gossipStream{Conn: conn, left: gossipStreamMax, leave: sync.OnceFunc(func() { <-g.places })}
	select {
	case g.streams <- bounded:
	case <-ctx.Done():
		drop(bounded)
	}
}

// gossipStream is a stream that ends after so many bytes.
type gossipStream struct {
	net.Conn
	left  int // one goroutine reads
	leave func()
}

func (s *gossipStream) Read(p []byte) (int, error) {
	if s.left <= 0 {
		return 0, fmt.Errorf("more than %d bytes in one stream of gossip: %w", gossipStreamMax, fs.ErrTooLarge)
	}
	n, err := s.Conn.Read(p[:min(len(p), s.left)])
	s.left -= n
	return n, err
}

func (s *gossipStream) Close() error {
	s.leave()
	return s.Conn.Close()
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
