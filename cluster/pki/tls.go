package pki

import (
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"slices"
	"time"

	"dfs/fs"
)

// Peer is who is at the other end of a connection.
type Peer struct {
	Role  Role
	Name  string
	Scope fs.Scope // what it is bound to
	Leaf  *x509.Certificate
}

// Ends is when the peer's certificate ends.
func (p Peer) Ends() time.Time { return p.Leaf.NotAfter }

// Owner is the peer as the owner of a session.
func (p *Peer) Owner() fs.Owner { return fs.Owner{Name: p.Name, Role: string(p.Role), Scope: p.Scope} }

// enrolALPN is what a machine without a certificate asks for in its first message, see [Enrolling].
const enrolALPN = "dfs-enrol"

// Server is the listener's side: the peer must show a certificate of the authority, with a role. It follows the files.
func (c *Credentials) Server(protocols ...string) *tls.Config {
	return &tls.Config{
		MinVersion:         tls.VersionTLS13,
		GetConfigForClient: func(*tls.ClientHelloInfo) (*tls.Config, error) { return c.current().server(protocols), nil },
	}
}

func (m *material) server(protocols []string) *tls.Config {
	return &tls.Config{
		MinVersion: tls.VersionTLS13, NextProtos: protocols,
		Certificates: []tls.Certificate{m.pair}, ClientCAs: m.pool, ClientAuth: tls.RequireAndVerifyClientCert,
		SessionTicketsDisabled: true, // each connection is judged by the certificate as it is then
		VerifyConnection:       hasRole,
	}
}

// ServerOrEnrol is Server for a listener that also takes machines without a certificate: those that ask for nothing but to
// enrol. It shows them the root too, which they have never seen. The listener must ask Enrolling of every connection.
func (c *Credentials) ServerOrEnrol() *tls.Config {
	return &tls.Config{
		MinVersion: tls.VersionTLS13,
		GetConfigForClient: func(hello *tls.ClientHelloInfo) (*tls.Config, error) {
			m := c.current()
			if !slices.Equal(hello.SupportedProtos, []string{enrolALPN}) {
				return m.server(nil), nil
			}
			pair := m.pair
			pair.Certificate = append(slices.Clone(pair.Certificate), m.root.Raw)
			return &tls.Config{
				MinVersion: tls.VersionTLS13, NextProtos: []string{enrolALPN},
				Certificates: []tls.Certificate{pair}, ClientAuth: tls.NoClientCert, SessionTicketsDisabled: true,
			}, nil
		},
	}
}

// Enrolling reports whether a connection with a [Credentials.ServerOrEnrol] is one whose peer has shown no certificate.
func Enrolling(s tls.ConnectionState) bool { return s.NegotiatedProtocol == enrolALPN }

// EnrolClient is the side of a machine without a certificate: the listener must be a node, of the authority whose root has
// this hash. It is for one connection.
func EnrolClient(root fs.TokenHash) *tls.Config {
	return &tls.Config{
		MinVersion: tls.VersionTLS13, ServerName: ServerName, NextProtos: []string{enrolALPN},
		InsecureSkipVerify: true, // there is no pool to verify with: VerifyConnection does it, against the hash
		VerifyConnection: func(s tls.ConnectionState) error {
			if !Enrolling(s) {
				return fmt.Errorf("the node does not let machines enrol: %w", fs.ErrNotSupported)
			}
			return verifyBy(root, s)
		},
	}
}

// verifyBy does for a listener's chain what crypto/tls does with a pool, with the certificate of a known hash as the root.
func verifyBy(root fs.TokenHash, s tls.ConnectionState) error {
	at := slices.IndexFunc(s.PeerCertificates, func(c *x509.Certificate) bool { return fs.TokenHash(sha256.Sum256(c.Raw)) == root })
	if at < 1 {
		return fmt.Errorf("this is not the cluster that the join token is from: %w", fs.ErrPermission)
	}
	_, err := s.PeerCertificates[0].Verify(x509.VerifyOptions{
		Roots: pool(s.PeerCertificates[at : at+1]), Intermediates: pool(s.PeerCertificates[1:]),
		DNSName: ServerName, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	})
	if err != nil {
		return errors.Join(err, fs.ErrPermission)
	}
	return isNode(s)
}

// Client is the dialler's side: the peer must be a node of the authority. It is for one connection.
func (c *Credentials) Client() *tls.Config {
	m := c.current()
	return &tls.Config{
		MinVersion: tls.VersionTLS13, ServerName: ServerName,
		RootCAs: m.pool, VerifyConnection: isNode,
		// Shown whatever authorities the listener asks for: so its log says which certificate it has refused, and why.
		GetClientCertificate: func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return &m.pair, nil },
	}
}

func hasRole(s tls.ConnectionState) error {
	_, err := PeerOf(s)
	return err
}

func isNode(s tls.ConnectionState) error {
	p, err := PeerOf(s)
	if err == nil && p.Role != RoleNode {
		err = fmt.Errorf("%q has the role %q, not that of a node: %w", p.Name, p.Role, fs.ErrPermission)
	}
	return err
}

// PeerOf is who is at the other end of a connection whose handshake is done.
func PeerOf(s tls.ConnectionState) (Peer, error) {
	if len(s.PeerCertificates) == 0 {
		return Peer{}, fmt.Errorf("the other side has shown no certificate: %w", fs.ErrPermission)
	}
	leaf := s.PeerCertificates[0]
	role, scope, err := grantOf(leaf)
	if err != nil {
		return Peer{}, err
	}
	return Peer{Role: role, Name: leaf.Subject.CommonName, Scope: scope, Leaf: leaf}, nil
}
