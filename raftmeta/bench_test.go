package raftmeta

import (
	"fmt"
	"sync/atomic"
	"testing"

	"github.com/hashicorp/raft"

	"dfs/fs"
)

// benchNode is one node that leads itself, on a real disk.
func benchNode(b *testing.B, noLease bool) (*Node, *testSession) {
	b.Helper()
	_, trans := raft.NewInmemTransport("n1:1")
	n, err := Open(Config{ID: "n1", Dir: b.TempDir(), Addr: "n1:1", Transport: trans, NoLease: noLease})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		if err := n.Close(); err != nil {
			b.Error(err)
		}
	})
	if err := n.Bootstrap([]fs.NodeInfo{{ID: "n1", Addr: "n1:1"}}, testInit()); err != nil {
		b.Fatal(err)
	}
	s, err := n.OpenSession(b.Context(), fs.Mount{})
	for err != nil {
		s, err = n.OpenSession(b.Context(), fs.Mount{})
	}
	r, err := n.AllocInos(b.Context(), s, fs.InoRangeMax)
	if err != nil {
		b.Fatal(err)
	}
	return n, &testSession{Session: s, next: r.From}
}

func BenchmarkCommit(b *testing.B) {
	for _, clients := range []int{1, 64} {
		b.Run(fmt.Sprint("clients=", clients), func(b *testing.B) {
			n, s := benchNode(b, false)
			var seq atomic.Uint64
			b.SetParallelism(clients)
			b.ResetTimer()
			b.RunParallel(func(p *testing.PB) {
				for p.Next() {
					i := seq.Add(1)
					tx := &fs.Tx{ID: fs.TxID{Session: s.ID, Seq: i}, Epoch: s.Epoch, Done: 1, Replicas: 1,
						Ops: []fs.Op{&fs.Create{Parent: fs.RootIno, Name: fmt.Sprint(i), Ino: s.next + fs.Ino(i), Type: fs.TypeRegular}}}
					if r, err := n.Commit(b.Context(), tx); err != nil || r.Err != fs.CodeOK {
						b.Errorf("%+v %v", r, err)
					}
				}
			})
		})
	}
}

func BenchmarkLookup(b *testing.B) {
	n, s := benchNode(b, false)
	if _, err := n.Commit(b.Context(), s.tx(s.create("a"))); err != nil {
		b.Fatal(err)
	}
	b.ResetTimer()
	b.RunParallel(func(p *testing.PB) {
		for p.Next() {
			if _, err := n.Lookup(b.Context(), fs.RootIno, "a"); err != nil {
				b.Error(err)
			}
		}
	})
}
