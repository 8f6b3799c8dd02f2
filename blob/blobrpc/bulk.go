package blobrpc

import (
	"bytes"
	"time"

	"google.golang.org/grpc/mem"

	"dfs/blob/blobpb"
)

// bulkStage is a StageRequest whose data is lent to the transport, which sends it from where it lies. One goroutine
// uses it: that of the call.
type bulkStage struct {
	req  *blobpb.StageRequest // without data
	data []byte
	back chan struct{} // closed by the transport when it is done with data; nil: it has never had it
}

// returnWait bounds the wait for what was lent. The transport gives it back when it tears down the stream, at once;
// were it ever to forget, waiting on would hang the caller.
const returnWait = 5 * time.Second

// lend gives the data to the transport.
func (b *bulkStage) lend() mem.Buffer {
	if mem.IsBelowBufferPoolingThreshold(cap(b.data)) {
		return mem.SliceBuffer(bytes.Clone(b.data)) // such buffers report no return, and copying them costs nothing
	}
	b.back = make(chan struct{})
	return mem.NewBuffer(&b.data, loan{b.back})
}

// wait returns when the bytes are the caller's again: after a failed call the transport may hold them for a moment.
// It reports whether they are.
func (b *bulkStage) wait() bool {
	if b.back == nil {
		return true
	}
	t := time.NewTimer(returnWait)
	defer t.Stop()
	select {
	case <-b.back:
		return true
	case <-t.C:
		return false
	}
}

// loan is a mem.BufferPool that nothing is taken from: a buffer put back is a loan returned.
type loan struct{ back chan struct{} }

func (l loan) Get(n int) *[]byte {
	b := make([]byte, n)
	return &b
}

func (l loan) Put(*[]byte) { close(l.back) }
