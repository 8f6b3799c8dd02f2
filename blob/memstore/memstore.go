// Package memstore is a [blob.Store] in memory, for tests of what stands on one.
//
// It behaves as one disk does: Stage is durable at once, so the crash of a node that keeps a Store loses nothing of it;
// let a test hold on to the Store and build the rest of the node anew.
package memstore

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"sync"

	"dfs/blob"
	"dfs/fs"
)

// Config is what a Store is made of.
type Config struct {
	Node fs.NodeID
	// CapacityBytes bounds the bytes of all blobs; 0 is 1 TiB.
	CapacityBytes uint64
	// Fence reports whether a session's epoch is over; nil: none is.
	Fence func(fs.Epoch, fs.SessionID) bool
	// Faults is called before each method ("stage.before", "get.before", …) and after what changes something
	// ("stage.after": kept, but the answer is lost when the fault returns an error).
	Faults fs.Faults
}

// Store keeps blobs in memory. The zero value is not usable; see New.
type Store struct {
	cfg Config

	mu    sync.Mutex
	blobs map[fs.BlobID]*kept
	used  uint64
}

type kept struct {
	data   []byte
	sums   blob.Sums
	staged bool
	tx     blob.Tx
}

var _ blob.Store = (*Store)(nil)

// New returns an empty store.
func New(cfg Config) *Store {
	if cfg.CapacityBytes == 0 {
		cfg.CapacityBytes = 1 << 40
	}
	return &Store{cfg: cfg, blobs: make(map[fs.BlobID]*kept)}
}

// before is the start of every method.
func (s *Store) before(ctx context.Context, op string) error {
	if err := s.cfg.Faults.At(op + ".before"); err != nil {
		return fmt.Errorf("%s: %w", op, err)
	}
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("%s: %w", op, err)
	}
	return nil
}

func (s *Store) after(op string) error {
	if err := s.cfg.Faults.At(op + ".after"); err != nil {
		return fmt.Errorf("%s: %w", op, err)
	}
	return nil
}

// Stage implements blob.Store.
func (s *Store) Stage(ctx context.Context, tx blob.Tx, b *blob.Blob) ([]fs.NodeID, error) {
	if err := s.before(ctx, "stage"); err != nil {
		return nil, err
	}
	if err := b.Check(); err != nil {
		return nil, fmt.Errorf("stage: %w", err)
	}
	if s.cfg.Fence != nil && s.cfg.Fence(tx.Epoch, tx.ID.Session) {
		return nil, fmt.Errorf("stage blob %s of epoch %d: %w", b.ID, tx.Epoch, fs.ErrFenced)
	}
	if err := s.keep(tx, b); err != nil {
		return nil, err
	}
	if err := s.after("stage"); err != nil {
		return nil, err
	}
	return []fs.NodeID{s.cfg.Node}, nil
}

func (s *Store) keep(tx blob.Tx, b *blob.Blob) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if old := s.blobs[b.ID]; old != nil {
		if len(old.data) != len(b.Data) || old.sums.Root() != b.Sums.Root() {
			return fmt.Errorf("blob %s is here with another checksum: %w", b.ID, fs.ErrInvalid)
		}
		old.data = slices.Clone(b.Data) // mends a damaged copy
		if old.staged && tx.Succeeds(old.tx) {
			old.tx = tx
		}
		return nil
	}
	if s.used+uint64(len(b.Data)) > s.cfg.CapacityBytes {
		return fmt.Errorf("stage blob %s: %w", b.ID, fs.ErrNoSpace)
	}
	s.blobs[b.ID] = &kept{data: slices.Clone(b.Data), sums: slices.Clone(b.Sums), staged: true, tx: tx}
	s.used += uint64(len(b.Data))
	return nil
}

// Commit implements blob.Store.
func (s *Store) Commit(ctx context.Context, ids []fs.BlobID) error {
	if err := s.before(ctx, "commit"); err != nil {
		return err
	}
	s.mu.Lock()
	for _, id := range ids {
		if k := s.blobs[id]; k != nil {
			k.staged, k.tx = false, blob.Tx{}
		}
	}
	s.mu.Unlock()
	return s.after("commit")
}

// Drop implements blob.Store.
func (s *Store) Drop(ctx context.Context, staged []blob.Staged) error {
	if err := s.before(ctx, "drop"); err != nil {
		return err
	}
	s.mu.Lock()
	for _, d := range staged {
		if k := s.blobs[d.ID]; k != nil && k.staged && k.tx.ID == d.Tx {
			s.forget(d.ID)
		}
	}
	s.mu.Unlock()
	return s.after("drop")
}

// Delete implements blob.Store.
func (s *Store) Delete(ctx context.Context, ids []fs.BlobID) error {
	if err := s.before(ctx, "delete"); err != nil {
		return err
	}
	s.mu.Lock()
	for _, id := range ids {
		s.forget(id)
	}
	s.mu.Unlock()
	return s.after("delete")
}

// forget is called with mu held.
func (s *Store) forget(id fs.BlobID) {
	if k := s.blobs[id]; k != nil {
		s.used -= uint64(len(k.data))
		delete(s.blobs, id)
	}
}

// Get implements blob.Store.
func (s *Store) Get(ctx context.Context, info *fs.BlobInfo, off, n uint32) (*blob.Range, error) {
	if err := s.before(ctx, "get"); err != nil {
		return nil, err
	}
	if err := blob.CheckRange(info, off, n); err != nil {
		return nil, fmt.Errorf("get: %w", err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	k := s.blobs[info.ID]
	if k == nil {
		return nil, fmt.Errorf("get blob %s: %w", info.ID, fs.ErrNotExist)
	}
	if uint32(len(k.data)) != info.Length {
		return nil, fmt.Errorf("get blob %s: it has %d bytes, not %d: %w", info.ID, len(k.data), info.Length, fs.ErrCorrupt)
	}
	from, to := blob.Cover(info.Length, off, n)
	r := &blob.Range{Off: from, Data: slices.Clone(k.data[from:to]), Sums: slices.Clone(k.sums)}
	if _, err := r.Verify(info, off, n); err != nil {
		return nil, fmt.Errorf("get: %w", err)
	}
	return r, nil
}

// List implements blob.Store.
func (s *Store) List(ctx context.Context, after fs.BlobID, limit int) ([]blob.Entry, error) {
	if err := s.before(ctx, "list"); err != nil {
		return nil, err
	}
	if err := blob.CheckLimit(limit); err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	var ids []fs.BlobID
	for id := range s.blobs {
		if after.Less(id) {
			ids = append(ids, id)
		}
	}
	slices.SortFunc(ids, func(a, b fs.BlobID) int {
		return cmp.Or(cmp.Compare(a.Session, b.Session), cmp.Compare(a.Counter, b.Counter))
	})
	return s.entries(ids[:min(limit, len(ids))]), nil
}

func (s *Store) entries(ids []fs.BlobID) []blob.Entry {
	list := make([]blob.Entry, 0, len(ids))
	for _, id := range ids {
		k := s.blobs[id]
		list = append(list, blob.Entry{ID: id, Length: uint32(len(k.data)), Sum: k.sums.Root(), Staged: k.staged, Tx: k.tx})
	}
	return list
}

// Usage implements blob.Store.
func (s *Store) Usage(ctx context.Context) (blob.Usage, error) {
	if err := s.before(ctx, "usage"); err != nil {
		return blob.Usage{}, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	u := blob.Usage{TotalBytes: s.cfg.CapacityBytes, UsedBytes: s.used, FreeBytes: s.cfg.CapacityBytes - s.used}
	u.Blobs = uint64(len(s.blobs))
	u.ReadOnly = u.FreeBytes == 0
	for _, k := range s.blobs {
		if k.staged {
			u.Staged++
		}
	}
	return u, nil
}

// Damage flips a bit of a blob's byte at off, as a bad disk would, and reports whether the blob is here.
func (s *Store) Damage(id fs.BlobID, off uint32) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	k := s.blobs[id]
	if k == nil || off >= uint32(len(k.data)) {
		return false
	}
	k.data[off] ^= 1
	return true
}
