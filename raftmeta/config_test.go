package raftmeta

import (
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/raft"
)

func TestConfig_IsChecked(t *testing.T) {
	_, trans := raft.NewInmemTransport("n1:1")
	good := Config{ID: "n1", Dir: "d", Addr: "n1:1", Transport: trans}
	if err := good.Validate(); err != nil {
		t.Fatal(err)
	}
	for want, spoil := range map[string]func(*Config){
		"ID":          func(c *Config) { c.ID = "" },
		"Dir":         func(c *Config) { c.Dir = "" },
		"Addr":        func(c *Config) { c.Addr = "" },
		"transport's": func(c *Config) { c.Addr = "n2:1" },
		"Transport":   func(c *Config) { c.Transport = nil },
		"Voters":      func(c *Config) { c.Voters = 4 },
		"ReadLease":   func(c *Config) { c.Timings.ReadLease = 700 * time.Millisecond },
		"LeaderLease": func(c *Config) { c.Timings.LeaderLease = time.Second },
		"Election":    func(c *Config) { c.Timings.Election = time.Millisecond },
		"Heartbeat":   func(c *Config) { c.Timings.Heartbeat = time.Millisecond },
		"negative":    func(c *Config) { c.Timings.Reap = -1 },
	} {
		c := good
		spoil(&c)
		if err := c.Validate(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", want, err)
		}
	}
}

func TestSnapshotDue_WeighsLogAgainstDump(t *testing.T) {
	c := &Config{}
	c.setDefaults()
	for _, x := range []struct {
		entries     uint64
		bytes, size int64
		due         bool
	}{
		{100, 1 << 20, 0, false},
		{c.SnapshotEntries, 1 << 20, 0, true},
		{100, c.SnapshotBytes, 0, true},
		{c.SnapshotEntries, 1 << 20, 1 << 30, false}, // a dump of 1 GiB for 1 MiB of log
		{100, 600 << 20, 1 << 30, true},
		{16 * c.SnapshotEntries, 1 << 20, 1 << 40, true},
	} {
		if got := c.snapshotDue(x.entries, x.bytes, x.size); got != x.due {
			t.Errorf("%+v: %v", x, got)
		}
	}
}

func TestSnapshots_AreTakenByThemselvesAndBoundTheLog(t *testing.T) {
	c := newCluster(t, 1, func(cfg *Config) {
		cfg.SnapshotInterval, cfg.SnapshotBytes, cfg.TrailingBytes = 20*time.Millisecond, 400<<10, 64<<10
	})
	s := c.session()
	n := c.leader()
	file := s.create("a")
	c.must(n, s.tx(file))
	for range 60 {
		c.must(n, s.tx(setBigXattr(file.Ino)))
	}
	c.eventually("the log is cut", func() bool {
		first, err := n.store.FirstIndex()
		last, err2 := n.store.LastIndex()
		return err == nil && err2 == nil && first > 20 && last-first < 40
	})
	list, err := n.snaps.List()
	if err != nil || len(list) == 0 || len(list) > 2 {
		t.Errorf("%d snapshots, %v", len(list), err)
	}
}
