package pki

import (
	"crypto/tls"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"

	"dfs/fs"
)

// readKey is the key of a certificate: that in its file or, if a renewal was cut short between its two renames, the next
// one, which is then put in its place.
func (c *Credentials) readKey(certPEM []byte) ([]byte, error) {
	keyPEM, err := readFile(c.files.Key)
	if err == nil && belong(certPEM, keyPEM) {
		return keyPEM, nil
	}
	next, nextErr := readFile(c.files.nextKey())
	if nextErr != nil || !belong(certPEM, next) {
		return keyPEM, err // what is wrong with it, the caller finds
	}
	unlock, err := lockDir(c.files.Key)
	switch {
	case errors.Is(err, fs.ErrBusy): // whoever renews will finish it
		return next, nil
	case err == nil:
		defer unlock()
		err = c.files.finish()
	}
	if err != nil {
		c.log.Warn("a renewed certificate's key cannot be put in its place; it is used all the same", "key", c.files.nextKey(), "err", err)
	}
	return next, nil
}

func belong(certPEM, keyPEM []byte) bool {
	_, err := tls.X509KeyPair(certPEM, keyPEM)
	return err == nil
}

// finish does the last step of a renewal if it has not been done. The directory must be locked.
func (f Files) finish() error {
	certPEM, err := readFile(f.Cert)
	if err != nil {
		return err
	}
	if key, err := readFile(f.Key); err == nil && belong(certPEM, key) {
		return nil
	}
	next, err := readFile(f.nextKey())
	if errors.Is(err, os.ErrNotExist) || err == nil && !belong(certPEM, next) {
		return nil // not what a renewal leaves
	}
	if err != nil {
		return err
	}
	return f.promoteKey()
}

func (f Files) promoteKey() error {
	if err := os.Rename(f.nextKey(), f.Key); err != nil {
		return err
	}
	return syncDir(f.Key)
}

// replacement are the steps by which a new pair takes the place of the old one. After each of them, and so after a crash
// between any two, the files hold a pair that works. The directory must be locked.
func (f Files) replacement(certPEM, keyPEM []byte) []func() error {
	return []func() error{
		f.finish, // what the files hold may need the next key that is there
		func() error { return replaceFile(f.nextKey(), keyPEM, secret) },
		func() error { return replaceFile(f.Cert, certPEM, public) },
		f.promoteKey,
	}
}

func (f Files) replace(certPEM, keyPEM []byte) error {
	for _, step := range f.replacement(certPEM, keyPEM) {
		if err := step(); err != nil {
			return err
		}
	}
	return nil
}

// lockDir locks the directory of a file against other processes that renew there; fs.ErrBusy: one of them is at work.
func lockDir(path string) (unlock func(), err error) {
	d, err := os.Open(filepath.Dir(path))
	if err != nil {
		return nil, err
	}
	if err := unix.Flock(int(d.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		_ = d.Close() // nothing was written to it
		if errors.Is(err, unix.EWOULDBLOCK) {
			err = fs.ErrBusy
		}
		return nil, fmt.Errorf("lock %s: %w", d.Name(), err)
	}
	return func() { _ = d.Close() }, nil // likewise
}
