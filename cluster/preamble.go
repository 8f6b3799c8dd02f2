package cluster

import (
	"errors"
	"fmt"
	"io"

	"dfs/fs"
)

// Protocol says what a connection is for.
type Protocol byte

// The protocols that share the port.
const (
	ProtocolRaft  Protocol = 1
	ProtocolGRPC  Protocol = 2
	ProtocolEnrol Protocol = 3 // the only one without a certificate
)

func (p Protocol) String() string {
	switch p {
	case ProtocolRaft:
		return "raft"
	case ProtocolGRPC:
		return "grpc"
	case ProtocolEnrol:
		return "enrol"
	}
	return fmt.Sprintf("protocol %d", byte(p))
}

// preambleVersion changes when what follows the preamble can no longer be understood by an older build.
const preambleVersion = 1

// Every connection begins with six bytes from the dialler (magic, version, protocol), answered by six bytes from the
// listener (magic, version, status). The answer costs a round trip a connection, and buys that the dialler knows that
// a live process of a version it can talk to has taken the connection, and says why when it has not.
type preamble struct {
	version byte
	last    byte // the Protocol on the way there, the status on the way back
}

const preambleSize = 6

var magic = [4]byte{0xdf, 'd', 'f', 's'}

// The statuses.
const (
	statusOK       byte = 0
	statusVersion  byte = 1 // the listener speaks another version
	statusProtocol byte = 2 // the listener does not serve this protocol
	statusRole     byte = 3 // the dialler's certificate is not for this protocol
	statusTLS      byte = 4 // the listener speaks TLS only, and the dialler has not
	statusPlain    byte = 5 // the listener does not speak TLS, and the dialler has
	statusBusy     byte = 6 // the dialler has too many connections
)

// The errors of two sides of which one speaks TLS and the other does not.
var (
	errSpeaksTLS   = fmt.Errorf("it speaks TLS, and this node does not (no --tls-dir): %w", fs.ErrPermission)
	errSpeaksPlain = fmt.Errorf("it does not speak TLS, and this node demands it: %w", fs.ErrPermission)
	errDemandsTLS  = fmt.Errorf("the node speaks TLS only, say --tls-dir with a directory made by \"dfs ca issue\": %w", fs.ErrPermission)
	errOffersPlain = fmt.Errorf("the node does not speak TLS: it was started without --tls-dir, or something else is there: %w", fs.ErrPermission)
)

// recordHandshake is the first byte of every TLS connection.
const recordHandshake = 0x16

// errNotDFS says that the other side is something else: a browser, a port scanner, a wrong port.
var errNotDFS = errors.New("the other side does not speak the dfs protocol")

func writePreamble(w io.Writer, p preamble) error {
	_, err := w.Write([]byte{magic[0], magic[1], magic[2], magic[3], p.version, p.last})
	return err
}

func readPreamble(r io.Reader) (preamble, error) {
	var b [preambleSize]byte
	n, err := io.ReadFull(r, b[:])
	if n > 1 && b[0] == recordHandshake && b[1] == 3 {
		return preamble{}, errSpeaksTLS
	}
	if n >= len(magic) && [4]byte(b[:4]) != magic {
		return preamble{}, fmt.Errorf("%w (it sent %q)", errNotDFS, b[:n])
	}
	if err != nil {
		return preamble{}, fmt.Errorf("preamble cut off after %d bytes: %w", n, err)
	}
	return preamble{version: b[4], last: b[5]}, nil
}

// greet is the dialler's half.
func greet(c io.ReadWriter, proto Protocol) error {
	if err := writePreamble(c, preamble{preambleVersion, byte(proto)}); err != nil {
		return fmt.Errorf("send preamble: %w", err)
	}
	p, err := readPreamble(c)
	if err != nil {
		return fmt.Errorf("no answer to the preamble (is this the node's RPC port, 7400 by default?): %w", err)
	}
	switch {
	case p.last == statusOK && p.version == preambleVersion:
		return nil
	case p.version != preambleVersion:
		return fmt.Errorf("the node speaks version %d of the protocol, this build speaks %d; upgrade the older one: %w",
			p.version, preambleVersion, fs.ErrNotSupported)
	case p.last == statusRole:
		return fmt.Errorf("the node does not let this certificate speak %s: %w", proto, fs.ErrPermission)
	case p.last == statusTLS:
		return errDemandsTLS
	case p.last == statusPlain:
		return errOffersPlain
	case p.last == statusBusy:
		return fmt.Errorf("the node has too many connections of this machine, or of its certificate: %w", fs.ErrUnavailable)
	case p.last == statusProtocol:
		return fmt.Errorf("the node does not serve %s on this port: %w", proto, fs.ErrNotSupported)
	}
	return fmt.Errorf("the node answered with status %d: %w", p.last, fs.ErrNotSupported)
}

// welcome is the listener's half: it returns what the connection is for. judge tells whether a protocol is served, and to
// this dialler: the status is what the dialler hears, the error what the log says.
func welcome(c io.ReadWriter, judge func(Protocol) (status byte, err error)) (Protocol, error) {
	p, err := readPreamble(c)
	if err != nil {
		return 0, err // rubbish gets no answer: it would not understand it
	}
	status := statusOK
	proto := Protocol(p.last)
	switch {
	case p.version != preambleVersion:
		status, err = statusVersion, fmt.Errorf("it speaks version %d of the protocol, this build %d: %w",
			p.version, preambleVersion, fs.ErrNotSupported)
	default:
		status, err = judge(proto)
	}
	if e := writePreamble(c, preamble{preambleVersion, status}); e != nil && err == nil {
		err = fmt.Errorf("answer preamble: %w", e)
	}
	return proto, err
}
