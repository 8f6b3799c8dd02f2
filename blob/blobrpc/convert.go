package blobrpc

import (
	"fmt"

	"dfs/blob"
	"dfs/blob/blobpb"
	"dfs/fs"
)

func idToPB(id fs.BlobID) *blobpb.BlobID {
	return &blobpb.BlobID{Session: uint64(id.Session), Counter: id.Counter}
}

func idFromPB(id *blobpb.BlobID) fs.BlobID {
	return fs.BlobID{Session: fs.SessionID(id.GetSession()), Counter: id.GetCounter()}
}

func idsToPB(ids []fs.BlobID) []*blobpb.BlobID {
	out := make([]*blobpb.BlobID, len(ids))
	for i, id := range ids {
		out[i] = idToPB(id)
	}
	return out
}

func idsFromPB(ids []*blobpb.BlobID) ([]fs.BlobID, error) {
	if len(ids) > IDsMax {
		return nil, fmt.Errorf("%d ids, at most %d are allowed: %w", len(ids), IDsMax, fs.ErrTooLarge)
	}
	out := make([]fs.BlobID, len(ids))
	for i, id := range ids {
		if out[i] = idFromPB(id); out[i].IsZero() {
			return nil, fmt.Errorf("id %d of %d is none: %w", i, len(ids), fs.ErrInvalid)
		}
	}
	return out, nil
}

func txToPB(tx blob.Tx) *blobpb.Tx {
	return &blobpb.Tx{Session: uint64(tx.ID.Session), Seq: tx.ID.Seq, Epoch: uint64(tx.Epoch)}
}

func txFromPB(tx *blobpb.Tx) blob.Tx {
	return blob.Tx{
		ID:    fs.TxID{Session: fs.SessionID(tx.GetSession()), Seq: tx.GetSeq()},
		Epoch: fs.Epoch(tx.GetEpoch()),
	}
}

func claimToPB(c blob.Claim) *blobpb.Claim {
	return &blobpb.Claim{Session: uint64(c.Session), Epoch: uint64(c.Epoch), Ino: uint64(c.Ino), Off: c.Off, Index: c.Index}
}

// claimFromPB is nil for none.
func claimFromPB(c *blobpb.Claim) *blob.Claim {
	if c == nil {
		return nil
	}
	return &blob.Claim{Session: fs.SessionID(c.Session), Epoch: fs.Epoch(c.Epoch), Ino: fs.Ino(c.Ino), Off: c.Off, Index: c.Index}
}

func stagedFromPB(list []*blobpb.Staged) ([]blob.Staged, error) {
	if len(list) > IDsMax {
		return nil, fmt.Errorf("%d ids, at most %d are allowed: %w", len(list), IDsMax, fs.ErrTooLarge)
	}
	out := make([]blob.Staged, len(list))
	for i, s := range list {
		out[i] = blob.Staged{ID: idFromPB(s.GetId()), Tx: txFromPB(s.GetTx()).ID}
		if out[i].ID.IsZero() || s.GetTx() == nil {
			return nil, fmt.Errorf("entry %d of %d lacks its blob or transaction: %w", i, len(list), fs.ErrInvalid)
		}
	}
	return out, nil
}

func entryToPB(e blob.Entry) *blobpb.Entry {
	p := &blobpb.Entry{Id: idToPB(e.ID), Length: e.Length, Sum: e.Sum, Staged: e.Staged}
	if e.Tx != (blob.Tx{}) {
		p.Tx = txToPB(e.Tx)
	}
	return p
}

func entryFromPB(p *blobpb.Entry) blob.Entry {
	return blob.Entry{ID: idFromPB(p.GetId()), Length: p.GetLength(), Sum: p.GetSum(), Staged: p.GetStaged(), Tx: txFromPB(p.GetTx())}
}
