package metarpc

import (
	"context"
	"reflect"
	"testing"

	"dfs/fs"
)

// exact is one call: what goes in must arrive, and what the other side answers must come back.
type exact struct {
	method string
	args   []any
	answer any
	call   func(ctx context.Context, c *Client) (any, error)
}

func exactCalls() []exact {
	var (
		attr    = fill[fs.Attr]()
		session = fill[fs.Session]()
		mount   = fill[fs.Mount]()
		layout  = fill[fs.Layout]()
		listing = fill[fs.Listing]()
		statfs  = fill[fs.Statfs]()
		room    = fill[fs.Room]()
		quotas  = fill[[]fs.Quota]()
		limits  = fill[fs.LimitChange]()
		tree    = fs.QuotaOf{Path: "/t\xff"}
		user    = fs.QuotaOf{User: true, UID: 5}
		result  = fill[fs.TxResult]()
		node    = fill[fs.NodeInfo]()
		status  = fill[fs.Status]()
		txs     = fill[[]fs.TxStatus]()
		removal = fill[fs.Removal]()
		raft    = fill[fs.RaftStatus]()
		why     = fill[fs.Explanation]()
		inos    = fill[fs.InoRange]()
		locked  = fill[fs.LockAnswer]()
		locks   = fill[fs.LockList]()
		tx      = sampleTx()
		id      = fs.TxID{Session: 3, Seq: 4}
		token   = fs.JoinToken{ID: "0123456789abcdef", Role: "node", Expires: 5, Uses: 6}
		use     = fs.Redemption{ID: token.ID, Secret: fs.TokenHash{7}, Role: "node", Key: fs.TokenHash{31: 8}}
	)
	// The layout's first extent lies in a blob, its second in itself.
	layout.Extents[0].Data = nil
	layout.Extents[1].Blob, layout.Extents[1].BlobOff = fs.BlobID{}, 0
	mount.Path, txs[0].Ops[0], listing.Entries[0].Name = "/mnt/\xff\xfe", "create 1/\xff", "name\xff"
	why.Path, why.Target = "/d\xff/f", "\xff"
	why.Extents[0].Data = nil
	why.Extents[1].Data, why.Extents[1].Blob, why.Extents[1].BlobOff = nil, fs.BlobID{}, 0
	mount.Subtree = "/sub/\xfftree"
	call := &fs.LockCall{Seq: 5, Open: []uint64{2, 4}, Action: fs.LockCancel, Ticket: 6, Lock: fs.Lock{Ino: 7, Kind: fs.LockRange,
		Owner: 1 << 63, PID: 8, Type: fs.LockWrite, Start: 9, End: fs.LockEnd}}
	locks.Locks[0].Path = "/mnt/\xff"
	node.Addr, node.State = "10.0.0.1:7400", fs.NodeSuspect

	return []exact{
		{"commit", []any{tx}, &result, func(ctx context.Context, c *Client) (any, error) { return c.Commit(ctx, tx) }},
		{"abort", []any{fs.Epoch(9), id}, &result, func(ctx context.Context, c *Client) (any, error) { return c.Abort(ctx, 9, id) }},
		{"lookup", []any{fs.Ino(7), "n\xffame"}, attr, func(ctx context.Context, c *Client) (any, error) { return c.Lookup(ctx, 7, "n\xffame") }},
		{"getattr", []any{fs.Ino(7)}, attr, func(ctx context.Context, c *Client) (any, error) { return c.Getattr(ctx, 7) }},
		{"readdir", []any{fs.Ino(7), fs.Cookie(8), 9}, listing, func(ctx context.Context, c *Client) (any, error) { return c.Readdir(ctx, 7, 8, 9) }},
		{"readlink", []any{fs.Ino(7)}, "tar\xffget", func(ctx context.Context, c *Client) (any, error) { return c.Readlink(ctx, 7) }},
		{"layout", []any{fs.Ino(7), uint64(8), uint64(9)}, &layout, func(ctx context.Context, c *Client) (any, error) { return c.Layout(ctx, 7, 8, 9) }},
		{"getxattr", []any{fs.Ino(7), "user.x"}, []byte{0, 1, 255}, func(ctx context.Context, c *Client) (any, error) { return c.Getxattr(ctx, 7, "user.x") }},
		{"listxattr", []any{fs.Ino(7)}, []string{"user.a", "user.\xff"}, func(ctx context.Context, c *Client) (any, error) { return c.Listxattr(ctx, 7) }},
		{"statfs", []any{fs.Ino(7)}, statfs, func(ctx context.Context, c *Client) (any, error) { return c.Statfs(ctx, 7) }},
		{"room", []any{session, fs.Ino(7), uint64(8), fs.Return{All: true, Held: 9}}, room, func(ctx context.Context, c *Client) (any, error) {
			return c.Room(ctx, session, 7, 8, fs.Return{All: true, Held: 9})
		}},
		{"set quota", []any{tree, limits}, nil, func(ctx context.Context, c *Client) (any, error) { return nil, c.SetQuota(ctx, tree, limits) }},
		{"set quota", []any{user, limits}, nil, func(ctx context.Context, c *Client) (any, error) { return nil, c.SetQuota(ctx, user, limits) }},
		{"remove quota", []any{tree}, nil, func(ctx context.Context, c *Client) (any, error) { return nil, c.RemoveQuota(ctx, tree) }},
		{"quotas", []any{fs.QuotaID{User: true, Number: 8}, 9, true}, quotas, func(ctx context.Context, c *Client) (any, error) {
			return c.Quotas(ctx, fs.QuotaID{User: true, Number: 8}, 9, true)
		}},
		{"open", []any{mount}, session, func(ctx context.Context, c *Client) (any, error) { return c.OpenSession(ctx, mount) }},
		{"close", []any{session}, nil, func(ctx context.Context, c *Client) (any, error) { return nil, c.CloseSession(ctx, session) }},
		{"pin", []any{session, fs.Ino(7)}, attr, func(ctx context.Context, c *Client) (any, error) { return c.Pin(ctx, session, 7) }},
		{"alloc", []any{session, 12}, inos, func(ctx context.Context, c *Client) (any, error) { return c.AllocInos(ctx, session, 12) }},
		{"lock", []any{session, call}, locked, func(ctx context.Context, c *Client) (any, error) { return c.Lock(ctx, session, call) }},
		{"locks", []any{fs.Ino(7), 8}, &locks, func(ctx context.Context, c *Client) (any, error) { return c.Locks(ctx, 7, 8) }},
		{"join", []any{node, "cluster"}, "cluster", func(ctx context.Context, c *Client) (any, error) { return c.Join(ctx, node, "cluster") }},
		{"removal", []any{fs.NodeID("n")}, &removal, func(ctx context.Context, c *Client) (any, error) { return c.Removal(ctx, "n") }},
		{"remove", []any{fs.NodeID("n"), true}, nil, func(ctx context.Context, c *Client) (any, error) { return nil, c.RemoveNode(ctx, "n", true) }},
		{"put token", []any{token, use.Secret}, nil, func(ctx context.Context, c *Client) (any, error) { return nil, c.PutToken(ctx, token, use.Secret) }},
		{"tokens", nil, []fs.JoinToken{token}, func(ctx context.Context, c *Client) (any, error) { return c.Tokens(ctx) }},
		{"revoke token", []any{token.ID}, nil, func(ctx context.Context, c *Client) (any, error) { return nil, c.RevokeToken(ctx, token.ID) }},
		{"redeem token", []any{use}, nil, func(ctx context.Context, c *Client) (any, error) { return nil, c.RedeemToken(ctx, use) }},
		{"status", nil, &status, func(ctx context.Context, c *Client) (any, error) { return c.Status(ctx) }},
		{"transactions", []any{13}, txs, func(ctx context.Context, c *Client) (any, error) { return c.Transactions(ctx, 13) }},
		{"transaction", []any{id}, &txs[1], func(ctx context.Context, c *Client) (any, error) { return c.Admin("a").Transaction(ctx, id) }},
		{"raft", nil, &raft, func(ctx context.Context, c *Client) (any, error) { return c.Raft(ctx) }},
		{"explain", []any{"/d\xff/f"}, &why, func(ctx context.Context, c *Client) (any, error) { return c.Explain(ctx, "/d\xff/f") }},
	}
}

func sampleTx() *fs.Tx {
	tx := fill[struct {
		ID       fs.TxID
		Epoch    fs.Epoch
		Done     uint64
		Blobs    []fs.BlobInfo
		Replicas int
	}]()
	create, write, rename := fill[fs.Create](), fill[fs.Write](), fill[fs.Rename]()
	create.Type, rename.Flags = fs.TypeSymlink, fs.RenameExchange
	write.Extents[0].Data = nil
	write.Extents[1].Blob, write.Extents[1].BlobOff = fs.BlobID{}, 0
	return &fs.Tx{ID: tx.ID, Epoch: tx.Epoch, Done: tx.Done, Blobs: tx.Blobs, Replicas: tx.Replicas,
		Ops: []fs.Op{&create, &write, &rename}}
}

func TestEveryMethod_CarriesEveryField(t *testing.T) {
	n := newNetwork(t)
	var current exact
	n.serve("a", &fakeMeta{do: func(_ context.Context, method string, args ...any) (any, error) {
		if method == "getattr" && current.method != method {
			return fs.Attr{Ino: fs.RootIno}, nil // the finder's probe
		}
		if method != current.method || !reflect.DeepEqual(args, current.args) && len(args) > 0 {
			t.Errorf("%s(%+v) arrived as %s(%+v)", current.method, current.args, method, args)
		}
		return current.answer, nil
	}})
	c := n.client("a")
	if _, err := c.Getattr(t.Context(), 1); err != nil { // from now on the leader is known
		t.Fatal(err)
	}
	for _, current = range exactCalls() {
		got, err := current.call(t.Context(), c)
		if err != nil {
			t.Errorf("%s: %v", current.method, err)
		}
		if !reflect.DeepEqual(got, current.answer) {
			t.Errorf("%s answered\n%+v, arrived as\n%+v", current.method, current.answer, got)
		}
	}
}

// encodedMeta takes transactions as they come.
type encodedMeta struct {
	*fakeMeta
	commit func([]byte) ([]byte, error)
}

func (e *encodedMeta) CommitEncoded(_ context.Context, tx []byte) ([]byte, error) {
	return e.commit(tx)
}

func TestEveryCode_SurvivesAndIsNotRetried(t *testing.T) {
	n := newNetwork(t)
	var code fs.Code
	calls := 0
	n.serve("a", leader(func(context.Context, string, ...any) (any, error) {
		calls++
		return nil, fs.FromCode(code)
	}))
	c := n.client("a")
	for code = fs.CodeOK + 1; code <= fs.CodeInternal; code++ {
		switch code {
		case fs.CodeNotLeader, fs.CodeUnavailable, fs.CodeTimeout, fs.CodeClosed:
			continue // not the cluster's verdict: repeated, see the other tests
		}
		calls = 0
		_, err := c.Lookup(t.Context(), 1, "x")
		if fs.CodeOf(err) != code || calls != 1 {
			t.Errorf("code %d arrives as %v after %d calls", code, err, calls)
		}
	}
}

func TestLayout_IsCutBeforeItOutgrowsAMessage(t *testing.T) {
	n := newNetwork(t)
	var full fs.Layout
	for i := range uint64(12) {
		full.Extents = append(full.Extents, fs.Extent{Off: i << 20, Len: 1 << 20, Data: make([]byte, 1<<20)})
	}
	full.More = 12 << 20
	n.serve("a", leader(func(_ context.Context, _ string, args ...any) (any, error) {
		l := full
		l.Extents = l.Extents[args[1].(uint64)>>20:]
		return &l, nil
	}))
	c := n.client("a")
	var offs []uint64
	for off := uint64(0); off < full.More; {
		l, err := c.Layout(t.Context(), 5, off, 1<<40)
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range l.Extents {
			offs = append(offs, e.Off>>20)
		}
		if l.More <= off {
			t.Fatalf("layout from %d goes on at %d", off, l.More)
		}
		off = l.More
	}
	if want := []uint64{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11}; !reflect.DeepEqual(offs, want) {
		t.Errorf("read extents %v, want %v", offs, want)
	}
}
