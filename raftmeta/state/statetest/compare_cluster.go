package statetest

import (
	"errors"
	"fmt"
	"maps"
	"math"
	"reflect"
	"slices"

	"dfs/fs"
	"dfs/raftmeta/state"
)

func (m *Model) compareBlobs(v state.View) error {
	records, err := v.Blobs(fs.BlobID{}, math.MaxInt)
	if err != nil {
		return err
	}
	if len(records) != len(m.blobs) {
		return fmt.Errorf("%d blobs, in the model %d", len(records), len(m.blobs))
	}
	var garbage, debt []fs.BlobID
	for _, r := range records {
		b := m.blobs[r.ID]
		if b == nil {
			return fmt.Errorf("blob %v is not in the model", r.ID)
		}
		if r.Seq != b.seq || r.Index != b.index {
			return fmt.Errorf("blob %v came with transaction %d at index %d, in the model %d at %d", r.ID, r.Seq, r.Index, b.seq, b.index)
		}
		if b.garbage {
			garbage = append(garbage, r.ID)
		}
		if m.indebted(b) {
			debt = append(debt, r.ID)
		}
		if r.Length != b.info.Length || r.Sum != b.info.Sum || r.Wanted != b.wanted || r.LiveBytes != m.live(r.ID) ||
			!sameNodes(r.Replicas, b.info.Replicas) {
			return fmt.Errorf("blob %+v, in the model %+v with %d live bytes", r, b, m.live(r.ID))
		}
	}
	return errors.Join(compareGarbage(v, garbage), compareDebt(v, debt))
}

func sameNodes(a, b []fs.NodeID) bool {
	return slices.Equal(slices.Sorted(slices.Values(a)), slices.Sorted(slices.Values(b)))
}

func compareGarbage(v state.View, want []fs.BlobID) error {
	list, err := v.Garbage(fs.BlobID{}, math.MaxInt)
	var got []fs.BlobID
	for _, r := range list {
		got = append(got, r.ID)
	}
	if err != nil || !slices.Equal(got, want) {
		return fmt.Errorf("garbage %v (%w), in the model %v", got, err, want)
	}
	return nil
}

func compareDebt(v state.View, want []fs.BlobID) error {
	list, err := v.Debt(fs.BlobID{}, math.MaxInt)
	var got []fs.BlobID
	for _, r := range list {
		got = append(got, r.ID)
	}
	if err != nil || !slices.Equal(got, want) {
		return fmt.Errorf("debt %v (%w), in the model %v", got, err, want)
	}
	return nil
}

func (m *Model) compareCluster(v state.View) error {
	sessions, err := v.Sessions()
	if err != nil {
		return err
	}
	var want []state.SessionRecord
	for _, id := range slices.Sorted(maps.Keys(m.sessions)) {
		s := m.sessions[id]
		now := s.Session
		now.MinReplicas = m.minReplicas()
		want = append(want, state.SessionRecord{Session: now, Owner: s.owner, Mount: s.mount, Done: s.done, Inos: s.inos})
	}
	if !reflect.DeepEqual(sessions, want) {
		return fmt.Errorf("sessions %+v, in the model %+v", sessions, want)
	}
	nodes, err := v.NodeRecords()
	if err != nil {
		return err
	}
	var members []state.NodeRecord
	for _, id := range slices.Sorted(maps.Keys(m.nodes)) {
		members = append(members, state.NodeRecord{NodeInfo: m.nodes[id], Storing: m.storing[id]})
	}
	if !slices.Equal(nodes, members) {
		return fmt.Errorf("nodes %+v, in the model %+v", nodes, members)
	}
	if least, err := v.MinReplicas(); err != nil || m.formed && least != m.minReplicas() {
		return fmt.Errorf("at least %d replicas (%w), in the model %d", least, err, m.minReplicas())
	}
	if err := m.compareTokens(v); err != nil {
		return err
	}
	return m.compareOutcomes(v)
}

// compareOutcomes asks about every transaction that live sessions could have sent.
func (m *Model) compareOutcomes(v state.View) error {
	for _, s := range m.sessions {
		for seq := uint64(1); seq < 64; seq++ {
			want := state.Undecided
			switch r := s.answers[seq]; {
			case r != nil && r.Err == fs.CodeOK:
				want = state.Committed
			case r != nil:
				want = state.Aborted
			case seq < s.done:
				want = state.Forgotten
			}
			tx := fs.TxID{Session: s.ID, Seq: seq}
			if got, err := v.Outcome(tx, s.Epoch); err != nil || got != want {
				return fmt.Errorf("outcome of %v: %v (%w), in the model %v", tx, got, err, want)
			}
		}
	}
	return nil
}
