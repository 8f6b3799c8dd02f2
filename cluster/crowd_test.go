package cluster

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/netip"
	"strconv"
	"strings"
	"testing"
	"time"
)

func TestHTTP_BoundsConnectionsAndHeaders(t *testing.T) {
	log := &logBuffer{}
	ln, err := ListenHTTP(t.Context(), "127.0.0.1:0", false, nil, "--http", log.logger())
	if err != nil {
		t.Fatal(err)
	}
	srv := HTTPServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "ok") }), log.logger())
	done := make(chan error, 1)
	go func() { done <- srv.Serve(ln) }()
	defer func() {
		_ = srv.Close() // whatever it says, it ends
		<-done
	}()
	ask := func(headers int) string {
		c := rawDial(t, ln.Addr().String())
		_, _ = fmt.Fprintf(c, "GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\nX-Long: %s\r\n\r\n", strings.Repeat("x", headers))
		_ = c.SetReadDeadline(time.Now().Add(5 * time.Second))
		line := make([]byte, 15)
		_, _ = io.ReadFull(c, line) // what has come is compared
		return string(line)
	}
	if got := ask(10); got != "HTTP/1.1 200 OK" {
		t.Errorf("an ordinary request: %q", got)
	}
	if got := ask(httpHeadersMax + 8<<10); got != "HTTP/1.1 431 Re" {
		t.Errorf("long headers: %q", got)
	}
	slow := rawDial(t, ln.Addr().String())
	_, _ = io.WriteString(slow, "GET / HTTP/1.1\r\nHost:")
	for range httpPeerMax - 1 {
		rawDial(t, ln.Addr().String())
	}
	awaitClose(t, rawDial(t, ln.Addr().String()), 2*time.Second)
	if !log.contains("too many are open") {
		t.Error("the log does not say why")
	}
	awaitClose(t, slow, 2*httpHeaderTime)
}

// Whoever speaks gossip cannot make a node take in more than a stream's worth, nor keep more than so many streams.
func TestGossip_BoundsStreams(t *testing.T) {
	log := &logBuffer{}
	ring := openRing(t, RingConfig{Node: "a", Listen: "127.0.0.1:0", Addr: "127.0.0.1:1", Log: log.logger()})
	before := heap()
	label := append([]byte{244, 10}, "dfs-gossip"...)
	// A compressed message of a gigabyte: algorithm and bytes, as msgpack has them.
	huge := binary.BigEndian.AppendUint32([]byte("\x09\x82\xa4Algo\x00\xa3Buf\xc6"), 1<<30)
	conn := rawDial(t, ring.Gossip())
	if _, err := conn.Write(append(label, huge...)); err != nil {
		t.Fatal(err)
	}
	junk := bytes.Repeat([]byte{'x'}, 64<<10)
	sent := 0
	for sent < 256<<20 {
		n, err := conn.Write(junk)
		sent += n
		if err != nil {
			break
		}
	}
	if sent > 32<<20 { // the kernel's buffers are some megabytes
		t.Errorf("%d MiB were taken", sent>>20)
	}
	if grown := heap() - before; grown > 32<<20 {
		t.Errorf("the heap has grown by %d MiB", grown>>20)
	}
	eventually(t, 5*time.Second, "the reason is logged", func() bool { return log.contains("in one stream of gossip") })
	var idle []net.Conn
	for range gossipStreamsMax + 1 {
		idle = append(idle, rawDial(t, ring.Gossip()))
	}
	eventually(t, 5*time.Second, "one stream too many is refused", func() bool { return log.contains("refused: 32 are open") })
	awaitClose(t, idle[gossipStreamsMax], 2*time.Second)
}

// A ring that closes says goodbye first, and the others go on talking to it meanwhile.
func TestGossip_ShutsDownWhateverArrives(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	g, err := openGossip(ctx, netip.MustParseAddrPort("127.0.0.1:0"), exposure{}, log.New(io.Discard, "", 0))
	if err != nil {
		t.Fatal(err)
	}
	cancel() // as Ring.Close begins
	addr := net.JoinHostPort("127.0.0.1", strconv.Itoa(g.GetAutoBindPort()))
	rawDial(t, addr)
	select {
	case conn := <-g.StreamCh():
		drop(conn)
	case <-time.After(5 * time.Second):
		t.Error("a stream that came before Shutdown was not served")
	}
	var late []net.Conn // the first waits to be handed on, the second to be taken, the third to be accepted
	for range 3 {
		late = append(late, rawDial(t, addr))
	}
	eventually(t, 5*time.Second, "one of them is admitted", func() bool { return len(g.places) == 1 })
	done := make(chan error, 1)
	go func() { done <- errors.Join(g.Shutdown(), g.Shutdown()) }()
	select {
	case err := <-done:
		if err != nil {
			t.Error(err)
		}
	case <-time.After(10 * time.Second):
		t.Fatal("Shutdown waits for a stream that nobody takes")
	}
	for _, conn := range late {
		awaitClose(t, conn, 2*time.Second)
	}
}
