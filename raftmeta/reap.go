package raftmeta

import (
	"fmt"

	"dfs/fs"
	"dfs/raftmeta/command"
)

const (
	reapRound   = 64 << 10 // orphans looked at in one round
	reapInos    = 256      // of them in one command
	reapExtents = 4096     // extents freed by one command
)

// reap frees orphans that no session has pinned: round by round, each orphan no earlier than Timings.Reap after it was seen
// to be one, and none before every live session has told its pins.
func (r *reign) reap() {
	for r.ctx.Err() == nil {
		orphans, err := r.orphans()
		if err != nil {
			r.n.logger.Warn("cannot list the orphans", "err", err)
		}
		waitFor(r.ctx, r.n.cfg.Timings.Reap)
		for len(orphans) > 0 && r.ctx.Err() == nil {
			piece := orphans[:min(reapInos, len(orphans))]
			orphans = orphans[len(piece):]
			r.reapPiece(piece)
		}
	}
}

func (r *reign) orphans() (list []fs.Ino, err error) {
	err = r.n.local(func(s *snapshot) error {
		list, err = s.Orphans(0, reapRound)
		return err
	})
	return list, err
}

// reapPiece frees those of some orphans that nobody pins, however many commands that takes. Once begun they are not
// given up: the outcome of a proposal may be open, and until it is known nobody may pin them.
func (r *reign) reapPiece(orphans []fs.Ino) {
	list := r.sessions.beginReap(orphans)
	defer r.sessions.endReap(list)
	for left := list; len(left) > 0 && r.ctx.Err() == nil; {
		if err := r.n.cfg.Faults.At("reap.propose"); err != nil {
			r.n.logger.Debug("reap", "err", err)
		}
		_, err := r.n.change(r.ctx, &command.Reap{Inos: left, Extents: reapExtents})
		if err == nil {
			left, err = r.stillOrphans(left)
		}
		if err != nil {
			r.n.logger.Debug("cannot reap yet", "err", err)
			waitFor(r.ctx, r.n.cfg.Timings.Heartbeat)
		}
	}
}

// stillOrphans asks the local state, which has applied the command that was just answered. The homes of other orphans are
// not among them: their turn comes when those are gone.
func (r *reign) stillOrphans(inos []fs.Ino) (left []fs.Ino, err error) {
	err = r.n.local(func(s *snapshot) error {
		for _, ino := range inos {
			reapable, err := s.Reapable(ino)
			if err != nil {
				return fmt.Errorf("look for orphan %d: %w", ino, err)
			}
			if reapable {
				left = append(left, ino)
			}
		}
		return nil
	})
	if err != nil {
		return inos, err
	}
	return left, nil
}

// beginReap marks those of inos that may be reaped now, so that nobody can pin them any more.
func (t *sessionTable) beginReap(inos []fs.Ino) (marked []fs.Ino) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, e := range t.sessions {
		if !e.attached {
			return nil
		}
	}
	for _, ino := range inos {
		if t.pins[ino] == 0 {
			t.reaping[ino] = struct{}{}
			marked = append(marked, ino)
		}
	}
	return marked
}

func (t *sessionTable) endReap(inos []fs.Ino) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, ino := range inos {
		delete(t.reaping, ino)
	}
}
