package state

import (
	"errors"
	"fmt"

	"dfs/fs"
	"dfs/raftmeta/command"
)

// Answer is what a command is answered.
type Answer struct {
	// Err refuses the command. Of a Tx or an Abort it says that there is no decision to tell of: ErrFenced, ErrStale
	// (decided, but the answer is forgotten) or ErrUnavailable (no Init yet).
	Err fs.Code
	// Tx is the decision of a Tx or an Abort, with its own Err.
	Tx      *fs.TxResult
	Session fs.Session  // of OpenSession
	Inos    fs.InoRange // of AllocInos
}

// Apply carries out one decoded command, the one at a Raft index. A refused command leaves kv as it was, except that a
// refused Tx leaves its remembered answer behind and forgets those that its Done allows.
//
// An error means that the store is broken or the command is unknown: the node must stop, and kv must be discarded. Apply
// keeps no reference to cmd.
func Apply(kv KV, index uint64, cmd command.Command) (Answer, error) {
	answer, err := apply(kv, index, cmd)
	if refused, ok := errors.AsType[refusal](err); ok {
		return Answer{Err: refused.sentinel.Code}, nil
	}
	if err != nil {
		return Answer{}, fmt.Errorf("apply %T at index %d: %w", cmd, index, err)
	}
	return answer, nil
}

func apply(kv KV, index uint64, cmd command.Command) (Answer, error) {
	c, err := newChange(kv, index)
	if err != nil {
		return Answer{}, err
	}
	if first, ok := cmd.(*command.Init); ok {
		return Answer{}, c.commit(kv, c.form(first))
	}
	if !c.formed {
		return Answer{}, refuse(fs.ErrUnavailable)
	}
	switch m := cmd.(type) {
	case *command.Tx:
		return decide(kv, c, &m.Tx)
	case *command.Abort:
		return abort(kv, c, m)
	}
	answer := Answer{}
	return answer, c.commit(kv, c.housekeep(cmd, &answer))
}

// housekeep dispatches what is no transaction.
func (c *change) housekeep(cmd command.Command, answer *Answer) (err error) {
	switch m := cmd.(type) {
	case *command.OpenSession:
		answer.Session, err = c.openSession(m)
	case *command.EndSession:
		err = c.endSession(m)
	case *command.AllocInos:
		answer.Inos, err = c.allocInos(m)
	case *command.Reap:
		err = c.reap(m)
	case *command.Forget:
		err = c.forget(m)
	case *command.SetReplicas:
		err = c.setReplicas(m)
	case *command.PutNode:
		err = c.putNode(m)
	case *command.RemoveNode:
		err = c.removeNode(m)
	case *command.PutToken:
		err = c.putToken(m)
	case *command.RedeemToken:
		err = c.redeemToken(m)
	case *command.RevokeToken:
		err = c.revokeToken(m)
	case *command.KeepAccounts:
		err = c.keepAccounts()
	case *command.SetQuota:
		err = c.setQuota(m)
	case *command.Survey:
		err = c.survey(m)
	default:
		err = command.ErrUnknown
	}
	return err
}

// refusal is the error of a command that breaks a rule. It is a type of its own so that an error of the store, whatever
// it wraps, is never taken for one.
type refusal struct{ sentinel *fs.Error }

func (r refusal) Error() string { return r.sentinel.Error() }

func (r refusal) Unwrap() error { return r.sentinel }

func refuse(sentinel *fs.Error) error { return refusal{sentinel} }
