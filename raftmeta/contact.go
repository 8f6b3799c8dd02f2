package raftmeta

import (
	"slices"
	"sync"
	"time"

	"github.com/hashicorp/raft"
)

// contacts remembers, for the newest term, when the last heartbeat that each node has answered was *sent*: a node that
// answered it followed this leader at that moment or later, and had not voted in a newer term.
//
// A lease counts from the last heartbeat but one: the answer to the later one shows that the node was not just giving its
// leader up when it answered the earlier. See DESIGN.md, "Leases".
//
// This is what reads are verified with. raft.VerifyLeader will not do: it counts learners' answers, and answers to
// heartbeats that were sent before it was asked.
type contacts struct {
	mu      sync.Mutex
	term    uint64
	sent    map[raft.ServerID]time.Time
	lease   map[raft.ServerID]time.Time // the one answered before sent
	lastLog map[raft.ServerID]uint64    // the last log entry that the node has told of
	changed chan struct{}               // closed and replaced at every answer
}

func newContacts() *contacts {
	return &contacts{sent: map[raft.ServerID]time.Time{}, lease: map[raft.ServerID]time.Time{},
		lastLog: map[raft.ServerID]uint64{}, changed: make(chan struct{})}
}

// answered records that id agreed to a heartbeat of term that was sent at sent, and what its last log entry was.
func (c *contacts) answered(term uint64, id raft.ServerID, sent time.Time, lastLog uint64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if term < c.term {
		return
	}
	if term > c.term {
		c.term = term
		clear(c.sent)
		clear(c.lease)
		clear(c.lastLog)
	}
	c.lastLog[id] = lastLog
	if sent.After(c.sent[id]) {
		c.lease[id], c.sent[id] = c.sent[id], sent
	}
	close(c.changed)
	c.changed = make(chan struct{})
}

// followed is the latest moment at which a majority of the voters is known to have followed self as the leader of term;
// zero if there is none. The channel is closed at the next answer.
func (c *contacts) followed(term uint64, voters []raft.ServerID, self raft.ServerID) (time.Time, <-chan struct{}) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.majority(c.sent, term, voters, self), c.changed
}

// leased is the moment from which a majority of the voters has promised to follow nobody else for a heartbeat's time.
func (c *contacts) leased(term uint64, voters []raft.ServerID, self raft.ServerID) time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.majority(c.lease, term, voters, self)
}

// majority is the latest moment that at least a majority of the voters has reached; self always has. mu is held.
func (c *contacts) majority(of map[raft.ServerID]time.Time, term uint64, voters []raft.ServerID, self raft.ServerID) time.Time {
	times := make([]time.Time, 0, 8)
	for _, id := range voters {
		switch {
		case id == self:
			times = append(times, time.Now())
		case c.term == term:
			times = append(times, of[id])
		default:
			times = append(times, time.Time{})
		}
	}
	if len(times) == 0 {
		return time.Time{}
	}
	slices.SortFunc(times, func(a, b time.Time) int { return b.Compare(a) })
	return times[len(times)/2]
}

// of is the last heartbeat that id has answered in term, and its last log entry; false if it has answered none.
func (c *contacts) of(term uint64, id raft.ServerID) (sent time.Time, lastLog uint64, ok bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.term != term {
		return time.Time{}, 0, false
	}
	sent, ok = c.sent[id]
	return sent, c.lastLog[id], ok
}
