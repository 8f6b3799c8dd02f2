package metarpc

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"dfs/cluster/rpcerr"
	"dfs/fs"
	"dfs/raftmeta/command"
	"dfs/raftmeta/metapb"
)

// untouchable fails the test when anything but the finder's probe gets through to it.
func untouchable(t *testing.T) *fakeMeta {
	m := leader(func(_ context.Context, method string, args ...any) (any, error) {
		t.Errorf("%s(%+v) got through", method, args)
		return nil, fs.ErrInternal
	})
	m.stream = func(s fs.Session, held fs.Held) (fs.Stream, error) {
		t.Errorf("attach(%+v, %+v) got through", s, held)
		return nil, fs.ErrInternal
	}
	return m
}

func TestServer_RefusesMalformedRequests(t *testing.T) {
	n := newNetwork(t)
	n.serve("a", untouchable(t))
	conn, err := n.dial("a")
	if err != nil {
		t.Fatal(err)
	}
	m, c := metapb.NewMetaClient(conn), metapb.NewClusterClient(conn)
	ctx, session := t.Context(), &metapb.Session{Id: 1, Epoch: 1}
	long := strings.Repeat("x", fs.NameMax+1)
	badOps := sampleTx()
	badOps.Ops = []fs.Op{&fs.Rename{Parent: 1, Name: "a", NewParent: 1, NewName: "b", Flags: 4}}
	many := sampleTx()
	for range fs.TxOpsMax {
		many.Ops = append(many.Ops, &fs.Check{Ino: 1})
	}
	noID := sampleTx()
	noID.ID.Seq = 0
	commit := func(b []byte) func() error {
		return func() error { _, err := m.Commit(ctx, &metapb.CommitRequest{Command: b}); return err }
	}
	lookup := func(dir uint64, name string) func() error {
		return func() error {
			_, err := m.Lookup(ctx, &metapb.LookupRequest{Dir: dir, Name: []byte(name)})
			return err
		}
	}
	join := func(r *metapb.JoinRequest) func() error {
		return func() error { _, err := c.Join(ctx, r); return err }
	}
	for name, r := range map[string]struct {
		call func() error
		want error
	}{
		"commit of nothing":       {commit(nil), fs.ErrInvalid},
		"commit of rubbish":       {commit([]byte("rubbish")), fs.ErrInvalid},
		"commit of a cut one":     {commit(encodeTx(sampleTx())[:50]), fs.ErrInvalid},
		"commit with a tail":      {commit(append(encodeTx(sampleTx()), 0)), fs.ErrInvalid},
		"commit of housekeeping":  {commit(command.Encode(&command.RemoveNode{Node: "a"})), fs.ErrInvalid},
		"commit of unknown flags": {commit(encodeTx(badOps)), fs.ErrInvalid},
		"commit without an id":    {commit(encodeTx(noID)), fs.ErrInvalid},
		"commit of many ops":      {commit(encodeTx(many)), fs.ErrTooLarge},
		"commit of many bytes":    {commit(make([]byte, fs.TxBytesMax+1)), fs.ErrTooLarge},
		"abort without an id":     {func() error { _, err := m.Abort(ctx, &metapb.AbortRequest{Epoch: 1}); return err }, fs.ErrInvalid},
		"abort without an epoch": {func() error {
			_, err := m.Abort(ctx, &metapb.AbortRequest{Tx: &metapb.TxID{Session: 1, Seq: 1}})
			return err
		}, fs.ErrInvalid},
		"token of a short id": {func() error {
			_, err := c.RevokeToken(ctx, &metapb.RevokeTokenRequest{Id: "x"})
			return err
		}, fs.ErrInvalid},
		"token without a secret": {func() error {
			_, err := c.RedeemToken(ctx, &metapb.RedeemTokenRequest{Id: "0123456789abcdef", Role: "node", Key: make([]byte, 32)})
			return err
		}, fs.ErrInvalid},
		"token of many uses": {func() error {
			_, err := c.PutToken(ctx, &metapb.PutTokenRequest{Secret: make([]byte, 32),
				Token: &metapb.JoinToken{Id: "0123456789abcdef", Role: "node", Uses: fs.TokenUsesMax + 1}})
			return err
		}, fs.ErrInvalid},
		"lookup in nothing":     {lookup(0, "x"), fs.ErrInvalid},
		"lookup of nothing":     {lookup(1, ""), fs.ErrInvalid},
		"lookup of dot dot":     {lookup(1, ".."), fs.ErrInvalid},
		"lookup of a path":      {lookup(1, "a/b"), fs.ErrInvalid},
		"lookup of a NUL":       {lookup(1, "a\x00"), fs.ErrInvalid},
		"lookup of a long name": {lookup(1, long), fs.ErrNameTooLong},
		"getattr of nothing":    {func() error { _, err := m.Getattr(ctx, &metapb.InoRequest{}); return err }, fs.ErrInvalid},
		"readlink of nothing":   {func() error { _, err := m.Readlink(ctx, &metapb.InoRequest{}); return err }, fs.ErrInvalid},
		"listxattr of nothing":  {func() error { _, err := m.Listxattr(ctx, &metapb.InoRequest{}); return err }, fs.ErrInvalid},
		"readdir of none":       {func() error { _, err := m.Readdir(ctx, &metapb.ReaddirRequest{Dir: 1}); return err }, fs.ErrInvalid},
		"readdir of too many": {func() error {
			_, err := m.Readdir(ctx, &metapb.ReaddirRequest{Dir: 1, Limit: fs.ReaddirMax + 1})
			return err
		}, fs.ErrInvalid},
		"layout beyond the end": {func() error {
			_, err := m.Layout(ctx, &metapb.LayoutRequest{Ino: 1, Off: 1, Length: 1<<64 - 1})
			return err
		}, fs.ErrInvalid},
		"getxattr of nothing":     {func() error { _, err := m.Getxattr(ctx, &metapb.XattrRequest{Ino: 1}); return err }, fs.ErrInvalid},
		"getxattr of a long name": {func() error { _, err := m.Getxattr(ctx, &metapb.XattrRequest{Ino: 1, Name: []byte(long)}); return err }, fs.ErrNameTooLong},
		"open by a long host": {func() error {
			_, err := m.OpenSession(ctx, &metapb.Mount{Host: make([]byte, mountTextMax+1)})
			return err
		}, fs.ErrTooLarge},
		"open a subtree that is no path": {func() error { _, err := m.OpenSession(ctx, &metapb.Mount{Subtree: []byte("a/../b")}); return err }, fs.ErrInvalid},
		"open by a negative pid":         {func() error { _, err := m.OpenSession(ctx, &metapb.Mount{Pid: -1}); return err }, fs.ErrInvalid},
		"close of nothing":               {func() error { _, err := m.CloseSession(ctx, &metapb.Session{}); return err }, fs.ErrInvalid},
		"pin of nothing":                 {func() error { _, err := m.Pin(ctx, &metapb.PinRequest{Session: session}); return err }, fs.ErrInvalid},
		"pin by nobody":                  {func() error { _, err := m.Pin(ctx, &metapb.PinRequest{Ino: 1}); return err }, fs.ErrInvalid},
		"alloc of none":                  {func() error { _, err := m.AllocInos(ctx, &metapb.AllocInosRequest{Session: session}); return err }, fs.ErrInvalid},
		"alloc of too many": {func() error {
			_, err := m.AllocInos(ctx, &metapb.AllocInosRequest{Session: session, N: fs.InoRangeMax + 1})
			return err
		}, fs.ErrInvalid},
		"removal of nobody":        {func() error { _, err := c.Removal(ctx, &metapb.RemovalRequest{}); return err }, fs.ErrInvalid},
		"remove a long name":       {func() error { _, err := c.RemoveNode(ctx, &metapb.RemoveNodeRequest{Node: long}); return err }, fs.ErrInvalid},
		"join of nobody":           {join(&metapb.JoinRequest{}), fs.ErrInvalid},
		"join without a port":      {join(&metapb.JoinRequest{Node: &metapb.NodeInfo{Id: "n", Addr: "host"}}), fs.ErrInvalid},
		"join under a long name":   {join(&metapb.JoinRequest{Node: &metapb.NodeInfo{Id: long, Addr: "h:1"}}), fs.ErrInvalid},
		"join under an odd name":   {join(&metapb.JoinRequest{Node: &metapb.NodeInfo{Id: "a\nb", Addr: "h:1"}}), fs.ErrInvalid},
		"join in an unknown state": {join(&metapb.JoinRequest{Node: &metapb.NodeInfo{Id: "n", Addr: "h:1", State: 9}}), fs.ErrInvalid},
		"no locks to list":         {func() error { _, err := c.Locks(ctx, &metapb.LocksRequest{}); return err }, fs.ErrInvalid},
		"no transactions":          {func() error { _, err := c.Transactions(ctx, &metapb.TransactionsRequest{}); return err }, fs.ErrInvalid},
		"no transaction":           {func() error { _, err := c.Transaction(ctx, &metapb.TxID{}); return err }, fs.ErrInvalid},
	} {
		if err := rpcerr.FromStatus(r.call()); !errors.Is(err, r.want) {
			t.Errorf("%s: %v, want %v", name, err, r.want)
		}
	}
}

func TestServer_RefusesMalformedStreams(t *testing.T) {
	n := newNetwork(t)
	n.serve("a", untouchable(t))
	conn, err := n.dial("a")
	if err != nil {
		t.Fatal(err)
	}
	for name, first := range map[string]*metapb.FromMount{
		"nothing":           {},
		"a beat":            {Kind: &metapb.FromMount_Beat{Beat: &metapb.Beat{Seq: 1}}},
		"no session":        {Kind: &metapb.FromMount_Hello{Hello: &metapb.Hello{}}},
		"a pin of nothing":  {Kind: &metapb.FromMount_Hello{Hello: &metapb.Hello{Session: &metapb.Session{Id: 1, Epoch: 1}, Pins: []uint64{0}}}},
		"too many pins":     {Kind: &metapb.FromMount_Hello{Hello: &metapb.Hello{Session: &metapb.Session{Id: 1, Epoch: 1}, Pins: make([]uint64, pinsMax+1)}}},
		"an epoch too few":  {Kind: &metapb.FromMount_Hello{Hello: &metapb.Hello{Session: &metapb.Session{Id: 1}}}},
		"a session too few": {Kind: &metapb.FromMount_Hello{Hello: &metapb.Hello{Session: &metapb.Session{Epoch: 1}}}},
	} {
		s, err := metapb.NewMetaClient(conn).Attach(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if err := s.Send(first); err != nil {
			t.Fatal(err)
		}
		_, err = s.Recv()
		if err := rpcerr.FromStatus(err); !errors.Is(err, fs.ErrInvalid) && !errors.Is(err, fs.ErrTooLarge) {
			t.Errorf("a stream that starts with %s: %v", name, err)
		}
	}
}

func TestServer_EndsAStreamAtAMalformedBeat(t *testing.T) {
	for name, beat := range map[string]*metapb.Beat{
		"unpin of nothing": {Seq: 1, Unpins: []uint64{0}},
		"pin of nothing":   {Seq: 1, Pins: []uint64{0}},
		"too many pins":    {Seq: 1, Pins: slices.Repeat([]uint64{1}, pinsMax+1)},
		"lock of nothing":  {Seq: 1, Locks: &metapb.LockClaim{Locks: []*metapb.Lock{{}}}},
		"too many locks":   {Seq: 1, Locks: &metapb.LockClaim{Locks: make([]*metapb.Lock, fs.LocksMax+1)}},
	} {
		t.Run(name, func(t *testing.T) { endsTheStream(t, beat) })
	}
}

func endsTheStream(t *testing.T, beat *metapb.Beat) {
	n := newNetwork(t)
	l := newLine()
	n.serve("a", attachable(func(fs.Session, fs.Held) (fs.Stream, error) { return l, nil }))
	conn, err := n.dial("a")
	if err != nil {
		t.Fatal(err)
	}
	s, err := open(t.Context(), conn, &metapb.Hello{Session: &metapb.Session{Id: 1, Epoch: 1}})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Send(&metapb.FromMount{Kind: &metapb.FromMount_Beat{Beat: beat}}); err != nil {
		t.Fatal(err)
	}
	_, err = s.Recv()
	if err := rpcerr.FromStatus(err); !errors.Is(err, fs.ErrInvalid) && !errors.Is(err, fs.ErrTooLarge) {
		t.Errorf("receive: %v", err)
	}
	<-l.closed
	if len(l.beats) > 0 {
		t.Error("the beat got through")
	}
}

func TestLimiter_TurnsAwayWhatWouldQueueTooLong(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := &limiter{running: make(chan struct{}, 1), waiting: make(chan struct{}, 1)}
		if err := l.acquire(t.Context()); err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		waited := make(chan error)
		go func() { waited <- l.acquire(ctx) }()
		synctest.Wait()
		if err := l.acquire(t.Context()); !errors.Is(err, fs.ErrUnavailable) {
			t.Errorf("the third request: %v, want %v", err, fs.ErrUnavailable)
		}
		<-l.running
		if err := <-waited; err != nil {
			t.Errorf("the waiting request: %v", err)
		}
		go func() { waited <- l.acquire(ctx) }()
		synctest.Wait()
		cancel()
		if err := <-waited; !errors.Is(err, context.Canceled) {
			t.Errorf("the request whose caller left: %v", err)
		}
	})
}

// What others wait for must get through, however many wait.
func TestLimiter_MakesRoomForWhatOthersWaitFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := &limiter{running: make(chan struct{}, 1), waiting: make(chan struct{}, 1), parked: make(chan struct{}, 1)}
		if err := l.acquire(t.Context()); err != nil {
			t.Fatal(err)
		}
		leaveFirst := l.enter()
		began := time.Now()
		if err := l.acquire(t.Context()); err != nil || time.Since(began) != parkAfter {
			t.Errorf("the second came in after %v: %v", time.Since(began), err)
		}
		leaveSecond := l.enter()
		time.Sleep(2 * parkAfter) // there is no more room among the parked
		if len(l.running) != 1 || len(l.parked) != 1 {
			t.Errorf("%d running, %d parked", len(l.running), len(l.parked))
		}
		leaveFirst()
		leaveSecond()
		if len(l.running)+len(l.parked) != 0 {
			t.Errorf("%d running and %d parked are left", len(l.running), len(l.parked))
		}
	})
}

func encodeTx(tx *fs.Tx) []byte { return command.Encode(&command.Tx{Tx: *tx}) }

func FuzzDecodeTx(f *testing.F) {
	f.Add(encodeTx(sampleTx()))
	f.Add(command.Encode(&command.Abort{Tx: fs.TxID{Session: 1, Seq: 1}}))
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, data []byte) {
		tx, err := decodeTx(data)
		if err != nil {
			if !errors.Is(err, fs.ErrInvalid) && !errors.Is(err, fs.ErrTooLarge) {
				t.Errorf("refused with %v", err)
			}
			return
		}
		// What was let through can be applied: it decodes again from its own encoding, as a transaction.
		if _, err := decodeTx(encodeTx(tx)); err != nil {
			t.Errorf("its own encoding is refused: %v", err)
		}
	})
}

func FuzzRequests(f *testing.F) {
	f.Add(uint64(1), []byte("name"), uint64(1), uint32(1), "id", "h:1")
	f.Fuzz(func(t *testing.T, a uint64, b []byte, c uint64, d uint32, s, addr string) {
		if checkLookup(&metapb.LookupRequest{Dir: a, Name: b}) == nil && (a == 0 || len(b) == 0 || len(b) > fs.NameMax) {
			t.Errorf("lookup of %q in %d passes", b, a)
		}
		if checkLayout(&metapb.LayoutRequest{Ino: 1, Off: a, Length: c}) == nil && a+c < a {
			t.Errorf("layout of %d+%d passes", a, c)
		}
		if checkReaddir(&metapb.ReaddirRequest{Dir: a, Limit: d}) == nil && (d == 0 || d > fs.ReaddirMax) {
			t.Errorf("readdir of %d passes", d)
		}
		join := &metapb.JoinRequest{Node: &metapb.NodeInfo{Id: s, Addr: addr, Zone: string(b), State: d}, Cluster: s}
		if checkJoin(join) == nil && (s == "" || len(s) > idMax || len(addr) > addrMax) {
			t.Errorf("join of %q at %q passes", s, addr)
		}
		for _, check := range []error{
			checkXattr(&metapb.XattrRequest{Ino: a, Name: b}),
			checkAbort(&metapb.AbortRequest{Tx: &metapb.TxID{Session: a, Seq: c}, Epoch: uint64(d)}),
			checkMount(&metapb.Mount{Host: b, Pid: int64(c)}),
			checkHello(&metapb.Hello{Session: &metapb.Session{Id: a, Epoch: c, Cluster: s}, Pins: []uint64{c}}),
		} {
			if check != nil && fs.CodeOf(check) == fs.CodeInternal {
				t.Errorf("refused without a reason of ours: %v", check)
			}
		}
	})
}
