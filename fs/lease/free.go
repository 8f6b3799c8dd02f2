package lease

import (
	"slices"

	"dfs/fs"
)

// Free reports whether a session would be given any lease on an inode at once: nobody else holds it, changes it or waits for it.
func (t *Table) Free(s fs.SessionID, ino fs.Ino) bool {
	if len(t.owing) > 0 {
		return false
	}
	i := t.inodes[ino]
	if i == nil {
		return true
	}
	own := i.holders[s]
	return !i.others(s, Shared) && len(i.changes) == 0 && (own == nil || !own.recall) &&
		!slices.ContainsFunc(i.queue, func(q *Request) bool { return !q.Decided() })
}

// Owes reports whether a session has not told this reign yet what it holds.
func (t *Table) Owes(s fs.SessionID) bool {
	_, ok := t.owing[s]
	return ok
}
