package vfs

import (
	"slices"
	"sync"

	"dfs/fs"
)

// registration is one session of this mount with what it has used up. A fenced one is replaced, never revived.
type registration struct {
	fs.Session
	over chan struct{} // closed when it is known to be fenced

	mu    sync.Mutex
	seq   uint64              // the last one allotted
	open  map[uint64]struct{} // allotted, and without a known outcome
	blobs uint64              // the last blob counter allotted
	inos  fs.InoRange         // not used yet
	given []fs.InoRange       // whole, as they were allotted; at most givenMax
}

// givenMax is how many ranges a session that is bound to a subtree may create inodes from; see raftmeta/state.
const givenMax = 8

func newRegistration(s fs.Session) *registration {
	return &registration{Session: s, over: make(chan struct{}), open: make(map[uint64]struct{})}
}

// begin allots the id of a transaction. It stays open until end is called: when its outcome is known, or when it
// has never been sent and never will be.
func (r *registration) begin() fs.TxID {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.seq++
	r.open[r.seq] = struct{}{}
	return fs.TxID{Session: r.ID, Seq: r.seq}
}

func (r *registration) end(id fs.TxID) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.open, id.Seq)
}

// tx makes the transaction id, promising by Done to ask about nothing older than what is open.
func (r *registration) tx(id fs.TxID, ops []fs.Op, blobs []fs.BlobInfo) *fs.Tx {
	r.mu.Lock()
	defer r.mu.Unlock()
	done := id.Seq
	for seq := range r.open {
		done = min(done, seq)
	}
	return &fs.Tx{ID: id, Epoch: r.Epoch, Done: done, Ops: ops, Blobs: blobs, Replicas: r.Replicas}
}

func (r *registration) nextBlob() fs.BlobID {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.blobs++
	return fs.BlobID{Session: r.ID, Counter: r.blobs}
}

// takeIno returns a number from the range that is left, or false.
func (r *registration) takeIno() (fs.Ino, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.inos.N == 0 {
		return 0, false
	}
	ino := r.inos.From
	r.inos.From++
	r.inos.N--
	return ino, true
}

func (r *registration) addInos(more fs.InoRange) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.inos = more
	r.given = append(r.given, more)
	r.given = r.given[max(0, len(r.given)-givenMax):]
}

// made reports whether the inodes that ops create have numbers of this session's.
func (r *registration) made(ops []fs.Op) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, op := range ops {
		c, ok := op.(*fs.Create)
		if ok && !slices.ContainsFunc(r.given, func(g fs.InoRange) bool { return g.From <= c.Ino && c.Ino < g.From+fs.Ino(g.N) }) {
			return false
		}
	}
	return true
}

// ended reports whether the session is known to be fenced.
func (r *registration) ended() bool {
	select {
	case <-r.over:
		return true
	default:
		return false
	}
}
