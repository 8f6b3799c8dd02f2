package state

import (
	"slices"

	"dfs/fs"
)

func (a *audit) blob(key, value []byte) error {
	b := &BlobRecord{}
	if err := decode(value, b); err != nil {
		return err
	}
	id, err := keyBlobID(key)
	if b.ID != id {
		a.fault("blob %v says %v", id, b.ID)
	}
	a.blobs[id] = b
	return err
}

func (a *audit) checkBlobs() {
	for id, b := range a.blobs {
		if b.LiveBytes != a.live[id] || a.garbage[id] != (b.LiveBytes == 0) {
			a.fault("blob %v: %d bytes are mapped, garbage %v: %+v", id, a.live[id], a.garbage[id], b)
		}
		count := 0
		for _, id := range b.Replicas {
			if !a.nodes[id] {
				count++
			}
		}
		owed := b.LiveBytes > 0 && count < b.Wanted
		if a.debts[id] != owed || b.debt != owed {
			a.fault("blob %v: %d replicas count, debt %v: %+v", id, count, a.debts[id], b)
		}
		if len(b.Replicas) == 0 || count > 0 && count < len(b.Replicas) || repeats(b.Replicas) {
			a.fault("blob %v: %d replicas count of %v", id, count, b.Replicas)
		}
	}
	for _, marks := range []map[fs.BlobID]bool{a.garbage, a.debts} {
		for id := range marks {
			if a.blobs[id] == nil {
				a.fault("blob %v is marked, but absent", id)
			}
		}
	}
}

func repeats(ids []fs.NodeID) bool {
	sorted := slices.Sorted(slices.Values(ids))
	return len(slices.Compact(sorted)) != len(ids)
}

func (a *audit) checkCounters() {
	if !a.formed {
		if len(a.inodes)+len(a.blobs)+len(a.sessions)+len(a.nodes) > 0 {
			a.fault("there are records, but no configuration")
		}
		return
	}
	if a.inodes[fs.RootIno] == nil {
		a.fault("there is no root directory")
	}
	want := Stats{Inodes: uint64(len(a.inodes)), Orphans: uint64(len(a.orphans)), Blobs: uint64(len(a.blobs)),
		UnderReplicated: uint64(len(a.debts)), Garbage: uint64(len(a.garbage))}
	for _, b := range a.blobs {
		want.BlobBytes += uint64(b.Length)
		want.LiveBytes += a.live[b.ID]
	}
	if a.n.storing != a.storing {
		a.fault("the counters say that %d nodes store; counted were %d", a.n.storing, a.storing)
	}
	if a.n.stats != want {
		a.fault("the counters say %+v; counted were %+v", a.n.stats, want)
	}
}
