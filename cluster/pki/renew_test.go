package pki

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"log/slog"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"dfs/fs"
)

// by is the Sign of an issuer that is at hand.
func by(i *Issuer) Sign {
	return func(_ context.Context, own *x509.Certificate, csr []byte) ([]byte, error) {
		public, err := ParseCSR(csr)
		if err != nil {
			return nil, err
		}
		return i.Renew(own, public)
	}
}

func issuerOf(t *testing.T, dir string) *Issuer {
	t.Helper()
	i, err := OpenIssuer(dir)
	if err != nil {
		t.Fatal(err)
	}
	return i
}

// old is a request for a certificate that is due.
func old(role Role) Request {
	return Request{Role: role, Name: "x", From: time.Now().Add(-80 * day)}
}

func TestRenewal_ChangesTheKeyAndTheDaysAndNothingElse(t *testing.T) {
	ca := authorityIn(t)
	for _, role := range Roles() {
		r := old(role)
		if role == RoleNode {
			r.Hosts = []string{"a.example.org", "10.0.0.1"}
		}
		dir := issue(t, ca, r)
		c := open(t, dir, role, nil)
		before := c.Leaf()
		if err := c.Renew(t.Context(), by(issuerOf(t, ca))); err != nil {
			t.Fatal(err)
		}
		after := open(t, dir, role, nil).Leaf() // from the files
		if !after.Equal(c.Leaf()) || after.Equal(before) {
			t.Errorf("%s: what is used is not what is written", role)
		}
		if !bytes.Equal(after.RawSubject, before.RawSubject) || !bytes.Equal(names(after)[0].Value, names(before)[0].Value) ||
			life(after) != life(before) || len(after.ExtKeyUsage) != len(before.ExtKeyUsage) {
			t.Errorf("%s: renewed as\n%+v, was\n%+v", role, after, before)
		}
		if before.PublicKey.(*ecdsa.PublicKey).Equal(after.PublicKey) || !after.NotAfter.After(before.NotAfter) || c.Due() {
			t.Errorf("%s: the key or the days are the same", role)
		}
		if err := c.Renew(t.Context(), nil); err != nil { // it is not due: nobody is asked
			t.Error(err)
		}
	}
}

// What the role's URI says besides the role is kept to the byte, whatever it is.
func TestRenewal_KeepsTheWholeRole(t *testing.T) {
	ca := authorityIn(t)
	issuer := issuerOf(t, ca)
	uri := &url.URL{Scheme: uriScheme, Host: "CA", Path: "/role/mount", RawQuery: "under=%2fa%2Fb&x=%C3%A9&&ro"}
	before := forge(t, ca, func(c *x509.Certificate) { c.URIs = []*url.URL{uri} }).state.pair.Leaf
	before.NotBefore, before.NotAfter = before.NotBefore.Add(-day), before.NotAfter.Add(-day) // as if it were older
	key, err := newKey()
	if err != nil {
		t.Fatal(err)
	}
	chain, err := issuer.Renew(before, &key.PublicKey)
	if err != nil {
		t.Fatal(err)
	}
	list, err := parseCerts(chain, "")
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(names(list[0])[0].Value, names(before)[0].Value) || !bytes.Contains(list[0].Raw, []byte(uri.String())) {
		t.Errorf("the role is %v, was %v", list[0].URIs, before.URIs)
	}
}

func TestRenewal_IsRefusedToAnotherIssuersAndBeyondItsOwnEnd(t *testing.T) {
	ca := authorityIn(t)
	key, err := newKey()
	if err != nil {
		t.Fatal(err)
	}
	foreign := open(t, issue(t, authorityIn(t), Request{Role: RoleAdmin, Name: "x"}), RoleAdmin, nil).Leaf()
	if _, err := issuerOf(t, ca).Renew(foreign, &key.PublicKey); !errors.Is(err, fs.ErrPermission) {
		t.Errorf("another authority's: %v", err)
	}
	long := open(t, issue(t, ca, Request{Role: RoleAdmin, Name: "x", Days: 365 * authorityYears}), RoleAdmin, nil).Leaf()
	long.NotAfter = issuerOf(t, ca).cert.NotAfter
	if _, err := issuerOf(t, ca).Renew(long, &key.PublicKey); !errors.Is(err, fs.ErrInvalid) {
		t.Errorf("at the authority's end: %v", err)
	}
}

// A process may be killed after any step of a renewal, and the next one too. Whoever starts then has a pair that works, the
// newest that was put in place, and can renew again.
func TestRenewal_AKillAtAnyStepLeavesAPairThatWorks(t *testing.T) {
	ca := authorityIn(t)
	issuer := issuerOf(t, ca)
	steps := len(Files{}.replacement(nil, nil)) + 1
	for n := range steps * steps {
		dir := issue(t, ca, old(RoleMount))
		c := open(t, dir, RoleMount, nil)
		want := read(t, c.files.Cert)
		for _, killed := range []int{n / steps, n % steps} {
			chain, private := anotherPair(t, issuer)
			for i, step := range c.files.replacement(chain, private)[:killed] {
				if err := step(); err != nil {
					t.Fatal(err)
				}
				if i == 2 {
					want = chain
				}
			}
		}
		log := &bytes.Buffer{}
		next := open(t, dir, RoleMount, slog.New(slog.NewTextHandler(log, nil)))
		if list, err := parseCerts(want, ""); err != nil || !next.Leaf().Equal(list[0]) {
			t.Errorf("killed at %d: it is not the newest pair: %v", n, err)
		}
		if _, err := tls.LoadX509KeyPair(c.files.Cert, c.files.Key); err != nil {
			t.Errorf("killed at %d, and started: the files hold %v", n, err)
		}
		next.state.pair.Leaf.NotBefore = time.Now().Add(-1000 * day) // make it due
		if err := next.Renew(t.Context(), by(issuer)); err != nil || strings.Contains(log.String(), "cannot") {
			t.Errorf("killed at %d, renewed again: %v, %s", n, err, log)
		}
		if again := open(t, dir, RoleMount, nil); !again.Leaf().Equal(next.Leaf()) {
			t.Errorf("killed at %d: the next renewal is not in the files", n)
		}
	}
}

func anotherPair(t *testing.T, issuer *Issuer) (chain, private []byte) {
	t.Helper()
	key, err := newKey()
	if err != nil {
		t.Fatal(err)
	}
	if private, err = encodeKey(key); err != nil {
		t.Fatal(err)
	}
	chain, err = issuer.Issue(Request{Role: RoleMount, Name: "x"}, &key.PublicKey)
	if err != nil {
		t.Fatal(err)
	}
	return chain, private
}

func TestRenewal_GoesOnInMemoryWhereFilesCannotBeWritten(t *testing.T) {
	ca := authorityIn(t)
	log := &bytes.Buffer{}
	dir := issue(t, ca, old(RoleMount))
	c := open(t, dir, RoleMount, slog.New(slog.NewTextHandler(log, nil)))
	before := c.Leaf()
	if err := os.Mkdir(c.files.nextKey(), 0o700); err != nil { // which not even root can rename a file over
		t.Fatal(err)
	}
	if err := c.Renew(t.Context(), by(issuerOf(t, ca))); err != nil {
		t.Fatal(err)
	}
	if c.Leaf().Equal(before) || c.Due() || !strings.Contains(log.String(), "used from memory") {
		t.Errorf("not renewed, or not said:\n%s", log)
	}
	// The authorities' file is changed: the old certificate, which is read with it, does not come back.
	replace(t, dir, CACertFile, append(read(t, filepath.Join(dir, CACertFile)), '\n'))
	if c.Leaf().Equal(before) {
		t.Error("the old certificate is back")
	}
}

func TestRenewal_OneProcessAtATime(t *testing.T) {
	ca := authorityIn(t)
	dir := issue(t, ca, old(RoleMount))
	first, second := open(t, dir, RoleMount, nil), open(t, dir, RoleMount, nil)
	err := first.Renew(t.Context(), func(ctx context.Context, own *x509.Certificate, csr []byte) ([]byte, error) {
		if err := second.Renew(ctx, nil); !errors.Is(err, fs.ErrBusy) {
			t.Errorf("the second, meanwhile: %v", err)
		}
		return by(issuerOf(t, ca))(ctx, own, csr)
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := second.Renew(t.Context(), nil); err != nil || !second.Leaf().Equal(first.Leaf()) { // it asks nobody
		t.Errorf("the second, afterwards: %v", err)
	}
}

func TestRenewal_ABadAnswerIsNotUsed(t *testing.T) {
	ca := authorityIn(t)
	c := open(t, issue(t, ca, old(RoleMount)), RoleMount, nil)
	before, key := c.Leaf(), read(t, c.files.Key)
	for name, dir := range map[string]string{"another role": issue(t, ca, Request{Role: RoleNode, Name: "x"}), "another key": issue(t, ca, Request{Role: RoleMount, Name: "x"})} {
		chain := read(t, filepath.Join(dir, "x.crt"))
		if err := c.Renew(t.Context(), func(context.Context, *x509.Certificate, []byte) ([]byte, error) { return chain, nil }); err == nil {
			t.Errorf("%s: taken", name)
		}
	}
	if !c.Leaf().Equal(before) || !bytes.Equal(key, read(t, c.files.Key)) {
		t.Error("something has changed")
	}
}

func TestKeepRenewed_RenewsInTimeAndTriesOnLoudly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ca := authorityIn(t)
		dir := issue(t, ca, Request{Role: RoleMount, Name: "x"})
		files, err := FilesIn(dir, RoleMount)
		if err != nil {
			t.Fatal(err)
		}
		log := &bytes.Buffer{}
		c, err := Open(files, RoleMount, slog.New(slog.NewTextHandler(log, nil)))
		if err != nil {
			t.Fatal(err)
		}
		first, tried, sign := c.Leaf(), 0, by(issuerOf(t, ca))
		c.KeepRenewed(func(ctx context.Context, own *x509.Certificate, csr []byte) ([]byte, error) {
			left := time.Until(own.NotAfter)
			if tried++; left > life(own)/renewShare || left < life(own)/renewShare-life(own)/spreadShare-time.Hour*24 {
				t.Errorf("tried with %s left", left)
			}
			if tried < 5 {
				return nil, fs.ErrUnavailable
			}
			return sign(ctx, own, csr)
		})
		time.Sleep(70 * day) // of the bubble's time
		synctest.Wait()
		if c.Leaf().Equal(first) || tried != 5 || strings.Count(log.String(), "level=ERROR") != 4 {
			t.Errorf("after 70 days: renewed %v, tried %d times:\n%s", !c.Leaf().Equal(first), tried, log)
		}
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	})
}

func TestParseCSR_WantsASmallRequestSignedByItsKey(t *testing.T) {
	make := func(key any) []byte {
		der, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{}, key)
		if err != nil {
			t.Fatal(err)
		}
		return der
	}
	key, err := newKey()
	if err != nil {
		t.Fatal(err)
	}
	good := make(key)
	if got, err := ParseCSR(good); err != nil || !got.Equal(&key.PublicKey) {
		t.Fatal(err)
	}
	weak, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	other, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	tampered := bytes.Clone(good)
	tampered[len(tampered)-1] ^= 1
	for name, der := range map[string][]byte{"nothing": nil, "rubbish": []byte("x"), "tail": append(bytes.Clone(good), 0),
		"long": append(bytes.Clone(good), bytes.Repeat([]byte{0}, csrMax)...), "tampered": tampered, "RSA": make(weak), "P-384": make(other)} {
		if _, err := ParseCSR(der); !errors.Is(err, fs.ErrInvalid) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
