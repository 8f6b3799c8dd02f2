package cluster

import (
	"context"
	"maps"
	"slices"
	"sync"
	"time"

	"golang.org/x/sync/semaphore"
	"google.golang.org/grpc"
	"google.golang.org/grpc/mem"

	"dfs/cluster/rpcerr"
)

const (
	// answerMin is what an answer counts as at least, and what most cannot be more than.
	answerMin = 16 << 10
	// answerTimeout bounds the time from an answer's being sent until the peer has taken it.
	answerTimeout = time.Minute
)

// answerSizes are the calls whose answers may be large: how large, for a request.
var answerSizes = map[string]func(request any) int64{
	"/dfs.blob.v1.Blobs/Get": func(r any) int64 {
		q, ok := r.(interface{ GetN() uint32 })
		if !ok {
			return receiveMax
		}
		return min(int64(q.GetN())+256<<10, receiveMax) // whole chunks, with their sums
	},
	"/dfs.meta.v1.Meta/Readdir": func(r any) int64 {
		q, ok := r.(interface{ GetLimit() uint32 })
		if !ok {
			return MessageMax
		}
		return min(int64(q.GetLimit())*512, MessageMax)
	},
	"/dfs.meta.v1.Meta/Commit": func(r any) int64 { // a result is some forty times as large as the smallest operation
		q, ok := r.(interface{ GetCommand() []byte })
		if !ok {
			return MessageMax
		}
		return min(40*int64(len(q.GetCommand())), 2<<20)
	},
	"/dfs.meta.v1.Meta/Layout":           ofBytes(5 << 20),
	"/dfs.meta.v1.Meta/Getxattr":         ofBytes(80 << 10),
	"/dfs.meta.v1.Meta/Listxattr":        ofBytes(320 << 10),
	"/dfs.meta.v1.Meta/Abort":            ofBytes(2 << 20),
	"/dfs.meta.v1.Cluster/Status":        ofBytes(MessageMax),
	"/dfs.meta.v1.Cluster/Tokens":        ofBytes(64 << 10),
	"/dfs.meta.v1.Cluster/Transactions":  ofBytes(MessageMax),
	"/dfs.meta.v1.Cluster/Transaction":   ofBytes(MessageMax),
	"/dfs.meta.v1.Cluster/Raft":          ofBytes(1 << 20),
	"/dfs.meta.v1.Cluster/Explain":       ofBytes(MessageMax),
	"/dfs.blob.v1.Blobs/List":            ofBytes(MessageMax),
	"/dfs.cluster.v1.Certificates/Renew": ofBytes(64 << 10),
}

func ofBytes(n int64) func(any) int64 { return func(any) int64 { return n } }

// owed is an answer's share of the budgets, from before it is made until the peer has taken it. gRPC queues what a handler
// answers, however much that is, and forgets the call: so it is here that a peer is bounded that asks and does not read.
type owed struct {
	in   *intake
	from caller
	call string
	sems [2]*semaphore.Weighted

	mu   sync.Mutex
	held int64 // 0: given back
	cut  *time.Timer
}

// answer waits until an answer to a request may be made.
func (in *intake) answer(ctx context.Context, from caller, method string, request any) (*owed, error) {
	cl, size := answers, int64(answerMin)
	if of := answerSizes[method]; of != nil {
		size = max(size, of(request))
	}
	if method == "/dfs.blob.v1.Blobs/Get" {
		cl = gets
	}
	a := &owed{in: in, from: from, call: method, held: size, sems: [2]*semaphore.Weighted{from.account.bytes[cl], in.all[cl]}}
	if err := acquire(ctx, a.sems, size); err != nil {
		return nil, rpcerr.ToStatus(err)
	}
	return a, nil
}

// acquire takes n of both or of none.
func acquire(ctx context.Context, sems [2]*semaphore.Weighted, n int64) error {
	for i, s := range sems {
		if err := s.Acquire(ctx, n); err != nil {
			for _, taken := range sems[:i] {
				taken.Release(n)
			}
			return err
		}
	}
	return nil
}

// send sends the answer, which ends when it has been taken. A peer that does not take it is cut off.
func (a *owed) send(ss grpc.ServerStream, reply any) error {
	if a == nil { // the handler has received nothing
		return ss.SendMsg(reply)
	}
	err := ss.SendMsg(&outgoing{msg: reply, answer: a})
	if err != nil {
		a.done()
	}
	return err
}

// done gives back what the answer holds.
func (a *owed) done() {
	if a == nil {
		return
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.cut != nil {
		a.cut.Stop()
		a.from.untaken().remove(a)
	}
	a.shrink(0)
}

// shrink is called with mu held.
func (a *owed) shrink(to int64) {
	if a.held <= to {
		return
	}
	for _, s := range a.sems {
		s.Release(a.held - to)
	}
	a.held = to
}

// outgoing is a message that is to be sent.
type outgoing struct {
	msg    any
	answer *owed
}

// emptyBytes has no bytes; its capacity is what makes gRPC count who uses it.
var emptyBytes = make([]byte, 0, 2<<10)

// tail is an empty piece to be sent behind the n bytes of the answer: when gRPC frees it, they have been written, or never will be.
// It does not free what waits on a connection that ends; see untaken.
func (a *owed) tail(n int) mem.Buffer {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.shrink(max(int64(n), answerMin))
	a.cut = time.AfterFunc(a.in.answerTimeout, func() {
		a.in.complain(a.from, "connection closed: an answer was not taken", "method", a.call, "within", a.in.answerTimeout)
		a.from.cut()
		a.done()
	})
	a.from.untaken().add(a)
	empty := emptyBytes
	return mem.NewBuffer(&empty, (*taken)(a))
}

// untaken are the answers that wait on a connection. They end with it.
type untaken struct {
	mu    sync.Mutex // may be taken with an answer's held
	all   map[*owed]struct{}
	ended bool
}

// untaken are those of the caller's connection; nil if it is none of the mux's.
func (c caller) untaken() *untaken {
	if g, ok := c.conn.(*guest); ok {
		return &g.untaken
	}
	return nil
}

// add counts an answer; on a connection that has ended the time-out gives back what it holds.
func (u *untaken) add(a *owed) {
	if u == nil {
		return
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.all == nil {
		u.all = make(map[*owed]struct{})
	}
	if !u.ended {
		u.all[a] = struct{}{}
	}
}

func (u *untaken) remove(a *owed) {
	if u == nil {
		return
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	delete(u.all, a)
}

// end is called when the connection is closed.
func (u *untaken) end() {
	u.mu.Lock()
	all := slices.Collect(maps.Keys(u.all))
	u.ended = true
	u.mu.Unlock()
	for _, a := range all {
		a.done()
	}
}

// taken is the pool that a tail is freed to.
type taken owed

// Get implements mem.BufferPool. Nobody takes anything from it.
func (*taken) Get(n int) *[]byte { b := make([]byte, n); return &b }

// Put implements mem.BufferPool.
func (t *taken) Put(*[]byte) { (*owed)(t).done() }
