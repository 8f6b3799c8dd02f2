package cluster

import (
	"bytes"
	"testing"

	"dfs/fs"
)

// talk is the other side of a connection: what it says, and what it has been told.
type talk struct {
	says *bytes.Reader
	told bytes.Buffer
}

func (c *talk) Read(p []byte) (int, error)  { return c.says.Read(p) }
func (c *talk) Write(p []byte) (int, error) { return c.told.Write(p) }

// Whatever the other side says, both halves read no more than a preamble, agree with nothing but a proper one, and the
// listener's answer is one of its statuses or none.
func FuzzPreamble(f *testing.F) {
	for _, s := range []string{"", "\xdfdf", "\xdfdfs\x01\x01rest", "\xdfdfs\x01\x02", "\xdfdfs\x09\x01", "\xdfdfs\x01\x00", "\x16\x03\x01\x02\x00\x01", "GET / HTTP/1.1\r\n"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		listener := &talk{says: bytes.NewReader(data)}
		proto, err := welcome(listener, func(p Protocol) (byte, error) {
			if p != ProtocolRaft && p != ProtocolGRPC {
				return statusProtocol, fs.ErrNotSupported
			}
			return statusOK, nil
		})
		if read := len(data) - listener.says.Len(); read > preambleSize {
			t.Errorf("welcome has read %d bytes", read)
		}
		proper := len(data) >= preambleSize && [4]byte(data[:4]) == magic && data[4] == preambleVersion
		if (err == nil) != (proper && (Protocol(data[5]) == ProtocolRaft || Protocol(data[5]) == ProtocolGRPC)) {
			t.Errorf("welcome of %q: %v, %v", data, proto, err)
		}
		if told := listener.told.Bytes(); len(told) != 0 && (len(told) != preambleSize || told[5] > statusPlain || (told[5] == statusOK) != (err == nil)) {
			t.Errorf("welcome of %q answers %q, %v", data, told, err)
		}
		dialler := &talk{says: bytes.NewReader(data)}
		err = greet(dialler, ProtocolRaft)
		if read := len(data) - dialler.says.Len(); read > preambleSize || (err == nil) != (proper && data[5] == statusOK) {
			t.Errorf("greet by %q: %v after %d bytes", data, err, read)
		}
	})
}
