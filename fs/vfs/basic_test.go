package vfs

import (
	"bytes"
	"syscall"
	"testing"
	"time"

	"dfs/fs"
	"dfs/raftmeta/localmeta"
)

func TestWrite_IsReadBackBeforeAndAfterFlush(t *testing.T) {
	for _, size := range []int{1, 100, fs.InlineMax, fs.InlineMax + 1, 100_000, 9 << 20} {
		w := newWorld(t, localmeta.Config{})
		m := w.mount(t, Config{})
		h := m.create("f")
		want := pattern(size, size)
		h.mustWrite(t, want, 0)
		h.mustBe(t, want)
		h.mustFlush(t)
		h.mustBe(t, want)
		w.mount(t, Config{}).open("f", rw).mustBe(t, want)
		w.audit(t)
	}
}

func TestClosedFile_IsSeenByAnotherMount(t *testing.T) {
	w := newWorld(t, localmeta.Config{})
	a, b := w.mount(t, Config{}), w.mount(t, Config{})
	h := a.create("f")
	h.mustWrite(t, []byte("hello"), 3)
	if err := h.Flush(ctxT(t)); err != nil {
		t.Fatal(err)
	}
	b.open("f", rw).mustBe(t, []byte("\x00\x00\x00hello"))
}

func TestSmallFile_LiesInTheMetadata(t *testing.T) {
	w := newWorld(t, localmeta.Config{})
	m := w.mount(t, Config{})
	h := m.create("f")
	h.mustWrite(t, pattern(1, fs.InlineMax), 0)
	h.mustFlush(t)
	if n := m.sw.count("stage"); n != 0 {
		t.Fatalf("%d blobs were staged", n)
	}
}

func TestSync_PacksSmallFilesIntoOneBlob(t *testing.T) {
	w := newWorld(t, localmeta.Config{})
	m := w.mount(t, Config{InlineMax: -1})
	var files []*Handle
	for i := range 50 {
		h := m.create(string(rune('a' + i)))
		h.mustWrite(t, pattern(i, 10_000+i), 0)
		files = append(files, h)
	}
	if err := m.Sync(ctxT(t)); err != nil {
		t.Fatal(err)
	}
	if n := m.sw.count("stage"); n != 1 {
		t.Fatalf("%d blobs were staged", n)
	}
	other := w.mount(t, Config{})
	for i := range files {
		other.open(string(rune('a'+i)), rw).mustBe(t, pattern(i, 10_000+i))
	}
	if n := other.sw.count("get"); n > 3 {
		t.Fatalf("the packed files were read back with %d fetches", n)
	}
}

func TestAppend_GoesToTheEndOfFile(t *testing.T) {
	w := newWorld(t, localmeta.Config{})
	a, b := w.mount(t, Config{}), w.mount(t, Config{})
	a.create("f")
	ha, hb := a.open("f", rw|syscall.O_APPEND), b.open("f", rw|syscall.O_APPEND)
	var want []byte
	for i := range 10 {
		for _, h := range []*Handle{ha, hb} {
			p := pattern(i, 7)
			h.mustWrite(t, p, 0) // the offset is ignored
			h.mustFlush(t)
			want = append(want, p...)
		}
	}
	ha.mustBe(t, want)
}

func TestAppend_IsExactWithinOneMount(t *testing.T) {
	w := newWorld(t, localmeta.Config{})
	m := w.mount(t, Config{})
	m.create("f")
	const writers, each = 8, 50
	done := make(chan error, writers)
	for i := range writers {
		h := m.open("f", rw|syscall.O_APPEND)
		go func() {
			var err error
			for range each {
				if _, e := h.Write(ctxT(t), bytes.Repeat([]byte{byte('a' + i)}, 10), 0); e != nil {
					err = e
				}
			}
			done <- err
		}()
	}
	for range writers {
		if err := <-done; err != nil {
			t.Fatal(err)
		}
	}
	got := m.open("f", rw).content(t)
	if len(got) != writers*each*10 {
		t.Fatalf("%d bytes, want %d", len(got), writers*each*10)
	}
	for i := 0; i < len(got); i += 10 {
		if !bytes.Equal(got[i:i+10], bytes.Repeat(got[i:i+1], 10)) {
			t.Fatalf("a record is torn at %d: %q", i, got[i:i+10])
		}
	}
}

func TestTruncate_DoesNotLetALaterFlushTurnMtimeBack(t *testing.T) {
	w := newWorld(t, localmeta.Config{})
	now := time.Unix(1000, 0)
	m := w.mount(t, Config{Now: func() time.Time { return now }})
	h := m.create("f")
	h.mustWrite(t, []byte("data"), 0)
	now = time.Unix(2000, 0)
	truncate(t, m, h, 2)
	h.mustFlush(t)
	for _, v := range []*mount{m, w.mount(t, Config{})} {
		if a, err := v.Getattr(ctxT(t), h.Ino()); err != nil || a.Mtime != fs.TimeOf(now) {
			t.Fatalf("mtime is %v, %v", a.Mtime.Std(), err)
		}
	}
}

// What is lost of a mount that dies is an end of what it did.
func TestTruncate_IsNotDurableWithoutTheWritesBeforeIt(t *testing.T) {
	for _, size := range []uint64{5, 10, 100} {
		w := newWorld(t, localmeta.Config{})
		m := w.start(t, Config{})
		h := m.create("f")
		h.mustWrite(t, []byte("0123456789"), 0)
		setattr(t, m, h.Ino(), fs.Setattr{Set: fs.SetSize, Size: size})
		m.abandon()
		if err := w.meta.ExpireAll(); err != nil {
			t.Fatal(err)
		}
		w.dropUndecided(t)
		want := append([]byte("0123456789"), make([]byte, 90)...)[:size]
		w.mount(t, Config{}).open("f", syscall.O_RDONLY).mustBe(t, want)
	}
}

// What is cut off is not flushed for it.
func TestTruncate_FlushesNothingOfWhatItCutsOff(t *testing.T) {
	w := newWorld(t, localmeta.Config{})
	m := w.mount(t, Config{})
	h := m.create("f")
	h.mustWrite(t, pattern(1, 100_000), 0)
	setattr(t, m, h.Ino(), fs.Setattr{Set: fs.SetSize})
	if n := m.sw.count("stage"); n != 0 {
		t.Errorf("%d blobs were made", n)
	}
}

func TestTruncate_CutsDirtyAndDurableData(t *testing.T) {
	w := newWorld(t, localmeta.Config{})
	m := w.mount(t, Config{})
	h := m.create("f")
	h.mustWrite(t, pattern(1, 10_000), 0)
	h.mustFlush(t)
	h.mustWrite(t, pattern(2, 10_000), 8_000)
	truncate(t, m, h, 9_000)
	truncate(t, m, h, 12_000)
	want := append(append([]byte{}, pattern(1, 10_000)[:8_000]...), pattern(2, 10_000)[:1_000]...)
	want = append(want, make([]byte, 3_000)...)
	h.mustBe(t, want)
	h.mustFlush(t)
	w.mount(t, Config{}).open("f", rw).mustBe(t, want)
	w.audit(t)
}

func truncate(t testing.TB, m *mount, h *Handle, size uint64) {
	t.Helper()
	a, err := m.Setattr(ctxT(t), h.Ino(), fs.Setattr{Set: fs.SetSize, Size: size})
	if err != nil || a.Size != size {
		t.Fatalf("truncate to %d: size %d, %v", size, a.Size, err)
	}
}

func TestSetMtime_SurvivesTheFlush(t *testing.T) {
	w := newWorld(t, localmeta.Config{})
	m := w.mount(t, Config{})
	h := m.create("f")
	h.mustWrite(t, []byte("data"), 0)
	if _, err := m.Setattr(ctxT(t), h.Ino(), fs.Setattr{Set: fs.SetMtime, Mtime: 42}); err != nil {
		t.Fatal(err)
	}
	h.mustFlush(t)
	for _, v := range []*mount{m, w.mount(t, Config{})} {
		if a, err := v.Getattr(ctxT(t), h.Ino()); err != nil || a.Mtime != 42 {
			t.Fatalf("mtime is %d, %v", a.Mtime, err)
		}
	}
	h.mustWrite(t, []byte("more"), 0)
	if a, _ := m.Getattr(ctxT(t), h.Ino()); a.Mtime == 42 {
		t.Fatal("a later write does not show in mtime")
	}
}

func TestUnlinkedFile_WorksUntilReleased(t *testing.T) {
	w := newWorld(t, localmeta.Config{TimeoutMillis: 60})
	m := w.mount(t, Config{})
	_, h, err := m.Create(ctxT(t), Caller{}, fs.RootIno, "f", 0o600, rw)
	if err != nil {
		t.Fatal(err)
	}
	h.mustWrite(t, pattern(1, 10_000), 0)
	h.mustFlush(t)
	if err := m.Unlink(ctxT(t), fs.RootIno, "f"); err != nil {
		t.Fatal(err)
	}
	h.mustWrite(t, pattern(2, 10_000), 10_000)
	h.mustFlush(t)
	h.mustBe(t, append(pattern(1, 10_000), pattern(2, 10_000)...))
	if a, err := m.Getattr(ctxT(t), h.Ino()); err != nil || a.Nlink != 0 {
		t.Fatalf("nlink %d, %v", a.Nlink, err)
	}
	h.Release()
	eventually(t, "the orphan is reaped", func() bool {
		_, err := m.Getattr(ctxT(t), h.Ino())
		return fs.CodeOf(err) == fs.CodeNotExist
	})
	w.audit(t)
}

func TestTmpfile_CanBeLinked(t *testing.T) {
	w := newWorld(t, localmeta.Config{})
	m := w.mount(t, Config{})
	_, h, err := m.Tmpfile(ctxT(t), Caller{UID: 7}, fs.RootIno, 0o600, rw)
	if err != nil {
		t.Fatal(err)
	}
	defer h.Release()
	h.mustWrite(t, []byte("x"), 0)
	if _, err := m.Link(ctxT(t), h.Ino(), fs.RootIno, "named"); err != nil {
		t.Fatal(err)
	}
	m.open("named", rw).mustBe(t, []byte("x"))
}

func TestRename_FlushesTheNewFileFirst(t *testing.T) {
	w := newWorld(t, localmeta.Config{})
	m := w.mount(t, Config{})
	old := m.create("f")
	old.mustWrite(t, []byte("old"), 0)
	old.mustFlush(t)
	h := m.create("f.tmp")
	h.mustWrite(t, []byte("new content"), 0)
	if err := m.Rename(ctxT(t), fs.RootIno, "f.tmp", fs.RootIno, "f", 0); err != nil {
		t.Fatal(err)
	}
	w.mount(t, Config{}).open("f", rw).mustBe(t, []byte("new content"))
}

func TestReadOnly_RefusesEveryChange(t *testing.T) {
	w := newWorld(t, localmeta.Config{})
	h := w.mount(t, Config{}).create("f")
	m := w.mount(t, Config{ReadOnly: true})
	ctx := ctxT(t)
	_, _, _, openErr := m.FS.Open(ctx, h.Ino(), rw)
	_, _, truncErr := m.Create(ctx, Caller{}, 1, "g", 0, rw)
	_, mkdirErr := m.Mkdir(ctx, Caller{}, 1, "d", 0)
	_, setErr := m.Setattr(ctx, h.Ino(), fs.Setattr{Set: fs.SetMode})
	_, linkErr := m.Link(ctx, h.Ino(), 1, "l")
	r := m.open("f", syscall.O_RDONLY)
	_, writeErr := r.Write(ctx, []byte("x"), 0)
	for i, err := range []error{openErr, truncErr, mkdirErr, setErr, linkErr, writeErr, m.Unlink(ctx, 1, "f"),
		m.Rmdir(ctx, 1, "f"), m.Rename(ctx, 1, "f", 1, "g", 0), m.Setxattr(ctx, 1, "user.a", nil, 0),
		m.Removexattr(ctx, 1, "user.a"), r.Allocate(ctx, fs.Allocate{Len: 1})} {
		if fs.CodeOf(err) != fs.CodeReadOnly {
			t.Errorf("change %d: %v", i, err)
		}
	}
	r.mustBe(t, nil)
}

func TestOpen_KeepsTheCacheOnlyOfWhatNobodyChanged(t *testing.T) {
	w := newWorld(t, localmeta.Config{})
	a, b := w.mount(t, Config{}), w.mount(t, Config{})
	h := a.create("f")
	keep := func() bool {
		_, h2, keep, err := a.FS.Open(ctxT(t), h.Ino(), rw)
		if err != nil {
			t.Fatal(err)
		}
		h2.Release()
		return keep
	}
	keep()
	if !keep() {
		t.Fatal("an untouched file is not kept")
	}
	hb := b.open("f", rw)
	hb.mustWrite(t, []byte("b"), 0)
	hb.mustFlush(t)
	if keep() {
		t.Fatal("kept although another mount wrote")
	}
	h.mustWrite(t, []byte("a"), 0)
	if keep() {
		t.Fatal("kept with unflushed data")
	}
}

func TestReaddir_StreamsAllEntries(t *testing.T) {
	w := newWorld(t, localmeta.Config{})
	m := w.mount(t, Config{})
	const n = 3000
	for i := range n {
		if _, err := m.Mknod(ctxT(t), Caller{}, fs.RootIno, string(rune(0x4e00+i)), fs.TypeFIFO, 0, 0); err != nil {
			t.Fatal(err)
		}
	}
	d, err := m.OpenDir(ctxT(t), fs.RootIno)
	if err != nil {
		t.Fatal(err)
	}
	defer d.Release()
	seen, after := map[string]bool{}, fs.Cookie(0)
	for {
		got := 0
		err := d.Read(ctxT(t), after, func(e fs.Dirent) bool {
			if got == 37 {
				return false
			}
			if seen[e.Name] || e.Cookie <= after {
				t.Fatalf("%s comes twice, or out of order", e.Name)
			}
			seen[e.Name], after = true, e.Cookie
			got++
			return true
		})
		if err != nil {
			t.Fatal(err)
		}
		if got == 0 {
			break
		}
	}
	if len(seen) != n {
		t.Fatalf("%d entries", len(seen))
	}
	if calls := m.sw.count("readdir"); calls > 10 {
		t.Fatalf("%d calls to the leader", calls)
	}
}
