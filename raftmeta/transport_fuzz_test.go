package raftmeta

import (
	"bytes"
	"net"
	"testing"
	"time"
)

// said is a connection on which the other side has said something and hung up.
type said struct {
	net.Conn // nil: what is not below is not called
	*bytes.Reader
}

func (c said) Read(p []byte) (int, error)      { return c.Reader.Read(p) }
func (c said) SetReadDeadline(time.Time) error { return nil }
func (c said) RemoteAddr() net.Addr            { return &net.TCPAddr{} }

// Whatever a connection begins with, it is for this node only if it begins with this node's name; nothing of what follows
// the name is taken, and no more is read than a name can be long.
func FuzzConnectionName(f *testing.F) {
	for _, s := range []string{"", "\x02n1rest", "\x02n2", "\x05n1", "\x00", "\xff"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		rest := bytes.NewReader(data)
		c := &namedConn{Conn: said{Reader: rest}, layer: &namedLayer{self: "n1"}}
		err := c.check()
		if ours := bytes.HasPrefix(data, []byte("\x02n1")); (err == nil) != ours {
			t.Errorf("a connection that begins with %q: %v", data, err)
		}
		read := len(data) - rest.Len()
		if err == nil && read != 3 || read > 1+nodeIDMax {
			t.Errorf("%d bytes of %q were read", read, data)
		}
	})
}
