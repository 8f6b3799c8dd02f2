package raftmeta

import (
	"cmp"
	"context"
	"sync"
	"time"

	"github.com/hashicorp/raft"
)

// canvass asks for pre-votes until it gets them, and lets one candidate of several go first. See DESIGN.md, "Elections".
type canvass struct {
	again    time.Duration // between two questions to one peer; a rival that has not asked for three times that has stopped
	yielding time.Duration // from a round's beginning
	round    time.Duration // how long it is asked again; the shortest time after which Raft begins the next round

	mu     sync.Mutex
	rivals map[string]rival // by id; at most rivalsMax
}

// rival is another candidate.
type rival struct {
	rank  rank
	asked time.Time
}

// rank orders candidates: who has more of the log could be elected by more nodes.
type rank struct {
	term, index uint64 // of the last entry of its log
	id          string
}

func (r rank) compare(o rank) int {
	return cmp.Or(cmp.Compare(r.term, o.term), cmp.Compare(r.index, o.index), cmp.Compare(r.id, o.id))
}

func rankOf(m *raft.RequestPreVoteRequest) rank {
	return rank{m.LastLogTerm, m.LastLogIndex, string(m.ID)}
}

const rivalsMax = 16 // more than there are voters

func newCanvass(t *Timings) *canvass {
	return &canvass{again: t.Heartbeat / 20, yielding: t.Heartbeat / 4, round: t.Election, rivals: map[string]rival{}}
}

// met remembers that another candidate asks.
func (c *canvass) met(m *raft.RequestPreVoteRequest) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.rivals) >= rivalsMax {
		clear(c.rivals)
	}
	c.rivals[string(m.ID)] = rival{rankOf(m), time.Now()}
}

// outranked reports whether a candidate that ranks higher than own is asking, too.
func (c *canvass) outranked(own rank) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, r := range c.rivals {
		if r.rank.compare(own) > 0 && time.Since(r.asked) < 3*c.again {
			return true
		}
	}
	return false
}

// ask asks one peer with once until it agrees, cannot be reached, knows of a newer term, or the round ends; standing says that it has. resp is the last answer; a yes that came while
// this node was to yield is none.
func (c *canvass) ask(ctx context.Context, req *raft.RequestPreVoteRequest, resp *raft.RequestPreVoteResponse, standing func() bool,
	once func(*raft.RequestPreVoteResponse) error) error {
	begun := time.Now()
	for {
		*resp = raft.RequestPreVoteResponse{}
		if err := once(resp); err != nil {
			return err
		}
		past := time.Since(begun)
		if resp.Granted && past < c.yielding && c.outranked(rankOf(req)) {
			resp.Granted = false
		}
		if resp.Granted || resp.Term > req.Term || past+c.again > c.round {
			return nil
		}
		waitFor(ctx, c.again)
		if ctx.Err() != nil || !standing() {
			return nil
		}
	}
}
