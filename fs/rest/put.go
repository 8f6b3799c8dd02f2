package rest

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"syscall"
	"time"

	"dfs/fs"
	"dfs/fs/vfs"
)

const (
	fileMode = 0o644
	dirMode  = 0o755
	// changeTries bounds how often a change is decided anew because what it was decided on has changed.
	changeTries = 32
)

// put makes a file of the request's body, or gives an old one that content: all of it in one transaction at the end, so that
// nobody sees a part. See DESIGN.md for the states.
func (c *call) put() error {
	if err := c.acceptable(); err != nil {
		return err
	}
	t, err := c.place() // also later: but better told before the body is sent than after
	if err != nil {
		return err
	}
	h, err := c.receive(t.parent)
	if err != nil {
		return err
	}
	defer h.Release()
	for range changeTries {
		a, made, err := c.publish(h)
		if errors.Is(err, fs.ErrConflict) || errors.Is(err, fs.ErrExist) {
			continue // somebody was faster; the preconditions are asked again
		}
		if err != nil {
			return err
		}
		c.w.Header().Set("Etag", etag(&a))
		c.w.WriteHeader(map[bool]int{true: http.StatusCreated, false: http.StatusNoContent}[made])
		return nil
	}
	return fmt.Errorf("others keep changing the file: %w", fs.ErrBusy)
}

// acceptable refuses a body by its headers.
func (c *call) acceptable() error {
	if c.r.Header.Get("Content-Range") != "" {
		return newError(http.StatusBadRequest, "invalid", "a part of a file cannot be put")
	}
	if limit := c.s.cfg.MaxBytes; limit > 0 && c.r.ContentLength > limit {
		return tooLarge(limit)
	}
	return nil
}

func tooLarge(limit int64) error {
	return newError(http.StatusRequestEntityTooLarge, "too_large", fmt.Sprintf("more than %d bytes", limit))
}

// place is where the file goes, if the preconditions hold for what is there.
func (c *call) place() (target, error) {
	if c.path.dir {
		return target{}, newError(http.StatusConflict, "is_a_directory", "a path that ends in a slash names a directory")
	}
	t, err := c.resolve(c.ctx, c.path, true)
	if err != nil {
		return target{}, err
	}
	if t.exists() {
		if err := onlyRegular(&t.attr); err != nil {
			return target{}, err
		}
	}
	return t, c.pre.check(&t.attr, false)
}

// publish lets the content be seen at its place: made says that the name is new. ErrConflict and ErrExist say that the
// place has changed since it was looked at.
func (c *call) publish(h *vfs.Handle) (a fs.Attr, made bool, err error) {
	t, err := c.place()
	if err != nil {
		return fs.Attr{}, false, err
	}
	if !t.exists() {
		a, err = h.LinkNew(c.ctx, t.parent, t.name)
		return a, true, err
	}
	a, err = h.Replace(c.ctx, guard(&t.attr))
	return a, false, err
}

// receive makes a file without a name, whose group is as in parent, of the body. It is made when the body's turn has come:
// those that wait hold nothing in the cluster.
func (c *call) receive(parent fs.Ino) (*vfs.Handle, error) {
	buf, done, err := c.transfer(c.r.ContentLength)
	if err != nil {
		return nil, err
	}
	defer done()
	_, h, err := c.fs.Tmpfile(c.ctx, c.s.cfg.Owner, parent, fileMode, syscall.O_WRONLY)
	if err != nil {
		return nil, err
	}
	if err := c.fill(h, buf); err != nil {
		h.Release()
		return nil, err
	}
	return h, nil
}

// fill writes the body to h, through one buffer.
func (c *call) fill(h *vfs.Handle, buf []byte) error {
	body := io.Reader(c.r.Body)
	if limit := c.s.cfg.MaxBytes; limit > 0 {
		body = http.MaxBytesReader(c.w, c.r.Body, limit)
	}
	in := &patientReader{r: body, idle: c.s.cfg.Idle, deadlines: http.NewResponseController(c.w)}
	for off := uint64(0); ; {
		n, end, err := in.fill(buf)
		if err != nil {
			return c.bodyError(err)
		}
		c.done.Written += uint64(n)
		if err := c.write(h, buf[:n], off); err != nil {
			return err
		}
		if off += uint64(n); end {
			in.end()
			return nil
		}
	}
}

// write writes all of p.
func (c *call) write(h *vfs.Handle, p []byte, off uint64) error {
	for len(p) > 0 {
		n, err := h.Write(c.ctx, p, off)
		if err != nil {
			return err
		}
		p, off = p[n:], off+uint64(n)
	}
	return h.Lost() // no use in taking the rest
}

// bodyError says why a body did not come whole.
func (c *call) bodyError(err error) error {
	if _, ok := errors.AsType[*http.MaxBytesError](err); ok {
		return tooLarge(c.s.cfg.MaxBytes)
	}
	if errors.Is(err, os.ErrDeadlineExceeded) {
		return newError(http.StatusRequestTimeout, "timeout", "the body did not go on")
	}
	return newError(http.StatusBadRequest, "incomplete_body", "the body ended before its end: "+err.Error())
}

// patientReader waits for a client as long as it sends anything at all.
type patientReader struct {
	r         io.Reader
	idle      time.Duration
	deadlines *http.ResponseController
}

// fill reads until p is full. end tells that the body is over and was whole: nothing else ends it without an error, and above
// all not io.ErrUnexpectedEOF, which io.ReadFull would give for both.
func (p *patientReader) fill(buf []byte) (n int, end bool, err error) {
	for n < len(buf) {
		_ = p.deadlines.SetReadDeadline(time.Now().Add(p.idle)) // where there are none, a dead client costs its turn
		k, err := p.r.Read(buf[n:])
		n += k
		if err == io.EOF {
			return n, true, nil
		}
		if err != nil {
			return n, false, err
		}
	}
	return n, false, nil
}

// end takes the deadline off again, once there is nothing more to come. Where the rest of a body is not wanted it stays: the
// server reads on a little before it answers, and must not wait for a client that has stopped.
func (p *patientReader) end() { _ = p.deadlines.SetReadDeadline(time.Time{}) }
