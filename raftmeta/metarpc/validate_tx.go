package metarpc

import (
	"fmt"

	"dfs/fs"
	"dfs/raftmeta/command"
)

// decodeTx checks what a mount wants in the log. It must decode, since every node stops at an entry that does not; it
// must be a transaction, since the other commands are the cluster's own; and its flags must be known here, since nodes
// of two versions could read an unknown one differently. Whether it makes sense is for the state machine, whose answer
// is remembered.
func decodeTx(data []byte) (*fs.Tx, error) {
	if len(data) > fs.TxBytesMax {
		return nil, tooLong(len(data))
	}
	cmd, err := command.Decode(data)
	if err != nil {
		return nil, invalid("undecodable transaction: %v", err)
	}
	tx, ok := cmd.(*command.Tx)
	if !ok {
		return nil, invalid("%T is not a transaction", cmd)
	}
	if err := checkTx(&tx.Tx); err != nil {
		return nil, err
	}
	return &tx.Tx, nil
}

func tooLong(n int) error {
	return fmt.Errorf("transaction of %d bytes, at most %d: %w", n, fs.TxBytesMax, fs.ErrTooLarge)
}

func checkTx(tx *fs.Tx) error {
	if tx.ID.Session == 0 || tx.ID.Seq == 0 || tx.Epoch == 0 {
		return invalid("transaction %s of epoch %d", tx.ID, tx.Epoch)
	}
	if len(tx.Ops) > fs.TxOpsMax || len(tx.Blobs) > fs.TxOpsMax {
		return fmt.Errorf("transaction %s: %d operations and %d blobs, at most %d each: %w",
			tx.ID, len(tx.Ops), len(tx.Blobs), fs.TxOpsMax, fs.ErrTooLarge)
	}
	for i, op := range tx.Ops {
		if !knownFlags(op) {
			return invalid("transaction %s: operation %d (%T) has an unknown type or flag", tx.ID, i, op)
		}
	}
	return nil
}

func knownFlags(op fs.Op) bool {
	const (
		renameAll = fs.RenameNoReplace | fs.RenameExchange
		setAll    = fs.SetMode | fs.SetUID | fs.SetGID | fs.SetSize | fs.SetAtime | fs.SetMtime
		xattrAll  = fs.XattrCreate | fs.XattrReplace
	)
	switch o := op.(type) {
	case *fs.Create:
		return o.Type.Valid()
	case *fs.Rename:
		return o.Flags&^renameAll == 0
	case *fs.Setattr:
		return o.Set&^setAll == 0
	case *fs.Allocate:
		return o.Mode <= fs.AllocateZero
	case *fs.Setxattr:
		return o.Flags&^xattrAll == 0
	}
	return true
}
