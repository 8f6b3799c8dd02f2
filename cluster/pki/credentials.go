package pki

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"time"

	"dfs/fs"
)

const (
	lookEvery = time.Minute    // between two looks at the files, besides those that each handshake takes
	warnEvery = 12 * time.Hour // between two warnings of the same end
	warnShare = 3              // warned in the last 1/warnShare of a certificate's life
)

// Credentials are a machine's certificate, its key and the authority it trusts, read again whenever the files change: a
// certificate is renewed by replacing them. All methods may be called from any goroutine.
type Credentials struct {
	files  Files
	role   Role
	log    *slog.Logger
	cancel context.CancelFunc
	done   sync.WaitGroup

	mu      sync.Mutex
	state   *material
	stamps  stamps // of the files when they were last read, with success or without
	warned  time.Time
	ownLeaf *x509.Certificate // that warned is about
}

// material is one reading of the files.
type material struct {
	pair tls.Certificate
	pool *x509.CertPool
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
	ctx, cancel := context.WithCancel(context.Background())
	c.cancel = cancel
	c.warn()
	c.done.Go(func() { c.look(ctx) })
	return c, nil
}

// Close stops looking at the files; what has been read goes on to work.
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
	c.state = fresh
	c.log.Info("TLS certificate read again", "cert", c.files.Cert, "ends", fresh.pair.Leaf.NotAfter)
	return fresh
}

func (c *Credentials) read() (*material, error) {
	caPEM, err := readFile(c.files.CA)
	if err != nil {
		return nil, fmt.Errorf("TLS: %w", err)
	}
	m := &material{pool: x509.NewCertPool()}
	if !m.pool.AppendCertsFromPEM(caPEM) {
		return nil, fmt.Errorf("TLS: %s holds no certificate: %w", c.files.CA, fs.ErrInvalid)
	}
	certPEM, err := readFile(c.files.Cert)
	if err != nil {
		return nil, fmt.Errorf("TLS: %w", err)
	}
	keyPEM, err := readFile(c.files.Key)
	if err != nil {
		return nil, fmt.Errorf("TLS: %w", err)
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
	if _, err := leaf.Verify(x509.VerifyOptions{Roots: m.pool, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}}); err != nil {
		return errors.Join(err, fs.ErrPermission)
	}
	role, err := RoleOf(leaf)
	if err != nil {
		return err
	}
	if role != want {
		return fmt.Errorf("the certificate is for the role %q, this program needs one for %q: %w", role, want, fs.ErrPermission)
	}
	return nil
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
	c.log.Warn("the TLS certificate is about to end: replace it and its key, no restart is needed",
		"cert", c.files.Cert, "ends", leaf.NotAfter, "left", left.Round(time.Minute))
}

// stamp tells one version of a file from another.
type stamp struct {
	mtime time.Time
	size  int64
}

type stamps [3]stamp

func stampsOf(f Files) (s stamps) {
	for i, path := range []string{f.CA, f.Cert, f.Key} {
		if info, err := os.Stat(path); err == nil {
			s[i] = stamp{info.ModTime(), info.Size()}
		}
	}
	return s
}

func readCert(path string) (*x509.Certificate, error) {
	data, err := readFile(path)
	if err != nil {
		return nil, err
	}
	block, _ := pem.Decode(data)
	if block == nil || block.Type != pemCert {
		return nil, fmt.Errorf("%s holds no certificate: %w", path, fs.ErrInvalid)
	}
	return x509.ParseCertificate(block.Bytes)
}
