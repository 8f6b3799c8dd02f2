package raftmeta

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io/fs"
	"os"
	"path/filepath"

	dfs "dfs/fs"
)

// mark remembers, outside the log, up to which index the log has been synced. The log's own recovery cannot tell a write
// that was torn from one that went bad later, and cuts the tail off in both cases; a cut below the mark is a loss of
// what may have been promised to the leader, and the node must not serve.
//
// The mark is a lower bound: it is written after the entries are synced and not synced itself, so it is exact unless the
// power failed, and lowered, and synced, before the log is cut on purpose.
type mark struct{ file *os.File }

const markSize = 12

// openMark opens the mark of a log, or makes one that says 0.
func openMark(path string) (*mark, uint64, error) {
	if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
		if err := writeFileAtomic(path, encodeMark(0)); err != nil {
			return nil, 0, err
		}
	}
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return nil, 0, err
	}
	var b [markSize]byte
	if _, err := f.ReadAt(b[:], 0); err != nil {
		return nil, 0, errors.Join(fmt.Errorf("read %s: %w", path, dfs.ErrCorrupt), err, f.Close())
	}
	if crc32.Checksum(b[:8], castagnoli()) != binary.BigEndian.Uint32(b[8:]) {
		return nil, 0, errors.Join(fmt.Errorf("read %s: %w", path, dfs.ErrCorrupt), f.Close())
	}
	return &mark{f}, binary.BigEndian.Uint64(b[:8]), nil
}

func encodeMark(index uint64) []byte {
	b := binary.BigEndian.AppendUint64(nil, index)
	return binary.BigEndian.AppendUint32(b, crc32.Checksum(b, castagnoli()))
}

func (m *mark) write(index uint64) error {
	if _, err := m.file.WriteAt(encodeMark(index), 0); err != nil {
		return fmt.Errorf("write the log's mark: %w", err)
	}
	return nil
}

func (m *mark) writeSync(index uint64) error {
	if err := m.write(index); err != nil {
		return err
	}
	if err := m.file.Sync(); err != nil {
		return fmt.Errorf("sync the log's mark: %w", err)
	}
	return nil
}

func (m *mark) close() error { return errors.Join(m.file.Sync(), m.file.Close()) }

// writeFileAtomic makes or replaces a small file so that after a crash it is the old one or the new one.
func writeFileAtomic(path string, data []byte) error {
	tmp := path + ".tmp"
	f, err := os.OpenFile(tmp, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return fmt.Errorf("write %s: %w", tmp, err)
	}
	if err := os.Rename(tmp, path); err != nil {
		return err
	}
	return syncDir(filepath.Dir(path))
}

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
