package localmeta

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"dfs/fs"
	"dfs/raftmeta/state"
)

// client is a mount with an open session.
type client struct {
	*Mount
	t   *testing.T
	s   fs.Session
	seq uint64
}

func newClient(t *testing.T, c *Cluster, faults fs.Faults) *client {
	t.Helper()
	m := c.Mount(faults)
	s, err := m.OpenSession(context.Background(), fs.Mount{Host: "h"})
	if err != nil {
		t.Fatal(err)
	}
	return &client{Mount: m, t: t, s: s}
}

func (c *client) tx(ops ...fs.Op) *fs.Tx {
	c.seq++
	return &fs.Tx{ID: fs.TxID{Session: c.s.ID, Seq: c.seq}, Epoch: c.s.Epoch, Done: c.seq, Ops: ops, Replicas: 1}
}

func (c *client) must(ops ...fs.Op) *fs.TxResult {
	c.t.Helper()
	r, err := c.Commit(context.Background(), c.tx(ops...))
	if err != nil || r.Err != fs.CodeOK {
		c.t.Fatal(r, err)
	}
	return r
}

func (c *client) create(name string) fs.Ino {
	c.t.Helper()
	r, err := c.AllocInos(context.Background(), c.s, 1)
	if err != nil {
		c.t.Fatal(err)
	}
	c.must(&fs.Create{Parent: fs.RootIno, Name: name, Ino: r.From, Type: fs.TypeRegular, Time: 1})
	return r.From
}

func newCluster(t *testing.T) *Cluster {
	t.Helper()
	c, err := New(Config{})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func exists(t *testing.T, c *Cluster, ino fs.Ino) bool {
	t.Helper()
	found := false
	c.View(func(v state.View) {
		_, err := v.Getattr(ino)
		found = err == nil
	})
	return found
}

func TestPinnedOrphan_IsReapedWithItsLastPin(t *testing.T) {
	c := newCluster(t)
	a, b := newClient(t, c, nil), newClient(t, c, nil)
	ino := a.create("f")
	ctx := context.Background()
	for _, m := range []*client{a, b} {
		if _, err := m.Pin(ctx, m.s, ino); err != nil {
			t.Fatal(err)
		}
	}
	a.must(&fs.Unlink{Parent: fs.RootIno, Name: "f", Time: 2})
	st, err := a.Attach(ctx, a.s, fs.Held{Pins: []fs.Ino{ino}})
	if err != nil {
		t.Fatal(err)
	}
	if err := st.Send(fs.Beat{Seq: 1, Unpins: []fs.Ino{ino}}); err != nil {
		t.Fatal(err)
	}
	if !exists(t, c, ino) {
		t.Fatal("reaped while another session pins it")
	}
	if err := b.CloseSession(ctx, b.s); err != nil {
		t.Fatal(err)
	}
	if exists(t, c, ino) {
		t.Fatal("not reaped with the last pin")
	}
	if err := c.Check(); err != nil {
		t.Fatal(err)
	}
}

// Who has looked up a name just before it was taken away can still open the inode.
func TestOrphan_CanBePinnedWithinTheReapDelay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, err := New(Config{ReapDelay: 2 * time.Second})
		if err != nil {
			t.Fatal(err)
		}
		a := newClient(t, c, nil)
		kept, free := a.create("kept"), a.create("free")
		a.must(&fs.Unlink{Parent: fs.RootIno, Name: "kept", Time: 2}, &fs.Unlink{Parent: fs.RootIno, Name: "free", Time: 2})
		time.Sleep(time.Second)
		if _, err := a.Pin(context.Background(), a.s, kept); err != nil {
			t.Error("reaped before its time:", err)
		}
		time.Sleep(2 * time.Second)
		if !exists(t, c, kept) || exists(t, c, free) {
			t.Errorf("pinned: still there %v; not pinned: still there %v", exists(t, c, kept), exists(t, c, free))
		}
	})
}

// attachAndBeat has a session without pins tell so.
func attachAndBeat(t *testing.T, m *client) {
	t.Helper()
	st, err := m.Attach(context.Background(), m.s, fs.Held{})
	if err != nil {
		t.Fatal(err)
	}
	if err := st.Send(fs.Beat{Seq: 1}); err != nil {
		t.Fatal(err)
	}
}

func TestFailover_ReapsNothingUntilAllHaveAttached(t *testing.T) {
	c := newCluster(t)
	a, b := newClient(t, c, nil), newClient(t, c, nil)
	ino := a.create("f")
	ctx := context.Background()
	st, err := a.Attach(ctx, a.s, fs.Held{Pins: []fs.Ino{ino}})
	if err != nil {
		t.Fatal(err)
	}
	b.must(&fs.Unlink{Parent: fs.RootIno, Name: "f", Time: 2})
	if err := c.Failover(); err != nil {
		t.Fatal(err)
	}
	for err == nil { // notices that were on their way come first
		_, err = st.Recv()
	}
	if !errors.Is(err, fs.ErrUnavailable) {
		t.Fatal(err)
	}
	attachAndBeat(t, b)
	if err := c.Reap(); err != nil || !exists(t, c, ino) {
		t.Fatal("reaped before its pin was reclaimed", err)
	}
	st, err = a.Attach(ctx, a.s, fs.Held{})
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Reap(); err != nil || !exists(t, c, ino) {
		t.Fatal("reaped before the first beat had told the rest of the pins", err)
	}
	if err := st.Send(fs.Beat{Seq: 1}); err != nil {
		t.Fatal(err)
	}
	if err := c.Reap(); err != nil || exists(t, c, ino) {
		t.Fatal("not reaped although nobody pins it", err)
	}
}

func TestExpiredSession_IsFencedEverywhere(t *testing.T) {
	c := newCluster(t)
	a := newClient(t, c, nil)
	ctx := context.Background()
	st, err := a.Attach(ctx, a.s, fs.Held{})
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Expire(a.s); err != nil {
		t.Fatal(err)
	}
	_, commitErr := a.Commit(ctx, a.tx())
	_, pinErr := a.Pin(ctx, a.s, fs.RootIno)
	_, attachErr := a.Attach(ctx, a.s, fs.Held{})
	_, allocErr := a.AllocInos(ctx, a.s, 1)
	_, abortErr := a.Abort(ctx, a.s.Epoch, fs.TxID{Session: a.s.ID, Seq: 9})
	var recvErr error
	for recvErr == nil {
		_, recvErr = st.Recv()
	}
	for i, err := range []error{commitErr, pinErr, attachErr, allocErr, abortErr, recvErr, st.Send(fs.Beat{})} {
		if !errors.Is(err, fs.ErrFenced) {
			t.Errorf("call %d: %v", i, err)
		}
	}
}

func TestLostAnswer_IsGivenAgain(t *testing.T) {
	c := newCluster(t)
	lose := true
	a := newClient(t, c, func(step string) error {
		if step == "commit.answer" && lose {
			return fs.ErrUnavailable
		}
		return nil
	})
	r, err := a.AllocInos(context.Background(), a.s, 1)
	if err != nil {
		t.Fatal(err)
	}
	tx := a.tx(&fs.Create{Parent: fs.RootIno, Name: "f", Ino: r.From, Type: fs.TypeRegular})
	if _, err := a.Commit(context.Background(), tx); !errors.Is(err, fs.ErrUnavailable) {
		t.Fatal(err)
	}
	lose = false
	if res, err := a.Commit(context.Background(), tx); err != nil || res.Err != fs.CodeOK {
		t.Fatal(res, err)
	}
}

func TestAttach_EndsTheEarlierStream(t *testing.T) {
	c := newCluster(t)
	a := newClient(t, c, nil)
	first, err := a.Attach(context.Background(), a.s, fs.Held{})
	if err != nil {
		t.Fatal(err)
	}
	second, err := a.Attach(context.Background(), a.s, fs.Held{})
	if err != nil {
		t.Fatal(err)
	}
	if err := first.Send(fs.Beat{Seq: 1}); err == nil {
		t.Fatal("the first stream still takes beats")
	}
	if err := second.Send(fs.Beat{Seq: 1}); err != nil {
		t.Fatal(err)
	}
}
