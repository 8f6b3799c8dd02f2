package pki

import (
	"crypto/tls"
	"fmt"
	"time"

	"dfs/fs"
)

// Peer is who is at the other end of a connection.
type Peer struct {
	Role Role
	Name string    // for logs
	Ends time.Time // of its certificate
}

// Server is the listener's side: the peer must show a certificate of the authority, with a role. It follows the files.
func (c *Credentials) Server(protocols ...string) *tls.Config {
	return &tls.Config{
		MinVersion: tls.VersionTLS13,
		GetConfigForClient: func(*tls.ClientHelloInfo) (*tls.Config, error) {
			m := c.current()
			return &tls.Config{
				MinVersion: tls.VersionTLS13, NextProtos: protocols,
				Certificates: []tls.Certificate{m.pair}, ClientCAs: m.pool, ClientAuth: tls.RequireAndVerifyClientCert,
				SessionTicketsDisabled: true, // each connection is judged by the certificate as it is then
				VerifyConnection:       hasRole,
			}, nil
		},
	}
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
	role, err := RoleOf(leaf)
	if err != nil {
		return Peer{}, err
	}
	return Peer{Role: role, Name: leaf.Subject.CommonName, Ends: leaf.NotAfter}, nil
}
