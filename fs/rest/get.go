package rest

import (
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"dfs/fs"
	"dfs/fs/vfs"
)

// getTries bounds how often a read starts anew because the file changed before its first byte was sent.
const getTries = 16

// get streams a file, or a part of it, as it was at one moment.
func (c *call) get() error {
	for range getTries {
		t, err := c.file()
		if err != nil {
			return err
		}
		if c.r.Method == http.MethodHead {
			_, err := c.head(&t.attr)
			return err
		}
		err = c.send(t.attr.Ino)
		again := errors.Is(err, fs.ErrConflict) || errors.Is(err, fs.ErrNotExist) || errors.Is(err, fs.ErrStale)
		if !again || c.w.begun {
			return err
		}
	}
	return fmt.Errorf("others keep changing the file: %w", fs.ErrBusy)
}

// file finds the regular file that the path leads to.
func (c *call) file() (target, error) {
	t, err := c.resolve(c.ctx, c.path, true)
	switch {
	case err != nil:
		return target{}, err
	case !t.exists() && c.pre.match != nil:
		return target{}, c.pre.check(&t.attr, true)
	case !t.exists():
		return target{}, fs.ErrNotExist
	case t.attr.IsDir():
		return target{}, newError(http.StatusConflict, "is_a_directory", "a directory; ?list lists it")
	}
	return t, onlyRegular(&t.attr)
}

// onlyRegular refuses what has no content to be read or replaced.
func onlyRegular(a *fs.Attr) error {
	if a.IsDir() {
		return fs.ErrIsDir
	}
	if a.Type != fs.TypeRegular {
		return newError(http.StatusConflict, "not_a_file", "a "+typeName(a.Type)+" has no content")
	}
	return nil
}

// head decides by the preconditions and writes the header. For HEAD it ends the answer; for GET the caller does, once it has
// bytes to show.
func (c *call) head(a *fs.Attr) (span, error) {
	if err := c.pre.check(a, true); err != nil {
		return span{}, err
	}
	var part *span
	if c.r.Method == http.MethodGet { // section 14.2: of other methods Range is ignored
		var err error
		if part, err = rangeOf(c.r.Header, a); err != nil {
			return span{}, err
		}
	}
	h := c.w.Header()
	h.Set("Etag", etag(a))
	h.Set("Accept-Ranges", "bytes")
	h.Set("Content-Type", "application/octet-stream")
	h.Set("Cache-Control", cacheControl)
	h.Set("Last-Modified", a.Mtime.Std().UTC().Format(http.TimeFormat))
	status, whole := http.StatusOK, span{0, a.Size}
	if part != nil {
		status, whole = http.StatusPartialContent, *part
		h.Set("Content-Range", fmt.Sprintf("bytes %d-%d/%d", part.from, part.to-1, a.Size))
	} else {
		h.Del("Content-Range")
	}
	h.Set("Content-Length", strconv.FormatUint(whole.to-whole.from, 10))
	if c.r.Method == http.MethodHead {
		c.w.WriteHeader(status)
	}
	return whole, nil
}

func (c *call) send(ino fs.Ino) error {
	s, err := c.fs.Snapshot(c.ctx, ino)
	if err != nil {
		return err
	}
	defer s.Release()
	a := s.Attr()
	part, err := c.head(&a)
	if err != nil {
		return err
	}
	s.Until(part.to)
	return c.stream(s, part)
}

// stream sends bytes. The answer begins when the first of them are here, so that until then an error can be told.
func (c *call) stream(s *vfs.Snapshot, part span) error {
	buf, done, err := c.transfer(int64(part.to - part.from))
	if err != nil {
		return err
	}
	defer done()
	status := http.StatusOK
	if c.w.Header().Get("Content-Range") != "" {
		status = http.StatusPartialContent
	}
	deadlines := http.NewResponseController(c.w)
	defer func() { _ = deadlines.SetWriteDeadline(time.Time{}) }() // as below
	for off := part.from; off < part.to; {
		n, err := s.Read(c.ctx, buf[:min(uint64(len(buf)), part.to-off)], off)
		if err != nil {
			return err
		}
		if n == 0 {
			return fmt.Errorf("a snapshot ends at %d of %d: %w", off, part.to, fs.ErrInternal)
		}
		if !c.w.begun {
			c.w.WriteHeader(status)
		}
		if err := c.give(deadlines, buf[:n]); err != nil {
			return fmt.Errorf("%w: the client is gone: %w", fs.ErrUnavailable, err)
		}
		off += uint64(n)
	}
	if !c.w.begun {
		c.w.WriteHeader(status)
	}
	return nil
}

// writeStep is how much a client must take within Config.Idle.
const writeStep = 64 << 10 // bytes

// give sends p to a client that may be slow, but takes something.
func (c *call) give(deadlines *http.ResponseController, p []byte) error {
	for len(p) > 0 {
		_ = deadlines.SetWriteDeadline(time.Now().Add(c.s.cfg.Idle)) // where there are none, a dead client costs its turn
		n, err := c.w.Write(p[:min(writeStep, len(p))])
		c.done.Read += uint64(n)
		if err != nil {
			return err
		}
		p = p[n:]
	}
	return nil
}
