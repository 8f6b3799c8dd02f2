package state

import (
	"errors"
	"fmt"
	"slices"

	"dfs/fs"
)

// faultsMax bounds how many faults one Check reports.
const faultsMax = 20

// Check audits a whole state: it reads every record once, into memory, counts everything anew and compares. The error
// joins what contradicts; nil means that every invariant of DESIGN.md holds. For tests and operators.
func Check(r Reader) error {
	a := &audit{
		inodes: map[fs.Ino]*inode{}, names: map[fs.Ino]int{}, subdirs: map[fs.Ino]int{}, entries: map[fs.Ino]int{},
		cookies: map[fs.Ino]map[fs.Cookie]bool{}, used: map[fs.Ino]uint64{}, ends: map[fs.Ino]uint64{},
		xattrs: map[fs.Ino]uint64{}, parents: map[fs.Ino]fs.Ino{}, orphans: map[fs.Ino]bool{},
		homes: map[fs.Ino]map[fs.Ino]uint64{}, shares: map[fs.Ino]map[fs.Ino]uint64{}, wards: map[fs.Ino]uint64{},
		blobs: map[fs.BlobID]*BlobRecord{}, live: map[fs.BlobID]uint64{}, debts: map[fs.BlobID]bool{},
		accounts: map[string]*account{}, walks: map[fs.Ino]bool{},
		garbage: map[fs.BlobID]bool{}, nodes: map[fs.NodeID]bool{}, sessions: map[fs.SessionID]*SessionRecord{},
	}
	// Records that others refer to are read first.
	for _, kinds := range []string{"!ibms", "acdgnopqrtuwx"} {
		for _, kind := range []byte(kinds) {
			if err := a.read(r, kind); err != nil {
				return err
			}
		}
	}
	if err := a.strangers(r); err != nil {
		return err
	}
	a.checkInodes()
	a.checkTree()
	a.checkBlobs()
	a.checkCounters()
	a.checkAccounts()
	return errors.Join(a.faults...)
}

// audit is what Check counts.
type audit struct {
	faults []error
	formed bool
	config Config
	n      counters

	inodes  map[fs.Ino]*inode
	names   map[fs.Ino]int // dentries that name an inode
	entries map[fs.Ino]int // dentries in a directory
	subdirs map[fs.Ino]int
	cookies map[fs.Ino]map[fs.Cookie]bool
	parents map[fs.Ino]fs.Ino
	used    map[fs.Ino]uint64
	ends    map[fs.Ino]uint64 // of the last extent seen
	xattrs  map[fs.Ino]uint64
	orphans map[fs.Ino]bool
	homes   map[fs.Ino]map[fs.Ino]uint64 // names of what is no directory, by the directory they are in
	shares  map[fs.Ino]map[fs.Ino]uint64 // the same, as the home keys say
	wards   map[fs.Ino]uint64

	blobs    map[fs.BlobID]*BlobRecord
	live     map[fs.BlobID]uint64
	debts    map[fs.BlobID]bool
	garbage  map[fs.BlobID]bool
	nodes    map[fs.NodeID]bool // true: removed
	storing  uint64             // nodes
	sessions map[fs.SessionID]*SessionRecord
	tokens   int

	accounting *accounting // nil: nothing is charged
	accounts   map[string]*account
	walks      map[fs.Ino]bool // directories that are yet to be walked through
}

func (a *audit) fault(format string, args ...any) {
	if len(a.faults) < faultsMax {
		a.faults = append(a.faults, corrupt(format, args...))
	}
}

// read takes in every record of one kind.
func (a *audit) read(r Reader, kind byte) error {
	from := []byte{kind}
	return scan(r, from, prefixEnd(from), func(key, value []byte) (bool, error) {
		if err := a.record(r, key, value); err != nil {
			return false, fmt.Errorf("key %x: %w", key, err)
		}
		return true, nil
	})
}

// strangers reports keys of no known kind.
func (a *audit) strangers(r Reader) error {
	return r.Scan([]byte(keysFrom), []byte(keysTo), func(key, _ []byte) bool {
		if !slices.Contains([]byte("!ibmsacdgnopqrtuwx"), key[0]) {
			a.fault("key %x is of no known kind", key)
		}
		return true
	})
}

func (a *audit) record(r Reader, key, value []byte) error {
	switch key[0] {
	case keyGlobal:
		return a.global(key, value)
	case keyInode:
		return a.inode(key, value)
	case keyBlob:
		return a.blob(key, value)
	case keyNode:
		var n node
		err := decode(value, &n)
		a.nodes[fs.NodeID(key[1:])] = n.removed
		if n.storing {
			a.storing++
		}
		if n.storing && n.removed {
			a.fault("node %s stores, and was removed", key[1:])
		}
		return err
	case keySession:
		return a.session(key, value)
	case keyAnswer:
		return a.answer(key, value)
	case keyName:
		return a.dentry(r, key, value)
	case keyCookie:
		return a.entry(key, value)
	case keyExtent:
		return a.extent(key, value)
	case keyXattr:
		return a.xattr(key, value)
	case keyToken:
		return a.token(key, value)
	case keyHome:
		return a.home(key, value)
	case keyUser, keyTree:
		b := &account{key: key}
		a.accounts[string(key)] = b
		return decode(value, b)
	case keyWalk:
		dir, err := keyNumber(key, 1)
		a.walks[fs.Ino(dir)] = true
		return errors.Join(err, decode(value, &progress{}))
	}
	return a.mark(key, value)
}

func (a *audit) global(key, value []byte) error {
	switch string(key) {
	case keyConfig:
		a.formed = true
		return decode(value, &a.config)
	case keyCounters:
		return decode(value, &a.n)
	case keyAccounting:
		a.accounting = &accounting{}
		return decode(value, a.accounting)
	}
	a.fault("key %q is of no known kind", key)
	return nil
}

func (a *audit) session(key, value []byte) error {
	var s SessionRecord
	if err := decode(value, &s); err != nil {
		return err
	}
	id, err := keyNumber(key, 1)
	if s.ID != fs.SessionID(id) || s.ID >= a.n.nextSession || s.Done < 1 {
		a.fault("session %d: id %d, done %d, next session %d", id, s.ID, s.Done, a.n.nextSession)
	}
	a.sessions[s.ID] = &s
	return err
}

func (a *audit) answer(key, value []byte) error {
	var r answer
	if err := decode(value, &r); err != nil {
		return err
	}
	id, err := keyNumber(key, 1)
	if err != nil {
		return err
	}
	seq, err := keyNumber(key, 9)
	s := a.sessions[fs.SessionID(id)]
	if s == nil || seq < s.Done {
		a.fault("the answer of %d.%d is still remembered", id, seq)
	}
	return err
}

func (a *audit) mark(key, value []byte) error {
	if key[0] == keyOrphan {
		ino, err := keyNumber(key, 1)
		a.orphans[fs.Ino(ino)] = true
		return errors.Join(err, decode(value, &mark{}))
	}
	id, err := keyBlobID(key)
	if err != nil {
		return err
	}
	if key[0] == keyDebt {
		a.debts[id] = true
		return decode(value, &mark{})
	}
	a.garbage[id] = true
	return decode(value, &garbage{})
}
