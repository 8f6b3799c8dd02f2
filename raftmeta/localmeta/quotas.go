package localmeta

import (
	"context"
	"time"

	"dfs/fs"
	"dfs/raftmeta/command"
	"dfs/raftmeta/room"
	"dfs/raftmeta/state"
)

// Room implements fs.Meta.
func (m *Mount) Room(ctx context.Context, s fs.Session, ino fs.Ino, want uint64, back fs.Return) (fs.Room, error) {
	if err := m.enter(ctx, "room"); err != nil {
		return fs.Room{}, err
	}
	defer m.c.mu.Unlock()
	if err := m.c.live(s); err != nil {
		return fs.Room{}, err
	}
	payers, err := state.NewView(m.c.kv).Payers(ino)
	if err != nil {
		return fs.Room{}, err
	}
	var list []room.Account
	for i := range payers {
		if payers[i].Limits.Bytes > 0 {
			list = append(list, room.Account{ID: payers[i].ID, Left: payers[i].Left()})
		}
	}
	return m.c.rooms.Grant(s.ID, list, want, back, time.Now()), nil
}

// SetQuota sets or, without a change, removes a quota, has all of it counted and tells every mount.
func (c *Cluster) SetQuota(of fs.QuotaOf, change *fs.LimitChange) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	cmd := &command.SetQuota{Of: of, Remove: change == nil}
	if change != nil {
		cmd.Change = *change
	}
	_, err := c.apply(cmd)
	for more := err == nil; more && err == nil; {
		if _, err = c.apply(&command.Survey{Inodes: 1000}); err == nil {
			more, err = state.NewView(c.kv).Surveying()
		}
	}
	for _, s := range c.streams {
		s.push(c.news())
	}
	return err
}
