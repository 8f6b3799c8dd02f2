package cluster

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"time"

	"google.golang.org/grpc"

	"dfs/cluster/clusterpb"
	"dfs/cluster/pki"
	"dfs/cluster/rpcerr"
	"dfs/fs"
)

// renewTimeout bounds asking one node for a certificate.
const renewTimeout = 5 * time.Second

// RegisterCertificates adds the service that renews certificates to a node's gRPC server. issuer opens the issuer that the
// node has; its error says that there is none.
func RegisterCertificates(s grpc.ServiceRegistrar, issuer func() (*pki.Issuer, error)) {
	clusterpb.RegisterCertificatesServer(s, &certificates{issuer: issuer})
}

type certificates struct {
	clusterpb.UnimplementedCertificatesServer
	issuer func() (*pki.Issuer, error)
}

// Renew implements clusterpb.CertificatesServer.
func (s *certificates) Renew(ctx context.Context, r *clusterpb.RenewRequest) (*clusterpb.RenewReply, error) {
	chain, err := s.renew(ctx, r.GetCsr())
	if err != nil {
		return nil, rpcerr.ToStatus(fmt.Errorf("renew: %w", err))
	}
	return &clusterpb.RenewReply{Chain: chain}, nil
}

func (s *certificates) renew(ctx context.Context, csr []byte) ([]byte, error) {
	key, err := pki.ParseCSR(csr)
	if err != nil {
		return nil, err
	}
	p := callerOf(ctx)
	if p == nil {
		return nil, fmt.Errorf("without TLS there are no certificates: %w", fs.ErrNotSupported)
	}
	if time.Now().After(p.Ends()) { // the connection is about to end
		return nil, fmt.Errorf("the certificate has ended: %w", fs.ErrPermission)
	}
	i, err := s.issuer()
	if err != nil {
		return nil, fmt.Errorf("this node cannot renew certificates, ask another one: %w: %w", err, fs.ErrUnavailable)
	}
	return i.Renew(p.Leaf, key)
}

// RenewAt is a [pki.Sign] that asks the nodes at addrs, which is called for each certificate, one after the other, until one
// signs.
func RenewAt(d *Dialer, addrs func() []string) pki.Sign {
	return func(ctx context.Context, _ *x509.Certificate, csr []byte) ([]byte, error) {
		errs := []error{fmt.Errorf("no node has renewed the certificate: %w", fs.ErrUnavailable)}
		for _, addr := range addrs() {
			chain, err := renewAt(ctx, d, addr, csr)
			if err == nil {
				return chain, nil
			}
			errs = append(errs, fmt.Errorf("%s: %w", addr, err))
		}
		return nil, errors.Join(errs...)
	}
}

func renewAt(ctx context.Context, d *Dialer, addr string, csr []byte) ([]byte, error) {
	conn, err := d.DialGRPC(addr)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, renewTimeout)
	defer cancel()
	reply, err := clusterpb.NewCertificatesClient(conn).Renew(ctx, &clusterpb.RenewRequest{Csr: csr})
	return reply.GetChain(), rpcerr.FromStatus(err)
}

// SignBy is a [pki.Sign] by the issuer that this machine has; without one it is otherwise's.
func SignBy(issuer func() (*pki.Issuer, error), otherwise pki.Sign) pki.Sign {
	return func(ctx context.Context, own *x509.Certificate, csr []byte) ([]byte, error) {
		i, err := issuer()
		if errors.Is(err, fs.ErrNotExist) && otherwise != nil {
			return otherwise(ctx, own, csr)
		}
		if err != nil {
			return nil, err
		}
		key, err := pki.ParseCSR(csr)
		if err != nil {
			return nil, err
		}
		return i.Renew(own, key)
	}
}
