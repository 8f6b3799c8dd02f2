package fusefs

import (
	"context"
	"strconv"
	"syscall"
	"time"

	"dfs/fs"
	"dfs/fs/spans"
	"dfs/fs/vfs"

	"github.com/hanwen/go-fuse/v2/fuse"
	"go.opentelemetry.io/otel/trace"
)

// request is one kernel request in flight, and the context of the calls that answer it. It ends with the request, or
// early when the process that waits for it is being killed; an interrupt by a signal that the process survives changes
// nothing, since no local filesystem answers EINTR to such a one (see DESIGN.md, Interrupts).
type request struct {
	context.Context
	end context.CancelFunc

	front     *front
	op        Op
	in        *fuse.InHeader // go-fuse's again when the request is done
	pid       uint32
	interrupt <-chan struct{} // closed by go-fuse at an INTERRUPT; used again for other requests later
	start     time.Time
	signalled bool // look has seen the interrupt
}

// do answers a request with what fn does, and counts it.
func (f *front) do(op Op, interrupt <-chan struct{}, in *fuse.InHeader, fn func(r *request) error) fuse.Status {
	r := &request{front: f, op: op, in: in, pid: in.Pid, interrupt: interrupt, start: time.Now()}
	r.Context, r.end = context.WithCancel(fs.WithRequestID(context.Background(), f.requestID(in)))
	defer r.end()
	var traced *spans.Span
	r.Context, traced = spans.Begin(r.Context, f.tracer, op.String(), trace.SpanKindServer)
	timer := time.AfterFunc(fatalPoll, r.look)
	defer timer.Stop()
	f.stats.begin(op)
	failed := true // unless fn returns: it may panic
	defer func() { f.stats.end(op, time.Since(r.start), failed) }()
	err := fn(r)
	failed = err != nil
	traced.End(err)
	return f.status(r, err)
}

// requestID is what a kernel request is called in logs, here and on the nodes: this mount, and the kernel's own number.
func (f *front) requestID(in *fuse.InHeader) string {
	return f.requests + strconv.FormatUint(in.Unique, 10)
}

// look ends the request's context when nobody waits for the answer any more, and looks again later otherwise. The kernel
// sends one interrupt at the first signal and none for later ones, so one that did not kill says that one may come which
// does. It may run once more after the request is done, which changes nothing then.
func (r *request) look() {
	if r.Err() != nil {
		return
	}
	if r.abandoned() {
		r.end()
		return
	}
	time.AfterFunc(fatalPoll, r.look)
}

// abandoned reports whether the thread that waits for r is dying, or the whole mount is gone.
func (r *request) abandoned() bool {
	select {
	case <-r.interrupt:
	default:
		return false
	}
	if dying(r.pid) || r.front.dev.dead() {
		return true
	}
	if !r.signalled {
		r.signalled = true
		r.front.stats.survived.Add(1)
	}
	return false
}

// status is the answer to r, and leaves the cause in the log where an errno cannot tell it.
func (f *front) status(r *request, err error) fuse.Status {
	if err == nil {
		return fuse.OK
	}
	errno := errnoOf(err)
	if errno == syscall.EINTR {
		f.stats.interrupts.Add(1)
	}
	if worthLogging(errno) {
		f.errors.log(r, errno, err)
	}
	return fuse.Status(errno)
}

// caller is who asks to make something, with the umask that came with it: the kernel has not applied it.
func (r *request) caller(umask uint32) vfs.Caller {
	return vfs.Caller{UID: r.in.Uid, GID: r.in.Gid, Umask: umask & fs.ModePerm}
}

// ino is the inode asked about.
func (r *request) ino() fs.Ino { return r.front.inoOf(r.in.NodeId) }
