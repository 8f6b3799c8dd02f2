package pki

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"dfs/fs"
)

const day = 24 * time.Hour

func authorityIn(t *testing.T) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "ca")
	if err := InitCA(dir); err != nil {
		t.Fatal(err)
	}
	return dir
}

// issue returns the machine's directory.
func issue(t *testing.T, ca string, r Request) string {
	t.Helper()
	out := filepath.Join(t.TempDir(), r.Name)
	if err := Issue(ca, out, r); err != nil {
		t.Fatal(err)
	}
	return out
}

func open(t *testing.T, dir string, role Role, log *slog.Logger) *Credentials {
	t.Helper()
	files, err := FilesIn(dir, role)
	if err != nil {
		t.Fatal(err)
	}
	c, err := Open(files, role, log)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	})
	return c
}

func TestIssue_MakesAllThatAMachineNeeds(t *testing.T) {
	ca := authorityIn(t)
	for _, role := range Roles() {
		dir := issue(t, ca, Request{Role: role, Name: "m-" + string(role)})
		c := open(t, dir, role, nil)
		if got, err := RoleOf(c.state.pair.Leaf); got != role || err != nil {
			t.Errorf("role %q, %v; want %q", got, err, role)
		}
		if left := time.Until(c.state.pair.Leaf.NotAfter); left < (DefaultDays-1)*day || left > (DefaultDays+1)*day {
			t.Errorf("it holds for %s", left)
		}
		if _, err := OpenIssuer(dir); (err == nil) != (role == RoleNode) || err != nil && !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s: issuer: %v", role, err)
		}
		_, err := GossipKey(filepath.Join(dir, GossipKeyFile))
		if has := err == nil; has != (role == RoleNode) {
			t.Errorf("%s: gossip key: %v", role, err)
		}
	}
}

func TestSecrets_AreForTheOwnerOnly(t *testing.T) {
	ca := authorityIn(t)
	dir := issue(t, ca, Request{Role: RoleNode, Name: "n1"})
	for path, want := range map[string]os.FileMode{
		filepath.Join(ca, caKeyFile): 0o600, filepath.Join(ca, GossipKeyFile): 0o600, filepath.Join(ca, CACertFile): 0o644,
		filepath.Join(ca, IssuerKeyFile): 0o600, filepath.Join(dir, IssuerKeyFile): 0o600,
		filepath.Join(dir, "n1.key"): 0o600, filepath.Join(dir, GossipKeyFile): 0o600,
		filepath.Join(dir, "n1.crt"): 0o644, filepath.Join(dir, CACertFile): 0o644,
	} {
		info, err := os.Stat(path)
		if err != nil {
			t.Fatal(err)
		}
		if info.Mode().Perm() != want {
			t.Errorf("%s has mode %o, want %o", path, info.Mode().Perm(), want)
		}
	}
}

func TestFilesThatAreThere_AreLeftAlone(t *testing.T) {
	ca := authorityIn(t)
	before := read(t, filepath.Join(ca, caKeyFile))
	if err := InitCA(ca); !errors.Is(err, fs.ErrExist) {
		t.Errorf("init: %v", err)
	}
	if !bytes.Equal(before, read(t, filepath.Join(ca, caKeyFile))) {
		t.Error("the authority's key was replaced")
	}
	dir := issue(t, ca, Request{Role: RoleMount, Name: "m"})
	before = read(t, filepath.Join(dir, "m.crt"))
	if err := Issue(ca, dir, Request{Role: RoleMount, Name: "m"}); !errors.Is(err, fs.ErrExist) {
		t.Errorf("issue: %v", err)
	}
	if !bytes.Equal(before, read(t, filepath.Join(dir, "m.crt"))) {
		t.Error("the certificate was replaced")
	}
	// What was begun before the conflict was found is taken back.
	if err := os.Remove(filepath.Join(dir, "m.key")); err != nil {
		t.Fatal(err)
	}
	if err := Issue(ca, dir, Request{Role: RoleMount, Name: "m"}); !errors.Is(err, fs.ErrExist) {
		t.Errorf("issue: %v", err)
	}
	if _, err := os.Stat(filepath.Join(dir, "m.key")); !os.IsNotExist(err) {
		t.Errorf("half an issue is left: %v", err)
	}
}

func read(t *testing.T, path string) []byte {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func TestRubbishRequest_IsRefused(t *testing.T) {
	ca := authorityIn(t)
	for name, r := range map[string]Request{
		"no role":         {Name: "x"},
		"unknown role":    {Role: "root", Name: "x"},
		"path":            {Role: RoleNode, Name: "../x"},
		"the authority's": {Role: RoleNode, Name: "ca"},
		"the issuer's":    {Role: RoleNode, Name: "issuer"},
		"many hosts":      {Role: RoleNode, Name: "x", Hosts: make([]string, hostsMax+1)},
		"negative life":   {Role: RoleNode, Name: "x", Life: -1},
		"outlives the CA": {Role: RoleNode, Name: "x", Days: 366 * authorityYears},
		"negative days":   {Role: RoleNode, Name: "x", Days: -1},
		"bad host":        {Role: RoleNode, Name: "x", Hosts: []string{"a b"}},
		"host of a mount": {Role: RoleMount, Name: "x", Hosts: []string{"a"}},
	} {
		if err := Issue(ca, filepath.Join(t.TempDir(), "out"), r); !errors.Is(err, fs.ErrInvalid) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := Issue(t.TempDir(), t.TempDir(), Request{Role: RoleNode, Name: "x"}); err == nil || !strings.Contains(err.Error(), "dfs ca init") {
		t.Errorf("no authority: %v", err)
	}
}

func TestOpen_RefusesWhatNobodyWouldTake(t *testing.T) {
	ca, other := authorityIn(t), authorityIn(t)
	good := issue(t, ca, Request{Role: RoleNode, Name: "x"})
	for name, c := range map[string]struct{ dir, reason string }{
		"wrong role":    {issue(t, ca, Request{Role: RoleMount, Name: "x"}), `for the role "mount"`},
		"expired":       {issue(t, ca, Request{Role: RoleNode, Name: "x", From: time.Now().Add(-3 * day), Days: 1}), "expired"},
		"not yet valid": {issue(t, ca, Request{Role: RoleNode, Name: "x", From: time.Now().Add(day), Days: 1}), "not yet valid"},
		"another CA":    {issue(t, other, Request{Role: RoleNode, Name: "x"}), "unknown authority"},
	} {
		files := Files{CA: filepath.Join(good, CACertFile), Cert: filepath.Join(c.dir, "x.crt"), Key: filepath.Join(c.dir, "x.key")}
		if _, err := Open(files, RoleNode, nil); !errors.Is(err, fs.ErrPermission) || !strings.Contains(err.Error(), c.reason) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestFilesIn_WantsOneCertificateOfTheRole(t *testing.T) {
	ca := authorityIn(t)
	dir := issue(t, ca, Request{Role: RoleNode, Name: "n1"})
	if _, err := FilesIn(dir, RoleMount); !errors.Is(err, fs.ErrNotExist) || !strings.Contains(err.Error(), "--role mount") {
		t.Errorf("none: %v", err)
	}
	for _, name := range []string{"n2.crt", "n2.key"} {
		if err := os.WriteFile(filepath.Join(dir, name), read(t, filepath.Join(dir, "n1"+filepath.Ext(name))), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := FilesIn(dir, RoleNode); !errors.Is(err, fs.ErrInvalid) || !strings.Contains(err.Error(), "--tls-cert") {
		t.Errorf("two: %v", err)
	}
}

// handshake lets two sides meet, both ways, and returns whom the listener has seen, and both sides' errors.
func handshake(t *testing.T, server, client *tls.Config) (seen Peer, serverErr, clientErr error) {
	t.Helper()
	a, b := net.Pipe()
	defer a.Close()
	defer b.Close()
	for _, c := range []net.Conn{a, b} {
		if err := c.SetDeadline(time.Now().Add(10 * time.Second)); err != nil {
			t.Fatal(err)
		}
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		conn := tls.Server(a, server)
		if serverErr = conn.Handshake(); serverErr == nil {
			seen, _ = PeerOf(conn.ConnectionState()) // an error was the handshake's to find
		}
		if serverErr == nil {
			_, serverErr = conn.Write([]byte("x"))
		}
		a.Close()
	}()
	conn := tls.Client(b, client)
	if clientErr = conn.Handshake(); clientErr == nil {
		_, clientErr = io.ReadFull(conn, make([]byte, 1))
	}
	b.Close()
	<-done
	return seen, serverErr, clientErr
}

func TestChangedFiles_AreReadAtTheNextHandshake(t *testing.T) {
	ca := authorityIn(t)
	log := &bytes.Buffer{}
	dir := issue(t, ca, Request{Role: RoleNode, Name: "x", Days: 30})
	node := open(t, dir, RoleNode, slog.New(slog.NewTextHandler(log, nil)))
	mount := open(t, issue(t, ca, Request{Role: RoleMount, Name: "m"}), RoleMount, nil)
	meet := func() time.Time {
		t.Helper()
		if seen, err, other := handshake(t, node.Server(), mount.Client()); err != nil || other != nil || seen.Role != RoleMount || seen.Name != "m" {
			t.Fatalf("server: %v, sees %v; client: %v", err, seen, other)
		}
		return node.current().pair.Leaf.NotAfter
	}
	first := meet()
	renewed := issue(t, ca, Request{Role: RoleNode, Name: "x", Days: 60})
	replace(t, dir, "x.crt", read(t, filepath.Join(renewed, "x.crt")))
	if got := meet(); !got.Equal(first) { // half of a renewal
		t.Errorf("a certificate without its key is used: it ends %s", got)
	}
	if !strings.Contains(log.String(), "cannot be used") {
		t.Errorf("no word about half a renewal:\n%s", log)
	}
	replace(t, dir, "x.key", read(t, filepath.Join(renewed, "x.key")))
	if got := meet(); !got.After(first) {
		t.Errorf("the renewed certificate is not used: it ends %s", got)
	}
}

func replace(t *testing.T, dir, name string, data []byte) {
	t.Helper()
	tmp := filepath.Join(dir, name+".new")
	if err := os.WriteFile(tmp, data, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(tmp, filepath.Join(dir, name)); err != nil {
		t.Fatal(err)
	}
}

func TestCertificateAboutToEnd_IsWarnedOf(t *testing.T) {
	ca := authorityIn(t)
	for name, c := range map[string]struct {
		began time.Duration
		warns bool
	}{"fresh": {0, false}, "old": {-80 * day, true}} {
		log := &bytes.Buffer{}
		dir := issue(t, ca, Request{Role: RoleMount, Name: "m", From: time.Now().Add(c.began - time.Minute)})
		open(t, dir, RoleMount, slog.New(slog.NewTextHandler(log, nil))).warn() // a second time, at once: not said again
		if n := strings.Count(log.String(), "about to end"); n != map[bool]int{true: 1}[c.warns] {
			t.Errorf("%s: %d warnings:\n%s", name, n, log)
		}
	}
}

// forge makes a certificate as Issue never does, and returns the dialler's or listener's side with it.
func forge(t *testing.T, ca string, change func(*x509.Certificate)) *Credentials {
	t.Helper()
	issuer, err := OpenIssuer(ca)
	if err != nil {
		t.Fatal(err)
	}
	key, err := newKey()
	if err != nil {
		t.Fatal(err)
	}
	r := &Request{Role: RoleNode, Name: "forged"}
	template := r.template("forger")
	template.NotBefore, template.NotAfter = r.period(time.Now())
	change(template)
	chain, err := issuer.sign(template, &key.PublicKey)
	if err != nil {
		t.Fatal(err)
	}
	private, err := encodeKey(key)
	if err != nil {
		t.Fatal(err)
	}
	pair, err := tls.X509KeyPair(chain, private)
	if err != nil {
		t.Fatal(err)
	}
	return &Credentials{state: &material{pair: pair, pool: pool([]*x509.Certificate{issuer.root})}, log: slog.New(slog.DiscardHandler)}
}

func TestDialler_TalksToNodesOnly(t *testing.T) {
	ca := authorityIn(t)
	mount := open(t, issue(t, ca, Request{Role: RoleMount, Name: "m"}), RoleMount, nil)
	for name, change := range map[string]func(*x509.Certificate){
		"role of a mount": func(c *x509.Certificate) { c.URIs = []*url.URL{roleURI("x", RoleMount, fs.Scope{})} },
		"no role":         func(c *x509.Certificate) { c.URIs = nil },
		"two roles": func(c *x509.Certificate) {
			c.URIs = []*url.URL{roleURI("x", RoleNode, fs.Scope{}), roleURI("x", RoleMount, fs.Scope{})}
		},
		"not a server":   func(c *x509.Certificate) { c.ExtKeyUsage = c.ExtKeyUsage[:1] },
		"not named node": func(c *x509.Certificate) { c.DNSNames = []string{"a.example.org"} },
	} {
		if _, _, err := handshake(t, forge(t, ca, change).Server(), mount.Client()); err == nil {
			t.Errorf("%s: taken for a node", name)
		}
	}
	if _, _, err := handshake(t, forge(t, ca, func(*x509.Certificate) {}).Server(), mount.Client()); err != nil {
		t.Errorf("a proper node: %v", err)
	}
}

func TestListener_WantsARole(t *testing.T) {
	ca := authorityIn(t)
	node := open(t, issue(t, ca, Request{Role: RoleNode, Name: "n"}), RoleNode, nil)
	for name, uris := range map[string][]*url.URL{
		"none":    nil,
		"unknown": {roleURI("x", "root", fs.Scope{})},
		"two":     {roleURI("x", RoleAdmin, fs.Scope{}), roleURI("x", RoleMount, fs.Scope{})},
	} {
		client := forge(t, ca, func(c *x509.Certificate) { c.URIs = uris })
		if _, err, _ := handshake(t, node.Server(), client.Client()); !errors.Is(err, fs.ErrPermission) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
