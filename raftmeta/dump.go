package raftmeta

import (
	"bufio"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"hash"
	"hash/crc32"
	"io"

	"dfs/fs"
	"dfs/fs/wire"
	"dfs/raftmeta/command"
	"dfs/raftmeta/state"
)

// A dump is the state as a snapshot file holds it: blocks of (length, CRC-32C, payload). A payload begins with its kind:
// one head, then keys and values in rising order, then one end with their number and the SHA-256 of all their payloads.
const (
	dumpVersion  = 1
	dumpBlock    = 256 << 10 // bytes after which a block is written
	dumpBlockMax = 16 << 20  // bytes that a reader accepts; the largest value has fs.TxBytesMax
	blockHead    = 'h'
	blockPairs   = 'k'
	blockEnd     = 'e'
	keysFrom     = "\x00" // the state's keys lie in [keysFrom, keysTo)
	keysTo       = "\xff"
)

type dumpHead struct {
	version uint64
	at      position // what the state has applied
}

func (h *dumpHead) wire(c *wire.Coder) {
	c.Uint64(&h.version)
	c.Uint64(&h.at.index)
	c.Uint64(&h.at.term)
}

type dumpEnd struct {
	count uint64
	sum   []byte
}

func (e *dumpEnd) wire(c *wire.Coder) {
	c.Uint64(&e.count)
	c.Blob(&e.sum)
}

// dumper writes a dump.
type dumper struct {
	to    *bufio.Writer
	buf   []byte // the block being filled
	count uint64
	sum   hash.Hash
}

// writeDump writes all that r holds, the state at a position.
func writeDump(to io.Writer, r state.Reader, at position) error {
	d := &dumper{to: bufio.NewWriterSize(to, dumpBlock), sum: sha256.New(), buf: []byte{blockPairs}}
	head := dumpHead{dumpVersion, at}
	if err := d.block(encodeBlock(blockHead, head.wire)); err != nil {
		return err
	}
	var failed error
	err := r.Scan([]byte(keysFrom), []byte(keysTo), func(key, value []byte) bool {
		failed = d.pair(key, value)
		return failed == nil
	})
	if err = errors.Join(err, failed, d.flush()); err != nil {
		return err
	}
	end := dumpEnd{d.count, d.sum.Sum(nil)}
	if err := d.block(encodeBlock(blockEnd, end.wire)); err != nil {
		return err
	}
	return d.to.Flush()
}

func encodeBlock(kind byte, fields func(*wire.Coder)) []byte {
	c := wire.Encoder([]byte{kind})
	fields(c)
	return c.Bytes()
}

func (d *dumper) pair(key, value []byte) error {
	c := wire.Encoder(d.buf)
	c.Blob(&key)
	c.Blob(&value)
	d.buf = c.Bytes()
	d.count++
	if len(d.buf) < dumpBlock {
		return nil
	}
	return d.flush()
}

func (d *dumper) flush() error {
	if len(d.buf) == 1 {
		return nil
	}
	d.sum.Write(d.buf) // a hash never fails
	err := d.block(d.buf)
	d.buf = d.buf[:1]
	return err
}

func (d *dumper) block(payload []byte) error {
	var head [8]byte
	binary.BigEndian.PutUint32(head[:4], uint32(len(payload)))
	binary.BigEndian.PutUint32(head[4:], crc32.Checksum(payload, castagnoli()))
	if _, err := d.to.Write(head[:]); err != nil {
		return err
	}
	_, err := d.to.Write(payload)
	return err
}

// readDump reads a dump and hands every pair to set, which may keep them; begin is called once, before, with the position.
// Nothing may be made of the pairs unless readDump returns nil.
func readDump(from io.Reader, begin func(position), set func(key, value []byte) error) error {
	r := bufio.NewReaderSize(from, dumpBlock)
	kind, c, _, err := readBlock(r)
	if err != nil {
		return err
	}
	var head dumpHead
	head.wire(c)
	switch {
	case kind != blockHead || c.Err() != nil:
		return badDump("it has no head")
	case head.version != dumpVersion:
		return fmt.Errorf("snapshot of version %d, this build knows %d: %w", head.version, dumpVersion, command.ErrUnknown)
	}
	begin(head.at)
	sum, count := sha256.New(), uint64(0)
	for {
		kind, c, payload, err := readBlock(r)
		if err != nil {
			return err
		}
		switch kind {
		case blockPairs:
			sum.Write(payload) // a hash never fails
			n, err := readPairs(c, set)
			if err != nil {
				return err
			}
			count += n
		case blockEnd:
			var end dumpEnd
			end.wire(c)
			if c.End() != nil || end.count != count || string(end.sum) != string(sum.Sum(nil)) {
				return badDump("it does not match its digest")
			}
			return nil
		default:
			return badDump("it has a block of an unknown kind")
		}
	}
}

func readPairs(c *wire.Coder, set func(key, value []byte) error) (n uint64, err error) {
	for c.Left() > 0 {
		var key, value []byte
		c.Blob(&key)
		c.Blob(&value)
		if c.Err() != nil {
			return n, badDump("a block cannot be decoded")
		}
		if err := set(key, value); err != nil {
			return n, err
		}
		n++
	}
	return n, nil
}

func readBlock(r io.Reader) (kind byte, c *wire.Coder, payload []byte, err error) {
	var head [8]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return 0, nil, nil, badDump("it is cut off")
	}
	n := binary.BigEndian.Uint32(head[:4])
	if n < 1 || n > dumpBlockMax {
		return 0, nil, nil, badDump("a block has an impossible length")
	}
	payload = make([]byte, n)
	if _, err := io.ReadFull(r, payload); err != nil {
		return 0, nil, nil, badDump("it is cut off")
	}
	if crc32.Checksum(payload, castagnoli()) != binary.BigEndian.Uint32(head[4:]) {
		return 0, nil, nil, badDump("a block does not match its checksum")
	}
	return payload[0], wire.Decoder(payload[1:]), payload, nil
}

func badDump(why string) error { return fmt.Errorf("read snapshot: %s: %w", why, fs.ErrCorrupt) }
