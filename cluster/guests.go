package cluster

import (
	"fmt"
	"net"
	"sync"
	"sync/atomic"

	"golang.org/x/sync/semaphore"

	"dfs/cluster/pki"
	"dfs/fs"
)

// Bounds of what one peer may have open. A peer is a certificate; without TLS it is an address, which many processes of one
// machine share.
const (
	grpcConnsMax      = 128  // a Dialer has one; processes of one machine may share a certificate
	raftConnsMax      = 32   // Raft has some eight
	plainRaftConnsMax = 256  // without TLS: all nodes on one machine are one peer
	callsMax          = 4096 // calls under way, in all connections; the sooner bound is usually streamsMax, of each
	linesMax          = 128  // of those, streams, which may last for ever
)

var errTooManyConns = fmt.Errorf("it has too many connections open: %w", fs.ErrUnavailable)

// account is what one peer has of this node. It lives as long as the peer has a connection.
type account struct {
	name  string
	conns map[Protocol]int // guarded by accounts.mu

	calls, lines atomic.Int32
	bytes        [classes]*semaphore.Weighted // of messages; see intake
}

func newAccount(name string) *account {
	a := &account{name: name, conns: make(map[Protocol]int)}
	for c := range a.bytes {
		a.bytes[c] = semaphore.NewWeighted(budgets[c].peer)
	}
	return a
}

// accounts are those of all peers with a connection, so they are bounded by the file descriptors.
type accounts struct {
	mu   sync.Mutex
	open map[string]*account
}

// enter counts a connection, and returns it as its peer's; or errTooManyConns.
func (t *accounts) enter(conn net.Conn, peer *pki.Peer, proto Protocol) (*guest, error) {
	name := "address " + hostOf(conn.RemoteAddr())
	if peer != nil {
		name = string(peer.Role) + " " + peer.Name
	}
	most := grpcConnsMax
	if proto == ProtocolRaft {
		most = raftConnsMax
		if peer == nil {
			most = plainRaftConnsMax
		}
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	a := t.open[name]
	if a == nil {
		a = newAccount(name)
	}
	if a.conns[proto] >= most {
		return nil, fmt.Errorf("%s: more than %d for %s: %w", name, most, proto, errTooManyConns)
	}
	a.conns[proto]++
	t.open[name] = a
	return &guest{Conn: conn, peer: peer, account: a, leave: sync.OnceFunc(func() { t.leave(a, proto) })}, nil
}

func (t *accounts) leave(a *account, proto Protocol) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if a.conns[proto]--; a.conns[proto] == 0 {
		delete(a.conns, proto)
	}
	if len(a.conns) == 0 {
		delete(t.open, a.name)
	}
}

// guest is an accepted connection that is on its peer's account until it is closed.
type guest struct {
	net.Conn
	peer    *pki.Peer // nil: no TLS
	account *account
	leave   func()
	untaken untaken
}

func (g *guest) Close() error {
	g.leave()
	g.untaken.end()
	return g.Conn.Close()
}

// hostOf is an address without its port.
func hostOf(a net.Addr) string {
	host, _, err := net.SplitHostPort(a.String())
	if err != nil {
		return a.String()
	}
	return host
}
