package cluster

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"time"

	"dfs/cluster/pki"
	"dfs/fs"
)

const (
	goodbyeMax = 250 * time.Millisecond // for telling the other side that the connection ends
	lingerMax  = 16 << 10               // bytes that a refused stranger may still be sending
)

// secured is a TLS connection of a peer whose certificate has been verified. It ends with that certificate.
type secured struct {
	*tls.Conn
	raw  net.Conn
	peer pki.Peer
	ends *time.Timer
}

func newSecured(conn *tls.Conn, raw net.Conn) (*secured, error) {
	peer, err := pki.PeerOf(conn.ConnectionState())
	if err != nil {
		return nil, err
	}
	return &secured{Conn: conn, raw: raw, peer: peer, ends: time.AfterFunc(time.Until(peer.Ends()), func() { drop(raw) })}, nil
}

// Close says goodbye, but does not wait for a peer that does not read.
func (s *secured) Close() error {
	s.ends.Stop()
	cut := time.AfterFunc(goodbyeMax, func() { drop(s.raw) })
	defer cut.Stop()
	return s.Conn.Close()
}

// secure is the dialler's half of TLS; without credentials it is nothing.
func (d *Dialer) secure(ctx context.Context, raw *net.TCPConn) (net.Conn, error) {
	if d.tls == nil {
		return raw, nil
	}
	conn := tls.Client(raw, d.tls.Client())
	if err := handshake(ctx, conn); err != nil {
		return nil, err
	}
	return newSecured(conn, raw)
}

// handshake does the dialler's half of TLS and says what its errors mean.
func handshake(ctx context.Context, conn *tls.Conn) error {
	err := conn.HandshakeContext(ctx)
	if header, ok := errors.AsType[tls.RecordHeaderError](err); ok && [4]byte(header.RecordHeader[:4]) == magic {
		return errOffersPlain
	}
	if _, ok := errors.AsType[*tls.CertificateVerificationError](err); ok {
		return fmt.Errorf("the node's certificate is not accepted (is it of the authority in our ca.crt?): %w: %w", err, fs.ErrPermission)
	}
	if err != nil {
		return explain(fmt.Errorf("TLS: %w", err))
	}
	return nil
}

// explain marks an alert of the other side's TLS as what it is: our certificate is refused. It comes late, with the first
// read, since with TLS 1.3 the dialler's handshake is done before the listener has seen the certificate.
func explain(err error) error {
	if op, ok := errors.AsType[*net.OpError](err); ok && op.Op == "remote error" {
		return fmt.Errorf("the node does not accept this machine's certificate (%w); its log says why: %w", op.Err, fs.ErrPermission)
	}
	return err
}

// secure is the listener's half of TLS: the connection is *secured, or *enrolling. Who does not speak TLS is told so, as far
// as it can understand.
func (m *mux) secure(raw net.Conn) (net.Conn, *pki.Peer, error) {
	if m.tls == nil {
		return raw, nil, nil
	}
	first := make([]byte, 1)
	if _, err := io.ReadFull(raw, first); err != nil {
		return nil, nil, fmt.Errorf("TLS: nothing was sent: %w", err)
	}
	if first[0] == magic[0] {
		if _, err := io.CopyN(io.Discard, raw, preambleSize-1); err != nil {
			return nil, nil, errSpeaksPlain
		}
		return nil, nil, answer(raw, statusTLS, errSpeaksPlain)
	}
	conn := tls.Server(&replayed{Conn: raw, head: first}, m.tls)
	if err := conn.Handshake(); err != nil {
		return nil, nil, &answeredError{fmt.Errorf("TLS: %w", err)}
	}
	if pki.Enrolling(conn.ConnectionState()) {
		return &enrolling{conn, raw}, nil, nil
	}
	s, err := newSecured(conn, raw)
	if err != nil {
		return nil, nil, err
	}
	return s, &s.peer, nil
}

// replayed is a connection of which the first bytes have been read already.
type replayed struct {
	net.Conn
	head []byte
}

func (r *replayed) Read(p []byte) (int, error) {
	if len(r.head) == 0 {
		return r.Conn.Read(p)
	}
	n := copy(p, r.head)
	r.head = r.head[n:]
	return n, nil
}

// answeredError refuses a stranger that has been told something and may still be sending.
type answeredError struct{ error }

func (e *answeredError) Unwrap() error { return e.error }

// answer tells a stranger why it is refused.
func answer(raw net.Conn, status byte, why error) error {
	if err := writePreamble(raw, preamble{preambleVersion, status}); err != nil {
		return why // it is refused all the same
	}
	return &answeredError{why}
}

// linger reads what a refused stranger still sends, until its deadline: closing with something unread would make the kernel
// take back our answer.
func linger(raw net.Conn) {
	if tcp, ok := raw.(*net.TCPConn); ok && tcp.CloseWrite() == nil {
		_, _ = io.CopyN(io.Discard, raw, lingerMax) // whatever comes, the connection is closed next
	}
}
