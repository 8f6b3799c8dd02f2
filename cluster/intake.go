package cluster

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"golang.org/x/sync/semaphore"
	"golang.org/x/time/rate"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/peer"
	"google.golang.org/grpc/status"

	"dfs/cluster/rpcerr"
	"dfs/fs"
)

// class is what a call's request counts as. What waits for one class does not hold up another.
type class int

const (
	small   class = iota // all other calls: requests of requestMax
	bulk                 // file data: on its way to a disk until it is answered
	tx                   // transactions
	gets                 // answers that are file data
	answers              // all others
	classes              // how many there are
)

// budgets bound the bytes of requests that are being received or worked on, and of answers (see owed). A request counts with the most that it can be
// until it is here, and then with what it is until it is answered. Calls beyond wait, and with them, by HTTP/2's flow
// control, their bytes in the client: of those no more than streamWindow is here.
var budgets = [classes]struct{ peer, all int64 }{
	small: {64 << 20, 512 << 20},
	bulk:  {64 << 20, 256 << 20},
	tx:    {32 << 20, 256 << 20},

	gets:    {64 << 20, 256 << 20},
	answers: {64 << 20, 512 << 20},
}

const (
	// receiveMax is the most bytes of a request that gRPC takes in: a blob, or a transaction.
	receiveMax = max(fs.BlobMax, fs.TxBytesMax) + 64<<10
	// requestMax is the most bytes of a request of a small call: all that it may hold are names and numbers.
	requestMax = 16 << 10
	// listMax is the most bytes of a request that is a list of blobs' ids.
	listMax = 512 << 10

	// messageTimeout bounds the time from a request's turn until it is here: at 20 Mbit/s all that one peer's turns hold
	// passes in it.
	messageTimeout = 30 * time.Second
	// lineSilence bounds the time between two messages of a stream. Mounts beat four times in a session's time-out, which
	// is an hour at most.
	lineSilence = 20 * time.Minute
)

// methodLimits are the calls whose requests are no small ones.
var methodLimits = map[string]struct {
	class class
	max   int
}{
	"/dfs.blob.v1.Blobs/Stage":  {bulk, receiveMax},
	"/dfs.meta.v1.Meta/Commit":  {tx, receiveMax},
	"/dfs.meta.v1.Meta/Attach":  {small, receiveMax},
	"/dfs.blob.v1.Blobs/Commit": {small, listMax},
	"/dfs.blob.v1.Blobs/Drop":   {small, listMax},
	"/dfs.blob.v1.Blobs/Delete": {small, listMax},
}

func limitOf(method string) (class, int) {
	if l, ok := methodLimits[method]; ok {
		return l.class, l.max
	}
	return small, requestMax
}

// intake decides when a request is received. One is a server's.
type intake struct {
	log   *slog.Logger
	quota *rate.Limiter // of log lines
	all   [classes]*semaphore.Weighted

	messageTimeout time.Duration
	lineSilence    time.Duration
	answerTimeout  time.Duration
}

func newIntake(log *slog.Logger) *intake {
	in := &intake{log: log, quota: rate.NewLimiter(1, 20), messageTimeout: messageTimeout, lineSilence: lineSilence, answerTimeout: answerTimeout}
	for c := range in.all {
		in.all[c] = semaphore.NewWeighted(budgets[c].all)
	}
	return in
}

// turn is a call's share of the budgets.
type turn struct {
	in   *intake
	from caller
	sems [2]*semaphore.Weighted
	held int64
	call string
	max  int
}

// admit waits until a request of a method may be received.
func (in *intake) admit(ctx context.Context, method string) (*turn, error) {
	cl, most := limitOf(method)
	from := callerFrom(ctx)
	t := &turn{in: in, from: from, call: method, max: most, held: receiveMax,
		sems: [2]*semaphore.Weighted{from.account.bytes[cl], in.all[cl]}}
	if err := acquire(ctx, t.sems, t.held); err != nil {
		return nil, rpcerr.ToStatus(err)
	}
	return t, nil
}

// done ends the call.
func (t *turn) done() { t.shrink(0) }

func (t *turn) shrink(to int64) {
	for _, s := range t.sems {
		s.Release(t.held - to)
	}
	t.held = to
}

// receive takes the request in, which must be there within messageTimeout.
func (t *turn) receive(ss grpc.ServerStream, msg any) error {
	request := &sized{msg: msg, max: t.max}
	err := t.in.receive(ss, request, t.call, t.from, t.in.messageTimeout)
	if err == nil {
		t.shrink(int64(min(request.n, receiveMax)))
	}
	return err
}

// receive takes in one message within limit. A peer that has not sent it by then, or not all of it, is cut off. What cannot
// be taken is refused with the reason.
func (in *intake) receive(ss grpc.ServerStream, request *sized, method string, from caller, limit time.Duration) error {
	cut := time.AfterFunc(limit, func() {
		in.complain(from, "connection closed: a request was begun and not completed", "method", method, "within", limit)
		from.cut()
	})
	err := ss.RecvMsg(request)
	cut.Stop()
	switch {
	case request.err != nil:
		in.complain(from, "request refused", "method", method, "err", request.err)
		return rpcerr.ToStatus(request.err)
	case err != nil && status.Code(err) == codes.ResourceExhausted: // gRPC's own bound: receiveMax
		err = fmt.Errorf("%s: %w", status.Convert(err).Message(), fs.ErrTooLarge)
		in.complain(from, "request refused", "method", method, "err", err)
		return rpcerr.ToStatus(err)
	}
	return err
}

func (in *intake) complain(from caller, msg string, args ...any) {
	if in.quota.Allow() {
		in.log.Warn(msg, append(args, "from", from.account.name, "peer", from.addr)...)
	}
}

// refuse says why a call is not begun.
func (in *intake) refuse(from caller, method string, why error) error {
	in.complain(from, "call refused", "method", method, "err", why)
	return rpcerr.ToStatus(why)
}

// count puts a call on its peer's account until ctx, the call's, ends.
func (in *intake) count(ctx context.Context, from caller, method string) error {
	counters := []struct {
		of   interface{ Add(int32) int32 }
		most int32
		what string
	}{{&from.account.calls, callsMax, "calls"}, {&from.account.lines, linesMax, "streams"}}
	if !isLine(method) {
		counters = counters[:1]
	}
	for i, c := range counters {
		if c.of.Add(1) > c.most {
			for _, taken := range counters[:i+1] {
				taken.of.Add(-1)
			}
			return in.refuse(from, method, fmt.Errorf("more than %d %s of one peer are under way: %w", c.most, c.what, fs.ErrUnavailable))
		}
	}
	context.AfterFunc(ctx, func() {
		for _, c := range counters {
			c.of.Add(-1)
		}
	})
	return nil
}

// isLine reports whether a method is a stream that lives for as long as the peer likes.
func isLine(method string) bool {
	return method == "/dfs.meta.v1.Meta/Attach" || method == "/dfs.meta.v1.Cluster/Watch"
}

// line is a stream whose messages are bounded as requests are. The first has its turn. Later ones have none, since a stream
// waits for them for most of its life: linesMax bounds their number.
type line struct {
	grpc.ServerStream
	in     *intake
	method string
	begun  bool // RecvMsg is called by one goroutine
}

// Context has the id of the request that opened the stream.
func (l *line) Context() context.Context { return takeRequestID(l.ServerStream.Context()) }

func (l *line) RecvMsg(msg any) error {
	if !l.begun {
		l.begun = true
		turn, err := l.in.admit(l.Context(), l.method)
		if err != nil {
			return err
		}
		defer turn.done()
		return turn.receive(l.ServerStream, msg)
	}
	_, most := limitOf(l.method)
	return l.in.receive(l.ServerStream, &sized{msg: msg, max: most}, l.method, callerFrom(l.Context()), l.in.lineSilence)
}

// callerFrom is whose call it is; a connection that is on nobody's account is on one of its own.
func callerFrom(ctx context.Context) caller {
	p, ok := peer.FromContext(ctx)
	if !ok {
		return caller{account: newAccount("nobody")}
	}
	c, ok := p.AuthInfo.(caller)
	if !ok {
		return caller{account: newAccount("nobody")}
	}
	c.addr = p.Addr
	return c
}
