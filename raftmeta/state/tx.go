package state

import (
	"errors"

	"dfs/fs"
	"dfs/raftmeta/command"
)

// decide carries out a transaction, or returns the answer that it was given before.
func decide(kv KV, c *change, tx *fs.Tx) (Answer, error) {
	session, known, err := c.asked(tx.ID, tx.Epoch)
	if err != nil || known != nil {
		return Answer{Tx: known}, err
	}
	if err := session.writable(); err != nil {
		return Answer{}, err
	}
	result := &fs.TxResult{Index: c.index}
	result.Results, result.Failed, err = c.transact(session, tx)
	if refused, ok := errors.AsType[refusal](err); ok {
		result = &fs.TxResult{Err: refused.sentinel.Code, Failed: result.Failed, Index: c.index}
		if c, err = newChange(kv, c.index); err != nil { // what the transaction did so far is dropped
			return Answer{}, err
		}
	}
	if err != nil {
		return Answer{}, err
	}
	if err := c.remember(tx.ID, result); err != nil {
		return Answer{}, err
	}
	return Answer{Tx: result}, c.commit(kv, c.retire(session, min(tx.Done, tx.ID.Seq)))
}

// abort makes sure that a transaction has an outcome.
func abort(kv KV, c *change, m *command.Abort) (Answer, error) {
	session, known, err := c.asked(m.Tx, m.Epoch)
	if err != nil || known != nil {
		return Answer{Tx: known}, err
	}
	if err := session.writable(); err != nil { // it has no transactions
		return Answer{}, err
	}
	result := &fs.TxResult{Err: fs.CodeAborted, Index: c.index}
	return Answer{Tx: result}, c.commit(kv, c.remember(m.Tx, result))
}

// asked checks who asks and looks for an answer given before.
func (c *change) asked(tx fs.TxID, epoch fs.Epoch) (*SessionRecord, *fs.TxResult, error) {
	session, err := c.session(tx.Session, epoch)
	if err != nil {
		return nil, nil, err
	}
	known, err := readAnswer(c.kv, tx)
	if err != nil || known != nil {
		return session, known, err
	}
	if tx.Seq < session.Done {
		return nil, nil, refuse(fs.ErrStale)
	}
	return session, nil, nil
}

func readAnswer(r Reader, tx fs.TxID) (*fs.TxResult, error) {
	var a answer
	ok, err := get(r, answerKey(tx.Session, tx.Seq), &a)
	if err != nil || !ok {
		return nil, err
	}
	result, err := command.DecodeResult(a.result)
	if err != nil {
		return nil, corrupt("the remembered answer of %v: %v", tx, err)
	}
	return result, nil
}

func (c *change) remember(tx fs.TxID, result *fs.TxResult) error {
	return c.kv.Set(answerKey(tx.Session, tx.Seq), encode(&answer{command.EncodeResult(result)}))
}

// retire raises the session's Done and forgets the answers below it. A refused transaction does so too: a session whose
// operations are all refused would else pile up answers for ever.
func (c *change) retire(session *SessionRecord, done uint64) error {
	if done <= session.Done {
		return nil
	}
	err := c.deleteRange(answerKey(session.ID, session.Done), answerKey(session.ID, done))
	if err != nil {
		return err
	}
	session.Done = done
	return c.kv.Set(sessionKey(session.ID), encode(session))
}

// deleteRange deletes the keys in [from, to).
func (c *change) deleteRange(from, to []byte) error {
	var keys [][]byte
	err := c.kv.Scan(from, to, func(key, _ []byte) bool {
		keys = append(keys, append([]byte(nil), key...))
		return true
	})
	for _, key := range keys {
		if err == nil {
			err = c.kv.Delete(key)
		}
	}
	return err
}

// transact does the operations in order. On a refusal it returns which one failed, len(tx.Ops) for none of them.
func (c *change) transact(s *SessionRecord, tx *fs.Tx) ([]fs.Result, int, error) {
	none := len(tx.Ops)
	if none > fs.TxOpsMax {
		return nil, none, refuse(fs.ErrTooLarge)
	}
	for i := range tx.Blobs {
		if err := c.register(tx, &tx.Blobs[i]); err != nil {
			return nil, none, err
		}
	}
	results := make([]fs.Result, 0, none)
	for n, op := range tx.Ops {
		if err := c.admit(s, op); err != nil {
			return nil, n, err
		}
		about, err := c.operate(s, op)
		if err == nil {
			err = c.bill()
		}
		if err == nil {
			err = c.afford()
		}
		if err != nil {
			return nil, n, err
		}
		c.seal()
		results = append(results, about.result(s))
	}
	return results, 0, nil
}

// about says which inodes an operation was about; nil where there is none.
type about struct {
	inode, parent, replaced *inode
	n                       uint64
}

func (a about) result(s *SessionRecord) fs.Result {
	r := fs.Result{N: a.n}
	for _, p := range []struct {
		from *inode
		to   *fs.Attr
	}{{a.inode, &r.Attr}, {a.parent, &r.Parent}, {a.replaced, &r.Replaced}} {
		if p.from != nil {
			*p.to = p.from.Attr
			s.mask(p.to)
		}
	}
	return r
}

func (c *change) operate(s *SessionRecord, op fs.Op) (about, error) {
	switch o := op.(type) {
	case *fs.Create:
		return c.create(s, o)
	case *fs.Link:
		return c.link(o)
	case *fs.Unlink:
		return c.unlink(o)
	case *fs.Rmdir:
		return c.rmdir(o)
	case *fs.Rename:
		return c.rename(o)
	case *fs.Setattr:
		return c.setattr(o)
	case *fs.Write:
		return c.write(o)
	case *fs.Allocate:
		return c.allocate(o)
	case *fs.Clone:
		return c.clone(o)
	case *fs.Setxattr:
		return c.setxattr(o)
	case *fs.Removexattr:
		return c.removexattr(o)
	case *fs.Check:
		return c.check(o)
	case *fs.Access:
		return c.access(s, o)
	}
	return about{}, command.ErrUnknown
}

// check is a precondition and changes nothing.
func (c *change) check(o *fs.Check) (about, error) {
	i, err := c.inode(o.Ino)
	if err != nil {
		return about{}, err
	}
	if i == nil || i.Version != o.Version {
		return about{}, refuse(fs.ErrConflict)
	}
	return about{inode: i}, nil
}
