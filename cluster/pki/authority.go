package pki

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/hex"
	"encoding/pem"
	"fmt"
	"math/big"
	"time"

	"dfs/fs"
)

// The files of an authority, and of a machine.
const (
	CACertFile     = "ca.crt"
	caKeyFile      = "ca.key"
	IssuerCertFile = "issuer.crt"
	IssuerKeyFile  = "issuer.key"
	GossipKeyFile  = "gossip.key"
	certSuffix     = ".crt"
	keySuffix      = ".key"
)

const (
	authorityYears = 10
	backdated      = time.Hour // so that a machine whose clock is late takes a new certificate
	gossipKeyBytes = 32
	pemCert        = "CERTIFICATE"
	pemKey         = "PRIVATE KEY"
)

// InitCA makes an authority in dir, which it makes too if need be: the root's certificate, valid for ten years, and its
// key, those of the issuer that signs in its name, and the nodes' gossip key. Whatever is there already is left alone; that
// is fs.ErrExist.
func InitCA(dir string) error {
	rootKey, err := newKey()
	if err != nil {
		return err
	}
	issuerKey, err := newKey()
	if err != nil {
		return err
	}
	id, now := hex.EncodeToString(random(8)), time.Now()
	root := authorityTemplate(id, now, 1)
	rootPEM, err := sign(root, root, &rootKey.PublicKey, rootKey)
	if err != nil {
		return err
	}
	issuerPEM, err := sign(authorityTemplate("issuer of "+id, now, 0), root, &issuerKey.PublicKey, rootKey)
	if err != nil {
		return err
	}
	rootSecret, err := encodeKey(rootKey)
	if err != nil {
		return err
	}
	issuerSecret, err := encodeKey(issuerKey)
	if err != nil {
		return err
	}
	return writeNew(dir, []file{
		{caKeyFile, rootSecret, secret},
		{IssuerKeyFile, issuerSecret, secret},
		{GossipKeyFile, []byte(hex.EncodeToString(random(gossipKeyBytes)) + "\n"), secret},
		{IssuerCertFile, issuerPEM, public},
		{CACertFile, rootPEM, public},
	})
}

// authorityTemplate is of a certificate that signs others, with at most pathLen of such ones below it.
func authorityTemplate(name string, now time.Time, pathLen int) *x509.Certificate {
	return &x509.Certificate{
		Subject:               pkix.Name{CommonName: name, Organization: []string{"dfs certificate authority"}},
		NotBefore:             now.Add(-backdated),
		NotAfter:              now.AddDate(authorityYears, 0, 0),
		KeyUsage:              x509.KeyUsageCertSign | x509.KeyUsageCRLSign,
		BasicConstraintsValid: true, IsCA: true, MaxPathLen: pathLen, MaxPathLenZero: pathLen == 0,
	}
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

func decodeKey(data []byte) (*ecdsa.PrivateKey, error) {
	block, _ := pem.Decode(data)
	if block == nil || block.Type != pemKey {
		return nil, fmt.Errorf("no key: %w", fs.ErrInvalid)
	}
	parsed, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	key, ok := parsed.(*ecdsa.PrivateKey)
	if err != nil || !ok || key.Curve != elliptic.P256() {
		return nil, fmt.Errorf("no key on the curve P-256: %w", fs.ErrInvalid)
	}
	return key, nil
}

func random(n int) []byte {
	b := make([]byte, n)
	_, _ = rand.Read(b) // it never fails: it ends the process instead
	return b
}
