package cluster

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"dfs/cluster/clusterpb"
	"dfs/cluster/pki"
	"dfs/fs"
)

const day = 24 * time.Hour

// testCA makes an authority.
func testCA(t *testing.T) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "ca")
	if err := pki.InitCA(dir); err != nil {
		t.Fatal(err)
	}
	return dir
}

func issueIn(t *testing.T, ca string, r pki.Request) string {
	t.Helper()
	out := filepath.Join(t.TempDir(), "x")
	if err := pki.Issue(ca, out, r); err != nil {
		t.Fatal(err)
	}
	return out
}

func credentialsFor(t *testing.T, ca string, role pki.Role) *pki.Credentials {
	t.Helper()
	files, err := pki.FilesIn(issueIn(t, ca, pki.Request{Role: role, Name: "the-" + string(role)}), role)
	if err != nil {
		t.Fatal(err)
	}
	c, err := pki.Open(files, role, nil)
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

// serveHello runs the service by which nodes ask who is there.
func serveHello(t *testing.T, tr *Transport, log *logBuffer) {
	t.Helper()
	s := NewServer(ServerConfig{Log: log.logger()})
	RegisterService(s, ServiceConfig{Node: "n", Version: "v", Cluster: func() string { return "c" }})
	done := make(chan error, 1)
	go func() { done <- s.Serve(tr.GRPCListener()) }()
	t.Cleanup(func() {
		s.Stop()
		<-done
	})
}

func TestTLS_CarriesGRPCAndRaft(t *testing.T) {
	ca := testCA(t)
	a := listen(t, Config{TLS: credentialsFor(t, ca, pki.RoleNode)})
	serveHello(t, a, &logBuffer{})
	b := listen(t, Config{TLS: credentialsFor(t, ca, pki.RoleNode)})
	if h, err := SayHello(testContext(t, 10*time.Second), b.Dialer, a.Addr(), Hello{}); err != nil || h.Node != "n" {
		t.Fatalf("%v, %v", h, err)
	}
	echo := RaftLayer[string](a)
	go func() {
		conn, err := echo.Accept()
		if err != nil {
			return // the test has failed already
		}
		_, _ = io.Copy(conn, io.LimitReader(conn, 4))
		drop(conn)
	}()
	conn, err := RaftLayer[string](b).Dial(a.Addr(), 5*time.Second)
	if err != nil {
		t.Fatal(err)
	}
	defer drop(conn)
	if _, ok := conn.(*dialled).Conn.(*secured); !ok {
		t.Fatalf("a Raft connection is %T", conn.(*dialled).Conn)
	}
	if _, err := io.WriteString(conn, "vote"); err != nil {
		t.Fatal(err)
	}
	got, err := io.ReadAll(conn)
	if string(got) != "vote" || err != nil {
		t.Errorf("read %q, %v", got, err)
	}
}

// stranger dials as somebody who does not keep to our client's rules, and returns all that it is told after its preamble.
func stranger(t *testing.T, addr string, proto Protocol, certs ...tls.Certificate) string {
	t.Helper()
	conn := tls.Client(rawDial(t, addr), &tls.Config{
		InsecureSkipVerify: true,
		GetClientCertificate: func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
			return &append(certs, tls.Certificate{})[0], nil
		},
	})
	if err := conn.SetDeadline(time.Now().Add(2 * preambleTimeout)); err != nil {
		t.Fatal(err)
	}
	if err := writePreamble(conn, preamble{preambleVersion, byte(proto)}); err != nil {
		return ""
	}
	told, _ := io.ReadAll(conn) // an alert, or the end
	return string(told)
}

func loadPair(t *testing.T, dir, name string) tls.Certificate {
	t.Helper()
	pair, err := tls.LoadX509KeyPair(filepath.Join(dir, name+".crt"), filepath.Join(dir, name+".key"))
	if err != nil {
		t.Fatal(err)
	}
	return pair
}

func TestStrangers_AreRefusedWithTheReasonInTheLogAndNothingInTheReply(t *testing.T) {
	ca, other := testCA(t), testCA(t)
	pair := func(ca string, r pki.Request) []tls.Certificate {
		r.Name = "x"
		return []tls.Certificate{loadPair(t, issueIn(t, ca, r), "x")}
	}
	node := credentialsFor(t, ca, pki.RoleNode)
	for name, c := range map[string]struct {
		certs  []tls.Certificate
		proto  Protocol
		reason string
		told   string
	}{
		"none":             {nil, ProtocolGRPC, "didn't provide a certificate", ""},
		"another CA":       {pair(other, pki.Request{Role: pki.RoleNode}), ProtocolGRPC, "unknown authority", ""},
		"expired":          {pair(ca, pki.Request{Role: pki.RoleNode, From: time.Now().Add(-3 * day), Days: 1}), ProtocolRaft, "expired", ""},
		"not yet valid":    {pair(ca, pki.Request{Role: pki.RoleNode, From: time.Now().Add(day), Days: 1}), ProtocolRaft, "not yet valid", ""},
		"a mount as node":  {pair(ca, pki.Request{Role: pki.RoleMount}), ProtocolRaft, "asks for raft", "\xdfdfs\x01\x03"},
		"an admin as node": {pair(ca, pki.Request{Role: pki.RoleAdmin}), ProtocolRaft, "asks for raft", "\xdfdfs\x01\x03"},
	} {
		t.Run(name, func(t *testing.T) {
			log := &logBuffer{}
			tr := listen(t, Config{TLS: node, Log: log.logger()})
			if told := stranger(t, tr.Addr(), c.proto, c.certs...); told != c.told {
				t.Errorf("it is told %q, want %q", told, c.told)
			}
			eventually(t, 2*time.Second, c.reason, func() bool { return log.contains(c.reason) })
		})
	}
}

func TestDiallerWhoseCertificateIsRefused_HearsSo(t *testing.T) {
	ca, other := testCA(t), testCA(t)
	tr := listen(t, Config{TLS: credentialsFor(t, ca, pki.RoleNode)})
	ctx := testContext(t, 20*time.Second)
	// Trusts the right authority, shows a certificate of another one.
	dir := issueIn(t, other, pki.Request{Role: pki.RoleMount, Name: "m"})
	both := append(readAll(t, filepath.Join(ca, pki.CACertFile)), readAll(t, filepath.Join(other, pki.CACertFile))...)
	if err := os.WriteFile(filepath.Join(dir, pki.CACertFile), both, 0o600); err != nil {
		t.Fatal(err)
	}
	files, err := pki.FilesIn(dir, pki.RoleMount)
	if err != nil {
		t.Fatal(err)
	}
	c, err := pki.Open(files, pki.RoleMount, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	_, err = dialer(t, DialerConfig{TLS: c}).dial(ctx, ProtocolGRPC, tr.Addr())
	if !errors.Is(err, fs.ErrPermission) || !strings.Contains(err.Error(), "does not accept this machine's certificate") {
		t.Errorf("another CA: %v", err)
	}
	// A proper certificate of the wrong role.
	_, err = dialer(t, DialerConfig{TLS: credentialsFor(t, ca, pki.RoleMount)}).dial(ctx, ProtocolRaft, tr.Addr())
	if !errors.Is(err, fs.ErrPermission) || !strings.Contains(err.Error(), "does not let this certificate speak raft") {
		t.Errorf("wrong role: %v", err)
	}
	// A node that it does not trust.
	_, err = dialer(t, DialerConfig{TLS: credentialsFor(t, other, pki.RoleMount)}).dial(ctx, ProtocolGRPC, tr.Addr())
	if !errors.Is(err, fs.ErrPermission) || !strings.Contains(err.Error(), "the node's certificate is not accepted") {
		t.Errorf("untrusted node: %v", err)
	}
}

func readAll(t *testing.T, path string) []byte {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func TestPlainAndTLS_TellEachOtherApart(t *testing.T) {
	ca := testCA(t)
	for name, c := range map[string]struct {
		listens, dials *pki.Credentials
		hears, log     string
	}{
		"plain dialler": {credentialsFor(t, ca, pki.RoleNode), nil, "speaks TLS only, say --tls-dir", "does not speak TLS, and this node demands it"},
		"TLS dialler":   {nil, credentialsFor(t, ca, pki.RoleNode), "the node does not speak TLS", "speaks TLS, and this node does not"},
	} {
		t.Run(name, func(t *testing.T) {
			log := &logBuffer{}
			tr := listen(t, Config{TLS: c.listens, Log: log.logger()})
			_, err := dialer(t, DialerConfig{TLS: c.dials}).dial(testContext(t, 10*time.Second), ProtocolGRPC, tr.Addr())
			if !errors.Is(err, fs.ErrPermission) || !strings.Contains(err.Error(), c.hears) {
				t.Errorf("the dialler hears: %v", err)
			}
			eventually(t, 2*time.Second, c.log, func() bool { return log.contains(c.log) })
		})
	}
}

// Closing a connection with something unread resets it, and what was answered may be lost.
func TestRefusal_ArrivesWhateverElseWasSent(t *testing.T) {
	tr := listen(t, Config{})
	conn := rawDial(t, tr.Addr())
	if _, err := io.WriteString(conn, "\x16\x03\x01\x02\x00"+strings.Repeat("x", 4000)); err != nil {
		t.Fatal(err)
	}
	if err := conn.SetReadDeadline(time.Now().Add(2 * preambleTimeout)); err != nil {
		t.Fatal(err)
	}
	if told, err := io.ReadAll(conn); string(told) != "\xdfdfs\x01\x05" || err != nil {
		t.Errorf("it is told %q, %v", told, err)
	}
}

func TestHangingHandshake_EndsAtTheDeadline(t *testing.T) {
	ca := testCA(t)
	tr := listen(t, Config{TLS: credentialsFor(t, ca, pki.RoleNode)})
	for name, sent := range map[string]string{
		"nothing":           "",
		"one byte":          "\x16",
		"half a hello":      "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
		"half a preamble":   "\xdfdf",
		"a very long hello": "\x16\x03\x01\x40\x00" + strings.Repeat("x", 1000),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			conn := rawDial(t, tr.Addr())
			if _, err := io.WriteString(conn, sent); err != nil {
				t.Fatal(err)
			}
			awaitClose(t, conn, 2*preambleTimeout)
		})
	}
}

func TestConnection_EndsWithItsCertificate(t *testing.T) {
	ca := testCA(t)
	tr := listen(t, Config{TLS: credentialsFor(t, ca, pki.RoleNode)})
	accepted := make(chan net.Conn, 1)
	go func() {
		if c, err := RaftLayer[string](tr).Accept(); err == nil {
			accepted <- c
		}
	}()
	dir := issueIn(t, ca, pki.Request{Role: pki.RoleNode, Name: "x", Days: 1, From: time.Now().Add(-day + 4*time.Second)})
	conn := tls.Client(rawDial(t, tr.Addr()), &tls.Config{InsecureSkipVerify: true, Certificates: []tls.Certificate{loadPair(t, dir, "x")}})
	if err := greet(conn, ProtocolRaft); err != nil {
		t.Fatal(err)
	}
	server := <-accepted
	defer drop(server)
	if err := server.SetDeadline(time.Now().Add(20 * time.Second)); err != nil {
		t.Fatal(err)
	}
	if _, err := server.Read(make([]byte, 1)); !errors.Is(err, net.ErrClosed) {
		t.Errorf("the connection ends with %v", err)
	}
}

func TestClose_DoesNotWaitForAPeerThatDoesNotRead(t *testing.T) {
	ca := testCA(t)
	tr := listen(t, Config{TLS: credentialsFor(t, ca, pki.RoleNode)})
	d := dialer(t, DialerConfig{TLS: credentialsFor(t, ca, pki.RoleNode)})
	conn, err := d.dial(testContext(t, 5*time.Second), ProtocolRaft, tr.Addr())
	if err != nil {
		t.Fatal(err)
	}
	raw := conn.(*dialled).raw // past TLS, which would say no goodbye after an error of its own
	full := make([]byte, 1<<20)
	for n := 1; n > 0; { // nobody reads: until the kernel's buffers are full
		if err := raw.SetWriteDeadline(time.Now().Add(300 * time.Millisecond)); err != nil {
			t.Fatal(err)
		}
		n, _ = raw.Write(full) // it fails in the end, with a time-out
	}
	start := time.Now()
	drop(conn)
	if took := time.Since(start); took > goodbyeMax+3*time.Second { // TLS's own patience is 5 s
		t.Errorf("closing took %s", took)
	}
}

func TestCall_IsRefusedToTheWrongRole(t *testing.T) {
	ca := testCA(t)
	log := &logBuffer{}
	tr := listen(t, Config{TLS: credentialsFor(t, ca, pki.RoleNode), Log: log.logger()})
	serveHello(t, tr, log)
	d := dialer(t, DialerConfig{TLS: credentialsFor(t, ca, pki.RoleMount)})
	conn, err := d.DialGRPC(tr.Addr())
	if err != nil {
		t.Fatal(err)
	}
	_, err = clusterpb.NewClusterClient(conn).Hello(testContext(t, 10*time.Second), &clusterpb.HelloRequest{})
	if err == nil || strings.Contains(err.Error(), "mount") || strings.Contains(err.Error(), "Hello") {
		t.Errorf("the answer is %v", err)
	}
	for _, part := range []string{"call refused", "role=mount", "name=the-mount", "method=/dfs.cluster.v1.Cluster/Hello"} {
		if !log.contains(part) {
			t.Errorf("the log does not say %q", part)
		}
	}
}

func TestHTTP_WantsACertificateAndShowsTheHost(t *testing.T) {
	ca := testCA(t)
	dir := issueIn(t, ca, pki.Request{Role: pki.RoleNode, Name: "n", Hosts: []string{"127.0.0.1"}})
	files, err := pki.FilesIn(dir, pki.RoleNode)
	if err != nil {
		t.Fatal(err)
	}
	c, err := pki.Open(files, pki.RoleNode, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	ln, err := ListenHTTP(t.Context(), "127.0.0.1:0", false, c, "--http", nil)
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	go func() {
		for {
			conn, err := ln.Accept()
			if err != nil {
				return
			}
			_, _ = io.WriteString(conn, "hello") // an error is a stranger's handshake
			drop(conn)
		}
	}()
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(readAll(t, filepath.Join(ca, pki.CACertFile)))
	get := func(certs ...tls.Certificate) (string, error) {
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		defer cancel()
		conn, err := (&tls.Dialer{Config: &tls.Config{RootCAs: pool, Certificates: certs}}).DialContext(ctx, "tcp", ln.Addr().String())
		if err != nil {
			return "", err
		}
		defer drop(conn)
		got, err := io.ReadAll(conn)
		return string(got), err
	}
	admin := loadPair(t, issueIn(t, ca, pki.Request{Role: pki.RoleAdmin, Name: "a"}), "a")
	if got, err := get(admin); got != "hello" || err != nil {
		t.Errorf("an admin reads %q, %v", got, err)
	}
	if got, err := get(); got != "" || err == nil {
		t.Errorf("a stranger reads %q, %v", got, err)
	}
}
