package raftmeta

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"strings"
	"sync"
	"time"

	"github.com/hashicorp/raft"

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
	transportTimeout = 5 * time.Second // for one message, and for the first bytes of a connection
	nodeIDMax        = 255             // bytes
)

// NewTransport returns a Transport over a stream layer, for node id. logger may be nil.
func NewTransport(layer raft.StreamLayer, id fs.NodeID, logger *slog.Logger) *Transport {
	if logger == nil {
		logger = slog.New(slog.DiscardHandler)
	}
	named := &namedLayer{StreamLayer: layer, self: string(id), conns: map[net.Conn]struct{}{}}
	return &Transport{layer: named, NetworkTransport: raft.NewNetworkTransportWithConfig(&raft.NetworkTransportConfig{
		Stream:          named,
		MaxPool:         4,
		MaxRPCsInFlight: 16,
		Timeout:         transportTimeout,
		Logger:          newHCLogger(logger, "raft-net"),
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
func (l *namedLayer) keep(inner net.Conn, checked bool) (*namedConn, error) {
	conn := &namedConn{Conn: inner, layer: l, checked: checked}
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

// namedConn is a connection of a namedLayer. The first Read of one that was accepted takes and checks the name; Read is
// called by one goroutine.
type namedConn struct {
	net.Conn
	layer   *namedLayer
	checked bool
}

func (c *namedConn) Read(p []byte) (int, error) {
	if !c.checked {
		if err := c.check(); err != nil {
			return 0, err
		}
		c.checked = true
	}
	return c.Conn.Read(p)
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
