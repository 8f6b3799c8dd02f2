package cluster

import (
	"errors"
	"io"
	"net"
	"strings"
	"syscall"
	"testing"
	"time"

	"dfs/fs"
)

func rawDial(t *testing.T, addr string) net.Conn {
	t.Helper()
	c, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { drop(c) })
	return c
}

// awaitClose reads until the other side closes; it fails the test if that takes longer than limit.
func awaitClose(t *testing.T, c net.Conn, limit time.Duration) {
	t.Helper()
	if err := c.SetReadDeadline(time.Now().Add(limit)); err != nil {
		t.Fatal(err)
	}
	if _, err := io.Copy(io.Discard, c); err != nil && !strings.Contains(err.Error(), "reset") {
		t.Fatalf("connection was not closed within %v: %v", limit, err)
	}
}

func TestMux_ClosesStrangersAndLogsWhy(t *testing.T) {
	for name, c := range map[string]struct{ sent, reason string }{
		"rubbish":          {"GET / HTTP/1.1\r\n\r\n", "does not speak the dfs protocol"},
		"cut off":          {"\xdfdf", "cut off after 3 bytes"},
		"newer version":    {"\xdfdfs\x09\x01", "version 9 of the protocol, this build 1"},
		"unknown protocol": {"\xdfdfs\x01\x77", "asks for protocol 119"},
	} {
		t.Run(name, func(t *testing.T) {
			log := &logBuffer{}
			tr := listen(t, Config{Log: log.logger()})
			conn := rawDial(t, tr.Addr())
			if _, err := io.WriteString(conn, c.sent); err != nil {
				t.Fatal(err)
			}
			if err := conn.(*net.TCPConn).CloseWrite(); err != nil && !errors.Is(err, syscall.ENOTCONN) {
				t.Fatal(err) // ENOTCONN: the other side has been faster and closed the connection already
			}
			awaitClose(t, conn, preambleTimeout-time.Second)
			eventually(t, time.Second, c.reason, func() bool { return log.contains(c.reason) })
		})
	}
}

func TestMux_ClosesSlowStrangersAtTheDeadline(t *testing.T) {
	tr := listen(t, Config{})
	conn := rawDial(t, tr.Addr())
	stop := make(chan struct{})
	defer close(stop)
	go func() { // one byte a second, as a slow loris does
		for _, b := range []byte("\xdfdfs\x01\x01") {
			if _, err := conn.Write([]byte{b}); err != nil {
				return
			}
			select {
			case <-stop:
				return
			case <-time.After(time.Second):
			}
		}
	}()
	start := time.Now()
	awaitClose(t, conn, 2*preambleTimeout)
	if took := time.Since(start); took < preambleTimeout/2 {
		t.Errorf("closed after %v already", took)
	}
}

func TestMux_BoundsStrangersAndServesAgainWhenTheyAreGone(t *testing.T) {
	log := &logBuffer{}
	tr := listen(t, Config{Log: log.logger()})
	serveHealth(t, tr)
	var idle []net.Conn
	for range strangersMax {
		idle = append(idle, rawDial(t, tr.Addr()))
	}
	eventually(t, time.Second, "all strangers are admitted", func() bool {
		tr.mux.mu.Lock()
		defer tr.mux.mu.Unlock()
		return len(tr.mux.strangers) == strangersMax
	})
	awaitClose(t, rawDial(t, tr.Addr()), time.Second)
	if !log.contains("too many") {
		t.Error("the reason is not logged")
	}
	for _, c := range idle {
		drop(c)
	}
	d := dialer(t, DialerConfig{})
	eventually(t, 5*time.Second, "a call succeeds", func() bool {
		return checkHealth(testContext(t, time.Second), t, d, tr.Addr()) == nil
	})
}

func TestMux_CloseBreaksStrangersAndWaits(t *testing.T) {
	tr := listen(t, Config{})
	conn := rawDial(t, tr.Addr())
	eventually(t, time.Second, "admitted", func() bool {
		tr.mux.mu.Lock()
		defer tr.mux.mu.Unlock()
		return len(tr.mux.strangers) == 1
	})
	start := time.Now()
	if err := tr.Close(); err != nil {
		t.Fatal(err)
	}
	if took := time.Since(start); took > time.Second {
		t.Errorf("Close took %v", took)
	}
	awaitClose(t, conn, time.Second)
	if _, err := tr.GRPCListener().Accept(); !errors.Is(err, net.ErrClosed) {
		t.Errorf("Accept after Close: %v", err)
	}
}

func TestMux_AClosedProtocolIsRefusedAndTheOtherStays(t *testing.T) {
	tr := listen(t, Config{})
	serveHealth(t, tr)
	if err := RaftLayer[string](tr).Close(); err != nil {
		t.Fatal(err)
	}
	d := dialer(t, DialerConfig{})
	if _, err := d.dial(t.Context(), ProtocolRaft, tr.Addr()); !errors.Is(err, fs.ErrNotSupported) {
		t.Errorf("raft: %v", err)
	}
	if err := checkHealth(testContext(t, 5*time.Second), t, d, tr.Addr()); err != nil {
		t.Errorf("grpc: %v", err)
	}
}

func TestMux_ClosesConnectionsThatNobodyAccepts(t *testing.T) {
	tr := listen(t, Config{})
	d := dialer(t, DialerConfig{})
	var conns []net.Conn
	for range backlogMax {
		c, err := d.dial(t.Context(), ProtocolRaft, tr.Addr())
		if err != nil {
			t.Fatal(err)
		}
		conns = append(conns, c)
	}
	// The dialler has its answer a little before the connection is queued; a later one must not overtake it.
	queue := tr.mux.routes[ProtocolRaft].conns
	eventually(t, 2*time.Second, "all of them wait to be accepted", func() bool { return len(queue) == backlogMax })
	c, err := d.dial(t.Context(), ProtocolRaft, tr.Addr())
	if err != nil {
		t.Fatal(err)
	}
	const patience = preambleTimeout + 20*time.Second // of a busy machine: that it is closed at all is what counts
	awaitClose(t, c, patience)
	if err := RaftLayer[string](tr).Close(); err != nil {
		t.Fatal(err)
	}
	for _, c := range conns { // those that waited in the queue are closed with it
		awaitClose(t, c, patience)
	}
}

func TestGreet_SaysWhatIsWrongWithTheOtherSide(t *testing.T) {
	for name, c := range map[string]struct {
		answer string
		want   error
		text   string
	}{
		"another version": {"\xdfdfs\x02\x01", fs.ErrNotSupported, "upgrade the older one"},
		"not served":      {"\xdfdfs\x01\x02", fs.ErrNotSupported, "does not serve raft"},
		"unknown status":  {"\xdfdfs\x01\x63", fs.ErrNotSupported, "status 99"},
		"something else":  {"HTTP/1.1 400 Bad Request", errNotDFS, "HTTP"},
	} {
		t.Run(name, func(t *testing.T) {
			ln, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			defer ln.Close()
			go func() {
				conn, err := ln.Accept()
				if err != nil {
					return
				}
				_, _ = io.WriteString(conn, c.answer) // the dialler's error tells
			}()
			_, err = dialer(t, DialerConfig{}).dial(t.Context(), ProtocolRaft, ln.Addr().String())
			if !errors.Is(err, c.want) || !strings.Contains(err.Error(), c.text) {
				t.Errorf("got %v", err)
			}
		})
	}
}

func TestConnectionAcceptedWhileClosing_IsNotWaitedFor(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	m := newMux(ln, ln.Addr(), nil, nil, testLog(t), ProtocolGRPC)
	if err := m.close(); err != nil {
		t.Fatal(err)
	}
	late, other := net.Pipe()
	defer drop(late)
	defer drop(other)
	if m.admit(late) {
		t.Error("a connection was taken after close had dropped the strangers")
	}
}
