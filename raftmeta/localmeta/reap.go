package localmeta

import (
	"time"

	"dfs/fs"
	"dfs/raftmeta/command"
	"dfs/raftmeta/state"
)

// Reap frees every orphan that nobody pins, a nameless one (O_TMPFILE) that has not been pinned yet as well.
func (c *Cluster) Reap() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	const all = 1 << 20
	list, err := state.NewView(c.kv).Orphans(0, all)
	for _, ino := range list {
		c.reap(ino)
	}
	return err
}

// reapAfter frees what a transaction has taken the last name from; mu is held.
func (c *Cluster) reapAfter(tx *fs.Tx, r *fs.TxResult) {
	if r == nil || r.Err != fs.CodeOK {
		return
	}
	for i, op := range tx.Ops {
		switch op.(type) {
		case *fs.Unlink, *fs.Rmdir:
			c.reapSoon(r.Results[i].Attr.Ino)
		case *fs.Rename:
			c.reapSoon(r.Results[i].Replaced.Ino)
		}
	}
}

// reapSoon is reap, ReapDelay from now; mu is held.
func (c *Cluster) reapSoon(ino fs.Ino) {
	if c.cfg.ReapDelay == 0 {
		c.reap(ino)
		return
	}
	time.AfterFunc(c.cfg.ReapDelay, func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.reap(ino)
	})
}

// reap frees an inode if it is an orphan without a pin. mu is held.
func (c *Cluster) reap(ino fs.Ino) {
	if ino == 0 || len(c.awaiting) > 0 || c.pinned(ino) {
		return
	}
	homes, _ := state.NewView(c.kv).Homes(ino) // none: there is nothing to reap
	for range 1 << 10 {                        // each round frees ExtentsMax extents; a test's file has fewer than all of them together
		if ok, err := state.NewView(c.kv).Reapable(ino); err != nil || !ok {
			if _, err = state.NewView(c.kv).Getattr(ino); err != nil && len(homes) == 1 {
				c.reap(homes[0]) // which may have stayed only for this orphan
			}
			return // reaped, or no orphan, or the home of one
		}
		if _, err := c.apply(&command.Reap{Inos: []fs.Ino{ino}, Extents: fs.ExtentsMax}); err != nil {
			return // the state machine refuses no Reap; a broken one shows at the next call
		}
	}
}

func (c *Cluster) pinned(ino fs.Ino) bool {
	for _, pins := range c.pins {
		if _, ok := pins[ino]; ok {
			return true
		}
	}
	return false
}

// Pins counts the pins of all sessions.
func (c *Cluster) Pins() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	n := 0
	for _, pins := range c.pins {
		n += len(pins)
	}
	return n
}
