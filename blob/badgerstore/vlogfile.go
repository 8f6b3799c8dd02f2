package badgerstore

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"os"
	"path/filepath"

	"dfs/fs"
)

// Badger's value-log files (v4): 20 bytes of header, then records:
//
//	meta u8 · user meta u8 · key length, value length, expiry: varints · key · value · CRC32C of all that, big endian
//
// A key ends in 8 bytes of version. The active file is longer than what has been written; the rest is zero.
const (
	vlogHeader    = 20
	versionLen    = 8
	recordHeadMin = 2 + 3
	recordHeadMax = 2 + 3*binary.MaxVarintLen64
)

// firstBad reads a sealed value-log file and returns where the first record lies that does not match its checksum, or
// -1. An error means that the disk does not let itself be read.
func firstBad(path string) (at int64, err error) {
	f, err := os.Open(path)
	if err != nil {
		return 0, fmt.Errorf("check value-log file: %w", err)
	}
	defer func() { _ = f.Close() }() // it was only read
	r := bufio.NewReaderSize(f, 1<<20)
	if _, err := r.Discard(vlogHeader); err != nil {
		return 0, nil // cut off in its header
	}
	for at = vlogHeader; ; {
		n, err := checkRecord(r)
		switch {
		case errors.Is(err, io.EOF):
			return -1, nil
		case errors.Is(err, fs.ErrCorrupt):
			return at, nil
		case err != nil:
			return 0, fmt.Errorf("check value-log file %s: %w", filepath.Base(path), err)
		}
		at += n
	}
}

// checkRecord reads one record and returns its length. io.EOF: there is none any more. ErrCorrupt: it is not sound.
func checkRecord(r *bufio.Reader) (int64, error) {
	head, err := r.Peek(recordHeadMax)
	if len(head) == 0 {
		return 0, io.EOF
	}
	if err != nil && !errors.Is(err, io.EOF) {
		return 0, err
	}
	n, body, ok := recordHead(head)
	if !ok {
		return 0, fs.ErrCorrupt
	}
	sum := crc32.New(castagnoli())
	if _, err := io.CopyN(sum, r, int64(n)+body); err != nil {
		return 0, cutOff(err)
	}
	var want [crc32.Size]byte
	if _, err := io.ReadFull(r, want[:]); err != nil {
		return 0, cutOff(err)
	}
	if sum.Sum32() != binary.BigEndian.Uint32(want[:]) {
		return 0, fs.ErrCorrupt
	}
	return int64(n) + body + crc32.Size, nil
}

// cutOff: a record that ends behind the end of its file is not sound; other errors are the disk's.
func cutOff(err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return fs.ErrCorrupt
	}
	return err
}

// recordHead reads the start of a record: its own length, and that of key and value together.
func recordHead(b []byte) (n int, body int64, ok bool) {
	if len(b) < recordHeadMin {
		return 0, 0, false
	}
	n = 2
	var field [3]uint64 // key length, value length, expiry
	for i := range field {
		v, k := binary.Uvarint(b[n:])
		if k <= 0 {
			return 0, 0, false
		}
		field[i], n = v, n+k
	}
	if field[0] <= versionLen || field[0] > keyLen+versionLen || field[1] > valueMax {
		return 0, 0, false
	}
	return n, int64(field[0] + field[1]), true
}

// blobsIn lists the blobs whose values begin anywhere in data, sound or not: those that a damaged file may hold. It
// looks for the start of our own header, behind which nothing has to be intact.
func blobsIn(data []byte) []fs.BlobID {
	mark := binary.LittleEndian.AppendUint16([]byte(valueMagic), valueVersion)
	var ids []fs.BlobID
	for at := 0; ; {
		i := bytes.Index(data[at:], mark)
		if i < 0 {
			return ids
		}
		at += i
		if key := at - keyLen - versionLen; key >= 0 && data[key] == valuePrefix {
			if id, err := idOf(data[key : key+keyLen]); err == nil {
				ids = append(ids, id)
			}
		}
		at += len(mark)
	}
}
