package raftmeta

import (
	"errors"
	"fmt"

	"dfs/fs"
)

// Bounds of one of Raft's messages. The largest one is AppendEntries; see capEntries.
const (
	rpcBytesMax   = 2 * appendBytesMax // an entry alone is of fs.TxBytesMax and a little at most
	rpcValuesMax  = 64 * entriesAtOnce // an entry has 13 values, counting names
	rpcDepthMax   = 4                  // message, entries, entry, and one for what a library may add
	rpcKeyMax     = 32                 // bytes of a field's name that are looked at
	rpcSnapshot   = 2                  // the kind of InstallSnapshot, which bytes follow that are no message
	rpcKindsMax   = 5
	snapshotBytes = "Size" // the field that says how many
)

// errRPC says that a connection carries what Raft does not send.
var errRPC = errors.New("a message that Raft does not send")

// rpcLimit reads along with what a peer sends to Raft's transport, whose decoder has no bound of its own: an empty entry
// takes a byte on the wire and a hundred in memory, a byte string may claim four gigabytes. It is a state machine over the
// bytes as they come, in whatever pieces, and keeps none of them.
//
//	kind ──byte──▶ value ⇄ length, payload ──the last value of the message──▶ kind
//	                                          └─ of InstallSnapshot ─▶ snapshot ──Size bytes──▶ kind
//
// A message is one MessagePack map, at most rpcDepthMax deep.
type rpcLimit struct {
	state   rpcState
	kind    byte
	begun   uint64 // messages
	bytes   int    // of this message
	values  int    // likewise
	stack   []int  // values that the open containers lack; at most rpcDepthMax
	need    uint64
	number  uint64 // what a length or a number has been so far
	width   uint64 // bytes of the number
	signed  bool
	then    func(l *rpcLimit) error
	key     []byte // the field whose value is next, in a message itself
	capture bool
	sized   bool   // the message has said how long its snapshot is
	left    uint64 // bytes of a snapshot to come
}

type rpcState int

const (
	rpcKind rpcState = iota
	rpcValue
	rpcNumber  // need more bytes of a big-endian number
	rpcPayload // need more bytes that do not matter
	rpcData    // left more bytes of a snapshot
)

// idle reports whether no message has been begun.
func (l *rpcLimit) idle() bool { return l.state == rpcKind }

// feed reads along; an error is why nothing of the connection must be believed any more.
func (l *rpcLimit) feed(p []byte) error {
	for len(p) > 0 {
		n, err := l.step(p)
		if err != nil {
			return err
		}
		p = p[n:]
	}
	return nil
}

// step takes in at least one byte.
func (l *rpcLimit) step(p []byte) (n int, err error) {
	switch l.state {
	case rpcKind:
		if p[0] >= rpcKindsMax {
			return 0, fmt.Errorf("%w: kind %d: %w", errRPC, p[0], fs.ErrInvalid)
		}
		*l = rpcLimit{state: rpcValue, kind: p[0], begun: l.begun + 1, stack: l.stack[:0], key: l.key[:0]}
		return 1, nil
	case rpcData:
		n = int(min(l.left, uint64(len(p))))
		if l.left -= uint64(n); l.left == 0 {
			l.state = rpcKind
		}
		return n, nil
	case rpcValue:
		n, err = 1, l.head(p[0])
	case rpcNumber:
		l.number, n = l.number<<8|uint64(p[0]), 1
		if l.need--; l.need == 0 {
			err = l.then(l)
		}
	case rpcPayload:
		n = int(min(l.need, uint64(len(p))))
		if l.capture {
			l.key = append(l.key, p[:min(n, rpcKeyMax-len(l.key))]...)
		}
		if l.need -= uint64(n); l.need == 0 {
			err = l.complete()
		}
	}
	if l.bytes += n; err == nil && l.bytes > rpcBytesMax {
		err = fmt.Errorf("%w: more than %d bytes: %w", errRPC, rpcBytesMax, fs.ErrTooLarge)
	}
	return n, err
}

// head takes in the first byte of a value.
func (l *rpcLimit) head(b byte) error {
	if l.values++; l.values > rpcValuesMax {
		return fmt.Errorf("%w: more than %d values: %w", errRPC, rpcValuesMax, fs.ErrTooLarge)
	}
	if isMap := b>>4 == 0x8 || b == 0xde || b == 0xdf; len(l.stack) == 0 && !isMap {
		return fmt.Errorf("%w: it is no map: %w", errRPC, fs.ErrInvalid)
	}
	if isNumber := b < 0x80 || b >= 0xcc && b <= 0xd3; l.atSize() && (!isNumber || l.sized) {
		return fmt.Errorf("%w: the snapshot's size is no number, or there are two: %w", errRPC, fs.ErrInvalid)
	}
	if l.atKey() {
		l.key = l.key[:0]
	}
	l.number, l.signed = 0, b >= 0xd0 && b <= 0xd3
	switch {
	case b < 0x80: // a small number
		l.number = uint64(b)
		return l.scalar()
	case b < 0x90:
		return l.open(2 * uint64(b&0xf))
	case b < 0xa0:
		return l.open(uint64(b & 0xf))
	case b < 0xc0:
		return l.payload(uint64(b & 0x1f))
	case b == 0xc0, b == 0xc2, b == 0xc3, b >= 0xe0: // nil, false, true, a small negative number
		return l.complete()
	case b >= 0xc4 && b <= 0xc6: // bin
		return l.read(1<<(b-0xc4), func(l *rpcLimit) error { return l.payload(l.number) })
	case b >= 0xc7 && b <= 0xc9: // ext: its type comes behind the length
		return l.read(1<<(b-0xc7), func(l *rpcLimit) error { return l.payload(l.number + 1) })
	case b == 0xca, b == 0xcb: // float
		return l.payload(4 << (b - 0xca))
	case b >= 0xcc && b <= 0xcf: // uint
		return l.read(1<<(b-0xcc), (*rpcLimit).scalar)
	case b >= 0xd0 && b <= 0xd3: // int
		return l.read(1<<(b-0xd0), (*rpcLimit).scalar)
	case b >= 0xd4 && b <= 0xd8: // fixext
		return l.payload(1 + 1<<(b-0xd4))
	case b >= 0xd9 && b <= 0xdb: // str
		return l.read(1<<(b-0xd9), func(l *rpcLimit) error { return l.payload(l.number) })
	case b == 0xdc, b == 0xdd: // array
		return l.read(2<<(b-0xdc), func(l *rpcLimit) error { return l.open(l.number) })
	case b == 0xde, b == 0xdf: // map
		return l.read(2<<(b-0xde), func(l *rpcLimit) error { return l.open(2 * l.number) })
	}
	return fmt.Errorf("%w: byte %#x: %w", errRPC, b, fs.ErrInvalid)
}

// read takes in a number of n bytes, then goes on.
func (l *rpcLimit) read(n uint64, then func(*rpcLimit) error) error {
	l.state, l.need, l.width, l.then = rpcNumber, n, n, then
	return nil
}

// payload skips n bytes; a field's name is kept.
func (l *rpcLimit) payload(n uint64) error {
	if n > rpcBytesMax {
		return fmt.Errorf("%w: a string of %d bytes, at most %d: %w", errRPC, n, rpcBytesMax, fs.ErrTooLarge)
	}
	l.capture = l.atKey()
	if n == 0 {
		return l.complete()
	}
	l.state, l.need = rpcPayload, n
	return nil
}

// atKey reports whether the next value is the name of a field of the message itself: it counts down from an even number.
func (l *rpcLimit) atKey() bool { return len(l.stack) == 1 && l.stack[0]%2 == 0 }

// open begins a container of n values.
func (l *rpcLimit) open(n uint64) error {
	if n > rpcValuesMax || len(l.stack) >= rpcDepthMax {
		return fmt.Errorf("%w: %d values at depth %d, at most %d and %d: %w", errRPC, n, len(l.stack)+1, rpcValuesMax, rpcDepthMax, fs.ErrTooLarge)
	}
	if n == 0 && len(l.stack) > 0 {
		return l.complete()
	}
	l.stack = append(l.stack, int(n))
	if n == 0 {
		return l.close()
	}
	l.state = rpcValue
	return nil
}

// atSize reports whether the next value, or the one that is being read, is the size of a snapshot.
func (l *rpcLimit) atSize() bool {
	return len(l.stack) == 1 && !l.atKey() && l.kind == rpcSnapshot && string(l.key) == snapshotBytes
}

// scalar is a number that is complete.
func (l *rpcLimit) scalar() error {
	if !l.atSize() {
		return l.complete()
	}
	// A negative number of fewer than eight bytes would look like a large one.
	if int64(l.number) < 0 || l.signed && l.number>>(8*l.width-1) == 1 {
		return fmt.Errorf("%w: a snapshot of fewer than no bytes: %w", errRPC, fs.ErrInvalid)
	}
	l.left, l.sized = l.number, true
	return l.complete()
}

// complete ends a value, and the containers that it was the last of.
func (l *rpcLimit) complete() error {
	l.state = rpcValue
	l.stack[len(l.stack)-1]--
	return l.close()
}

func (l *rpcLimit) close() error {
	for len(l.stack) > 0 && l.stack[len(l.stack)-1] == 0 {
		if l.stack = l.stack[:len(l.stack)-1]; len(l.stack) > 0 {
			l.stack[len(l.stack)-1]--
		}
	}
	switch {
	case len(l.stack) > 0:
	case l.left > 0:
		l.state = rpcData
	default:
		l.state = rpcKind
	}
	return nil
}
