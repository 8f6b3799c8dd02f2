package replica

import (
	"slices"

	"dfs/blob"
	"dfs/fs"
	"dfs/raftmeta/state"
)

// fate is what is to become of a copy.
type fate int

const (
	keep    fate = iota // leave it as it is
	commit              // make it live
	drop                // delete it, if it is still staged under this label
	erase               // delete it, though it is live
	unknown             // live and not in the table: leave it, and say so
)

// fateOf is the verdict of DESIGN.md on one copy on a node, by one snapshot of that node's state.
func fateOf(node fs.NodeID, v state.View, at Position, e *blob.Entry) (fate, error) {
	info, known, err := v.Blob(e.ID)
	switch {
	case err != nil:
		return keep, err
	case !e.Staged && known:
		return keep, nil
	case !e.Staged:
		return fateOfStranger(v, e.ID)
	case known && slices.Contains(info.Replicas, node):
		return commit, nil
	case known:
		return fateOfSurplus(at, e), nil
	}
	return fateOfUnregistered(v, at, e)
}

// fateOfStranger: a live copy that the table does not know dies only when nobody can register it any more.
func fateOfStranger(v state.View, id fs.BlobID) (fate, error) {
	ended, err := hasEnded(v, id.Session)
	if err != nil || !ended {
		return unknown, err
	}
	return erase, nil
}

// fateOfSurplus: the table knows the blob, but not on this node.
func fateOfSurplus(at Position, e *blob.Entry) fate {
	switch term := labelTerm(e.Tx); {
	case !IsReserved(e.Tx.ID.Session):
		return drop
	case e.Tx.ID.Session == healSession && labelIndex(e.Tx) <= at.Index:
		return drop
	case e.Tx.ID.Session == repairSession && term != 0 && term < at.Term:
		return drop
	}
	return keep
}

// fateOfUnregistered: the table does not know the blob: not yet, or not any more.
func fateOfUnregistered(v state.View, at Position, e *blob.Entry) (fate, error) {
	var over bool
	var err error
	switch session := e.Tx.ID.Session; {
	case IsReserved(session):
		over = labelIndex(e.Tx) <= at.Index
	case session == e.ID.Session:
		var outcome state.Outcome
		outcome, err = v.Outcome(e.Tx.ID, e.Tx.Epoch)
		over = outcome != state.Undecided
	default: // somebody staged another session's blob: only its owner can register it
		over, err = hasEnded(v, e.ID.Session)
	}
	if err != nil || !over {
		return keep, err
	}
	return drop, nil
}

// hasEnded reports whether a session has lived and is over.
func hasEnded(v state.View, id fs.SessionID) (bool, error) {
	_, lives, err := v.Session(id)
	if err != nil || lives {
		return false, err
	}
	outcome, err := v.Outcome(fs.TxID{Session: id, Seq: 1}, 0)
	return outcome == state.Forgotten, err
}
