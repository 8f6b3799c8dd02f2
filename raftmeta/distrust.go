package raftmeta

import (
	"errors"
	"fmt"

	"dfs/fs"
	"dfs/fs/tables"
)

// distrust marks a database as damaged, durably and for good, and stops the node, which rebuilds the state when it is
// started again. It may be called from any goroutine that does not hold mu or naming, and as often as one likes.
//
// What it tells the node is no ErrCorrupt: nothing is lost, and the directory must not be removed.
func (s *stateDB) distrust(d *database, cause error) {
	if d.damaged.Swap(true) || !d.opened.Load() {
		return // openDB fails, which stops nobody
	}
	err := fmt.Errorf("the state on this node's disk is damaged (%v); nothing is lost: start the node again, and the state is rebuilt "+
		"from the snapshot and the log: %w", cause, fs.ErrUnavailable)
	s.fail(errors.Join(err, s.renameDamaged(d)))
}

// renameDamaged puts the damage into CURRENT, unless that names another database by now.
func (s *stateDB) renameDamaged(d *database) error {
	s.naming.Lock()
	defer s.naming.Unlock()
	if s.named != d.name {
		return nil
	}
	return (&current{Name: d.name, Boot: s.boot, Phase: phaseDamaged}).write(s.dir)
}

// name makes d the database that counts, in a phase. One that is damaged stays so.
func (s *stateDB) name(d *database, p phase) error {
	s.naming.Lock()
	defer s.naming.Unlock()
	if d.damaged.Load() {
		p = phaseDamaged
	}
	if err := (&current{Name: d.name, Boot: s.boot, Phase: p}).write(s.dir); err != nil {
		return err
	}
	s.named = d.name
	return nil
}

// verify checks all tables of d against their checksums.
func (s *stateDB) verify(d *database) error {
	err := tables.Verify(d.db)
	if err != nil {
		s.distrust(d, err)
	}
	return err
}

// verifyDump decides whether a dump of snap, in which seen has been counted, may be kept: the whole state was read, and
// from sound tables. The tables are verified last: damage stays, so that what passes now was sound when it was read.
func (s *stateDB) verifyDump(snap *snapshot, seen tally) error {
	if err := s.verify(snap.db); err != nil {
		return err
	}
	if seen != snap.tally {
		err := fmt.Errorf("it has %d keys (sum %x) where %d (sum %x) were written: %w", seen.keys, seen.sum, snap.keys, snap.sum, fs.ErrCorrupt)
		s.distrust(snap.db, err)
		return err
	}
	return nil
}
