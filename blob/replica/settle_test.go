package replica

import (
	"log/slog"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"dfs/blob"
	"dfs/blob/badgerstore"
	"dfs/fs"
)

func TestKeeper_SettlesAStreamOfDecisionsInFewSyncs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, "a", "b", "c")
		defer w.close()
		m, n := w.newWriter(), w.nodes["a"]
		var syncs atomic.Int64
		disk, err := badgerstore.Open(t.Context(), badgerstore.Config{Dir: t.TempDir(), NodeID: "a", ReserveBytes: 64 << 20,
			ValueLogFileBytes: 8 << 20, Logger: slog.New(slog.DiscardHandler), Faults: func(step string) error {
				if step == "batch.synced" {
					syncs.Add(1)
				}
				return nil
			}})
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = disk.Close() }()
		cfg := n.keeper.cfg
		cfg.Store = disk
		k, err := StartKeeper(cfg)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = k.Close() }()
		time.Sleep(time.Second) // past the sweep at the start
		const decisions, apart, syncsMax = 100, 10 * time.Millisecond, 6
		var writes []*write
		for range decisions {
			p := m.prepare(uint64(m.blobs), w.ids)
			if _, err := disk.Stage(t.Context(), blob.Tx{ID: p.tx, Epoch: m.session.Epoch}, blobOf(p.id)); err != nil {
				t.Fatal(err)
			}
			p.decide()
			writes = append(writes, p)
		}
		n.apply(w.end())
		syncs.Store(0)
		for _, p := range writes {
			k.Decided(blob.Tx{ID: p.tx, Epoch: m.session.Epoch}, []fs.BlobID{p.id})
			time.Sleep(apart)
		}
		time.Sleep(settleDelay)
		synctest.Wait()
		if u, err := disk.Usage(t.Context()); err != nil || u.Staged > 0 || u.Blobs != decisions {
			t.Errorf("%+v, %v; want %d blobs, all live", u, err, decisions)
		}
		if n := syncs.Load(); n > syncsMax {
			t.Errorf("%d decisions within %v took %d syncs, want at most %d", decisions, decisions*apart, n, syncsMax)
		}
	})
}
