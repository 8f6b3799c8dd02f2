package cluster

import (
	"context"
	"crypto/tls"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"time"

	"golang.org/x/time/rate"
	"google.golang.org/protobuf/proto"

	"dfs/cluster/clusterpb"
	"dfs/cluster/pki"
	"dfs/fs"
)

// Bounds of enrolling.
const (
	enrolMessageMax = 16 << 10         // bytes of either message
	enrolsMax       = 8                // that are being decided
	enrolRate       = 5                // begun in a second, in the long run
	enrolBurst      = 20               // and at once
	enrolTimeout    = 10 * time.Second // for deciding
)

// EnrolRequest is what a machine without a certificate sends.
type EnrolRequest struct {
	Token  string // id
	Secret []byte
	Role   pki.Role
	CSR    []byte // DER
	Name   string
	Hosts  []string
}

// Enroller decides about a request. fs.ErrUnavailable sends the machine elsewhere, or back later; whatever else goes wrong
// refuses it. The error is for the log only: it must not hold the secret.
type Enroller func(ctx context.Context, r *EnrolRequest) (*pki.Grant, error)

// enrolDesk is where machines without a certificate are served.
type enrolDesk struct {
	decide Enroller
	places chan struct{} // enrolsMax
	quota  *rate.Limiter
}

func newEnrolDesk(decide Enroller) *enrolDesk {
	if decide == nil {
		return nil
	}
	return &enrolDesk{decide: decide, places: make(chan struct{}, enrolsMax), quota: rate.NewLimiter(enrolRate, enrolBurst)}
}

// enrolling is a TLS connection of a machine without a certificate.
type enrolling struct {
	*tls.Conn
	raw net.Conn
}

// Close does not wait for a peer that does not read.
func (e *enrolling) Close() error { return e.raw.Close() }

// serve takes one request and answers it. The error is for the log.
func (k *enrolDesk) serve(ctx context.Context, conn *enrolling) error {
	ctx, cancel := context.WithTimeout(ctx, enrolTimeout)
	defer cancel()
	m := &clusterpb.EnrolRequest{}
	if err := readMessage(conn, m); err != nil { // within what is left of the preamble's time
		return fmt.Errorf("enrol: %w", err)
	}
	reply, why := k.answer(ctx, m)
	if err := conn.SetDeadline(time.Now().Add(preambleTimeout)); err != nil {
		return err
	}
	err := errors.Join(why, writeMessage(conn, reply), conn.CloseWrite())
	if err != nil {
		return fmt.Errorf("enrol %.64q as %.64q by join token %.64q: %w", m.GetName(), m.GetRole(), m.GetToken(), err)
	}
	return nil
}

func (k *enrolDesk) answer(ctx context.Context, m *clusterpb.EnrolRequest) (*clusterpb.EnrolReply, error) {
	later := &clusterpb.EnrolReply{Status: clusterpb.EnrolStatus_ENROL_STATUS_LATER}
	if !k.quota.Allow() {
		return later, fmt.Errorf("more than %d a second: %w", enrolRate, fs.ErrUnavailable)
	}
	select {
	case k.places <- struct{}{}:
		defer func() { <-k.places }()
	default:
		return later, fmt.Errorf("%d are being decided: %w", enrolsMax, fs.ErrUnavailable)
	}
	g, err := k.decide(ctx, &EnrolRequest{Token: m.GetToken(), Secret: m.GetSecret(), Role: pki.Role(m.GetRole()), CSR: m.GetCsr(), Name: m.GetName(), Hosts: m.GetHosts()})
	switch {
	case errors.Is(err, fs.ErrUnavailable) || ctx.Err() != nil:
		return later, errors.Join(err, ctx.Err())
	case err != nil:
		return &clusterpb.EnrolReply{Status: clusterpb.EnrolStatus_ENROL_STATUS_REFUSED}, err
	}
	return &clusterpb.EnrolReply{Status: clusterpb.EnrolStatus_ENROL_STATUS_OK, Chain: g.Chain, Root: g.Root,
		GossipKey: g.GossipKey, IssuerCert: g.IssuerCert, IssuerKey: g.IssuerKey}, nil
}

// Enrol asks the node at addr (host:port) to let this machine in. The token says which cluster that must be; r gets its id,
// role and secret, which are sent once the node has shown to be of that cluster. fs.ErrPermission: the cluster refuses, or it
// is another one. fs.ErrUnavailable: not now, or not by this node.
func Enrol(ctx context.Context, addr string, token pki.Token, r EnrolRequest) (*pki.Grant, error) {
	g, err := enrol(ctx, addr, token, r)
	if err != nil {
		return nil, fmt.Errorf("enrol at %s: %w", addr, unavailable(err))
	}
	return g, nil
}

func enrol(ctx context.Context, addr string, token pki.Token, r EnrolRequest) (*pki.Grant, error) {
	ctx, cancel := context.WithTimeout(ctx, connectTimeout+enrolTimeout+preambleTimeout)
	defer cancel()
	raw, err := (&net.Dialer{Timeout: connectTimeout}).DialContext(ctx, "tcp", addr)
	if err != nil {
		return nil, err
	}
	defer drop(raw)
	defer context.AfterFunc(ctx, func() { drop(raw) })()
	conn := tls.Client(raw, pki.EnrolClient(token.Root))
	if err := handshake(ctx, conn); err != nil {
		return nil, err
	}
	if err := greet(conn, ProtocolEnrol); err != nil {
		return nil, err
	}
	err = writeMessage(conn, &clusterpb.EnrolRequest{Token: token.ID, Secret: token.Secret(), Role: string(token.Role), Csr: r.CSR, Name: r.Name, Hosts: r.Hosts})
	if err != nil {
		return nil, err
	}
	reply := &clusterpb.EnrolReply{}
	if err := readMessage(conn, reply); err != nil {
		return nil, err
	}
	switch reply.GetStatus() {
	case clusterpb.EnrolStatus_ENROL_STATUS_OK:
		return &pki.Grant{Chain: reply.GetChain(), Root: reply.GetRoot(), GossipKey: reply.GetGossipKey(),
			IssuerCert: reply.GetIssuerCert(), IssuerKey: reply.GetIssuerKey()}, nil
	case clusterpb.EnrolStatus_ENROL_STATUS_REFUSED:
		return nil, fmt.Errorf("the cluster refuses the join token: it is unknown, expired or used up, or for something else; the node's log says which: %w", fs.ErrPermission)
	}
	return nil, fmt.Errorf("the node cannot let machines in now: %w", fs.ErrUnavailable)
}

// readMessage reads a length and a message of at most enrolMessageMax bytes.
func readMessage(r io.Reader, m proto.Message) error {
	var head [4]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return fmt.Errorf("await a message: %w", err)
	}
	n := binary.BigEndian.Uint32(head[:])
	if n > enrolMessageMax {
		return fmt.Errorf("a message of %d bytes, at most %d: %w", n, enrolMessageMax, fs.ErrTooLarge)
	}
	data := make([]byte, n)
	if _, err := io.ReadFull(r, data); err != nil {
		return fmt.Errorf("await a message: %w", err)
	}
	if err := proto.Unmarshal(data, m); err != nil {
		return fmt.Errorf("decode a message: %w: %w", err, fs.ErrInvalid)
	}
	return nil
}

func writeMessage(w io.Writer, m proto.Message) error {
	data, err := proto.Marshal(m)
	if err == nil && len(data) > enrolMessageMax {
		err = fs.ErrTooLarge
	}
	if err != nil {
		return fmt.Errorf("encode a message: %w", err)
	}
	_, err = w.Write(append(binary.BigEndian.AppendUint32(nil, uint32(len(data))), data...))
	return err
}
