package pki

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"sync"
	"time"

	"dfs/fs"
)

const (
	lookEvery = time.Minute    // between two looks at the files, besides those that each handshake takes
	warnEvery = 12 * time.Hour // between two warnings of the same end
	warnShare = 6              // warned in the last 1/warnShare of a certificate's life
)

// Credentials are a machine's certificate, its key and the authority it trusts, read again whenever the files change. All
// methods may be called from any goroutine.
type Credentials struct {
	files  Files
	role   Role
	log    *slog.Logger
	ctx    context.Context // ends with Close
	cancel context.CancelFunc
	done   sync.WaitGroup

	mu      sync.Mutex
	state   *material
	unsaved bool   // state could not be written to the files
	stamps  stamps // of the files when they were last read, with success or without
	warned  time.Time
	ownLeaf *x509.Certificate // that warned is about
}

// material is one reading of the files.
type material struct {
	pair   tls.Certificate
	pool   *x509.CertPool
	root   *x509.Certificate // that vouches for pair
	spread float64           // in [0, 1): when it is renewed, within the time for it
}

// Open reads the files of a machine that is to have the given role. A certificate that is of another role, of another
// authority, expired or not valid yet is fs.ErrPermission: nobody would take it. log may be nil. Close it.
func Open(files Files, role Role, log *slog.Logger) (*Credentials, error) {
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	c := &Credentials{files: files, role: role, log: log, stamps: stampsOf(files)}
	var err error
	if c.state, err = c.read(); err != nil {
		return nil, err
	}
	c.ctx, c.cancel = context.WithCancel(context.Background())
	c.warn()
	c.done.Go(func() { c.look(c.ctx) })
	return c, nil
}

// Close stops looking at the files and renewing; what has been read goes on to work.
func (c *Credentials) Close() error {
	c.cancel()
	c.done.Wait()
	return nil
}

func (c *Credentials) look(ctx context.Context) {
	tick := time.NewTicker(lookEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			c.current()
			c.warn()
		}
	}
}

// current is what the files hold now or, if that cannot be used, what they held before: half of a renewal has been copied,
// and the other half is coming.
func (c *Credentials) current() *material {
	c.mu.Lock()
	defer c.mu.Unlock()
	now := stampsOf(c.files)
	if now == c.stamps {
		return c.state
	}
	c.stamps = now
	fresh, err := c.read()
	if err != nil {
		c.log.Warn("the TLS files have changed and cannot be used; going on with what they held before", "err", err)
		return c.state
	}
	if c.unsaved && !fresh.pair.Leaf.NotAfter.After(c.state.pair.Leaf.NotAfter) {
		fresh.pair, fresh.root = c.state.pair, c.state.root // the file has only what was renewed
	} else {
		c.unsaved = false
	}
	c.state = fresh
	c.log.Info("TLS certificate read again", "cert", c.files.Cert, "ends", fresh.pair.Leaf.NotAfter)
	return fresh
}

func (c *Credentials) read() (*material, error) {
	certPEM, err := readFile(c.files.Cert)
	if err != nil {
		return nil, fmt.Errorf("TLS: %w", err)
	}
	keyPEM, err := c.readKey(certPEM)
	if err != nil {
		return nil, fmt.Errorf("TLS: %w", err)
	}
	return c.material(certPEM, keyPEM)
}

// material puts a certificate and its key together with the authorities in the file, and judges them.
func (c *Credentials) material(certPEM, keyPEM []byte) (*material, error) {
	roots, err := readCerts(c.files.CA)
	if err != nil {
		return nil, fmt.Errorf("TLS: %w", err)
	}
	m := &material{pool: x509.NewCertPool(), spread: rand.Float64()}
	for _, root := range roots {
		m.pool.AddCert(root)
	}
	if m.pair, err = tls.X509KeyPair(certPEM, keyPEM); err != nil {
		return nil, fmt.Errorf("TLS: %s and %s: %w: %w", c.files.Cert, c.files.Key, err, fs.ErrInvalid)
	}
	if err := m.check(c.role); err != nil {
		return nil, fmt.Errorf("TLS: %s: %w", c.files.Cert, err)
	}
	return m, nil
}

// check judges our own certificate as others will.
func (m *material) check(want Role) error {
	leaf := m.pair.Leaf
	chain, err := certificates(m.pair.Certificate)
	if err != nil {
		return errors.Join(err, fs.ErrInvalid)
	}
	chains, err := leaf.Verify(x509.VerifyOptions{Roots: m.pool, Intermediates: pool(chain[1:]), KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}})
	if err != nil {
		return errors.Join(err, fs.ErrPermission)
	}
	m.root = chains[0][len(chains[0])-1]
	role, err := RoleOf(leaf)
	if err != nil {
		return err
	}
	if role != want {
		return fmt.Errorf("the certificate is for the role %q, this program needs one for %q: %w", role, want, fs.ErrPermission)
	}
	return nil
}

func certificates(ders [][]byte) (list []*x509.Certificate, err error) {
	for _, der := range ders {
		c, err := x509.ParseCertificate(der)
		if err != nil {
			return nil, err
		}
		list = append(list, c)
	}
	return list, nil
}

func pool(list []*x509.Certificate) *x509.CertPool {
	p := x509.NewCertPool()
	for _, c := range list {
		p.AddCert(c)
	}
	return p
}

// warn says, twice a day, that the certificate is about to end.
func (c *Credentials) warn() {
	c.mu.Lock()
	defer c.mu.Unlock()
	leaf, now := c.state.pair.Leaf, time.Now()
	left := leaf.NotAfter.Sub(now)
	if left > leaf.NotAfter.Sub(leaf.NotBefore)/warnShare || c.ownLeaf == leaf && now.Sub(c.warned) < warnEvery {
		return
	}
	c.ownLeaf, c.warned = leaf, now
	c.log.Warn("the TLS certificate is about to end, and has not been renewed: see earlier lines, or replace it and its key; no restart is needed",
		"cert", c.files.Cert, "ends", leaf.NotAfter, "left", left.Round(time.Minute))
}

// stamp tells one version of a file from another.
type stamp struct {
	mtime time.Time
	size  int64
}

type stamps [4]stamp

func stampsOf(f Files) (s stamps) {
	for i, path := range []string{f.CA, f.Cert, f.Key, f.nextKey()} {
		if info, err := os.Stat(path); err == nil {
			s[i] = stamp{info.ModTime(), info.Size()}
		}
	}
	return s
}

func readCert(path string) (*x509.Certificate, error) {
	list, err := readCerts(path)
	if err != nil {
		return nil, err
	}
	return list[0], nil
}

// readCerts reads the certificates in a PEM file: one at least.
func readCerts(path string) ([]*x509.Certificate, error) {
	data, err := readFile(path)
	if err != nil {
		return nil, err
	}
	return parseCerts(data, path)
}

func parseCerts(data []byte, from string) (list []*x509.Certificate, err error) {
	for {
		block, rest := pem.Decode(data)
		if block == nil {
			break
		}
		if data = rest; block.Type != pemCert {
			continue
		}
		c, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, fmt.Errorf("%s: %w: %w", from, err, fs.ErrInvalid)
		}
		list = append(list, c)
	}
	if len(list) == 0 {
		return nil, fmt.Errorf("%s holds no certificate: %w", from, fs.ErrInvalid)
	}
	return list, nil
}
