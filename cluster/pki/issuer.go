package pki

import (
	"crypto/ecdsa"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/pem"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"

	"dfs/fs"
)

// Issuer signs everybody's certificates, in the name of the root. It may be used from any goroutine.
type Issuer struct {
	cert    *x509.Certificate
	key     *ecdsa.PrivateKey
	root    *x509.Certificate
	certPEM []byte
	keyPEM  []byte
}

// OpenIssuer reads the issuer in a directory, an authority's or a node's. fs.ErrNotExist: there is none.
func OpenIssuer(dir string) (*Issuer, error) {
	i := &Issuer{}
	roots, err := readCerts(filepath.Join(dir, CACertFile))
	if err != nil {
		return nil, absent(fmt.Errorf("no certificate authority in %s, make one with \"dfs ca init\": %w", dir, err))
	}
	if i.certPEM, err = readFile(filepath.Join(dir, IssuerCertFile)); err == nil {
		i.keyPEM, err = readFile(filepath.Join(dir, IssuerKeyFile))
	}
	if err != nil {
		return nil, absent(fmt.Errorf("no issuer in %s: %w", dir, err))
	}
	return i, i.open(roots, dir)
}

// absent adds fs.ErrNotExist to the operating system's.
func absent(err error) error {
	if errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("%w: %w", err, fs.ErrNotExist)
	}
	return err
}

// open makes an issuer of what has been read, and finds the root that vouches for it.
func (i *Issuer) open(roots []*x509.Certificate, from string) error {
	pair, err := tls.X509KeyPair(i.certPEM, i.keyPEM)
	if err != nil {
		return fmt.Errorf("issuer in %s: %w: %w", from, err, fs.ErrInvalid)
	}
	key, ok := pair.PrivateKey.(*ecdsa.PrivateKey)
	at := slices.IndexFunc(roots, func(r *x509.Certificate) bool { return pair.Leaf.CheckSignatureFrom(r) == nil })
	if !ok || !pair.Leaf.IsCA || at < 0 {
		return fmt.Errorf("the issuer in %s was not made by \"dfs ca init\" together with the %s beside it: %w", from, CACertFile, fs.ErrInvalid)
	}
	i.cert, i.key, i.root = pair.Leaf, key, roots[at]
	return nil
}

// Root is the certificate of the root, PEM.
func (i *Issuer) Root() []byte {
	return pem.EncodeToMemory(&pem.Block{Type: pemCert, Bytes: i.root.Raw})
}

// Files are the contents of the issuer's own files. The key is secret.
func (i *Issuer) Files() (cert, key []byte) { return i.certPEM, i.keyPEM }

// Issue makes a certificate for a public key. The chain is PEM: the certificate, then the issuer's.
func (i *Issuer) Issue(r Request, public *ecdsa.PublicKey) (chain []byte, err error) {
	if err := r.validate(); err != nil {
		return nil, err
	}
	from, end := r.period(time.Now())
	if end.After(i.cert.NotAfter) {
		return nil, fmt.Errorf("the certificate authority itself ends on %s, before the certificate would: %w", i.cert.NotAfter.Format(time.DateOnly), fs.ErrInvalid)
	}
	template := r.template(i.cert.Issuer.CommonName)
	template.NotBefore, template.NotAfter = from, end
	return i.sign(template, public)
}

// Renew makes a certificate that differs from an old one by its public key and its days only: subject, names and role are
// copied byte for byte, and it holds for as long. fs.ErrPermission: this issuer has not signed the old one. fs.ErrInvalid:
// the issuer itself ends too soon.
func (i *Issuer) Renew(old *x509.Certificate, public *ecdsa.PublicKey) (chain []byte, err error) {
	if err := old.CheckSignatureFrom(i.cert); err != nil {
		return nil, fmt.Errorf("%q has its certificate from another issuer: %w: %w", old.Subject.CommonName, err, fs.ErrPermission)
	}
	life := old.NotAfter.Sub(old.NotBefore)
	from := time.Now().Add(-min(backdated, life/10)).Truncate(time.Second)
	end := from.Add(life)
	if end.After(i.cert.NotAfter) {
		end = i.cert.NotAfter
	}
	if !end.After(old.NotAfter) {
		return nil, fmt.Errorf("the certificate authority itself ends on %s, nothing can be renewed beyond that: %w", i.cert.NotAfter.Format(time.DateOnly), fs.ErrInvalid)
	}
	return i.sign(&x509.Certificate{
		RawSubject: old.RawSubject, NotBefore: from, NotAfter: end, BasicConstraintsValid: true,
		KeyUsage: old.KeyUsage, ExtKeyUsage: old.ExtKeyUsage, UnknownExtKeyUsage: old.UnknownExtKeyUsage, ExtraExtensions: names(old),
	}, public)
}

// names is the extension that holds a certificate's names and role (RFC 5280, 4.2.1.6), as it is.
func names(c *x509.Certificate) (found []pkix.Extension) {
	for _, e := range c.Extensions {
		if e.Id.Equal(asn1.ObjectIdentifier{2, 5, 29, 17}) {
			found = append(found, e)
		}
	}
	return found
}

func (i *Issuer) sign(template *x509.Certificate, public *ecdsa.PublicKey) ([]byte, error) {
	leaf, err := sign(template, i.cert, public, i.key)
	if err != nil {
		return nil, err
	}
	return append(leaf, i.certPEM...), nil
}
