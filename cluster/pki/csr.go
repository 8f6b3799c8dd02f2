package pki

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"fmt"

	"dfs/fs"
)

// csrMax bounds a request's bytes; ours have about 200.
const csrMax = 4 << 10

// newCSR asks for a certificate for a key. It says nothing but that: what the certificate is for is the issuer's to know.
func newCSR(key *ecdsa.PrivateKey) ([]byte, error) {
	der, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{}, key)
	if err != nil {
		return nil, fmt.Errorf("make a certificate request: %w", err)
	}
	return der, nil
}

// ParseCSR is the public key of a certificate request (PKCS #10, DER) whose maker has shown to hold the private one. Anything
// but a P-256 key is fs.ErrInvalid.
func ParseCSR(der []byte) (*ecdsa.PublicKey, error) {
	if len(der) == 0 || len(der) > csrMax {
		return nil, fmt.Errorf("a certificate request of %d bytes: %w", len(der), fs.ErrInvalid)
	}
	csr, err := x509.ParseCertificateRequest(der)
	if err == nil {
		err = csr.CheckSignature()
	}
	if err != nil {
		return nil, fmt.Errorf("certificate request: %w: %w", err, fs.ErrInvalid)
	}
	key, ok := csr.PublicKey.(*ecdsa.PublicKey)
	if !ok || key.Curve != elliptic.P256() {
		return nil, fmt.Errorf("certificate request: the key is not on the curve P-256: %w", fs.ErrInvalid)
	}
	return key, nil
}
