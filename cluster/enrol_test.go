package cluster

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	"dfs/cluster/clusterpb"
	"dfs/cluster/pki"
	"dfs/fs"
)

// enrolNode listens with an enroller, and returns a token of its cluster.
func enrolNode(t *testing.T, log *logBuffer, decide Enroller) (*Transport, pki.Token) {
	t.Helper()
	c := credentialsFor(t, testCA(t), pki.RoleNode)
	token, err := c.NewToken(pki.RoleMount)
	if err != nil {
		t.Fatal(err)
	}
	return listen(t, Config{TLS: c, Enrol: decide, Log: log.logger()}), token
}

// bare opens a TLS connection of somebody who asks to enrol, and says whether the preamble for a protocol was answered with ok.
func bare(t *testing.T, addr string, token pki.Token, p Protocol) (*tls.Conn, string) {
	t.Helper()
	conn := tls.Client(rawDial(t, addr), pki.EnrolClient(token.Root))
	if err := conn.SetDeadline(time.Now().Add(2 * enrolTimeout)); err != nil {
		t.Fatal(err)
	}
	if err := writePreamble(conn, preamble{preambleVersion, byte(p)}); err != nil {
		t.Fatal(err)
	}
	answer := make([]byte, preambleSize)
	if _, err := io.ReadFull(conn, answer); err != nil {
		t.Fatal(err)
	}
	return conn, string(answer)
}

func TestEnrol_CarriesRequestAndGrant(t *testing.T) {
	want := pki.Grant{Chain: []byte("c"), Root: []byte("r"), GossipKey: []byte("g"), IssuerCert: []byte("i"), IssuerKey: []byte("k")}
	var got *EnrolRequest
	tr, token := enrolNode(t, &logBuffer{}, func(_ context.Context, r *EnrolRequest) (*pki.Grant, error) { got = r; return &want, nil })
	g, err := Enrol(testContext(t, 10*time.Second), tr.Addr(), token, EnrolRequest{CSR: []byte("csr"), Name: "n", Hosts: []string{"h"}})
	if err != nil || !bytes.Equal(slices.Concat(g.Chain, g.Root, g.GossipKey, g.IssuerCert, g.IssuerKey), []byte("crgik")) {
		t.Fatalf("%v, %v", g, err)
	}
	if got.Token != token.ID || !bytes.Equal(got.Secret, token.Secret()) || got.Role != pki.RoleMount || string(got.CSR) != "csr" || got.Name != "n" || !slices.Equal(got.Hosts, []string{"h"}) {
		t.Errorf("%+v arrived", got)
	}
}

func TestEnrol_RefusalsAreAlikeAndTheirReasonsInTheLog(t *testing.T) {
	log := &logBuffer{}
	var reason error
	tr, token := enrolNode(t, log, func(context.Context, *EnrolRequest) (*pki.Grant, error) { return nil, reason })
	said := map[string]bool{}
	for _, reason = range []error{fmt.Errorf("secret 1: %w", fs.ErrPermission), fmt.Errorf("secret 2: %w", fs.ErrNotExist), errors.New("secret 3")} {
		_, err := Enrol(testContext(t, 10*time.Second), tr.Addr(), token, EnrolRequest{Name: "n"})
		if !errors.Is(err, fs.ErrPermission) {
			t.Errorf("%v: %v", reason, err)
		}
		said[err.Error()] = true
		eventually(t, 2*time.Second, reason.Error(), func() bool { return log.contains(reason.Error()) })
	}
	if len(said) != 1 || strings.Contains(fmt.Sprint(said), "secret") {
		t.Errorf("it is told %v", said)
	}
	reason = fmt.Errorf("no leader: %w", fs.ErrUnavailable)
	if _, err := Enrol(testContext(t, 10*time.Second), tr.Addr(), token, EnrolRequest{Name: "n"}); !errors.Is(err, fs.ErrUnavailable) {
		t.Errorf("later: %v", err)
	}
	if !log.contains(token.ID) || log.contains(token.Text()[60:]) || log.contains(string(token.Secret())) {
		t.Error("the log shows the secret, or not the id")
	}
}

// Who has shown no certificate gets nothing from any other protocol.
func TestStranger_ThatEnrolsGetsNothingElse(t *testing.T) {
	log := &logBuffer{}
	tr, token := enrolNode(t, log, func(context.Context, *EnrolRequest) (*pki.Grant, error) {
		t.Error("decided about")
		return nil, fs.ErrPermission
	})
	serveHello(t, tr, log)
	for _, p := range []Protocol{ProtocolRaft, ProtocolGRPC, 0, 77} {
		conn, answer := bare(t, tr.Addr(), token, p)
		if answer != "\xdfdfs\x01\x03" {
			t.Errorf("%s: it is told %q", p, answer)
		}
		if rest, err := io.ReadAll(conn); len(rest) > 0 || err != nil && !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Errorf("%s: then %q, %v", p, rest, err)
		}
		eventually(t, 2*time.Second, "the reason", func() bool { return log.contains(fmt.Sprintf("asks for %s without a certificate", p)) })
	}
	for _, p := range []Protocol{ProtocolRaft, ProtocolGRPC, ProtocolEnrol} { // without the ALPN protocol there is not even a preamble
		if told := stranger(t, tr.Addr(), p); told != "" {
			t.Errorf("%s: it is told %q", p, told)
		}
	}
}

func TestHTTP_TakesNobodyWhoEnrols(t *testing.T) {
	c := credentialsFor(t, testCA(t), pki.RoleNode)
	token, err := c.NewToken(pki.RoleNode)
	if err != nil {
		t.Fatal(err)
	}
	ln, err := ListenHTTP(t.Context(), "127.0.0.1:0", false, c, "--http", nil)
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	go func() {
		conn, err := ln.Accept()
		if err != nil {
			return // the test has ended
		}
		_, _ = io.WriteString(conn, "hello")
		drop(conn)
	}()
	conn := tls.Client(rawDial(t, ln.Addr().String()), pki.EnrolClient(token.Root))
	if got, err := io.ReadAll(conn); len(got) > 0 || err == nil {
		t.Errorf("it reads %q, %v", got, err)
	}
}

func TestEnrol_IsNotServedWithoutAnEnrollerNorInPlaintext(t *testing.T) {
	tr, token := enrolNode(t, &logBuffer{}, nil)
	if _, err := Enrol(testContext(t, 10*time.Second), tr.Addr(), token, EnrolRequest{}); !errors.Is(err, fs.ErrNotSupported) {
		t.Errorf("without an enroller: %v", err)
	}
	plain := listen(t, Config{Enrol: func(context.Context, *EnrolRequest) (*pki.Grant, error) { return nil, nil }})
	if _, err := Enrol(testContext(t, 10*time.Second), plain.Addr(), token, EnrolRequest{}); !errors.Is(err, fs.ErrPermission) {
		t.Errorf("in plaintext: %v", err)
	}
	conn := rawDial(t, plain.Addr())
	if err := greet(conn, ProtocolEnrol); !errors.Is(err, fs.ErrNotSupported) {
		t.Errorf("without TLS: %v", err)
	}
}

// The secret is sent to nobody but the token's cluster.
func TestEnrol_TellsAnotherClusterNothing(t *testing.T) {
	tr, _ := enrolNode(t, &logBuffer{}, func(context.Context, *EnrolRequest) (*pki.Grant, error) {
		t.Error("another cluster was asked")
		return &pki.Grant{}, nil
	})
	_, token := enrolNode(t, &logBuffer{}, nil)
	if _, err := Enrol(testContext(t, 10*time.Second), tr.Addr(), token, EnrolRequest{}); !errors.Is(err, fs.ErrPermission) || !strings.Contains(err.Error(), "not the cluster") {
		t.Error(err)
	}
}

func TestEnrol_RubbishAndSlownessEnd(t *testing.T) {
	log := &logBuffer{}
	tr, token := enrolNode(t, log, func(context.Context, *EnrolRequest) (*pki.Grant, error) {
		t.Error("decided about")
		return &pki.Grant{}, nil
	})
	for name, c := range map[string]struct{ sent, logs string }{
		"nothing":  {"", "await a message"},
		"too long": {string(binary.BigEndian.AppendUint32(nil, enrolMessageMax+1)), "at most 16384"},
		"rubbish":  {"\x00\x00\x00\x02\xff\xff", "decode a message"},
		"cut off":  {"\x00\x00\x00\x09\x01", "await a message"},
	} {
		conn, answer := bare(t, tr.Addr(), token, ProtocolEnrol)
		if answer != "\xdfdfs\x01\x00" {
			t.Fatalf("%s: it is told %q", name, answer)
		}
		if _, err := io.WriteString(conn, c.sent); err != nil {
			t.Fatal(err)
		}
		start := time.Now()
		if rest, _ := io.ReadAll(conn); len(rest) > 0 || time.Since(start) > 2*preambleTimeout {
			t.Errorf("%s: told %q, after %s", name, rest, time.Since(start))
		}
		eventually(t, 2*time.Second, name, func() bool { return log.contains(c.logs) })
	}
}

func TestEnrol_IsBoundedAtOnceAndInTime(t *testing.T) {
	decide, entered := make(chan struct{}), make(chan struct{}, 2*enrolBurst)
	tr, token := enrolNode(t, &logBuffer{}, func(context.Context, *EnrolRequest) (*pki.Grant, error) {
		entered <- struct{}{}
		<-decide
		return &pki.Grant{}, nil
	})
	ctx := testContext(t, 30*time.Second)
	results := make(chan error, 2*enrolBurst)
	ask := func() { _, err := Enrol(ctx, tr.Addr(), token, EnrolRequest{}); results <- err }
	for range enrolsMax {
		go ask()
	}
	for range enrolsMax {
		<-entered
	}
	ask()
	if err := <-results; !errors.Is(err, fs.ErrUnavailable) {
		t.Errorf("one too many at once: %v", err)
	}
	close(decide)
	for range enrolsMax {
		if err := <-results; err != nil {
			t.Error(err)
		}
	}
	late := 0
	for range 2 * enrolBurst {
		go ask()
	}
	for range 2 * enrolBurst {
		if err := <-results; errors.Is(err, fs.ErrUnavailable) {
			late++
		} else if err != nil {
			t.Error(err)
		}
	}
	if late == 0 {
		t.Error("all of a burst were served at once")
	}
}

// While it is being served it is a stranger, and close does not wait for it.
func TestEnrol_EndsWithTheListener(t *testing.T) {
	began := make(chan struct{})
	c := credentialsFor(t, testCA(t), pki.RoleNode)
	token, err := c.NewToken(pki.RoleNode)
	if err != nil {
		t.Fatal(err)
	}
	tr, err := Listen(t.Context(), Config{Listen: "127.0.0.1:0", TLS: c, Enrol: func(ctx context.Context, _ *EnrolRequest) (*pki.Grant, error) {
		close(began)
		<-ctx.Done()
		return nil, ctx.Err()
	}})
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { _, err := Enrol(t.Context(), tr.Addr(), token, EnrolRequest{}); done <- err }()
	<-began
	tr.mux.mu.Lock()
	if n := len(tr.mux.strangers); n != 1 {
		t.Errorf("%d strangers", n)
	}
	tr.mux.mu.Unlock()
	if err := tr.Close(); err != nil {
		t.Error(err)
	}
	if err := <-done; !errors.Is(err, fs.ErrUnavailable) {
		t.Errorf("it hears %v", err)
	}
}

func FuzzEnrolMessage(f *testing.F) {
	data, err := proto.Marshal(&clusterpb.EnrolRequest{Token: "t", Secret: []byte("s"), Hosts: []string{"h"}})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(append(binary.BigEndian.AppendUint32(nil, uint32(len(data))), data...))
	f.Fuzz(func(t *testing.T, data []byte) {
		m := &clusterpb.EnrolRequest{}
		if readMessage(bytes.NewReader(data), m) == nil && (len(data) < 4 || proto.Size(m) > enrolMessageMax) {
			t.Errorf("%q is read as %v", data, m)
		}
	})
}
