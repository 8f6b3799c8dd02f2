package cluster

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"dfs/fs"
)

func ringConfig(t *testing.T, id string, join ...string) RingConfig {
	return RingConfig{
		Node: fs.NodeID(id), Listen: "127.0.0.1:0", Join: join, Addr: "127.0.0.1:" + fmt.Sprint(10000+len(id)),
		Zone: "z-" + id, Version: "v1", Log: testLog(t).With("ring", id),
	}
}

func openRing(t *testing.T, cfg RingConfig) *Ring {
	t.Helper()
	r, err := OpenRing(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { // a test that ends needs no goodbyes
		r.once.Do(func() { r.closed = r.close(false) })
	})
	return r
}

// crash stops a ring as a killed process would.
func crash(t *testing.T, r *Ring) {
	t.Helper()
	r.once.Do(func() { r.closed = r.close(false) })
	if r.closed != nil {
		t.Fatal(r.closed)
	}
}

func member(r *Ring, id string) Member {
	for _, m := range r.Details() {
		if m.ID == fs.NodeID(id) {
			return m
		}
	}
	return Member{}
}

func seesAlive(r *Ring, ids ...string) bool {
	var alive []string
	for _, m := range r.Members() {
		if m.State == fs.NodeAlive {
			alive = append(alive, string(m.ID))
		}
	}
	return slices.Equal(alive, ids)
}

func freePort(t *testing.T) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	return ln.Addr().String()
}

func TestRing_FindsMembersThatStartLater(t *testing.T) {
	late := freePort(t)
	a := openRing(t, ringConfig(t, "a", late)) // nobody is there yet
	cfg := ringConfig(t, "b")
	cfg.Listen = late
	cfg.Load = func() fs.Load {
		return fs.Load{DiskTotalBytes: 1 << 40, DiskFreeBytes: 1 << 39, CPU: 0.25, Memory: 0.5, InFlight: 3, ReadOnly: true}
	}
	cfg.Applied = func() uint64 { return 77 }
	b := openRing(t, cfg)
	eventually(t, 10*time.Second, "both see both", func() bool { return seesAlive(a, "a", "b") && seesAlive(b, "a", "b") })
	got := member(a, "b")
	want := Member{
		NodeInfo: fs.NodeInfo{ID: "b", Addr: cfg.Addr, Zone: "z-b", State: fs.NodeAlive, Load: cfg.Load()},
		Gossip:   late, Version: "v1", Applied: 77, Since: got.Since,
	}
	if got != want {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
}

func TestRing_SpreadsNewLoads(t *testing.T) {
	var busy atomic.Uint32
	a := openRing(t, ringConfig(t, "a"))
	cfg := ringConfig(t, "b", a.Gossip())
	cfg.Load = func() fs.Load { return fs.Load{InFlight: busy.Load()} }
	openRing(t, cfg)
	eventually(t, 5*time.Second, "b is seen", func() bool { return seesAlive(a, "a", "b") })
	busy.Store(9)
	eventually(t, 4*time.Second, "b's load is seen", func() bool { return member(a, "b").Load.InFlight == 9 })
}

func TestRing_TakesACrashedNodeForDeadAndTakesItBack(t *testing.T) {
	a := openRing(t, ringConfig(t, "a"))
	b := openRing(t, ringConfig(t, "b", a.Gossip()))
	c := openRing(t, ringConfig(t, "c", a.Gossip()))
	eventually(t, 10*time.Second, "all see all", func() bool {
		return seesAlive(a, "a", "b", "c") && seesAlive(b, "a", "b", "c") && seesAlive(c, "a", "b", "c")
	})
	changed := a.Changed()
	start := time.Now()
	crash(t, c)
	eventually(t, 10*time.Second, "a and b take c for dead", func() bool {
		return member(a, "c").State == fs.NodeDead && member(b, "c").State == fs.NodeDead
	})
	t.Logf("c was taken for dead after %v", time.Since(start))
	if took := time.Since(start); took > 7*time.Second {
		t.Errorf("it took %v", took)
	}
	select {
	case <-changed:
	default:
		t.Error("Changed did not say so")
	}
	openRing(t, ringConfig(t, "c", b.Gossip())) // at another port
	eventually(t, 10*time.Second, "c is alive again", func() bool {
		return member(a, "c").State == fs.NodeAlive && member(b, "c").State == fs.NodeAlive
	})
}

func TestRing_SaysGoodbyeOnClose(t *testing.T) {
	a := openRing(t, ringConfig(t, "a"))
	b := openRing(t, ringConfig(t, "b", a.Gossip()))
	eventually(t, 10*time.Second, "a sees b", func() bool { return seesAlive(a, "a", "b") && seesAlive(b, "a", "b") })
	start := time.Now()
	if err := b.Close(); err != nil {
		t.Fatal(err)
	}
	if took := time.Since(start); took > 3*time.Second {
		t.Errorf("Close took %v", took)
	}
	eventually(t, 3*time.Second, "a knows that b has left", func() bool { return member(a, "b").State == fs.NodeLeft })
}

func TestRing_BreaksConnectionsToTheDead(t *testing.T) {
	tr := listen(t, Config{}) // of b: its process hangs, its kernel does not
	d := dialer(t, DialerConfig{})
	cfg := ringConfig(t, "a")
	cfg.Dialer = d
	a := openRing(t, cfg)
	cfg = ringConfig(t, "b", a.Gossip())
	cfg.Addr = tr.Addr()
	b := openRing(t, cfg)
	eventually(t, 10*time.Second, "a sees b", func() bool { return seesAlive(a, "a", "b") })
	conn, err := d.dial(t.Context(), ProtocolRaft, tr.Addr())
	if err != nil {
		t.Fatal(err)
	}
	crash(t, b)
	if err := conn.SetReadDeadline(time.Now().Add(15 * time.Second)); err != nil {
		t.Fatal(err)
	}
	if _, err := conn.Read(make([]byte, 1)); !errors.Is(err, net.ErrClosed) {
		t.Errorf("the connection ended with %v", err)
	}
}

func TestJoinTargets_AreWhereNoLivingMemberIsKnown(t *testing.T) {
	// The dead are among them: memberlist forgets them after half a minute, and a longer partition must heal.
	r := &Ring{cfg: RingConfig{Node: "a", Join: []string{"127.0.0.1:1", "127.0.0.1:2", "localhost:5", "no-such-host.invalid:6"}}, gossip: "127.0.0.1:1", table: newTable()}
	now := time.Now()
	r.table.alive("a", "127.0.0.1:1", report{}, now)
	r.table.alive("b", "127.0.0.1:2", report{}, now)
	r.table.alive("c", "127.0.0.1:3", report{}, now)
	r.table.gone("c", now)
	r.table.alive("d", "127.0.0.1:4", report{leaving: true}, now)
	r.table.gone("d", now)
	got := r.joinTargets(t.Context())
	got = slices.DeleteFunc(got, func(s string) bool { return s == "[::1]:5" })
	slices.Sort(got)
	if want := []string{"127.0.0.1:3", "127.0.0.1:5"}; !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	for i := range 3 * joinTargets {
		id := fs.NodeID(fmt.Sprint("x", i))
		r.table.alive(id, fmt.Sprint("127.0.0.1:", 100+i), report{}, now)
		r.table.gone(id, now)
	}
	if n := len(r.joinTargets(t.Context())); n != joinTargets {
		t.Errorf("%d targets in a round", n)
	}
}

func TestRing_TurnsAwayNodesOfAnotherCluster(t *testing.T) {
	log := &logBuffer{}
	cfg := ringConfig(t, "a")
	cfg.Cluster, cfg.Log = "one", log.logger()
	a := openRing(t, cfg)
	cfg = ringConfig(t, "b", a.Gossip())
	cfg.Cluster = "two"
	b := openRing(t, cfg)
	rejected := func(r *Ring, id string) bool {
		for _, rej := range r.Rejected() {
			if rej.Node == fs.NodeID(id) && errors.Is(rej.Reason, fs.ErrWrongCluster) {
				return true
			}
		}
		return false
	}
	eventually(t, 10*time.Second, "both have turned the other away", func() bool { return rejected(a, "b") && rejected(b, "a") })
	if !seesAlive(a, "a") || !seesAlive(b, "b") {
		t.Errorf("a sees %v, b sees %v", a.Members(), b.Members())
	}
	if !log.contains("belongs to cluster two, not to one") {
		t.Error("the log does not say so")
	}
	if r := a.Rejected()[0]; r.Cluster != "two" || r.Gossip != b.Gossip() {
		t.Errorf("got %+v", r)
	}
}

func TestRing_ANodeWithoutAClusterStaysWithTheFirstThatItMeets(t *testing.T) {
	cfg := ringConfig(t, "a")
	cfg.Cluster = "one"
	a := openRing(t, cfg)
	cfg = ringConfig(t, "b")
	cfg.Cluster = "two"
	b := openRing(t, cfg)
	blank := openRing(t, ringConfig(t, "c", a.Gossip()))
	eventually(t, 10*time.Second, "c has met a", func() bool { return seesAlive(a, "a", "c") && seesAlive(blank, "a", "c") })
	if _, err := blank.list.Join([]string{b.Gossip()}); err == nil {
		t.Error("c could join the second cluster as well")
	}
	if seesAlive(b, "b", "c") || !seesAlive(blank, "a", "c") {
		t.Errorf("b sees %v, c sees %v", b.Members(), blank.Members())
	}
	if blank.SeenCluster() != "one" || blank.Cluster() != "" {
		t.Errorf("c has seen %q and belongs to %q", blank.SeenCluster(), blank.Cluster())
	}
}

func TestRing_SetClusterIsForGoodAndTravels(t *testing.T) {
	a := openRing(t, ringConfig(t, "a"))
	b := openRing(t, ringConfig(t, "b", a.Gossip()))
	eventually(t, 10*time.Second, "they meet", func() bool { return seesAlive(b, "a", "b") })
	if err := a.SetCluster("one"); err != nil {
		t.Fatal(err)
	}
	eventually(t, 3*time.Second, "b has seen it", func() bool { return b.SeenCluster() == "one" && member(b, "a").Cluster == "one" })
	if err := a.SetCluster("one"); err != nil {
		t.Errorf("again: %v", err)
	}
	if err := a.SetCluster("two"); !errors.Is(err, fs.ErrWrongCluster) {
		t.Errorf("another: %v", err)
	}
}

func TestRing_ReportsTwoMachinesWithOneID(t *testing.T) {
	a := openRing(t, ringConfig(t, "a"))
	openRing(t, ringConfig(t, "b", a.Gossip()))
	eventually(t, 10*time.Second, "a sees b", func() bool { return seesAlive(a, "a", "b") })
	openRing(t, ringConfig(t, "b", a.Gossip()))
	eventually(t, 10*time.Second, "a reports the copy", func() bool {
		return slices.ContainsFunc(a.Rejected(), func(r Rejection) bool { return r.Node == "b" && errors.Is(r.Reason, fs.ErrExist) })
	})
}

func TestRing_KeepsStrangersWithoutTheKeyOut(t *testing.T) {
	log := &logBuffer{}
	cfg := ringConfig(t, "a")
	cfg.SecretKey = []byte("0123456789abcdef")
	cfg.Log = log.logger()
	a := openRing(t, cfg)
	cfg = ringConfig(t, "b", a.Gossip())
	cfg.SecretKey = []byte("0123456789abcdef")
	b := openRing(t, cfg)
	stranger := openRing(t, ringConfig(t, "c"))
	if _, err := stranger.list.Join([]string{a.Gossip()}); err == nil {
		t.Error("joined without the key")
	}
	cfg = ringConfig(t, "d")
	cfg.SecretKey = []byte("fedcba9876543210")
	if _, err := openRing(t, cfg).list.Join([]string{a.Gossip()}); err == nil {
		t.Error("joined with another key")
	}
	const reason = "gossip.key must be the same on all nodes"
	eventually(t, 5*time.Second, reason, func() bool { return log.contains(reason) })
	eventually(t, 10*time.Second, "those with the key meet", func() bool { return seesAlive(a, "a", "b") && seesAlive(b, "a", "b") })
}

func TestOpenRing_NamesTheFlagWhenItCannotListen(t *testing.T) {
	a := openRing(t, ringConfig(t, "a"))
	for name, c := range map[string]struct {
		change func(*RingConfig)
		want   error
		text   string
	}{
		"port in use":    {func(c *RingConfig) { c.Listen = a.Gossip() }, fs.ErrBusy, "--gossip"},
		"not loopback":   {func(c *RingConfig) { c.Listen = ":0" }, fs.ErrPermission, "--insecure"},
		"wildcard":       {func(c *RingConfig) { c.Listen, c.Insecure = ":0", true }, fs.ErrInvalid, "--advertise"},
		"no port":        {func(c *RingConfig) { c.Listen = "127.0.0.1" }, fs.ErrInvalid, "HOST:PORT"},
		"no id":          {func(c *RingConfig) { c.Node = "" }, fs.ErrInvalid, "no id"},
		"long zone":      {func(c *RingConfig) { c.Zone = strings.Repeat("z", zoneMax+1) }, fs.ErrInvalid, "zone"},
		"bad key":        {func(c *RingConfig) { c.SecretKey = []byte("short") }, fs.ErrInvalid, "key"},
		"bad address":    {func(c *RingConfig) { c.Addr = "nowhere" }, fs.ErrInvalid, "HOST:PORT"},
		"bad expect":     {func(c *RingConfig) { c.Expect = ExpectMax + 1 }, fs.ErrInvalid, "bootstrap-expect"},
		"unknown host":   {func(c *RingConfig) { c.Listen = "no-such-host.invalid:1" }, fs.ErrInvalid, "no-such-host.invalid"},
		"not an address": {func(c *RingConfig) { c.Listen = "127.0.0.1:http:x" }, fs.ErrInvalid, "HOST:PORT"},
	} {
		t.Run(name, func(t *testing.T) {
			cfg := ringConfig(t, "x")
			c.change(&cfg)
			r, err := OpenRing(t.Context(), cfg)
			if err == nil {
				crash(t, r)
				t.Fatal("opened")
			}
			if !errors.Is(err, c.want) || !strings.Contains(err.Error(), c.text) {
				t.Errorf("got %v", err)
			}
		})
	}
}

func TestRing_RefusesToTalkPlainBeyondLoopback(t *testing.T) {
	a := openRing(t, ringConfig(t, "a"))
	if _, err := a.list.Join([]string{"192.0.2.77:7401"}); !strings.Contains(fmt.Sprint(err), "--insecure") {
		t.Errorf("join: %v", err)
	}
	g := &gossipNet{exposure: exposure{}, ctx: context.Background()}
	if _, err := g.WriteTo([]byte("x"), "192.0.2.77:7401"); !errors.Is(err, fs.ErrPermission) {
		t.Errorf("packet: %v", err)
	}
}
