package metarpc

import (
	"context"
	"errors"
	"reflect"
	"slices"
	"testing"

	"dfs/cluster/rpcerr"
	"dfs/fs"
	"dfs/raftmeta/metapb"
)

// leased are the calls whose answers bear leases.
var leased = []string{"commit", "lookup", "getattr", "readdir", "layout", "getxattr", "listxattr", "pin"}

func sampleCall() *fs.LeaseCall {
	return &fs.LeaseCall{Session: 3, Epoch: 4, Want: fs.LeaseExclusive, Stray: true}
}

func TestLeases_TravelWithTheCallAndItsAnswer(t *testing.T) {
	n := newNetwork(t)
	got := []fs.Lease{{Ino: 5, Mode: fs.LeaseExclusive, Seq: 6}, {Ino: 7}}
	answers := map[string]any{}
	for _, x := range exactCalls() {
		answers[x.method] = x.answer
	}
	n.serve("a", leader(func(ctx context.Context, method string, _ ...any) (any, error) {
		c := fs.LeasesOf(ctx)
		if !reflect.DeepEqual(c, sampleCall()) {
			t.Errorf("%s is called with the wish %+v", method, c)
			return nil, fs.ErrInternal
		}
		c.Term, c.Got = 9, got
		return answers[method], nil
	}))
	client := n.client("a")
	for _, x := range exactCalls() {
		if !slices.Contains(leased, x.method) || x.method == "getattr" {
			continue
		}
		c := sampleCall()
		if _, err := x.call(fs.WithLeases(t.Context(), c), client); err != nil || c.Term != 9 || !reflect.DeepEqual(c.Got, got) {
			t.Errorf("%s: %v, with %+v", x.method, err, c)
		}
	}
}

func TestLeases_OfAnAttemptThatFailedAreNotTaken(t *testing.T) {
	n := newNetwork(t)
	calls := 0
	n.serve("a", leader(func(ctx context.Context, _ string, _ ...any) (any, error) {
		c := fs.LeasesOf(ctx)
		if calls++; calls == 1 {
			c.Term, c.Got = 1, []fs.Lease{{Ino: 5, Mode: fs.LeaseShared, Seq: 1}}
			return nil, fs.ErrUnavailable
		}
		c.Term, c.Got = 2, []fs.Lease{{Ino: 6, Mode: fs.LeaseShared, Seq: 2}}
		return fill[fs.Attr](), nil
	}))
	c := sampleCall()
	if _, err := n.client("a").Lookup(fs.WithLeases(t.Context(), c), 1, "x"); err != nil {
		t.Fatal(err)
	}
	if calls != 2 || c.Term != 2 || len(c.Got) != 1 || c.Got[0].Ino != 6 {
		t.Errorf("after %d attempts: %+v", calls, c)
	}
}

func TestServer_RefusesMalformedWishes(t *testing.T) {
	n := newNetwork(t)
	n.serve("a", untouchable(t))
	conn, err := n.dial("a")
	if err != nil {
		t.Fatal(err)
	}
	for name, w := range map[string]*metapb.Wish{
		"an unknown mode":  {Session: 1, Epoch: 1, Want: 3},
		"no epoch":         {Session: 1},
		"no session":       {Want: 1},
		"an epoch of none": {Epoch: 1},
		"a page to change": {Session: 1, Epoch: 1, Want: 2, Page: true},
	} {
		_, err := metapb.NewMetaClient(conn).Lookup(t.Context(), &metapb.LookupRequest{Dir: 1, Name: []byte("x"), Wish: w})
		if err := rpcerr.FromStatus(err); !errors.Is(err, fs.ErrInvalid) {
			t.Errorf("%s: %v, want %v", name, err, fs.ErrInvalid)
		}
	}
}

func TestHello_BoundsAllThatItTells(t *testing.T) {
	hello := func(pins, leases int) *metapb.Hello {
		h := &metapb.Hello{Session: &metapb.Session{Id: 1, Epoch: 1}, Leases: &metapb.Leases{}}
		h.Pins = slices.Repeat([]uint64{1 << 55}, pins)
		h.Leases.Inos = slices.Repeat([]uint64{1 << 55}, leases)
		h.Leases.Modes = make([]byte, leases)
		return h
	}
	if err := checkHello(hello(pinsMax-2*fs.LeasesMax, fs.LeasesMax)); err != nil {
		t.Error(err)
	}
	for name, h := range map[string]*metapb.Hello{
		"too many leases":   hello(0, fs.LeasesMax+1),
		"too much together": hello(pinsMax-1, 1),
	} {
		if err := checkHello(h); !errors.Is(err, fs.ErrTooLarge) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func FuzzLeases(f *testing.F) {
	f.Add([]byte{1, 2}, []byte{0, 2}, uint64(3), 2)
	f.Add([]byte{1}, []byte{3}, uint64(3), 1)
	f.Fuzz(func(t *testing.T, inos, modes []byte, seq uint64, seqs int) {
		l := &metapb.Leases{Modes: modes}
		for _, ino := range inos {
			l.Inos = append(l.Inos, uint64(ino))
		}
		for range min(max(seqs, 0), 100) {
			l.Seqs = append(l.Seqs, seq)
		}
		want := len(inos)
		if checkLeases(l, 50) != nil {
			want = 0
			if len(inos) > 50 {
				return // a reader of answers has no such bound
			}
		}
		if n := len(fromLeases(l)) + len(fromAcks(l)) + len(fromRecalls(l)); n != 3*want {
			t.Errorf("%d leases read of %v", n, l)
		}
	})
}
