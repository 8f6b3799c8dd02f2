package replica

import (
	"math"
	"sync"

	"dfs/blob"
	"dfs/fs"
)

// Sessions that no mount has: the keepers' labels bear them. They are greater than all others, so that a keeper's copy
// is never taken back by a late one of the writer's; and repair is greater than heal. See DESIGN.md, Labels.
const (
	healSession   fs.SessionID = math.MaxUint64 - 1
	repairSession fs.SessionID = math.MaxUint64
)

// IsReserved reports whether a session is one of the keepers', which are never fenced.
func IsReserved(s fs.SessionID) bool { return s >= healSession }

// indexBits of a keeper's seq are the index, those above it the term: enough for 2⁴⁴ entries and 2²⁰ terms.
const indexBits = 44

// labelEpoch is the epoch of keepers' labels, which have no session that could be fenced.
const labelEpoch fs.Epoch = 1

// labels makes one kind of a keeper's labels. They rise within a keeper and, if terms are known, from leader to leader.
type labels struct {
	mu   sync.Mutex
	last uint64
}

// next is a label for a blob that was seen in the table at a position, to be used in a term (0: not known, or none).
func (l *labels) next(s fs.SessionID, at Position, term uint64) blob.Tx {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.last = max(l.last+1, term<<indexBits|at.Index)
	return blob.Tx{ID: fs.TxID{Session: s, Seq: l.last}, Epoch: labelEpoch}
}

// labelIndex is the index at which a keeper saw the blob in the table, or a higher one if it made several labels then.
func labelIndex(t blob.Tx) uint64 { return t.ID.Seq & (1<<indexBits - 1) }

// labelTerm is the term in which a repair is proposed; 0 unknown.
func labelTerm(t blob.Tx) uint64 { return t.ID.Seq >> indexBits }
