package state_test

import (
	"fmt"
	"testing"

	"dfs/fs"
	"dfs/raftmeta/command"
	"dfs/raftmeta/state"
)

// A full transaction of creates in one directory: what unpacking an archive sends.
func BenchmarkApply_Creates(b *testing.B) {
	kv := state.NewMemory()
	index := uint64(0)
	do := func(cmd command.Command) state.Answer {
		index++
		a, err := state.Apply(kv, index, cmd)
		if err != nil || a.Err != fs.CodeOK || a.Tx != nil && a.Tx.Err != fs.CodeOK {
			b.Fatalf("%+v, %v", a, err)
		}
		return a
	}
	do(&command.Init{Cluster: "c", Replicas: 3, MinReplicas: 2, InlineMax: 4096, SessionTimeout: 1})
	do(&command.KeepAccounts{})
	s := do(&command.OpenSession{}).Session
	seq := uint64(0)
	for b.Loop() {
		inos := do(&command.AllocInos{Session: s.ID, Epoch: s.Epoch, N: fs.TxOpsMax}).Inos
		seq++
		tx := &command.Tx{Tx: fs.Tx{ID: fs.TxID{Session: s.ID, Seq: seq}, Epoch: s.Epoch, Done: seq}}
		for n := range fs.TxOpsMax {
			tx.Ops = append(tx.Ops, &fs.Create{Parent: 1, Name: fmt.Sprintf("%d-%d", seq, n), Ino: inos.From + fs.Ino(n),
				Type: fs.TypeRegular, Mode: 0o644, Time: 1})
		}
		do(tx)
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/fs.TxOpsMax, "ns/create")
}
