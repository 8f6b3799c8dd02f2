package pki

import (
	"context"
	"crypto/ecdsa"
	"crypto/x509"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"dfs/fs"
)

// When a certificate is renewed, as shares of its life; see DESIGN.md of package cluster.
const (
	renewShare   = 3  // due when 1/renewShare of it is left,
	spreadShare  = 30 // or up to 1/spreadShare later
	backoffShare = 60 // between two attempts at most; retryMax if that is less
	retryMax     = time.Hour
	retryMin     = 50 * time.Millisecond
)

// Sign has a certificate made: csr is a request (PKCS #10, DER) for a new key, the answer a chain, PEM. own is the
// certificate as it is.
type Sign func(ctx context.Context, own *x509.Certificate, csr []byte) (chain []byte, err error)

// Leaf is this machine's certificate as it is now.
func (c *Credentials) Leaf() *x509.Certificate { return c.current().pair.Leaf }

// KeepRenewed renews the certificate whenever it is due, until stop is called, which waits, or Close. Call it once at most.
func (c *Credentials) KeepRenewed(sign Sign) (stop func() error) {
	ctx, cancel := context.WithCancel(c.ctx)
	stopped := make(chan struct{})
	c.done.Go(func() {
		defer close(stopped)
		for pause := time.Duration(0); ctx.Err() == nil; {
			if wait := time.Until(c.current().due()); wait > 0 {
				sleep(ctx, min(wait, lookEvery)) // the files may change, and the clock
				continue
			}
			if sleep(ctx, pause); ctx.Err() != nil {
				return
			}
			err := c.Renew(ctx, sign)
			if ctx.Err() != nil {
				return
			}
			pause = c.after(err, pause)
		}
	})
	return func() error {
		cancel()
		<-stopped
		return nil
	}
}

// after tells how a renewal went, and when to try again.
func (c *Credentials) after(err error, pause time.Duration) time.Duration {
	if err == nil {
		return 0
	}
	leaf := c.Leaf()
	most := min(retryMax, life(leaf)/backoffShare)
	pause = max(min(2*pause, most), most/32, retryMin)
	pause -= time.Duration(rand.Float64() * float64(pause) / 4)
	if errors.Is(err, fs.ErrBusy) {
		c.log.Debug("another process is renewing the TLS certificate", "cert", c.files.Cert)
		return pause
	}
	c.log.Error("the TLS certificate cannot be renewed; trying on", "cert", c.files.Cert, "ends", leaf.NotAfter,
		"left", time.Until(leaf.NotAfter).Round(time.Second), "retry_in", pause.Round(time.Millisecond), "err", err)
	return pause
}

func life(c *x509.Certificate) time.Duration { return c.NotAfter.Sub(c.NotBefore) }

// due is when the certificate is to be renewed.
func (m *material) due() time.Time {
	l := life(m.pair.Leaf)
	return m.pair.Leaf.NotAfter.Add(-l / renewShare).Add(time.Duration(m.spread * float64(l/spreadShare)))
}

// Due reports whether the certificate should be renewed by now.
func (c *Credentials) Due() bool { return !time.Now().Before(c.current().due()) }

// Renew renews the certificate if it is due. fs.ErrBusy: another process does. Files that cannot be written are no error:
// the new certificate is used from memory.
func (c *Credentials) Renew(ctx context.Context, sign Sign) error {
	unlock, lockErr := lockDir(c.files.Cert)
	switch {
	case errors.Is(lockErr, fs.ErrBusy):
		return lockErr
	case lockErr == nil:
		defer unlock()
	}
	own := c.current() // another process may just have done it
	if time.Now().Before(own.due()) {
		return nil
	}
	key, err := newKey()
	if err != nil {
		return err
	}
	private, err := encodeKey(key)
	if err != nil {
		return err
	}
	chain, fresh, err := c.request(ctx, sign, own, key, private)
	if err != nil {
		return err
	}
	c.use(fresh)
	if lockErr == nil {
		lockErr = c.files.replace(chain, private)
	}
	if err := lockErr; err != nil {
		c.log.Warn("the TLS certificate has been renewed, but cannot be written; it is used from memory until the program ends",
			"cert", c.files.Cert, "err", err)
	}
	c.log.Info("TLS certificate renewed", "cert", c.files.Cert, "ends", fresh.pair.Leaf.NotAfter)
	return nil
}

// request has a certificate made for a new key, and judges it.
func (c *Credentials) request(ctx context.Context, sign Sign, own *material, key *ecdsa.PrivateKey, private []byte) (chain []byte, fresh *material, err error) {
	csr, err := newCSR(key)
	if err != nil {
		return nil, nil, err
	}
	if chain, err = sign(ctx, own.pair.Leaf, csr); err != nil {
		return nil, nil, err
	}
	if fresh, err = c.material(chain, private); err != nil {
		return nil, nil, fmt.Errorf("the new certificate: %w", err)
	}
	if !fresh.pair.Leaf.NotAfter.After(own.pair.Leaf.NotAfter) {
		return nil, nil, fmt.Errorf("the new certificate ends no later than the old one: %w", fs.ErrInvalid)
	}
	return chain, fresh, nil
}

// use makes a certificate the one that is shown; it is not in the files yet.
func (c *Credentials) use(fresh *material) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.state, c.unsaved = fresh, true
}

// sleep waits for d or until ctx ends.
func sleep(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
	case <-t.C:
	}
}
