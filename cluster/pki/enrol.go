package pki

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"dfs/fs"
)

// Grant is what a cluster gives to a machine that it lets in, as the contents of its files; the last three for a node only.
type Grant struct {
	Chain      []byte
	Root       []byte
	GossipKey  []byte
	IssuerCert []byte
	IssuerKey  []byte
}

// Enrol makes a machine's directory by a token: the key is made here and never leaves, ask gets the rest for a certificate
// request. What comes is judged before it is kept. After a crash, or an error, Enrol asks again with the same key; the
// certificate is written last.
func Enrol(ctx context.Context, dir, name string, token Token, ask func(ctx context.Context, csr []byte) (*Grant, error)) error {
	if err := (&Request{Role: token.Role, Name: name}).validate(); err != nil {
		return err
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	if err := syncDir(dir); err != nil {
		return err
	}
	private, key, err := lastingKey(filepath.Join(dir, name+keySuffix))
	if err != nil {
		return err
	}
	csr, err := newCSR(key)
	if err != nil {
		return err
	}
	g, err := ask(ctx, csr)
	if err != nil {
		return err
	}
	if err := g.check(token, private); err != nil {
		return fmt.Errorf("what the node has sent cannot be used: %w", err)
	}
	return g.keep(dir, name, token.Role)
}

// lastingKey is the key in a file, which is made if it is not there.
func lastingKey(path string) ([]byte, *ecdsa.PrivateKey, error) {
	private, err := readFile(path)
	if errors.Is(err, os.ErrNotExist) {
		return makeKey(path)
	}
	if err != nil {
		return nil, nil, err
	}
	key, err := decodeKey(private)
	if err != nil {
		return nil, nil, fmt.Errorf("%s is no key of ours: remove it, and ask for another join token: %w", path, err)
	}
	return private, key, nil
}

func makeKey(path string) ([]byte, *ecdsa.PrivateKey, error) {
	key, err := newKey()
	if err != nil {
		return nil, nil, err
	}
	private, err := encodeKey(key)
	if err != nil {
		return nil, nil, err
	}
	return private, key, replaceFile(path, private, secret)
}

// check judges a grant by the token: the right root, which vouches for a certificate of the right role, for our key.
func (g *Grant) check(token Token, private []byte) error {
	roots, err := parseCerts(g.Root, "the root")
	if err != nil {
		return err
	}
	if len(roots) != 1 || sha256.Sum256(roots[0].Raw) != token.Root {
		return fmt.Errorf("another root than the join token's: %w", fs.ErrPermission)
	}
	m := &material{pool: pool(roots)}
	if m.pair, err = tls.X509KeyPair(g.Chain, private); err != nil {
		return fmt.Errorf("%w: %w", err, fs.ErrInvalid)
	}
	if err := m.check(token.Role); err != nil || token.Role != RoleNode {
		return err
	}
	return errors.Join(g.checkIssuer(roots), checkGossipKey(g.GossipKey))
}

func (g *Grant) checkIssuer(roots []*x509.Certificate) error {
	return (&Issuer{certPEM: g.IssuerCert, keyPEM: g.IssuerKey}).open(roots, "the reply")
}

func (g *Grant) keep(dir, name string, role Role) error {
	ca := filepath.Join(dir, CACertFile)
	if old, err := readFile(ca); err == nil && !bytes.Equal(old, g.Root) {
		return fmt.Errorf("%s is of another authority, and is left alone: %w", ca, fs.ErrExist)
	}
	files := []file{{CACertFile, g.Root, public}}
	if role == RoleNode {
		files = append(files, file{GossipKeyFile, g.GossipKey, secret}, file{IssuerKeyFile, g.IssuerKey, secret}, file{IssuerCertFile, g.IssuerCert, public})
	}
	for _, f := range append(files, file{name + certSuffix, g.Chain, public}) {
		if err := replaceFile(filepath.Join(dir, f.name), f.data, f.mode); err != nil {
			return err
		}
	}
	return nil
}
