package raftmeta

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"dfs/fs"
)

// Some damaged frames make the log's decoder panic: the node must refuse them like all others.
func TestLog_DamageThatTheDecoderPanicsOnIsRefused(t *testing.T) {
	dir := t.TempDir()
	l := mustOpenLog(t, dir)
	fillLog(t, l, 1, 400)
	if err := l.close(); err != nil {
		t.Fatal(err)
	}
	segments, err := filepath.Glob(filepath.Join(dir, "*.wal"))
	if err != nil || len(segments) < 2 {
		t.Fatalf("%d segments, %v", len(segments), err)
	}
	const begin = 40 // behind the segment's and the first frame's header: the first entry's fields
	for at := int64(begin); at < begin+24; at++ {
		work := copyDir(t, dir)
		f, err := os.OpenFile(filepath.Join(work, filepath.Base(segments[0])), os.O_RDWR, 0)
		if err != nil {
			t.Fatal(err)
		}
		_, err = f.WriteAt(bytes.Repeat([]byte{0xff}, 12), at) // no varint is that long
		if err = errors.Join(err, f.Close()); err != nil {
			t.Fatal(err)
		}
		if l, err := openTestLog(t, work); !errors.Is(err, fs.ErrCorrupt) {
			t.Errorf("damage at byte %d: %v", at, err)
			if err == nil {
				_ = l.close() // the test has failed already
			}
		}
	}
}
