package pki

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/hex"
	"encoding/pem"
	"fmt"
	"math/big"
	"path/filepath"
	"time"
)

// The files of an authority, and of a machine.
const (
	CACertFile    = "ca.crt"
	caKeyFile     = "ca.key"
	GossipKeyFile = "gossip.key"
	certSuffix    = ".crt"
	keySuffix     = ".key"
)

const (
	authorityYears = 10
	backdated      = time.Hour // so that a machine whose clock is late takes a new certificate
	gossipKeyBytes = 32
	pemCert        = "CERTIFICATE"
	pemKey         = "PRIVATE KEY"
)

// InitCA makes an authority in dir, which it makes too if need be: its certificate, valid for ten years, its key, and the
// nodes' gossip key. Whatever is there already is left alone; that is fs.ErrExist.
func InitCA(dir string) error {
	key, err := newKey()
	if err != nil {
		return err
	}
	id, gossip := random(8), random(gossipKeyBytes)
	now := time.Now()
	template := &x509.Certificate{
		Subject:               pkix.Name{CommonName: hex.EncodeToString(id), Organization: []string{"dfs certificate authority"}},
		NotBefore:             now.Add(-backdated),
		NotAfter:              now.AddDate(authorityYears, 0, 0),
		KeyUsage:              x509.KeyUsageCertSign | x509.KeyUsageCRLSign,
		BasicConstraintsValid: true, IsCA: true, MaxPathLenZero: true,
	}
	cert, err := sign(template, template, &key.PublicKey, key)
	if err != nil {
		return err
	}
	private, err := encodeKey(key)
	if err != nil {
		return err
	}
	return writeNew(dir, []file{
		{caKeyFile, private, secret},
		{GossipKeyFile, []byte(hex.EncodeToString(gossip) + "\n"), secret},
		{CACertFile, cert, public},
	})
}

// authority is one that can sign.
type authority struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
	pem  []byte // of cert
}

func openAuthority(dir string) (*authority, error) {
	certPEM, err := readFile(filepath.Join(dir, CACertFile))
	if err != nil {
		return nil, fmt.Errorf("no certificate authority in %s, make one with \"dfs ca init\": %w", dir, err)
	}
	keyPEM, err := readFile(filepath.Join(dir, caKeyFile))
	if err != nil {
		return nil, err
	}
	pair, err := tls.X509KeyPair(certPEM, keyPEM)
	if err != nil {
		return nil, fmt.Errorf("certificate authority in %s: %w", dir, err)
	}
	key, ok := pair.PrivateKey.(*ecdsa.PrivateKey)
	if !ok || !pair.Leaf.IsCA {
		return nil, fmt.Errorf("what lies in %s was not made by \"dfs ca init\"", dir)
	}
	return &authority{cert: pair.Leaf, key: key, pem: certPEM}, nil
}

func newKey() (*ecdsa.PrivateKey, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("make a key: %w", err)
	}
	return key, nil
}

// sign gives a template a serial number and returns the certificate as PEM.
func sign(template, parent *x509.Certificate, public *ecdsa.PublicKey, with *ecdsa.PrivateKey) ([]byte, error) {
	template.SerialNumber = new(big.Int).SetBytes(random(16))
	der, err := x509.CreateCertificate(rand.Reader, template, parent, public, with)
	if err != nil {
		return nil, fmt.Errorf("make a certificate: %w", err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: pemCert, Bytes: der}), nil
}

func encodeKey(key *ecdsa.PrivateKey) ([]byte, error) {
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, fmt.Errorf("encode a key: %w", err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: pemKey, Bytes: der}), nil
}

func random(n int) []byte {
	b := make([]byte, n)
	_, _ = rand.Read(b) // it never fails: it ends the process instead
	return b
}
