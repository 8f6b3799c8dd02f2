package vfs

import (
	"bytes"
	"errors"
	"syscall"
	"testing"

	"dfs/fs"
	"dfs/raftmeta/localmeta"

	"pgregory.net/rapid"
)

// modelMax keeps the model's file small, and so overlaps frequent.
const modelMax = 40_000

// twins compares two mounts that work on one file, one at a time with a flush in between, with a byte slice.
type twins struct {
	w      *world
	mounts [2]*mount
	files  [2]*Handle
	at     int    // who works now
	want   []byte // the file
}

// model is a plain file.
func (tw *twins) grow(end int) {
	if end > len(tw.want) {
		tw.want = append(tw.want, make([]byte, end-len(tw.want))...)
	}
}

func (tw *twins) h() *Handle { return tw.files[tw.at] }

func drawRange(rt *rapid.T) (off, n int) {
	off = rapid.IntRange(0, modelMax).Draw(rt, "off")
	n = rapid.OneOf(rapid.IntRange(1, 20), rapid.IntRange(1, modelMax/2)).Draw(rt, "len")
	return off, n
}

func (tw *twins) write(rt *rapid.T) {
	off, n := drawRange(rt)
	p := pattern(rapid.IntRange(1, 1000).Draw(rt, "seed"), n)
	k, err := tw.h().Write(ctxT(tw.t()), p, uint64(off))
	if err != nil || k != n {
		rt.Fatalf("write: %d, %v", k, err)
	}
	tw.grow(off + n)
	copy(tw.want[off:], p)
}

func (tw *twins) t() testing.TB { return tw.mounts[0].t }

func (tw *twins) truncate(rt *rapid.T) {
	size := rapid.IntRange(0, modelMax).Draw(rt, "size")
	set := fs.Setattr{Set: fs.SetSize, Size: uint64(size)}
	if rapid.Bool().Draw(rt, "mtime") {
		set.Set |= fs.SetMtime
	}
	a, err := tw.mounts[tw.at].Setattr(ctxT(tw.t()), tw.h().Ino(), set)
	if err != nil || a.Size != uint64(size) {
		rt.Fatalf("truncate to %d: size %d, %v", size, a.Size, err)
	}
	tw.grow(size)
	clear(tw.want[size:])
	tw.want = tw.want[:size]
}

func (tw *twins) allocate(rt *rapid.T) {
	off, n := drawRange(rt)
	mode := rapid.SampledFrom([]fs.AllocateMode{fs.AllocatePlain, fs.AllocatePunch, fs.AllocateZero}).Draw(rt, "mode")
	keep := rapid.Bool().Draw(rt, "keep") || mode == fs.AllocatePunch
	if err := tw.h().Allocate(ctxT(tw.t()), fs.Allocate{Mode: mode, Off: uint64(off), Len: uint64(n), KeepSize: keep}); err != nil {
		rt.Fatalf("allocate: %v", err)
	}
	if !keep {
		tw.grow(off + n)
	}
	if mode != fs.AllocatePlain && off < len(tw.want) {
		clear(tw.want[off:min(off+n, len(tw.want))])
	}
}

func (tw *twins) clone(rt *rapid.T) {
	src, n := drawRange(rt)
	dst, _ := drawRange(rt)
	copyTo := tw.h().CopyTo
	if rapid.Bool().Draw(rt, "share") { // also where copying would do
		copyTo = tw.h().clone
	}
	k, err := copyTo(ctxT(tw.t()), tw.h(), fs.Clone{SrcOff: uint64(src), DstOff: uint64(dst), Len: uint64(n)})
	if src < dst+n && dst < src+n {
		// Cut at the end of file the ranges may not overlap, which clone allows and copy_file_range does not.
		if errors.Is(err, fs.ErrInvalid) {
			return
		}
	}
	if err != nil {
		rt.Fatalf("clone: %v", err)
	}
	n = min(n, max(0, len(tw.want)-src))
	if int(k) != n {
		rt.Fatalf("cloned %d bytes of %d", k, n)
	}
	if n == 0 {
		return
	}
	p := bytes.Clone(tw.want[src : src+n])
	tw.grow(dst + n)
	copy(tw.want[dst:], p)
}

func (tw *twins) append(rt *rapid.T) {
	_, h, _, err := tw.mounts[tw.at].Open(ctxT(tw.t()), tw.h().Ino(), rw|syscall.O_APPEND)
	if err != nil {
		rt.Fatalf("open: %v", err)
	}
	defer h.Release()
	p := pattern(rapid.IntRange(1, 1000).Draw(rt, "seed"), rapid.IntRange(1, 500).Draw(rt, "len"))
	if _, err := h.Write(ctxT(tw.t()), p, 0); err != nil {
		rt.Fatalf("append: %v", err)
	}
	tw.want = append(tw.want, p...)
}

func (tw *twins) read(rt *rapid.T) {
	off, n := drawRange(rt)
	p := bytes.Repeat([]byte{0xEE}, n)
	k, err := tw.h().Read(ctxT(tw.t()), p, uint64(off))
	if err != nil {
		rt.Fatalf("read: %v", err)
	}
	want := tw.want[min(off, len(tw.want)):min(off+n, len(tw.want))]
	if !bytes.Equal(p[:k], want) {
		rt.Fatalf("read %d at %d: %s", n, off, diff(p[:k], want))
	}
}

// seek compares the holes: data never looks like a hole.
func (tw *twins) seek(rt *rapid.T) {
	off, _ := drawRange(rt)
	data, err := tw.h().Seek(ctxT(tw.t()), uint64(off), SeekData)
	if off >= len(tw.want) {
		if !errors.Is(err, ErrNoData) {
			rt.Fatalf("seek behind the end: %d, %v", data, err)
		}
		return
	}
	if errors.Is(err, ErrNoData) {
		data = uint64(len(tw.want))
	} else if err != nil {
		rt.Fatalf("seek: %v", err)
	}
	for _, b := range tw.want[off:data] {
		if b != 0 {
			rt.Fatalf("there is data between %d and %d", off, data)
		}
	}
	hole, err := tw.h().Seek(ctxT(tw.t()), uint64(off), SeekHole)
	if err != nil || hole > uint64(len(tw.want)) || hole < uint64(off) || (data == uint64(off)) == (hole == uint64(off)) {
		rt.Fatalf("seek from %d: data at %d, hole at %d, size %d, %v", off, data, hole, len(tw.want), err)
	}
}

func (tw *twins) flush(rt *rapid.T) {
	if err := tw.h().Fsync(ctxT(tw.t()), false); err != nil {
		rt.Fatalf("fsync: %v", err)
	}
}

// background starts a flush and waits for nothing.
func (tw *twins) background(rt *rapid.T) {
	tw.mounts[tw.at].launch(tw.mounts[tw.at].dirty.all(), (*segments).takeAll)
}

// hiccup breaks one step of the next flush for a moment.
func (tw *twins) hiccup(rt *rapid.T) {
	step := rapid.SampledFrom([]string{"stage", "stage.answer", "commit", "commit.answer", "get"}).Draw(rt, "step")
	sw := tw.mounts[tw.at].sw
	left := 1
	sw.hook(step, func() error {
		sw.mu.Lock()
		defer sw.mu.Unlock()
		if left == 0 {
			return nil
		}
		left--
		return fs.ErrUnavailable
	})
}

func (tw *twins) change(rt *rapid.T) {
	tw.flush(rt)
	tw.at = 1 - tw.at
	// What a front does before it serves anything from its cache.
	if _, err := tw.mounts[tw.at].Getattr(ctxT(tw.t()), tw.h().Ino()); err != nil {
		rt.Fatal(err)
	}
}

func (tw *twins) check(rt *rapid.T) {
	a, err := tw.mounts[tw.at].Getattr(ctxT(tw.t()), tw.h().Ino())
	if err != nil || a.Size != uint64(len(tw.want)) {
		rt.Fatalf("size %d, want %d, %v", a.Size, len(tw.want), err)
	}
	p := make([]byte, len(tw.want)+1)
	k, err := tw.h().Read(ctxT(tw.t()), p, 0)
	if err != nil || !bytes.Equal(p[:k], tw.want) {
		rt.Fatalf("content: %s, %v", diff(p[:k], tw.want), err)
	}
}

func TestFile_BehavesAsAByteSlice(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		w := newWorld(t, localmeta.Config{})
		tw := &twins{w: w}
		cfg := Config{BlobSize: rapid.SampledFrom([]int{1000, 8192, fs.BlobMax}).Draw(rt, "blobsize"),
			InlineMax: rapid.SampledFrom([]int{-1, 100, fs.InlineMax}).Draw(rt, "inline"),
			DirtyMax:  rapid.SampledFrom([]int64{20_000, 1 << 20}).Draw(rt, "dirtymax"), CacheSize: 200_000}
		for i := range tw.mounts {
			tw.mounts[i] = w.start(t, cfg)
			defer func() {
				if err := tw.mounts[i].Close(ctxT(t)); err != nil {
					rt.Errorf("close: %v", err)
				}
			}()
		}
		a, h, err := tw.mounts[0].Create(ctxT(t), Caller{}, fs.RootIno, "f", 0o644, rw)
		if err != nil {
			rt.Fatal(err)
		}
		tw.files[0] = h
		defer h.Release()
		if _, tw.files[1], _, err = tw.mounts[1].Open(ctxT(t), a.Ino, rw); err != nil {
			rt.Fatal(err)
		}
		defer tw.files[1].Release()
		rt.Repeat(map[string]func(*rapid.T){
			"write": tw.write, "write2": tw.write, "truncate": tw.truncate, "allocate": tw.allocate, "clone": tw.clone,
			"append": tw.append, "read": tw.read, "seek": tw.seek, "flush": tw.flush, "background": tw.background,
			"hiccup": tw.hiccup, "change": tw.change, "": tw.check,
		})
		tw.flush(rt)
		if err := w.meta.Check(); err != nil {
			rt.Fatal(err)
		}
	})
}
