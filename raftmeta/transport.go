package raftmeta

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/hashicorp/raft"
	"golang.org/x/time/rate"

	"dfs/fs"
)

// Transport is Raft's network transport, with one thing added: every connection names the node that it is meant for, and
// another one refuses it.
//
// Raft's own messages name their sender only. A node whose disk was replaced, and that comes back under a new id at its
// old address, would take what is meant for the old one and answer in its name: a voter that has forgotten what it
// promised.
//
// Closing it closes its connections too, so that Raft, which waits for its messages when it is shut down, need not wait
// for a peer that does not answer.
type Transport struct {
	*raft.NetworkTransport
	layer *namedLayer
}

const (
	transportTimeout = 5 * time.Second  // for one message, and for the first bytes of a connection
	messageTimeout   = 30 * time.Second // for one message that arrives, from its first byte to its last
	snapshotSilence  = 30 * time.Second // between two bytes of a snapshot that arrives
	nodeIDMax        = 255              // bytes
)

// NewTransport returns a Transport over a stream layer, for node id. logger may be nil.
func NewTransport(layer raft.StreamLayer, id fs.NodeID, logger *slog.Logger) *Transport {
	if logger == nil {
		logger = slog.New(slog.DiscardHandler)
	}
	limited := func() *slog.Logger { return slog.New(quotaHandler{logger.Handler(), rate.NewLimiter(1, 20)}) }
	named := &namedLayer{StreamLayer: layer, self: string(id), log: limited(),
		messageTimeout: messageTimeout, snapshotSilence: snapshotSilence, conns: map[net.Conn]struct{}{}}
	return &Transport{layer: named, NetworkTransport: raft.NewNetworkTransportWithConfig(&raft.NetworkTransportConfig{
		Stream:          named,
		MaxPool:         4,
		MaxRPCsInFlight: 16,
		Timeout:         transportTimeout,
		Logger:          newHCLogger(limited(), "raft-net"),
	})}
}

// Close implements raft.WithClose.
func (t *Transport) Close() error {
	err := t.NetworkTransport.Close()
	t.layer.closeConns()
	return err
}

func (t *Transport) to(id raft.ServerID, at raft.ServerAddress) raft.ServerAddress {
	return raft.ServerAddress(id) + "@" + at
}

// namedLayer dials addresses of the form id@host:port and begins each connection with the id.
type namedLayer struct {
	raft.StreamLayer
	self string
	log  *slog.Logger // within a quota

	messageTimeout, snapshotSilence time.Duration

	mu     sync.Mutex
	conns  map[net.Conn]struct{} // open ones
	closed bool
}

// Dial implements raft.StreamLayer.
func (l *namedLayer) Dial(address raft.ServerAddress, timeout time.Duration) (net.Conn, error) {
	at := strings.LastIndexByte(string(address), '@')
	if at < 1 || at > nodeIDMax {
		return nil, fmt.Errorf("dial %q: no node is named: %w", address, fs.ErrInvalid)
	}
	inner, err := l.StreamLayer.Dial(address[at+1:], timeout)
	if err != nil {
		return nil, err
	}
	conn, err := l.keep(inner, true)
	if err == nil {
		err = conn.SetWriteDeadline(time.Now().Add(transportTimeout))
	}
	if err == nil {
		_, err = conn.Write(append([]byte{byte(at)}, address[:at]...))
	}
	if err == nil {
		err = conn.SetWriteDeadline(time.Time{})
	}
	if err != nil {
		_ = conn.Close() // the connection is given up because of err already
		return nil, err
	}
	return conn, nil
}

// Accept implements raft.StreamLayer. It does not wait for the name: the first Read does.
func (l *namedLayer) Accept() (net.Conn, error) {
	conn, err := l.StreamLayer.Accept()
	if err != nil {
		return nil, err
	}
	return l.keep(conn, false)
}

// keep makes a connection one of the layer's. It returns the connection with an error too.
func (l *namedLayer) keep(inner net.Conn, dialled bool) (*namedConn, error) {
	conn := &namedConn{Conn: inner, layer: l, dialled: dialled}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return conn, fmt.Errorf("the transport: %w", errors.Join(fs.ErrClosed, inner.Close()))
	}
	l.conns[inner] = struct{}{}
	return conn, nil
}

func (l *namedLayer) closeConns() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.closed = true
	for conn := range l.conns {
		_ = conn.Close() // nothing more is expected of it
	}
	clear(l.conns)
}

// namedConn is a connection of a namedLayer. The first Read of one that was accepted takes and checks the name; the later ones
// keep what comes within bounds (rpcLimit) and within its time. Read is called by one goroutine.
type namedConn struct {
	net.Conn
	layer   *namedLayer
	dialled bool
	checked bool
	limit   rpcLimit
	message uint64    // the number of the one that until is about
	until   time.Time // when it must be complete; zero between messages
}

func (c *namedConn) Read(p []byte) (int, error) {
	if c.dialled {
		return c.Conn.Read(p)
	}
	n, err := c.read(p)
	if err != nil && !isEnd(err) {
		c.layer.log.Warn("Raft connection closed", "peer", c.RemoteAddr(), "err", err)
	}
	return n, err
}

func (c *namedConn) read(p []byte) (int, error) {
	if !c.checked {
		if err := c.check(); err != nil {
			return 0, err
		}
		c.checked = true
	}
	if err := c.SetReadDeadline(c.deadline()); err != nil {
		return 0, err
	}
	n, err := c.Conn.Read(p)
	if errors.Is(err, os.ErrDeadlineExceeded) {
		return 0, fmt.Errorf("a message was begun and not completed: %w: %w", err, fs.ErrTimeout)
	}
	if bad := c.limit.feed(p[:n]); bad != nil {
		return 0, bad
	}
	return n, err
}

// deadline is when the next byte must have come.
func (c *namedConn) deadline() time.Time {
	switch {
	case c.limit.idle():
		c.until = time.Time{}
	case c.limit.state == rpcData: // as long as its disk takes for it: only silence is too long
		c.until = time.Now().Add(c.layer.snapshotSilence)
	case c.until.IsZero() || c.message != c.limit.begun:
		c.message, c.until = c.limit.begun, time.Now().Add(c.layer.messageTimeout)
	}
	return c.until
}

// isEnd reports whether an error is nothing but the end of a connection.
func isEnd(err error) bool {
	return errors.Is(err, io.EOF) || errors.Is(err, net.ErrClosed) || errors.Is(err, syscall.ECONNRESET)
}

// Close implements net.Conn.
func (c *namedConn) Close() error {
	c.layer.mu.Lock()
	delete(c.layer.conns, c.Conn)
	c.layer.mu.Unlock()
	return c.Conn.Close()
}

func (c *namedConn) check() error {
	if err := c.SetReadDeadline(time.Now().Add(transportTimeout)); err != nil {
		return err
	}
	length := make([]byte, 1)
	if _, err := io.ReadFull(c.Conn, length); err != nil {
		return err
	}
	name := make([]byte, length[0])
	if _, err := io.ReadFull(c.Conn, name); err != nil {
		return err
	}
	if string(name) != c.layer.self {
		return fmt.Errorf("a connection from %s is meant for node %s, this is %s: %w", c.RemoteAddr(), name, c.layer.self, fs.ErrInvalid)
	}
	return c.SetReadDeadline(time.Time{})
}
