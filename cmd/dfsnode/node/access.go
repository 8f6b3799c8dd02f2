package node

import (
	"context"
	"fmt"
	"time"

	"dfs/blob"
	"dfs/blob/replica"
	"dfs/cluster/pki"
	"dfs/fs"
	"dfs/raftmeta/state"
)

// appliedPatience is how long a blob request waits for this node to have applied what the caller has seen. A replica that is
// further behind lets the caller go to another one.
const appliedPatience = 2 * time.Second

// once runs fn on a local state that is at least as new as a Raft index. ErrUnavailable: this node is behind for too long.
func (n *Node) once(ctx context.Context, index uint64, fn func(state.View) error) error {
	patience := time.NewTimer(appliedPatience)
	defer patience.Stop()
	for {
		_, risen := n.meta.AppliedNotify()
		ready := false
		err := n.meta.Local(func(v state.View, at uint64) error {
			if ready = at >= index; !ready {
				return nil
			}
			return fn(v)
		})
		if err != nil || ready {
			return err
		}
		select {
		case <-risen:
		case <-ctx.Done():
			return ctx.Err()
		case <-patience.C:
			return fmt.Errorf("this node has not applied index %d yet: %w", index, fs.ErrUnavailable)
		}
	}
}

// sessionOf is the session in whose name somebody asks, which must be his. Who it belongs to and what it is bound to never change,
// and it was opened at the index that is its epoch: a state as new as that answers for good.
func sessionOf(v state.View, id fs.SessionID, epoch fs.Epoch, who fs.Owner) (*state.SessionRecord, error) {
	record, ok, err := v.Session(id)
	switch {
	case err != nil:
		return nil, err
	case !ok || record.Epoch != epoch:
		return nil, fmt.Errorf("session %d: %w", id, fs.ErrFenced)
	case record.Owner != who:
		return nil, fmt.Errorf("session %d belongs to another certificate: %w", id, fs.ErrPermission)
	}
	return &record, nil
}

// mayStage lets only its owner stage blobs under a session, blobs of its own ids, and nobody under one that may only read.
// The keepers' sessions, which are never fenced, are for nodes. Without TLS everybody may.
func (n *Node) mayStage(ctx context.Context, tx blob.Tx, id fs.BlobID) error {
	who := fs.CallerOf(ctx).Owner
	switch {
	case who == fs.Owner{}:
		return nil
	case replica.IsReserved(tx.ID.Session) && who.Role == string(pki.RoleNode):
		return nil
	case replica.IsReserved(tx.ID.Session):
		return fmt.Errorf("stage: session %d is for nodes: %w", tx.ID.Session, fs.ErrPermission)
	case id.Session != tx.ID.Session:
		return fmt.Errorf("stage: blob %s is not of session %d: %w", id, tx.ID.Session, fs.ErrPermission)
	}
	err := n.once(ctx, uint64(tx.Epoch), func(v state.View) error {
		s, err := sessionOf(v, tx.ID.Session, tx.Epoch, who)
		if err == nil && s.ReadOnly {
			err = fs.ErrReadOnly
		}
		return err
	})
	if err != nil {
		return fmt.Errorf("stage: %w", err)
	}
	return nil
}

// mayGet lets a certificate that is bound to a subtree read the bytes of files in it, and of blobs nothing else. Nothing is looked
// up for others.
func (n *Node) mayGet(ctx context.Context, claim *blob.Claim, id fs.BlobID, off, length uint32) (*fs.BlobInfo, error) {
	who := fs.CallerOf(ctx).Owner
	if who.Scope.Subtree == "" {
		return nil, nil
	}
	if claim == nil {
		return nil, fmt.Errorf("a certificate that is bound to a subtree reads by claims: %w", fs.ErrAccess)
	}
	var info fs.BlobInfo
	err := n.once(ctx, max(uint64(claim.Epoch), claim.Index), func(v state.View) error {
		s, err := sessionOf(v, claim.Session, claim.Epoch, who)
		if err == nil {
			err = v.As(s).Admit(claim.Ino)
		}
		if err != nil {
			return err
		}
		maps, err := v.Maps(claim.Ino, claim.Off, id, off, length)
		if err == nil && !maps {
			err = fs.ErrAccess // the same as for a file outside, or for none
		}
		if err != nil {
			return fmt.Errorf("inode %d: %w", claim.Ino, err)
		}
		var known bool
		if info, known, err = v.Blob(id); err == nil && !known {
			err = fmt.Errorf("blob %s is mapped, but not in the table: %w", id, fs.ErrCorrupt)
		}
		return err
	})
	return &info, err
}
