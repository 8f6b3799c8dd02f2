package badgerstore

import (
	"fmt"
	"runtime"
	"runtime/debug"

	"github.com/dgraph-io/badger/v4"

	"dfs/fs"
)

// guarded runs read, which looks at mapped files. The kernel reports a bad sector, or a file that somebody has cut
// short, as a fault on the memory; that becomes ErrCorrupt here instead of the end of the process.
func guarded(read func() error) (err error) {
	old := debug.SetPanicOnFault(true)
	defer debug.SetPanicOnFault(old)
	defer func() {
		if p := recover(); p != nil {
			if err = faultError(p); err == nil {
				panic(p) // a bug of ours
			}
		}
	}()
	return read()
}

// faultError is the error of a recovered fault, nil for any other panic.
func faultError(p any) error {
	fault, ok := p.(interface{ Addr() uintptr })
	if !ok {
		return nil
	}
	return fmt.Errorf("the disk cannot be read (fault at %x): %w", fault.Addr(), fs.ErrCorrupt)
}

// value calls use with an item's value, which is Badger's memory and must not be kept.
//
// Badger reads the start of a record, and believes the lengths in it, while it holds the lock of the file without a way
// to let go of it. If a fault or a panic comes there, that file stays locked for ever: the store stops, and Close
// leaves Badger as it is.
func (s *Store) value(item *badger.Item, use func([]byte) error) error {
	reached := false
	return guarded(func() (err error) {
		defer func() {
			if reached {
				return
			}
			if p := recover(); p != nil {
				err = recordError(p)
				s.leak(err)
			}
		}()
		return item.Value(func(v []byte) error {
			reached = true
			return use(v)
		})
	})
}

// recordError is what a panic of Badger's over a record means.
func recordError(p any) error {
	if err := faultError(p); err != nil {
		return err
	}
	if err, ok := p.(runtime.Error); ok {
		return fmt.Errorf("the record is damaged (%w): %w", err, fs.ErrCorrupt)
	}
	panic(p)
}

// leak notes that a lock inside Badger will not be released any more.
func (s *Store) leak(err error) {
	s.leaked.Store(true)
	s.failure.set(err)
}
