package raftmeta

import (
	"context"
	"errors"
	"testing"
	"time"

	"dfs/fs"
)

// collect takes what comes until a path has been told.
func collectUntil(t *testing.T, s fs.ChangeStream, path string) (list []fs.Change, missing bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	for {
		c, err := s.Recv(ctx)
		if err != nil {
			t.Fatalf("%v; told so far: %+v", err, list)
		}
		list, missing = append(list, c.List...), missing || c.Missing
		for _, x := range c.List {
			if x.Path == path {
				return list, missing
			}
		}
	}
}

func (n *Node) watch(t *testing.T, r fs.WatchRequest) fs.ChangeStream {
	t.Helper()
	s, err := n.Watch(t.Context(), r)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

// Leader and followers tell the same, at the same positions, and each commit once.
func TestWatch_EveryNodeTellsTheSame(t *testing.T) {
	c := newCluster(t, 3, nil)
	s := c.session()
	c.must(c.leader(), s.tx(s.create("before")))
	c.converge()
	streams := map[fs.NodeID]fs.ChangeStream{}
	for id, n := range c.nodes {
		streams[id] = n.watch(t, fs.WatchRequest{Path: "/"})
	}
	for _, name := range []string{"a", "b", "end"} {
		c.must(c.leader(), s.tx(s.create(name)))
	}
	for id, stream := range streams {
		list, missing := collectUntil(t, stream, "/end")
		if missing || len(list) != 3 || list[0].Path != "/a" || list[1].Path != "/b" || list[0].Session != s.ID {
			t.Errorf("%s: %+v, missing %v", id, list, missing)
		}
		again := c.nodes[id].watch(t, fs.WatchRequest{Path: "/", After: list[0].Position})
		if more, missing := collectUntil(t, again, "/end"); missing || len(more) != 2 || more[0] != list[1] {
			t.Errorf("%s, behind %v: %+v, missing %v", id, list[0].Position, more, missing)
		}
	}
}

func TestWatch_OfWhatACallerMayNotSeeIsRefused(t *testing.T) {
	c := newCluster(t, 1, nil)
	n, s := c.leader(), c.session()
	d, f := s.create("d"), s.create("f")
	d.Type = fs.TypeDir
	c.must(n, s.tx(d, f))
	bound := fs.WithCaller(t.Context(), fs.Caller{Owner: fs.Owner{Name: "x", Role: "mount", Scope: fs.Scope{Subtree: "/d"}}})
	for _, x := range []struct {
		ctx  context.Context
		r    fs.WatchRequest
		want error
	}{
		{t.Context(), fs.WatchRequest{Path: "/none"}, fs.ErrNotExist}, {t.Context(), fs.WatchRequest{Path: "/f/g"}, fs.ErrNotDir},
		{t.Context(), fs.WatchRequest{Ino: 1 << 40}, fs.ErrNotExist}, {t.Context(), fs.WatchRequest{Path: "/f"}, nil},
		{bound, fs.WatchRequest{Path: "/"}, fs.ErrAccess}, {bound, fs.WatchRequest{Path: "/f"}, fs.ErrAccess}, {bound, fs.WatchRequest{Path: "/dd"}, fs.ErrAccess},
		{bound, fs.WatchRequest{Ino: f.Ino}, fs.ErrAccess}, {bound, fs.WatchRequest{Path: "/d"}, nil}, {bound, fs.WatchRequest{Ino: d.Ino}, nil},
	} {
		stream, err := n.Watch(x.ctx, x.r)
		if !errors.Is(err, x.want) || (err == nil) != (x.want == nil) {
			t.Errorf("%+v: %v, want %v", x.r, err, x.want)
		}
		if err == nil {
			_ = stream.Close()
		}
	}
}

// A follower that gets a snapshot in the place of entries owns up to it.
func TestWatch_SnapshotInThePlaceOfEntriesIsAGap(t *testing.T) {
	c := newCluster(t, 3, func(cfg *Config) { cfg.TrailingEntries = 1 })
	s := c.session()
	c.must(c.leader(), s.tx(s.create("before")))
	c.converge()
	late := c.follower()
	stream := late.watch(t, fs.WatchRequest{Path: "/"})
	c.setCut(late.cfg.ID, true)
	for _, name := range []string{"a", "b", "c", "d"} {
		c.retry(s.tx(s.create(name)))
	}
	if err := c.leader().raft.Load().Snapshot().Error(); err != nil {
		t.Fatal(err)
	}
	c.setCut(late.cfg.ID, false)
	c.converge()
	c.retry(s.tx(s.create("end")))
	list, missing := collectUntil(t, stream, "/end")
	if !missing {
		t.Errorf("%+v, and nothing is said to be missing", list)
	}
}

func TestWatch_EndsWithTheNode(t *testing.T) {
	c := newCluster(t, 1, nil)
	n := c.leader()
	stream := n.watch(t, fs.WatchRequest{Path: "/"})
	if _, err := stream.Recv(t.Context()); err != nil {
		t.Fatal(err)
	}
	done := make(chan error)
	go func() {
		for {
			if _, err := stream.Recv(t.Context()); err != nil {
				done <- err
				return
			}
		}
	}()
	c.stop(n.cfg.ID)
	if err := <-done; !errors.Is(err, fs.ErrClosed) {
		t.Error(err)
	}
}
