package replica

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"dfs/blob"
	"dfs/fs"
)

const (
	stagePatienceMin = 200 * time.Millisecond
	stagePatienceMax = 2 * time.Second
	// stagePatienceLast is how long a vote is waited for that no other node can give: a disk that syncs slowly for once
	// is not worth a repair.
	stagePatienceLast = time.Second
)

// Stage implements blob.Store: see DESIGN.md. It returns the nodes whose yes has arrived, at least MinReplicas.
// ErrNoSpace if that is what every node said; otherwise ErrUnavailable, which names each node and its reason.
func (s *Set) Stage(ctx context.Context, tx blob.Tx, b *blob.Blob) ([]fs.NodeID, error) {
	if err := s.cfg.Faults.At("replica.stage.before"); err != nil {
		return nil, fmt.Errorf("stage blob %s: %w", b.ID, err)
	}
	if err := b.Check(); err != nil {
		return nil, fmt.Errorf("stage: %w", err)
	}
	queue, reserve := s.split(s.nodes(), s.cfg.WriteOrder, func(n *fs.NodeInfo) bool { return !n.Load.ReadOnly })
	r := race[fs.NodeID]{
		want: s.cfg.Replicas, min: min(max(s.cfg.MinReplicas(), 1), s.cfg.Replicas),
		patience: max(clamp(3*s.stages.of(len(b.Data)).p95(stagePatienceMax/3), stagePatienceMin, stagePatienceMax), s.cfg.patience),
		last:     stagePatienceLast,
		queue:    queue, reserve: reserve,
		try:   func(ctx context.Context, n fs.NodeInfo) (fs.NodeID, error) { return s.vote(ctx, n, tx, b) },
		fatal: refusesEverywhere,
	}
	rctx, cancel := context.WithTimeout(ctx, s.cfg.StageTimeout)
	defer cancel()
	err := r.run(rctx)
	s.judge(r.losses)
	if err := s.cfg.Faults.At("replica.stage.after"); err != nil {
		return nil, fmt.Errorf("stage blob %s: %w", b.ID, err)
	}
	return s.elected(ctx, b.ID, &r, err)
}

// vote asks one node.
func (s *Set) vote(ctx context.Context, n fs.NodeInfo, tx blob.Tx, b *blob.Blob) (fs.NodeID, error) {
	voters, err := ask(s, n, s.stages.of(len(b.Data)), func(store blob.Store) ([]fs.NodeID, error) { return store.Stage(ctx, tx, b) })
	if err != nil {
		return "", err
	}
	if len(voters) != 1 || voters[0] != n.ID {
		return "", fmt.Errorf("the store at %s calls itself %q, not %s: %w", n.Addr, voters, n.ID, fs.ErrWrongCluster)
	}
	return n.ID, s.cfg.Faults.At("replica.stage.vote")
}

// refusesEverywhere tells the refusals that are about the request, not about the node.
func refusesEverywhere(err error) bool {
	for _, refusal := range []error{fs.ErrFenced, fs.ErrInvalid, fs.ErrTooLarge, fs.ErrAccess, fs.ErrReadOnly} {
		if errors.Is(err, refusal) {
			return true
		}
	}
	return false
}

func (s *Set) elected(ctx context.Context, id fs.BlobID, r *race[fs.NodeID], err error) ([]fs.NodeID, error) {
	switch {
	case ctx.Err() != nil:
		return nil, fmt.Errorf("stage blob %s: %w", id, ctx.Err())
	case err != nil && refusesEverywhere(err):
		return nil, fmt.Errorf("stage blob %s: %w", id, err)
	case len(r.wins) < r.min:
		return nil, fmt.Errorf("stage blob %s: %d of %d votes needed (%s): %w",
			id, len(r.wins), r.min, reasons(r.losses), shortage(r.losses))
	}
	voters := make([]fs.NodeID, 0, len(r.wins))
	for _, w := range r.wins {
		voters = append(voters, w.value)
	}
	return voters, nil
}

// shortage is what a lack of votes amounts to.
func shortage(losses []loss) error {
	for _, l := range losses {
		if !errors.Is(l.err, fs.ErrNoSpace) {
			return fs.ErrUnavailable
		}
	}
	if len(losses) == 0 {
		return fs.ErrUnavailable
	}
	return fs.ErrNoSpace
}

func reasons(losses []loss) string {
	if len(losses) == 0 {
		return "no nodes are known, or time was over"
	}
	var parts []string
	for _, l := range losses {
		parts = append(parts, fmt.Sprintf("%s: %v", l.node, l.err))
	}
	return strings.Join(parts, "; ")
}
