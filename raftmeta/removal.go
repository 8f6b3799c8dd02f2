package raftmeta

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/hashicorp/raft"

	"dfs/fs"
	"dfs/raftmeta/command"
)

// RemoveNode implements fs.Membership. The leader cannot remove itself: it gives the leadership away, and the caller asks
// the next one.
//
// First the state records the removal: nobody joins under that name any more. Then the node leaves Raft's configuration;
// until then it keeps running and voting, for its vote may be needed for just that (dismiss tells it when to end). What a
// crash leaves in between, the next leader finishes.
func (n *Node) RemoveNode(ctx context.Context, id fs.NodeID, force bool) error {
	ctx, cancel := n.bound(ctx)
	defer cancel()
	if err := n.removeNode(ctx, id, force); err != nil {
		return fmt.Errorf("remove node %s: %w", id, err)
	}
	return nil
}

func (n *Node) removeNode(ctx context.Context, id fs.NodeID, force bool) error {
	r, err := n.leading(ctx)
	if err != nil {
		return err
	}
	r.members.Lock()
	defer r.members.Unlock()
	plan, err := r.removal(ctx, id)
	switch {
	case err != nil:
		return err
	case plan.Removed:
		return nil
	case !plan.Quorum():
		return fmt.Errorf("%d of the %d voters that would be left answer, which is no majority: %w", plan.VotersAlive, plan.VotersLeft, fs.ErrInvalid)
	case !force && len(plan.Objections()) > 0:
		return fmt.Errorf("%s: %w", strings.Join(plan.Objections(), "; "), fs.ErrBusy)
	case id == n.cfg.ID:
		n.giveAway()
		return fmt.Errorf("it is the leader: %w", n.notLeader())
	}
	if _, err := n.change(ctx, &command.RemoveNode{Node: id}); err != nil {
		return err
	}
	n.logger.Warn("node removed", "removed", id, "replicas", plan.Blobs, "lost", plan.Last)
	if err := n.removeServer(ctx, raft.ServerID(id)); err != nil {
		n.logger.Warn("the removed node is not out of Raft yet; its leader goes on trying", "removed", id, "err", err)
	}
	return nil
}

// dismiss is the answer to a node that has been removed: ErrRemoved once it is out of Raft's configuration.
func (n *Node) dismiss(ctx context.Context, id fs.NodeID) error {
	if id == n.cfg.ID {
		n.giveAway()
		return fmt.Errorf("it is the leader: %w", n.notLeader())
	}
	if err := n.removeServer(ctx, raft.ServerID(id)); err != nil {
		return err
	}
	return fs.ErrRemoved
}

// removeServer takes a node out of Raft's configuration, if it is in.
func (n *Node) removeServer(ctx context.Context, id raft.ServerID) error {
	if !slices.ContainsFunc(n.servers(), func(s raft.Server) bool { return s.ID == id }) {
		return nil
	}
	if err := n.cfg.Faults.At("remove.server.before"); err != nil {
		return err
	}
	if err := await(ctx, n.raft.Load().RemoveServer(id, 0, n.cfg.Timings.Operation)); err != nil {
		return n.raftError(err)
	}
	return nil
}

// finishRemovals takes nodes out of Raft's configuration that the state knows to be removed. A leader that is one of them
// gives the leadership away.
func (r *reign) finishRemovals() error {
	ctx, cancel := r.n.bound(r.ctx)
	defer cancel()
	r.members.Lock()
	defer r.members.Unlock()
	for _, s := range r.n.servers() {
		removed, err := r.n.removed(fs.NodeID(s.ID))
		if err == nil && removed {
			err = r.n.dismiss(ctx, fs.NodeID(s.ID))
		}
		if err != nil && !errors.Is(err, fs.ErrRemoved) {
			return err
		}
	}
	return nil
}

func (n *Node) removed(id fs.NodeID) (removed bool, err error) {
	err = n.local(func(s *snapshot) error {
		removed, err = s.Removed(id)
		return err
	})
	return removed, err
}

// Removal implements fs.Membership. It reads the whole blob table.
func (n *Node) Removal(ctx context.Context, id fs.NodeID) (*fs.Removal, error) {
	ctx, cancel := n.bound(ctx)
	defer cancel()
	r, err := n.leading(ctx)
	if err != nil {
		return nil, err
	}
	plan, err := r.removal(ctx, id)
	if err == nil {
		err = n.proveLeader(ctx, r, time.Now())
	}
	if err != nil {
		return nil, fmt.Errorf("removal of node %s: %w", id, err)
	}
	return plan, nil
}

func (r *reign) removal(ctx context.Context, id fs.NodeID) (*fs.Removal, error) {
	plan := &fs.Removal{Node: id}
	member := r.countVoters(plan)
	heard := r.n.gossip()
	alive := func(id fs.NodeID) bool { return r.answers(id) || heard[id].State == fs.NodeAlive }
	err := r.n.local(func(s *snapshot) error {
		known, removed, err := countVotes(s, plan)
		if err != nil {
			return err
		}
		if !known && !removed && !member {
			return fs.ErrNotExist
		}
		plan.Removed = removed
		fresh := time.Since(r.began) < 2*r.n.cfg.Timings.Heartbeat // this leader cannot have missed it yet
		plan.Alive = !plan.Removed && (fresh || alive(id))
		return countBlobs(ctx, s, plan, alive)
	})
	return plan, err
}

// countVoters fills in what Raft knows, and reports whether the node is in its configuration.
func (r *reign) countVoters(plan *fs.Removal) (member bool) {
	for _, s := range r.n.servers() {
		voter := s.Suffrage == raft.Voter
		if s.ID == raft.ServerID(plan.Node) {
			member, plan.Voter = true, voter
			continue
		}
		if voter {
			plan.VotersLeft++
		}
		if voter && r.answers(fs.NodeID(s.ID)) {
			plan.VotersAlive++
		}
	}
	return member
}

// answers reports whether a node has just answered this leader, or is it.
func (r *reign) answers(id fs.NodeID) bool {
	if id == r.n.cfg.ID {
		return true
	}
	sent, _, ok := r.n.contacts.of(r.term, raft.ServerID(id))
	return ok && time.Since(sent) < 2*r.n.cfg.Timings.Heartbeat
}

// countVotes fills in how many votes blobs will need.
func countVotes(s *snapshot, plan *fs.Removal) (known, removed bool, err error) {
	records, err := s.NodeRecords()
	if err != nil {
		return false, false, err
	}
	config, _, err := s.Config()
	if err != nil {
		return false, false, err
	}
	storing := 0
	for _, record := range records {
		known = known || record.ID == plan.Node
		if record.Storing && record.ID != plan.Node {
			storing++
		}
	}
	plan.MinReplicas = max(1, min(config.MinReplicas, storing))
	if plan.MinReplicasNow, err = s.MinReplicas(); err != nil {
		return false, false, err
	}
	removed, err = s.Removed(plan.Node)
	return known, removed, err
}

const blobsPage = 4096

// countBlobs fills in what lies on the node, and what nowhere else.
func countBlobs(ctx context.Context, s *snapshot, plan *fs.Removal, alive func(fs.NodeID) bool) error {
	for past := (fs.BlobID{}); ; {
		page, err := s.Blobs(past, blobsPage)
		if err != nil {
			return err
		}
		for i := range page {
			b := &page[i]
			past = b.ID
			if b.LiveBytes == 0 || !slices.Contains(b.Replicas, plan.Node) {
				continue
			}
			plan.Blobs++
			if !slices.ContainsFunc(b.Replicas, func(id fs.NodeID) bool { return id != plan.Node && alive(id) }) {
				plan.Last++
			}
		}
		if len(page) < blobsPage {
			return nil
		}
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
	}
}
