package wire_test

import (
	"bytes"
	"encoding/hex"
	"errors"
	"math"
	"reflect"
	"testing"

	"pgregory.net/rapid"

	"dfs/fs/wire"
)

// everything has a field of each kind that a Coder knows.
type everything struct {
	U64   uint64
	I64   int64
	F32   uint32
	B     bool
	S     string
	Bytes []byte
	U8    uint8
	U16   uint16
	U32   uint32
	I     int
	I32   int32
	List  []string
}

func (e *everything) code(c *wire.Coder) {
	c.Uint64(&e.U64)
	c.Int64(&e.I64)
	c.Fixed32(&e.F32)
	c.Bool(&e.B)
	c.String(&e.S)
	c.Blob(&e.Bytes)
	wire.Uint(c, &e.U8)
	wire.Uint(c, &e.U16)
	wire.Uint(c, &e.U32)
	wire.Int(c, &e.I)
	wire.Int(c, &e.I32)
	wire.Slice(c, &e.List, (*wire.Coder).String)
}

func (e *everything) encode() []byte {
	c := wire.Encoder(nil)
	e.code(c)
	return c.Bytes()
}

func draw(t *rapid.T) everything {
	e := everything{
		U64: rapid.Uint64().Draw(t, "u64"), I64: rapid.Int64().Draw(t, "i64"), F32: rapid.Uint32().Draw(t, "f32"),
		B: rapid.Bool().Draw(t, "b"), S: rapid.String().Draw(t, "s"), Bytes: rapid.SliceOf(rapid.Byte()).Draw(t, "bytes"),
		U8: rapid.Uint8().Draw(t, "u8"), U16: rapid.Uint16().Draw(t, "u16"), U32: rapid.Uint32().Draw(t, "u32"),
		I: rapid.Int().Draw(t, "i"), I32: rapid.Int32().Draw(t, "i32"), List: rapid.SliceOf(rapid.String()).Draw(t, "list"),
	}
	if len(e.Bytes) == 0 {
		e.Bytes = nil // as it is decoded
	}
	if len(e.List) == 0 {
		e.List = nil
	}
	return e
}

func TestCoder_WhatIsWrittenIsRead(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		want := draw(t)
		data := want.encode()
		var got everything
		c := wire.Decoder(data)
		got.code(c)
		if err := c.End(); err != nil || !reflect.DeepEqual(got, want) {
			t.Fatalf("wrote %+v, read %+v, %v", want, got, err)
		}
		for n := range data {
			c := wire.Decoder(data[:n])
			got.code(c)
			if !errors.Is(c.End(), wire.ErrMalformed) {
				t.Fatalf("cut to %d of %d bytes it is read without a fault", n, len(data))
			}
		}
	})
}

func TestCoder_WritesTheSameBytesForEver(t *testing.T) {
	e := everything{U64: 300, I64: -2, F32: 0x01020304, B: true, S: "hi", Bytes: []byte{0xff}, U8: 255, U16: 1, U32: 2,
		I: math.MinInt64, I32: 3, List: []string{"a", ""}}
	const want = "ac02" + "03" + "04030201" + "01" + "026869" + "01ff" + "ff01" + "01" + "02" + "ffffffffffffffffff01" + "06" + "02016100"
	if got := hex.EncodeToString(e.encode()); got != want {
		t.Errorf("%s, want %s", got, want)
	}
}

func TestCoder_FaultsStick(t *testing.T) {
	for name, test := range map[string]struct {
		data []byte
		read func(c *wire.Coder)
	}{
		"empty":                 {nil, func(c *wire.Coder) { c.Uint64(new(uint64)) }},
		"endless varint":        {bytes.Repeat([]byte{0x80}, 20), func(c *wire.Coder) { c.Uint64(new(uint64)) }},
		"varint of 65 bits":     {append(bytes.Repeat([]byte{0xff}, 9), 2), func(c *wire.Coder) { c.Uint64(new(uint64)) }},
		"bool of 2":             {[]byte{2}, func(c *wire.Coder) { c.Bool(new(bool)) }},
		"uint8 of 256":          {[]byte{0x80, 2}, func(c *wire.Coder) { wire.Uint(c, new(uint8)) }},
		"uint32 of 2^32":        {[]byte{0x80, 0x80, 0x80, 0x80, 0x10}, func(c *wire.Coder) { wire.Uint(c, new(uint32)) }},
		"int32 of 2^31":         {[]byte{0x80, 0x80, 0x80, 0x80, 0x10}, func(c *wire.Coder) { wire.Int(c, new(int32)) }},
		"short fixed":           {[]byte{1, 2, 3}, func(c *wire.Coder) { c.Fixed32(new(uint32)) }},
		"short string":          {[]byte{3, 'a', 'b'}, func(c *wire.Coder) { c.String(new(string)) }},
		"huge string":           {append(bytes.Repeat([]byte{0xff}, 9), 1), func(c *wire.Coder) { c.String(new(string)) }},
		"huge bytes":            {append(bytes.Repeat([]byte{0xff}, 9), 1), func(c *wire.Coder) { c.Blob(new([]byte)) }},
		"more items than bytes": {[]byte{4, 0, 0, 0}, func(c *wire.Coder) { wire.Slice(c, new([]string), (*wire.Coder).String) }},
		"a bad item":            {[]byte{2, 0, 9}, func(c *wire.Coder) { wire.Slice(c, new([]string), (*wire.Coder).String) }},
		"bytes left":            {[]byte{1, 1}, func(c *wire.Coder) { c.Uint64(new(uint64)) }},
	} {
		c := wire.Decoder(test.data)
		test.read(c)
		if err := c.End(); !errors.Is(err, wire.ErrMalformed) {
			t.Errorf("%s: %v", name, err)
		}
		u, s, b, f, list := uint64(7), "x", []byte("x"), uint32(7), []string{"x"}
		c.Uint64(&u)
		c.String(&s)
		c.Blob(&b)
		c.Fixed32(&f)
		wire.Slice(c, &list, (*wire.Coder).String)
		if u != 0 || s != "" || b != nil || f != 0 || len(list) != 0 {
			t.Errorf("%s: fields behind the fault: %d %q %q %d %q", name, u, s, b, f, list)
		}
	}
}

func TestCoder_TheFirstFaultIsKept(t *testing.T) {
	mine := errors.New("out of bounds")
	c := wire.Decoder([]byte{1, 2})
	c.Fail(mine)
	c.Uint64(new(uint64))
	if !errors.Is(c.End(), mine) {
		t.Errorf("%v", c.End())
	}
}

func TestDecoder_BytesAreCopies(t *testing.T) {
	data := []byte{2, 'a', 'b'}
	var b []byte
	wire.Decoder(data).Blob(&b)
	data[1] = 'x'
	if string(b) != "ab" {
		t.Errorf("the decoded bytes follow the input: %q", b)
	}
}

// A length that the input cannot hold is refused before anything is made of it.
func TestSlice_AClaimBeyondTheInputCostsNothing(t *testing.T) {
	data := append([]byte{0xff, 0xff, 0x3f}, make([]byte, 1000)...) // 2^20-1 items in 1000 bytes
	touched := 0
	allocs := testing.AllocsPerRun(10, func() {
		var list []uint64
		c := wire.Decoder(data)
		wire.Slice(c, &list, func(c *wire.Coder, v *uint64) { touched++; c.Uint64(v) })
		if !errors.Is(c.Err(), wire.ErrMalformed) || list != nil {
			t.Errorf("read %d items, %v", len(list), c.Err())
		}
	})
	if touched != 0 || allocs > 3 {
		t.Errorf("%d items were read, %v allocations made", touched, allocs)
	}
}

func FuzzCoder(f *testing.F) {
	f.Add((&everything{S: "x", List: []string{"a"}, Bytes: []byte("b")}).encode())
	f.Fuzz(func(t *testing.T, data []byte) {
		var once, again everything
		c := wire.Decoder(data)
		once.code(c)
		if c.End() != nil {
			return
		}
		c = wire.Decoder(once.encode())
		again.code(c)
		if err := c.End(); err != nil || !reflect.DeepEqual(once, again) {
			t.Fatalf("%+v becomes %+v, %v", once, again, err)
		}
	})
}
