package replica

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	"dfs/blob"
	"dfs/fs"
)

func TestGet_HedgesASlowReplica(t *testing.T) {
	simulate(t, 3, func(t *testing.T, c *cluster) {
		if _, _, err := c.stage(1); err != nil {
			t.Fatal(err)
		}
		c.disks["a"].delay = hangs
		for i := range 10 {
			took, err := c.get(1, "a", "b", "c")
			if err != nil || took > getPatienceUnknown {
				t.Errorf("get %d: %v after %v", i, err, took)
			}
		}
	})
}

func TestGet_PassesOverDamagedAndMissingReplicasAndReportsThem(t *testing.T) {
	simulate(t, 3, func(t *testing.T, c *cluster) {
		if _, _, err := c.stage(1); err != nil {
			t.Fatal(err)
		}
		id := fs.BlobID{Session: 1, Counter: 1}
		c.disks["a"].Damage(id, 5)
		if err := c.disks["b"].Delete(t.Context(), []fs.BlobID{id}); err != nil {
			t.Fatal(err)
		}
		if _, err := c.get(1, "a", "b", "c"); err != nil {
			t.Error(err)
		}
		if want := []string{"a:1-1", "b:1-1"}; !slices.Equal(c.bad, want) {
			t.Errorf("reported %v, want %v", c.bad, want)
		}
	})
}

func TestGet_NeverTrustsANodeThatDoesNotCheck(t *testing.T) {
	simulate(t, 3, func(t *testing.T, c *cluster) {
		if _, _, err := c.stage(1); err != nil {
			t.Fatal(err)
		}
		id := fs.BlobID{Session: 1, Counter: 1}
		lying := blobOf(id)
		lying.Data[7] ^= 1
		c.set.cfg.Open = func(n fs.NodeInfo) (blob.Store, error) { return &liar{c.disks[n.ID], lying}, nil }
		c.set.stores = map[fs.NodeID]opened{}
		if _, err := c.get(1, "a", "b", "c"); !errors.Is(err, fs.ErrCorrupt) {
			t.Errorf("%v, want %v", err, fs.ErrCorrupt)
		}
	})
}

// liar answers with bytes that it has not checked.
type liar struct {
	*disk
	b *blob.Blob
}

func (l *liar) Get(context.Context, *fs.BlobInfo, uint32, uint32) (*blob.Range, error) {
	return &blob.Range{Data: slices.Clone(l.b.Data), Sums: l.b.Sums}, nil
}

func TestGet_FindsABlobThatHasMoved(t *testing.T) {
	simulate(t, 5, func(t *testing.T, c *cluster) {
		if _, _, err := c.stage(1); err != nil { // on a, b, c
			t.Fatal(err)
		}
		for _, replicas := range [][]fs.NodeID{{"d", "e"}, {"gone"}, nil} {
			if _, err := c.get(1, replicas...); err != nil {
				t.Errorf("with the list %v: %v", replicas, err)
			}
		}
	})
}

func TestGet_TellsAbsenceDamageAndSilenceApart(t *testing.T) {
	absent := func(*disk) {}
	present := func(d *disk) {
		_, err := d.Store.Stage(context.Background(), blob.Tx{ID: fs.TxID{Session: 1, Seq: 1}}, blobOf(fs.BlobID{Session: 1, Counter: 1}))
		if err != nil {
			panic(err)
		}
	}
	damaged := func(d *disk) { present(d); d.Damage(fs.BlobID{Session: 1, Counter: 1}, 5) }
	dead := func(d *disk) { d.err = errLost }
	hung := func(d *disk) { d.delay = hangs }
	for name, x := range map[string]struct {
		disks []func(*disk)
		list  []fs.NodeID
		want  error
	}{
		"absent everywhere":           {[]func(*disk){absent, absent}, []fs.NodeID{"a", "b"}, fs.ErrNotExist},
		"absent, nobody listed":       {[]func(*disk){absent, absent}, nil, fs.ErrNotExist},
		"damaged everywhere":          {[]func(*disk){damaged, damaged}, []fs.NodeID{"a", "b"}, fs.ErrCorrupt},
		"damaged or absent":           {[]func(*disk){absent, damaged}, []fs.NodeID{"a", "b"}, fs.ErrCorrupt},
		"one dead":                    {[]func(*disk){absent, dead}, []fs.NodeID{"a", "b"}, fs.ErrUnavailable},
		"one hung":                    {[]func(*disk){damaged, hung}, []fs.NodeID{"a", "b"}, fs.ErrUnavailable},
		"one unknown":                 {[]func(*disk){absent}, []fs.NodeID{"a", "z"}, fs.ErrUnavailable},
		"absent on the list, one off": {[]func(*disk){absent, absent, dead}, []fs.NodeID{"a", "b"}, fs.ErrNotExist},
		"one dead, one has it":        {[]func(*disk){dead, present}, []fs.NodeID{"a", "b"}, nil},
		"one damaged, one has it":     {[]func(*disk){damaged, present}, []fs.NodeID{"a", "b"}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			simulate(t, len(x.disks), func(t *testing.T, c *cluster) {
				for i, make := range x.disks {
					make(c.disks[c.nodes[i].ID])
				}
				took, err := c.get(1, x.list...)
				if !errors.Is(err, x.want) || x.want == nil && err != nil || took > 10*time.Second {
					t.Errorf("%v after %v, want %v", err, took, x.want)
				}
			})
		})
	}
}
