package raftmeta

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"strings"
	"testing"

	"dfs/fs"
	"dfs/raftmeta/command"
	"dfs/raftmeta/state"
)

func testMemory(t *testing.T, n int) *state.Memory {
	t.Helper()
	m := state.NewMemory()
	for i := range n {
		if err := m.Set(fmt.Appendf(nil, "k%06d", i), bytes.Repeat([]byte{byte(i)}, 1+i%900)); err != nil {
			t.Fatal(err)
		}
	}
	return m
}

func loadDump(data []byte) (*state.Memory, position, error) {
	m, at := state.NewMemory(), position{}
	err := readDump(bytes.NewReader(data), func(p position) { at = p }, m.Set)
	return m, at, err
}

func TestDump_RoundTrips(t *testing.T) {
	for _, n := range []int{0, 1, 2000} {
		m := testMemory(t, n)
		var buf bytes.Buffer
		if err := writeDump(&buf, m, position{77, 5}); err != nil {
			t.Fatal(err)
		}
		got, at, err := loadDump(buf.Bytes())
		if err != nil || at != (position{77, 5}) {
			t.Fatalf("%d keys: position %v, %v", n, at, err)
		}
		want, _ := state.Digest(m)
		if d, _ := state.Digest(got); d != want {
			t.Errorf("%d keys: the digest has changed", n)
		}
	}
}

func TestDump_NoDamageGoesUnnoticed(t *testing.T) {
	var buf bytes.Buffer
	if err := writeDump(&buf, testMemory(t, 30), position{77, 5}); err != nil {
		t.Fatal(err)
	}
	good := buf.Bytes()
	for i := range good {
		bad := bytes.Clone(good)
		bad[i] ^= 0x10
		if _, _, err := loadDump(bad); !errors.Is(err, fs.ErrCorrupt) && !errors.Is(err, command.ErrUnknown) {
			t.Fatalf("byte %d changed: %v", i, err)
		}
		if _, _, err := loadDump(good[:i]); !errors.Is(err, fs.ErrCorrupt) {
			t.Fatalf("cut at byte %d: %v", i, err)
		}
	}
}

func TestDump_OfANewerVersionIsRefused(t *testing.T) {
	head := dumpHead{version: dumpVersion + 1}
	d := &dumper{}
	var buf bytes.Buffer
	d.to = bufio.NewWriter(&buf)
	if err := errors.Join(d.block(encodeBlock(blockHead, head.wire)), d.to.Flush()); err != nil {
		t.Fatal(err)
	}
	if _, _, err := loadDump(buf.Bytes()); !errors.Is(err, command.ErrUnknown) || !strings.Contains(err.Error(), "version 2") {
		t.Fatal(err)
	}
}

func FuzzReadDump(f *testing.F) {
	var buf bytes.Buffer
	m := state.NewMemory()
	_ = m.Set([]byte("ka"), []byte("v")) // memory never fails
	if err := writeDump(&buf, m, position{1, 1}); err != nil {
		f.Fatal(err)
	}
	f.Add(buf.Bytes())
	f.Fuzz(func(t *testing.T, data []byte) {
		if _, _, err := loadDump(data); err != nil && !errors.Is(err, fs.ErrCorrupt) && !errors.Is(err, command.ErrUnknown) {
			t.Fatalf("an error of another kind: %v", err)
		}
	})
}
