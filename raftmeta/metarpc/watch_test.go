package metarpc

import (
	"context"
	"errors"
	"math/rand/v2"
	"reflect"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"dfs/fs"
)

func at(index uint64) fs.Position { return fs.Position{Index: index, N: 1} }

// say is a message that tells of every index behind from, up to upto.
func say(from, upto uint64) *fs.Changes {
	c := &fs.Changes{From: at(from), Upto: at(upto)}
	for i := from + 1; i <= upto; i++ {
		c.List = append(c.List, fs.Change{Position: at(i)})
	}
	return c
}

// However two nodes cut the same log into messages, and whatever each of them loses, everything that one of them tells is told once
// and in order, and a gap is owned up to exactly where both have one.
func TestMerge_TellsEverythingOnceAndOwnsUpToGaps(t *testing.T) {
	gaps := 0
	for seed := range uint64(2000) {
		r := rand.New(rand.NewPCG(seed, 1))
		const end = 60
		var lines [2][]*fs.Changes
		for i := range lines {
			for from := uint64(0); from < end; {
				if r.IntN(8) == 0 {
					from += r.Uint64N(6) // lost
				}
				upto := min(from+r.Uint64N(5), end)
				if from < end {
					lines[i] = append(lines[i], say(from, upto))
				}
				from = max(upto, from)
			}
		}
		covered := map[uint64]bool{}
		for _, line := range lines {
			for _, c := range line {
				for _, x := range c.List {
					covered[x.Index] = true
				}
			}
		}
		m, heads, last := merge{last: at(0)}, [2]*fs.Changes{}, uint64(0)
		for len(lines[0])+len(lines[1]) > 0 || heads != [2]*fs.Changes{} {
			var ahead []**fs.Changes
			for i := range heads {
				if heads[i] == nil && len(lines[i]) > 0 {
					heads[i], lines[i] = lines[i][0], lines[i][1:]
				}
				if heads[i] != nil {
					ahead = append(ahead, &heads[i])
				}
			}
			c, ok := m.next(ahead, true)
			if !ok {
				t.Fatalf("seed %d: stuck at %d with %v", seed, last, heads)
			}
			if c.Missing {
				gaps++
			}
			for _, x := range c.List {
				if x.Index <= last {
					t.Fatalf("seed %d: %d behind %d", seed, x.Index, last)
				}
				for i := last + 1; i < x.Index; i++ {
					if covered[i] || !c.Missing {
						t.Fatalf("seed %d: %d is not told (known: %v, missing: %v)", seed, i, covered[i], c.Missing)
					}
				}
				last = x.Index
			}
			last = max(last, c.Upto.Index)
		}
		for ; last < end; last++ {
			if covered[last+1] {
				t.Fatalf("seed %d: told up to %d of %d", seed, last, end)
			}
		}
	}
	if gaps == 0 {
		t.Error("there was no gap")
	}
}

// Where another line may still bring what is between, nothing beyond it is told.
func TestMerge_WaitsForWhoMayKnow(t *testing.T) {
	m := merge{last: at(3)}
	beyond, nothing := say(5, 6), (*fs.Changes)(nil)
	if c, ok := m.next([]**fs.Changes{&beyond, &nothing}, true); ok {
		t.Error(c)
	}
	if c, ok := m.next([]**fs.Changes{&beyond}, false); ok {
		t.Error(c)
	}
	nothing = say(2, 5)
	if c, ok := m.next([]**fs.Changes{&beyond, &nothing}, true); !ok || len(c.List) != 2 || c.Missing {
		t.Error(c, ok)
	}
	if c, ok := m.next([]**fs.Changes{&beyond}, false); !ok || len(c.List) != 1 || c.Missing {
		t.Error(c, ok)
	}
}

// fakeLog is a log that nodes tell of; a node remembers what is behind memory.
type fakeLog struct {
	mu      sync.Mutex
	end     uint64
	changed chan struct{}
}

func (l *fakeLog) now() (uint64, chan struct{}) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.end, l.changed
}

func (l *fakeLog) grow() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.end++
	close(l.changed)
	l.changed = make(chan struct{})
}

// fakeWatcher is a node of a fakeLog; it remembers nothing that was before a watch unless it is asked to.
type fakeWatcher struct {
	log       *fakeLog
	remembers bool
	asked     []fs.WatchRequest
}

func (f *fakeWatcher) Watch(_ context.Context, r fs.WatchRequest) (fs.ChangeStream, error) {
	if r.Path == "/none" {
		return nil, fs.ErrNotExist
	}
	f.asked = append(f.asked, r)
	end, _ := f.log.now()
	if f.remembers && r.After.Index != 0 {
		end = r.After.Index
	}
	return &fakeChanges{f: f, at: end}, nil
}

type fakeChanges struct {
	f    *fakeWatcher
	at   uint64
	told bool
}

func (s *fakeChanges) Recv(ctx context.Context) (fs.Changes, error) {
	for {
		end, changed := s.f.log.now()
		if end > s.at || !s.told {
			c := say(s.at, end)
			c.Watched, s.at, s.told = 17, end, true
			return *c, nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return fs.Changes{}, ctx.Err()
		}
	}
}

func (s *fakeChanges) Close() error { return nil }

// watched is a client that watches nodes of one log, a and b, at a.
func watched(t *testing.T, remembers bool, addrs ...string) (n *network, log *fakeLog, nodes map[string]*fakeWatcher, stream fs.ChangeStream) {
	n, log, nodes = newNetwork(t), &fakeLog{end: 10, changed: make(chan struct{})}, map[string]*fakeWatcher{}
	for _, addr := range addrs {
		nodes[addr] = &fakeWatcher{log: log, remembers: remembers}
		m := leader(func(context.Context, string, ...any) (any, error) { return nil, fs.ErrNotSupported })
		n.serveServices(addr, Services{Meta: m, Admin: m, Watcher: nodes[addr]})
	}
	stream, err := n.client(addrs...).Watch(t.Context(), fs.WatchRequest{Path: "/d"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := stream.Close(); err != nil {
			t.Error(err)
		}
	})
	return n, log, nodes, stream
}

// until takes what comes until an index has been told, and wants every one behind from, once.
func until(t *testing.T, s fs.ChangeStream, from, index uint64) (missing bool) {
	t.Helper()
	for from < index {
		c, err := s.Recv(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if c.Missing {
			missing, from = true, c.From.Index
		}
		for _, x := range c.List {
			if x.Index != from+1 {
				t.Fatalf("told of %d behind %d", x.Index, from)
			}
			from = x.Index
		}
	}
	return missing
}

func TestWatch_LosesNothingWhenANodeDies(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n, log, nodes, s := watched(t, false, "a", "b", "c")
		log.grow()
		if until(t, s, 10, 11) {
			t.Error("something is missing")
		}
		go func() { // Recv is where the second node is taken in
			time.Sleep(time.Second)
			log.grow()
		}()
		until(t, s, 11, 12)
		n.stop("a")
		log.grow()
		log.grow()
		if until(t, s, 12, 14) {
			t.Error("something is missing, though b was listened to")
		}
		time.Sleep(time.Second)
		n.stop("b")
		go func() {
			time.Sleep(time.Second)
			log.grow()
		}()
		if until(t, s, 14, 15) {
			t.Error("something is missing, though c was listened to")
		}
		// Once more, if b's end is noticed before what c has answered is looked at.
		if r := nodes["c"].asked; len(r) == 0 || r[0].Ino != 17 || r[0].After.Index < 12 {
			t.Errorf("c was asked for %+v", r)
		}
	})
}

func TestWatch_SaysWhatIsLostWhenItsOnlyNodeIsAway(t *testing.T) {
	for _, remembers := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			n, log, nodes, s := watched(t, remembers, "a")
			log.grow()
			until(t, s, 10, 11)
			n.stop("a")
			go func() {
				time.Sleep(5 * time.Second)
				log.grow()
				m := leader(nil)
				n.serveServices("a", Services{Meta: m, Admin: m, Watcher: nodes["a"]})
				time.Sleep(5 * time.Second)
				log.grow()
			}()
			if missing := until(t, s, 11, 13); missing == remembers {
				t.Errorf("the node remembers: %v, something is missing: %v", remembers, missing)
			}
		})
	}
}

func TestWatch_EndsWhenNoNodeAnswers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n, _, _, s := watched(t, false, "a")
		n.stop("a")
		began := time.Now()
		for {
			if _, err := s.Recv(t.Context()); err != nil {
				if !errors.Is(err, fs.ErrUnavailable) || time.Since(began) > time.Minute {
					t.Error(err, time.Since(began))
				}
				return
			}
		}
	})
}

func TestWatch_OfWhatIsNotThereIsRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork(t)
		m := leader(nil)
		n.serveServices("a", Services{Meta: m, Admin: m, Watcher: &fakeWatcher{log: &fakeLog{changed: make(chan struct{})}}})
		c := n.client("a")
		if _, err := c.Watch(t.Context(), fs.WatchRequest{Path: "/none"}); !errors.Is(err, fs.ErrNotExist) {
			t.Error(err)
		}
		if _, err := c.Watch(t.Context(), fs.WatchRequest{Path: "/a\x00"}); !errors.Is(err, fs.ErrInvalid) {
			t.Error(err)
		}
	})
}

func TestChanges_CrossTheWireWhole(t *testing.T) {
	c, r := fill[fs.Changes](), fill[fs.WatchRequest]()
	c.List[0].Path, r.Path = "/\xff", "/\xfe"
	if got := fromChanges(toChanges(c)); !reflect.DeepEqual(got, c) {
		t.Errorf("%+v, want %+v", got, c)
	}
	if got := fromWatchRequest(toWatchRequest(r)); got != r {
		t.Errorf("%+v, want %+v", got, r)
	}
}
