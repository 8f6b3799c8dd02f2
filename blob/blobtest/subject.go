package blobtest

import (
	"bytes"
	"context"
	"errors"
	"math/rand/v2"
	"slices"
	"testing"

	"dfs/blob"
	"dfs/fs"
)

// subject is a store under test with the words that the tests are written in: what is not expected fails the test.
type subject struct {
	t *testing.T
	blob.Store
}

// Bytes are reproducible bytes that do not compress.
func Bytes(n int, seed uint64) []byte {
	var key [32]byte
	for i := range 8 {
		key[i] = byte(seed >> (8 * i))
	}
	b := make([]byte, n)
	_, _ = rand.NewChaCha8(key).Read(b) // never fails
	return b
}

// ID is a blob id for tests.
func ID(session, counter uint64) fs.BlobID {
	return fs.BlobID{Session: fs.SessionID(session), Counter: counter}
}

// Tx is a transaction for tests; its epoch is 100 + session.
func Tx(session, seq uint64) blob.Tx {
	return blob.Tx{ID: fs.TxID{Session: fs.SessionID(session), Seq: seq}, Epoch: fs.Epoch(100 + session)}
}

func sample(id fs.BlobID, n int) *blob.Blob {
	return blob.New(id, Bytes(n, uint64(id.Session)<<32|id.Counter))
}

func (s subject) stage(tx blob.Tx, blobs ...*blob.Blob) {
	s.t.Helper()
	for _, b := range blobs {
		voters, err := s.Stage(s.t.Context(), tx, b)
		if err != nil {
			s.t.Fatalf("stage blob %s: %v", b.ID, err)
		}
		if len(voters) == 0 || voters[0] == "" {
			s.t.Fatalf("stage blob %s: voters %q", b.ID, voters)
		}
	}
}

func (s subject) commit(ids ...fs.BlobID) {
	s.t.Helper()
	if err := s.Commit(s.t.Context(), ids); err != nil {
		s.t.Fatalf("commit %v: %v", ids, err)
	}
}

func (s subject) drop(tx blob.Tx, ids ...fs.BlobID) {
	s.t.Helper()
	var staged []blob.Staged
	for _, id := range ids {
		staged = append(staged, blob.Staged{ID: id, Tx: tx.ID})
	}
	if err := s.Drop(s.t.Context(), staged); err != nil {
		s.t.Fatalf("drop %v: %v", ids, err)
	}
}

func (s subject) delete(ids ...fs.BlobID) {
	s.t.Helper()
	if err := s.Delete(s.t.Context(), ids); err != nil {
		s.t.Fatalf("delete %v: %v", ids, err)
	}
}

// holds checks that the store has b, whole.
func (s subject) holds(b *blob.Blob) {
	s.t.Helper()
	s.reads(b, 0, uint32(len(b.Data)))
}

func (s subject) reads(b *blob.Blob, off, n uint32) {
	s.t.Helper()
	info := b.Info(nil)
	r, err := s.Get(s.t.Context(), &info, off, n)
	if err != nil {
		s.t.Fatalf("get %d+%d of blob %s: %v", off, n, b.ID, err)
	}
	data, err := r.Verify(&info, off, n)
	if err != nil {
		s.t.Fatalf("verify: %v", err)
	}
	if !bytes.Equal(data, b.Data[off:off+n]) {
		s.t.Fatalf("get %d+%d of blob %s: other bytes than were staged", off, n, b.ID)
	}
}

func (s subject) lacks(b *blob.Blob) {
	s.t.Helper()
	s.getFails(b, fs.ErrNotExist)
}

func (s subject) getFails(b *blob.Blob, want error) {
	s.t.Helper()
	info := b.Info(nil)
	if _, err := s.Get(s.t.Context(), &info, 0, info.Length); !errors.Is(err, want) {
		s.t.Fatalf("get blob %s: %v, want %v", b.ID, err, want)
	}
}

// list reads the whole inventory, page by page.
func (s subject) list(page int) []blob.Entry {
	s.t.Helper()
	var all []blob.Entry
	for after := (fs.BlobID{}); ; {
		part, err := s.List(s.t.Context(), after, page)
		if err != nil {
			s.t.Fatalf("list after %s: %v", after, err)
		}
		if len(part) > page {
			s.t.Fatalf("list: %d entries, at most %d asked for", len(part), page)
		}
		all = append(all, part...)
		if len(part) < page {
			return all
		}
		after = part[len(part)-1].ID
	}
}

func (s subject) listed(want ...blob.Entry) {
	s.t.Helper()
	if got := s.list(blob.ListMax); !slices.Equal(got, want) {
		s.t.Fatalf("listed\n%+v\nwant\n%+v", got, want)
	}
}

func (s subject) counts(blobs, staged uint64) {
	s.t.Helper()
	u, err := s.Usage(s.t.Context())
	if err != nil {
		s.t.Fatalf("usage: %v", err)
	}
	if u.Blobs != blobs || u.Staged != staged {
		s.t.Fatalf("usage counts %d blobs, %d staged; want %d and %d", u.Blobs, u.Staged, blobs, staged)
	}
}

func entry(b *blob.Blob, tx *blob.Tx) blob.Entry {
	e := blob.Entry{ID: b.ID, Length: uint32(len(b.Data)), Sum: b.Sums.Root()}
	if tx != nil {
		e.Staged, e.Tx = true, *tx
	}
	return e
}

func cancelled() context.Context {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	return ctx
}
