package replica

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"dfs/blob"
	"dfs/fs"
)

const (
	getPatienceMin     = 10 * time.Millisecond
	getPatienceMax     = time.Second
	getPatienceUnknown = 50 * time.Millisecond
	// strangersMax bounds how many nodes are asked that the caller's list does not name.
	strangersMax = 16
)

// Get implements blob.Store: the bytes are verified. See DESIGN.md for the order of the nodes and for the errors.
func (s *Set) Get(ctx context.Context, info *fs.BlobInfo, off, n uint32) (*blob.Range, error) {
	if err := s.cfg.Faults.At("replica.get.before"); err != nil {
		return nil, fmt.Errorf("get blob %s: %w", info.ID, err)
	}
	if err := blob.CheckRange(info, off, n); err != nil {
		return nil, fmt.Errorf("get: %w", err)
	}
	listed, strangers := s.holders(info)
	r := race[*blob.Range]{
		want: 1, min: 1,
		patience: max(clamp(s.gets.of(int(n)).p95(getPatienceUnknown), getPatienceMin, getPatienceMax), s.cfg.patience),
		queue:    listed, reserve: strangers,
		try: func(ctx context.Context, node fs.NodeInfo) (*blob.Range, error) {
			return s.read(ctx, node, info, off, n)
		},
		fatal: func(err error) bool { return errors.Is(err, fs.ErrInvalid) || errors.Is(err, fs.ErrAccess) },
	}
	rctx, cancel := context.WithTimeout(ctx, s.cfg.GetTimeout)
	defer cancel()
	err := r.run(rctx)
	if len(r.wins) > 0 {
		s.judge(slices.DeleteFunc(r.losses, func(l loss) bool { return l.overdue })) // slower than another one is not sick
		return r.wins[0].value, nil
	}
	s.judge(r.losses)
	if ctx.Err() != nil {
		err = ctx.Err()
	} else if err == nil || errors.Is(err, context.DeadlineExceeded) {
		err = verdict(info, r.losses)
	}
	return nil, fmt.Errorf("get blob %s (%s): %w", info.ID, reasons(r.losses), err)
}

// holders are the nodes that the caller's list names, the good ones first, and some of the others.
func (s *Set) holders(info *fs.BlobInfo) (listed, strangers []fs.NodeInfo) {
	var in, out []fs.NodeInfo
	for _, n := range s.nodes() {
		if len(info.Replicas) == 0 || slices.Contains(info.Replicas, n.ID) {
			in = append(in, n)
		} else {
			out = append(out, n)
		}
	}
	any := func(*fs.NodeInfo) bool { return true }
	good, bad := s.split(in, s.cfg.ReadOrder, any)
	others, worst := s.split(out, s.cfg.ReadOrder, any)
	others = append(others, worst...)
	return append(good, bad...), others[:min(len(others), strangersMax)]
}

// read asks one node and verifies what it says.
func (s *Set) read(ctx context.Context, node fs.NodeInfo, info *fs.BlobInfo, off, n uint32) (*blob.Range, error) {
	r, err := ask(s, node, s.gets.of(int(n)), func(store blob.Store) (*blob.Range, error) { return store.Get(ctx, info, off, n) })
	if err == nil {
		_, err = r.VerifyFor(ctx, info, off, n)
	}
	if err == nil {
		return r, nil
	}
	damaged := errors.Is(err, fs.ErrCorrupt)
	if damaged || errors.Is(err, fs.ErrNotExist) && slices.Contains(info.Replicas, node.ID) {
		s.cfg.Logger.Warn("bad replica", "node", node.ID, "blob", info.ID.String(), "err", err)
		s.cfg.Bad(node.ID, info.ID, err)
	}
	return nil, err
}

// verdict is the error of a Get that nobody could answer: ErrNotExist and ErrCorrupt are certainties, which need every
// node on the list to have said so.
func verdict(info *fs.BlobInfo, losses []loss) error {
	corrupt, said := false, map[fs.NodeID]bool{}
	for _, l := range losses {
		switch {
		case errors.Is(l.err, fs.ErrCorrupt):
			corrupt, said[l.node] = true, true
		case errors.Is(l.err, fs.ErrNotExist):
			said[l.node] = true
		case len(info.Replicas) == 0:
			return fs.ErrUnavailable
		}
	}
	for _, id := range info.Replicas {
		if !said[id] {
			return fs.ErrUnavailable
		}
	}
	switch {
	case len(said) == 0:
		return fs.ErrUnavailable
	case corrupt:
		return fs.ErrCorrupt
	}
	return fs.ErrNotExist
}
