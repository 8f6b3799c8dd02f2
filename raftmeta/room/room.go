// Package room is a leader's memory of the room that it has granted: bytes that mounts may have taken into memory and not
// flushed yet, for which there is still to be room when they are. See DESIGN.md of package raftmeta, "Room".
package room

import (
	"math"
	"slices"
	"sync"
	"time"

	"dfs/fs"
)

const (
	grantLife = 4 * time.Second // a mount takes writes for half of it, and flushes them within the rest
	grantMax  = 64 << 20        // bytes
)

// Table is the grants. Its methods may be called from any goroutine.
type Table struct {
	mu     sync.Mutex
	grants map[fs.QuotaID][]grant // of each account, the oldest first
}

type grant struct {
	session fs.SessionID
	bytes   uint64
	until   time.Time
}

// Account is one that is going to pay, and has so many bytes left.
type Account struct {
	ID   fs.QuotaID
	Left uint64
}

// NewTable returns a Table without grants.
func NewTable() *Table { return &Table{grants: make(map[fs.QuotaID][]grant)} }

// Grant gives a session room if all accounts have twice as much left as it wants, not counting what others hold, nor what it has
// not flushed itself; see fs.Space.
func (t *Table) Grant(id fs.SessionID, accounts []Account, want, held uint64, now time.Time) fs.Room {
	t.mu.Lock()
	defer t.mu.Unlock()
	room := fs.Room{Millis: grantLife.Milliseconds(), Left: math.MaxUint64}
	free := uint64(2 * grantMax)
	for _, a := range accounts {
		own, others := t.held(a.ID, id, now)
		room.Left = min(room.Left, a.Left)
		free = min(free, a.Left-min(a.Left, others+min(own, held)))
		room.Wait = room.Wait || others > 0 || min(own, held) > 0
	}
	if free/2 < want {
		return room
	}
	room.Bytes, room.Wait = free/2, false
	for _, a := range accounts {
		t.grants[a.ID] = append(t.grants[a.ID], grant{id, room.Bytes, now.Add(grantLife)})
	}
	return room
}

// held is what a session and the others hold of an account; grants whose time is over are forgotten.
func (t *Table) held(account fs.QuotaID, id fs.SessionID, now time.Time) (own, others uint64) {
	live := slices.DeleteFunc(t.grants[account], func(g grant) bool { return !now.Before(g.until) })
	if len(live) == 0 {
		delete(t.grants, account)
		return 0, 0
	}
	t.grants[account] = live
	for _, g := range live {
		if g.session == id {
			own += g.bytes
		} else {
			others += g.bytes
		}
	}
	return own, others
}
