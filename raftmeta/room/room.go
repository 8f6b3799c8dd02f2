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

// Account is one that is going to pay, and has so many bytes left. The zero ID stands for the cluster's space, of which that is an estimate.
type Account struct {
	ID   fs.QuotaID
	Left uint64
}

// NewTable returns a Table without grants.
func NewTable() *Table { return &Table{grants: make(map[fs.QuotaID][]grant)} }

// Grant gives a session half of what the account with the least left has, not counting what is granted already, if that is as much as
// it wants; see fs.Space. Else, if nothing is granted already, it holds what is left for the session, as far as that wants it: nobody
// else is to be granted what is about to be written through.
func (t *Table) Grant(id fs.SessionID, accounts []Account, want uint64, back fs.Return, now time.Time) fs.Room {
	t.mu.Lock()
	defer t.mu.Unlock()
	room := fs.Room{Millis: grantLife.Milliseconds(), Left: math.MaxUint64}
	free := uint64(2 * grantMax)
	for _, a := range accounts {
		if back.All {
			t.giveBack(a.ID, id, min(back.Held, a.Left), now) // more would be refused in any case
		}
		granted := t.granted(a.ID, now)
		room.Left = min(room.Left, a.Left)
		room.Full = room.Full || a.Left == 0 && a.ID != fs.QuotaID{}
		free = min(free, a.Left-min(a.Left, granted))
		room.Wait = room.Wait || granted > 0
	}
	hold := free / 2
	if hold >= want {
		room.Bytes, room.Wait = hold, false
	} else {
		hold = min(want, room.Left, grantMax)
	}
	if !room.Wait {
		for _, a := range accounts {
			t.add(a.ID, grant{id, hold, now.Add(grantLife)})
		}
	}
	return room
}

func (t *Table) add(account fs.QuotaID, g grant) {
	if g.bytes > 0 {
		t.grants[account] = append(t.grants[account], g)
	}
}

// giveBack replaces a session's grants by one for what it has not flushed.
func (t *Table) giveBack(account fs.QuotaID, id fs.SessionID, held uint64, now time.Time) {
	t.grants[account] = slices.DeleteFunc(t.grants[account], func(g grant) bool { return g.session == id })
	t.add(account, grant{id, held, now.Add(grantLife)})
}

// granted is what is granted of an account; grants whose time is over are forgotten.
func (t *Table) granted(account fs.QuotaID, now time.Time) (bytes uint64) {
	live := slices.DeleteFunc(t.grants[account], func(g grant) bool { return !now.Before(g.until) })
	if len(live) == 0 {
		delete(t.grants, account)
		return 0
	}
	t.grants[account] = live
	for _, g := range live {
		bytes += g.bytes
	}
	return bytes
}
