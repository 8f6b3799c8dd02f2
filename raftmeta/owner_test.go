package raftmeta

import (
	"context"
	"errors"
	"maps"
	"slices"
	"strings"
	"testing"

	"dfs/fs"
)

var (
	bob   = fs.Owner{Name: "bob", Role: "mount", Scope: fs.Scope{Subtree: "/in"}}
	eve   = fs.Owner{Name: "eve", Role: "mount"}
	carol = fs.Owner{Name: "carol", Role: "mount", Scope: fs.Scope{ReadOnly: true}}
)

// by is the context of a call with a certificate.
func by(ctx context.Context, o fs.Owner) context.Context {
	return fs.WithCaller(ctx, fs.Caller{Owner: o})
}

// under is by, for what is read under a session.
func under(ctx context.Context, o fs.Owner, s fs.Session) context.Context {
	return fs.WithCaller(ctx, fs.Caller{Owner: o, Session: s.ID, Epoch: s.Epoch})
}

// grove makes a directory /in, a file in it, and a file beside it.
func grove(c *testCluster) (in, inside, outside fs.Ino) {
	c.t.Helper()
	s := c.session()
	dir, file, other := s.create("in"), s.create("f"), s.create("secret")
	dir.Type, file.Parent = fs.TypeDir, dir.Ino
	c.must(c.leader(), s.tx(dir, file, other))
	return dir.Ino, file.Ino, other.Ino
}

// openAs opens a session with a certificate.
func (c *testCluster) openAs(o fs.Owner, m fs.Mount) fs.Session {
	c.t.Helper()
	s, err := c.leader().OpenSession(by(c.ctx(), o), m)
	if err != nil {
		c.t.Fatal(err)
	}
	return s
}

// reads are the calls that look at an inode.
func reads(n *Node, dir, ino fs.Ino) map[string]func(context.Context) error {
	return map[string]func(context.Context) error{
		"lookup":    func(ctx context.Context) error { return errOf(n.Lookup(ctx, dir, "f")) },
		"getattr":   func(ctx context.Context) error { return errOf(n.Getattr(ctx, ino)) },
		"readdir":   func(ctx context.Context) error { return errOf(n.Readdir(ctx, dir, 0, 10)) },
		"layout":    func(ctx context.Context) error { return errOf(n.Layout(ctx, ino, 0, 10)) },
		"listxattr": func(ctx context.Context) error { return errOf(n.Listxattr(ctx, ino)) },
		"readlink":  func(ctx context.Context) error { return orInvalid(n.Readlink(ctx, ino)) },
		"getxattr":  func(ctx context.Context) error { return orNoXattr(n.Getxattr(ctx, ino, "user.x")) },
	}
}

func errOf[T any](_ T, err error) error { return err }

// orInvalid and orNoXattr take the answer that a plain file gives for success.
func orInvalid(_ string, err error) error {
	if errors.Is(err, fs.ErrInvalid) {
		return nil
	}
	return err
}

func orNoXattr(_ []byte, err error) error {
	if errors.Is(err, fs.ErrNoXattr) {
		return nil
	}
	return err
}

// uses are the calls that name a session.
func uses(n *Node, s fs.Session, ino fs.Ino) map[string]func(context.Context) error {
	return map[string]func(context.Context) error{
		"commit": func(ctx context.Context) error {
			return errOf(n.Commit(ctx, &fs.Tx{ID: fs.TxID{Session: s.ID, Seq: 1}, Epoch: s.Epoch, Replicas: 3}))
		},
		"commit a newborn": func(ctx context.Context) error {
			return errOf(n.Commit(ctx, &fs.Tx{ID: fs.TxID{Session: s.ID, Seq: 2}, Epoch: s.Epoch, Replicas: 3, Ops: []fs.Op{&fs.Create{Pin: true}}}))
		},
		"abort": func(ctx context.Context) error { return errOf(n.Abort(ctx, s.Epoch, fs.TxID{Session: s.ID, Seq: 3})) },
		"alloc": func(ctx context.Context) error { return errOf(n.AllocInos(ctx, s, 1)) },
		"pin":   func(ctx context.Context) error { return errOf(n.Pin(ctx, s, ino)) },
		"attach": func(ctx context.Context) error {
			st, err := n.Attach(ctx, s, fs.Held{})
			if err == nil {
				err = st.Close()
			}
			return err
		},
		"statfs under": func(ctx context.Context) error {
			return errOf(n.Statfs(fs.WithCaller(ctx, fs.Caller{Owner: fs.CallerOf(ctx).Owner, Session: s.ID, Epoch: s.Epoch}), s.Root))
		},
	}
}

func TestBoundCertificate_SeesItsSubtreeOnly(t *testing.T) {
	c := newCluster(t, 1, nil)
	in, inside, outside := grove(c)
	n := c.leader()
	s := c.openAs(bob, fs.Mount{})
	if s.Root != in || !s.Claims || s.ReadOnly {
		t.Fatalf("opened %+v", s)
	}
	for name, read := range reads(n, in, inside) {
		if err := read(under(c.ctx(), bob, s)); err != nil {
			t.Errorf("%s inside: %v", name, err)
		}
		if err := read(by(c.ctx(), bob)); !errors.Is(err, fs.ErrAccess) {
			t.Errorf("%s without a session: %v", name, err)
		}
	}
	for _, at := range [][2]fs.Ino{{fs.RootIno, outside}, {1 << 40, 1 << 40}} {
		for name, read := range reads(n, at[0], at[1]) {
			if err := read(under(c.ctx(), bob, s)); !errors.Is(err, fs.ErrAccess) {
				t.Errorf("%s of %v: %v", name, at, err)
			}
		}
		if _, err := n.Pin(by(c.ctx(), bob), s, at[1]); !errors.Is(err, fs.ErrAccess) {
			t.Errorf("pin %d: %v", at[1], err)
		}
	}
	if _, err := n.Statfs(by(c.ctx(), bob), fs.RootIno); !errors.Is(err, fs.ErrAccess) {
		t.Errorf("statfs without a session: %v", err)
	}
	if _, err := n.Pin(by(c.ctx(), bob), s, inside); err != nil {
		t.Errorf("pin inside: %v", err)
	}
	if status, err := n.Status(by(c.ctx(), bob)); err != nil || len(status.Sessions) > 0 || len(status.Nodes) == 0 {
		t.Errorf("status: %+v, %v", status, err)
	}
	if status, err := n.Status(by(c.ctx(), eve)); err != nil || len(status.Sessions) == 0 {
		t.Errorf("status for who is not bound: %+v, %v", status, err)
	}
}

// A pin keeps an orphan on everybody's disks, and a mount can claim any.
func TestBoundSession_PinsNothingOutside(t *testing.T) {
	c := newCluster(t, 1, nil)
	_, inside, outside := grove(c)
	s := c.openAs(bob, fs.Mount{})
	n := c.leader()
	alloc := func(s fs.Session) fs.Ino {
		t.Helper()
		inos, err := n.AllocInos(c.ctx(), s, 10)
		if err != nil {
			t.Fatal(err)
		}
		return inos.From
	}
	own, others, beyond := alloc(s), alloc(c.session().Session), fs.Ino(1<<40) // nothing of which has been made
	pinned := func() []fs.Ino {
		r, _ := n.leader.get()
		r.sessions.mu.Lock()
		defer r.sessions.mu.Unlock()
		return slices.Sorted(maps.Keys(r.sessions.sessions[s.ID].pins))
	}
	st, err := n.Attach(by(c.ctx(), bob), s, fs.Held{Pins: []fs.Ino{inside, outside, own, others, beyond}})
	if err != nil {
		t.Fatal(err)
	}
	if got := pinned(); !slices.Equal(got, []fs.Ino{inside, own}) {
		t.Errorf("pinned by attaching: %v", got)
	}
	if err := st.Send(fs.Beat{Seq: 1, Pins: []fs.Ino{outside, inside, own + 1, others, beyond}}); err != nil {
		t.Fatal(err)
	}
	if got := pinned(); !slices.Equal(got, []fs.Ino{inside, own, own + 1}) {
		t.Errorf("pinned by the first beat: %v", got)
	}
	var during []fs.Ino
	c.onStep(n.cfg.ID, "propose.before", func() error { during = pinned(); return nil })
	tx := &fs.Tx{ID: fs.TxID{Session: s.ID, Seq: 1}, Epoch: s.Epoch, Replicas: 3}
	for _, ino := range []fs.Ino{own + 2, outside, others, beyond} {
		tx.Ops = append(tx.Ops, &fs.Create{Ino: ino, Type: fs.TypeRegular, Pin: true})
	}
	if r, err := n.Commit(by(c.ctx(), bob), tx); err != nil || r.Err != fs.CodeAccess {
		t.Errorf("made what is others': %+v, %v", r, err)
	}
	if !slices.Equal(during, []fs.Ino{inside, own, own + 1, own + 2}) {
		t.Errorf("pinned while it was decided: %v", during)
	}
}

func TestSession_IsItsOwnersAlone(t *testing.T) {
	c := newCluster(t, 1, nil)
	_, inside, _ := grove(c)
	n := c.leader()
	s := c.openAs(bob, fs.Mount{})
	wider, other, node := bob, bob, bob
	wider.Scope, other.Name, node.Role = fs.Scope{}, "mallory", "node"
	for _, who := range []fs.Owner{eve, wider, other, node} {
		for name, call := range uses(n, s, inside) {
			if err := call(by(c.ctx(), who)); !errors.Is(err, fs.ErrPermission) {
				t.Errorf("%s by %+v: %v", name, who, err)
			}
		}
		if err := n.CloseSession(by(c.ctx(), who), s); !errors.Is(err, fs.ErrPermission) {
			t.Errorf("closed by %+v: %v", who, err)
		}
	}
	for name, call := range uses(n, s, inside) {
		if err := call(by(c.ctx(), bob)); err != nil {
			t.Errorf("%s by its owner: %v", name, err)
		}
	}
	if err := errors.Join(n.CloseSession(by(c.ctx(), bob), s), n.CloseSession(by(c.ctx(), bob), s)); err != nil {
		t.Errorf("closed by its owner: %v", err)
	}
	for name, call := range uses(n, s, inside) {
		if err := call(by(c.ctx(), bob)); !errors.Is(err, fs.ErrFenced) {
			t.Errorf("%s when it has ended: %v", name, err)
		}
	}
}

func TestSession_IsItsOwnersAloneAtTheNextLeaderToo(t *testing.T) {
	c := newCluster(t, 3, nil)
	_, inside, outside := grove(c)
	s := c.openAs(bob, fs.Mount{})
	c.stop(c.leader().cfg.ID)
	n := c.leader()
	if _, err := n.AllocInos(by(c.ctx(), eve), s, 1); !errors.Is(err, fs.ErrPermission) {
		t.Errorf("alloc by another: %v", err)
	}
	if _, err := n.Getattr(under(c.ctx(), bob, s), inside); err != nil {
		t.Errorf("getattr inside: %v", err)
	}
	if _, err := n.Getattr(under(c.ctx(), bob, s), outside); !errors.Is(err, fs.ErrAccess) {
		t.Errorf("getattr outside: %v", err)
	}
}

func TestOpenSession_StaysWithinTheCertificate(t *testing.T) {
	c := newCluster(t, 1, nil)
	in, _, _ := grove(c)
	n := c.leader()
	for _, test := range []struct {
		owner fs.Owner
		asked fs.Mount
		err   error
		says  string
		root  fs.Ino
		ro    bool
	}{
		{eve, fs.Mount{}, nil, "", fs.RootIno, false},
		{eve, fs.Mount{Subtree: "/in", ReadOnly: true}, nil, "", in, true},
		{bob, fs.Mount{Subtree: "/in"}, nil, "", in, false},
		{carol, fs.Mount{}, nil, "", fs.RootIno, true},
		{bob, fs.Mount{Subtree: "/other"}, fs.ErrAccess, "bound to", 0, false},
		{bob, fs.Mount{Subtree: "/in/none"}, fs.ErrNotExist, "/in/none", 0, false},
		{bob, fs.Mount{Subtree: "/in/f"}, fs.ErrNotDir, "/in/f", 0, false},
		{bob, fs.Mount{Subtree: "/in/../x"}, fs.ErrInvalid, "subtree", 0, false},
	} {
		s, err := n.OpenSession(by(c.ctx(), test.owner), test.asked)
		if !errors.Is(err, test.err) || s.Root != test.root || s.ReadOnly != test.ro || err != nil && !strings.Contains(err.Error(), test.says) {
			t.Errorf("%+v of %+v: %+v, %v", test.asked, test.owner, s, err)
		}
	}
	ro := c.openAs(carol, fs.Mount{})
	if _, err := n.AllocInos(by(c.ctx(), carol), ro, 1); !errors.Is(err, fs.ErrReadOnly) {
		t.Errorf("alloc: %v", err)
	}
	if _, err := n.Commit(by(c.ctx(), carol), &fs.Tx{ID: fs.TxID{Session: ro.ID, Seq: 1}, Epoch: ro.Epoch}); !errors.Is(err, fs.ErrReadOnly) {
		t.Errorf("commit: %v", err)
	}
	if _, err := n.Abort(by(c.ctx(), carol), ro.Epoch, fs.TxID{Session: ro.ID, Seq: 1 << 40}); !errors.Is(err, fs.ErrReadOnly) {
		t.Errorf("abort, of which the outcome would be remembered: %v", err)
	}
	if _, err := n.Getattr(by(c.ctx(), carol), in); err != nil {
		t.Errorf("a certificate that is bound to reading only reads without a session: %v", err)
	}
}
