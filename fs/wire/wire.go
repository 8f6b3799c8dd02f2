// Package wire is a small binary encoding in which one function describes both directions: a [Coder] either appends
// fields to a buffer or fills them from one, so that what is written and what is read cannot drift apart.
//
// Integers are varints, strings and byte slices carry their length. A decoding Coder never reads beyond its input and
// allocates in proportion to it at most (a slice begins with room for 1,024 items); the first fault sticks in Err and makes
// all later fields zero. The encoding of a value is unique only if the same version wrote it: versions belong to the
// formats built on top.
package wire

import (
	"encoding/binary"
	"errors"
)

// ErrMalformed says that the input is cut off or contradicts itself.
var ErrMalformed = errors.New("malformed encoding")

// Coder encodes or decodes, one field after the other.
type Coder struct {
	buf      []byte // encoding: what was written; decoding: what is left
	decoding bool
	err      error
}

// Encoder returns a Coder that appends to buf, which may be nil.
func Encoder(buf []byte) *Coder { return &Coder{buf: buf} }

// Decoder returns a Coder that reads data. Byte slices that it yields are copies.
func Decoder(data []byte) *Coder { return &Coder{buf: data, decoding: true} }

// Decoding reports the direction.
func (c *Coder) Decoding() bool { return c.decoding }

// Bytes is what has been encoded so far.
func (c *Coder) Bytes() []byte { return c.buf }

// Left is how many bytes of input are left to decode.
func (c *Coder) Left() int { return len(c.buf) }

// Err is the first fault, nil if there was none.
func (c *Coder) Err() error { return c.err }

// End is Err, or ErrMalformed when a decoder has input left.
func (c *Coder) End() error {
	if c.err == nil && c.decoding && len(c.buf) > 0 {
		c.Fail(ErrMalformed)
	}
	return c.err
}

// Fail records a fault found by the caller (a value out of bounds) and stops decoding.
func (c *Coder) Fail(err error) {
	if c.err == nil {
		c.err = err
	}
	if c.decoding {
		c.buf = nil
	}
}

// Uint64 codes v as a varint.
func (c *Coder) Uint64(v *uint64) {
	if !c.decoding {
		c.buf = binary.AppendUvarint(c.buf, *v)
		return
	}
	*v = 0
	if c.err != nil {
		return
	}
	x, n := binary.Uvarint(c.buf)
	if n <= 0 {
		c.Fail(ErrMalformed)
		return
	}
	*v, c.buf = x, c.buf[n:]
}

// Int64 codes v zigzag.
func (c *Coder) Int64(v *int64) {
	u := uint64(*v<<1) ^ uint64(*v>>63)
	c.Uint64(&u)
	*v = int64(u>>1) ^ -int64(u&1)
}

// Fixed32 codes v in four bytes, little endian.
func (c *Coder) Fixed32(v *uint32) {
	if !c.decoding {
		c.buf = binary.LittleEndian.AppendUint32(c.buf, *v)
		return
	}
	*v = 0
	if b := c.take(4); b != nil {
		*v = binary.LittleEndian.Uint32(b)
	}
}

// Bool codes v in one byte, 0 or 1.
func (c *Coder) Bool(v *bool) {
	var u uint64
	if *v {
		u = 1
	}
	c.Uint64(&u)
	if u > 1 {
		c.Fail(ErrMalformed)
	}
	*v = u == 1
}

// String codes v with its length.
func (c *Coder) String(v *string) {
	if !c.decoding {
		c.buf = binary.AppendUvarint(c.buf, uint64(len(*v)))
		c.buf = append(c.buf, *v...)
		return
	}
	*v = string(c.take(c.length()))
}

// Blob codes v with its length; an empty slice decodes as nil.
func (c *Coder) Blob(v *[]byte) {
	if !c.decoding {
		c.buf = binary.AppendUvarint(c.buf, uint64(len(*v)))
		c.buf = append(c.buf, *v...)
		return
	}
	*v = nil
	if b := c.take(c.length()); len(b) > 0 {
		*v = append([]byte(nil), b...)
	}
}

// Uint codes any unsigned integer; a value that does not fit its type is a fault.
func Uint[T ~uint8 | ~uint16 | ~uint32 | ~uint64](c *Coder, v *T) {
	u := uint64(*v)
	c.Uint64(&u)
	*v = T(u)
	if uint64(*v) != u {
		c.Fail(ErrMalformed)
	}
}

// Int codes any signed integer; a value that does not fit its type is a fault.
func Int[T ~int | ~int32 | ~int64](c *Coder, v *T) {
	i := int64(*v)
	c.Int64(&i)
	*v = T(i)
	if int64(*v) != i {
		c.Fail(ErrMalformed)
	}
}

// Slice codes the length of v and then each element with item. Every element must take at least one byte, so that a
// short input cannot ask for a long slice.
func Slice[T any](c *Coder, v *[]T, item func(*Coder, *T)) {
	n := uint64(len(*v))
	c.Uint64(&n)
	if c.decoding {
		*v = nil
		if n > uint64(len(c.buf)) {
			c.Fail(ErrMalformed)
			return
		}
		if n == 0 {
			return
		}
		*v = make([]T, 0, min(n, 1024))
		for range n {
			var t T
			item(c, &t)
			if c.err != nil {
				*v = nil
				return
			}
			*v = append(*v, t)
		}
		return
	}
	for i := range *v {
		item(c, &(*v)[i])
	}
}

func (c *Coder) length() int {
	var n uint64
	c.Uint64(&n)
	if n > uint64(len(c.buf)) {
		c.Fail(ErrMalformed)
		return 0
	}
	return int(n)
}

func (c *Coder) take(n int) []byte {
	if c.err != nil {
		return nil
	}
	if n > len(c.buf) {
		c.Fail(ErrMalformed)
		return nil
	}
	b := c.buf[:n]
	c.buf = c.buf[n:]
	return b
}
