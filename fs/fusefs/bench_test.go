package fusefs

import (
	"testing"

	"github.com/hanwen/go-fuse/v2/fuse"
)

// BenchmarkRequest is what a request costs besides its work.
func BenchmarkRequest(b *testing.B) {
	f := newFront(&Config{}, &device{fd: -1})
	in, interrupt := fuse.InHeader{}, make(chan struct{})
	b.ReportAllocs()
	for b.Loop() {
		f.do(OpGetattr, interrupt, &in, func(*request) error { return nil })
	}
}
