package cluster

import (
	"bytes"
	"encoding/binary"
	"io"
	"net"
	"runtime"
	"sync"
	"testing"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

// rude is a gRPC client that has a proper certificate and keeps to no other rule than that of HTTP/2's flow control, which
// the server could not be made to break.
type rude struct {
	t      *testing.T
	conn   net.Conn
	frames *http2.Framer
	closed chan struct{} // the server has closed the connection

	mu      sync.Mutex // of what follows, and of writes
	more    sync.Cond  // a window has grown, or the end
	ended   bool
	initial int64
	window  int64            // of the connection
	windows map[uint32]int64 // of streams, what has been added to initial
	next    uint32
	headers *hpack.Encoder
	block   bytes.Buffer
	refused int // streams that the server has reset
	over    int // streams that the server has ended with an answer
}

func newRude(t *testing.T, d *Dialer, addr string) *rude {
	t.Helper()
	conn, err := d.dial(testContext(t, 5*time.Second), ProtocolGRPC, addr)
	if err != nil {
		t.Fatal(err)
	}
	r := &rude{t: t, conn: conn, frames: http2.NewFramer(conn, conn), closed: make(chan struct{}),
		initial: 65535, window: 65535, windows: make(map[uint32]int64), next: 1}
	r.more.L = &r.mu
	r.headers = hpack.NewEncoder(&r.block)
	if _, err := io.WriteString(conn, http2.ClientPreface); err != nil {
		t.Fatal(err)
	}
	if err := r.frames.WriteSettings(); err != nil {
		t.Fatal(err)
	}
	go r.read()
	t.Cleanup(func() {
		drop(conn)
		<-r.closed
	})
	return r
}

// read answers pings, so that nobody takes the client for dead.
func (r *rude) read() {
	defer close(r.closed)
	defer func() {
		r.mu.Lock()
		r.ended = true
		r.more.Broadcast()
		r.mu.Unlock()
	}()
	for {
		f, err := r.frames.ReadFrame()
		if err != nil {
			return
		}
		r.mu.Lock()
		switch f := f.(type) {
		case *http2.SettingsFrame:
			if v, ok := f.Value(http2.SettingInitialWindowSize); ok {
				r.initial = int64(v)
			}
			if !f.IsAck() {
				_ = r.frames.WriteSettingsAck() // an error shows when the next frame is read
			}
		case *http2.PingFrame:
			if !f.IsAck() {
				_ = r.frames.WritePing(true, f.Data) // likewise
			}
		case *http2.WindowUpdateFrame:
			if f.StreamID == 0 {
				r.window += int64(f.Increment)
			} else {
				r.windows[f.StreamID] += int64(f.Increment)
			}
		case *http2.RSTStreamFrame:
			r.refused++
		case *http2.HeadersFrame:
			if f.StreamEnded() {
				r.over++
			}
		}
		r.more.Broadcast()
		r.mu.Unlock()
	}
}

// open begins a call; 0 if the server has closed the connection.
func (r *rude) open(method string) uint32 {
	r.mu.Lock()
	defer r.mu.Unlock()
	id := r.next
	r.next += 2
	r.block.Reset()
	for _, f := range [][2]string{{":method", "POST"}, {":scheme", "http"}, {":path", method}, {":authority", "x"},
		{"content-type", "application/grpc"}, {"te", "trailers"}} {
		if err := r.headers.WriteField(hpack.HeaderField{Name: f[0], Value: f[1]}); err != nil {
			r.t.Error(err)
		}
	}
	if r.frames.WriteHeaders(http2.HeadersFrameParam{StreamID: id, BlockFragment: r.block.Bytes(), EndHeaders: true}) != nil {
		return 0
	}
	return id
}

// send sends data on a stream as far as the windows let it, waiting for them to grow, until the connection ends.
func (r *rude) send(id uint32, data []byte) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for len(data) > 0 && !r.ended {
		n := min(int64(len(data)), 16<<10, r.window, r.initial+r.windows[id])
		if n <= 0 {
			r.more.Wait()
			continue
		}
		r.window -= n
		r.windows[id] -= n
		if r.frames.WriteData(id, false, data[:n]) != nil {
			return
		}
		data = data[n:]
	}
}

// finish ends a request.
func (r *rude) finish(id uint32) {
	r.mu.Lock()
	defer r.mu.Unlock()
	_ = r.frames.WriteData(id, true, nil) // the connection may have ended, which the test sees
}

// await polls what the client has counted.
func (r *rude) await(limit time.Duration, what string, ok func() bool) {
	r.t.Helper()
	eventually(r.t, limit, what, func() bool {
		r.mu.Lock()
		defer r.mu.Unlock()
		return ok()
	})
}

func (r *rude) awaitCutOff(limit time.Duration) {
	r.t.Helper()
	select {
	case <-r.closed:
	case <-time.After(limit):
		r.t.Fatalf("not cut off within %s", limit)
	}
}

// message is gRPC's form of one: a length, which may lie, and the bytes.
func message(length int, data []byte) []byte {
	return append(binary.BigEndian.AppendUint32([]byte{0}, uint32(length)), data...)
}

// heap is what is allocated and not yet known to be garbage.
func heap() int64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}
