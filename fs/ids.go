package fs

import (
	"fmt"
	"strconv"
	"strings"
)

// Ino is an inode number. Numbers are allotted by the state machine in ranges and never used twice.
type Ino uint64

// RootIno is the inode of the root directory; it exists from the cluster's first command on.
const RootIno Ino = 1

// NodeID names a node for its whole life. It is chosen when the node's data directory is made and kept there.
type NodeID string

// SessionID names a session; never used twice.
type SessionID uint64

// Epoch fences a session: it is the Raft index of the command that opened it. A commit or a staged blob that carries
// an epoch which is no longer alive is refused, by the state machine and by every storage node.
type Epoch uint64

// TxID names a flush transaction: the session that coordinates it and that session's own sequence number, from 1 up.
type TxID struct {
	Session SessionID
	Seq     uint64
}

func (t TxID) String() string { return fmt.Sprintf("%d.%d", t.Session, t.Seq) }

// ParseTxID is the inverse of [TxID.String]; anything else is [ErrInvalid].
func ParseTxID(s string) (TxID, error) {
	a, b, err := parsePair(s)
	if err != nil {
		return TxID{}, fmt.Errorf("transaction id %q is not SESSION.SEQ: %w", s, ErrInvalid)
	}
	return TxID{SessionID(a), b}, nil
}

// BlobID names a blob: the session that wrote it and that session's own counter, from 1 up. Ids are never reused; the
// zero value is no blob.
type BlobID struct {
	Session SessionID
	Counter uint64
}

func (b BlobID) String() string { return fmt.Sprintf("%d-%d", b.Session, b.Counter) }

// IsZero reports whether b is no blob.
func (b BlobID) IsZero() bool { return b == BlobID{} }

// Less orders blob ids by session, then counter: the order of their keys.
func (b BlobID) Less(o BlobID) bool {
	if b.Session != o.Session {
		return b.Session < o.Session
	}
	return b.Counter < o.Counter
}

// Cookie is the place of an entry in its directory: entries are listed by rising cookie, an entry keeps its cookie as
// long as it is there, under whatever name, and a name as long as it is there, whatever it means; apart from that a cookie
// is not used twice in one directory. 0 lies before the first entry.
type Cookie uint64

// FirstCookie is the smallest cookie that an entry can have; those below are left to "." and "..".
const FirstCookie Cookie = 3

func parsePair(s string) (uint64, uint64, error) {
	l, r, ok := strings.Cut(s, ".")
	if !ok {
		return 0, 0, ErrInvalid
	}
	a, err := strconv.ParseUint(l, 10, 64)
	if err != nil {
		return 0, 0, err
	}
	b, err := strconv.ParseUint(r, 10, 64)
	return a, b, err
}
