package badgerstore

import (
	"context"
	"errors"
	"fmt"

	"github.com/dgraph-io/badger/v4"

	"dfs/fs"
)

const (
	queueLen = 256
	// batchOps bounds the keys of one transaction, well below what Badger takes with a memtable of memTableBytes.
	batchOps = 4096
	jobIDs   = 512 // ids in one job, at two keys each
)

// job is one caller's change. The writer runs it in a batch with others, or alone.
type job struct {
	apply func(*batch) error // an error answers this job and spoils no other
	alone func() error       // instead of apply: runs between batches
	bytes int
	ops   int
	// finish, if set, is called once with the answer, by the writer, or by submit if the writer never saw the job.
	finish func(error)
	done   chan error // holds one
}

func (j *job) answer(err error) {
	if j.finish != nil {
		j.finish(err)
	}
	j.done <- err
}

// batch is one transaction in the making.
type batch struct {
	txn   *badger.Txn
	err   error // the transaction itself cannot go on
	wrote bool
	tally
}

// tally is what the inventory counts.
type tally struct{ blobs, staged, bytes, freed int64 }

func (t *tally) add(o tally) {
	t.blobs += o.blobs
	t.staged += o.staged
	t.bytes += o.bytes
	t.freed += o.freed
}

// submit hands a job to the writer and waits for its answer. When ctx ends first the job may still happen.
func (s *Store) submit(ctx context.Context, j *job) error {
	j.done = make(chan error, 1)
	select {
	case s.queue <- j:
	case <-ctx.Done():
		j.answer(context.Cause(ctx))
	case <-s.life.Done():
		j.answer(fs.ErrClosed)
	}
	select {
	case err := <-j.done:
		return err
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-s.written: // the writer is gone; it may have answered last
		select {
		case err := <-j.done:
			return err
		default:
			return fs.ErrClosed
		}
	}
}

// write is the writer: the only goroutine that changes the database.
func (s *Store) write() {
	defer close(s.written)
	var next *job
	for {
		first := next
		next = nil
		if first == nil {
			select {
			case first = <-s.queue:
			case <-s.life.Done():
				s.refuseQueued()
				return
			}
		}
		if first.alone != nil {
			first.answer(s.runAlone(first))
			continue
		}
		var jobs []*job
		jobs, next = s.gather(first)
		s.runBatch(jobs)
		if s.failure.get() != nil {
			continue
		}
		if err := s.compact(); err != nil {
			s.cfg.Logger.Error("compaction of the index", "err", err) // the store has failed; whoever calls next is told
		}
	}
}

func (s *Store) refuseQueued() {
	for {
		select {
		case j := <-s.queue:
			j.answer(fs.ErrClosed)
		default:
			return
		}
	}
}

// gather adds to first what waits in the queue by now and fits into the batch. The job that does not fit comes next.
func (s *Store) gather(first *job) (jobs []*job, next *job) {
	jobs = []*job{first}
	bytes, ops := first.bytes, first.ops
	for {
		select {
		case j := <-s.queue:
			bytes, ops = bytes+j.bytes, ops+j.ops
			if j.alone != nil || bytes > s.cfg.batchBytes() || ops > batchOps {
				return jobs, j
			}
			jobs = append(jobs, j)
		default:
			return jobs, nil
		}
	}
}

func (s *Store) runAlone(j *job) error {
	if err := s.failure.get(); err != nil {
		return err
	}
	return j.alone()
}

// runBatch applies the jobs, commits and syncs them as one, and only then answers any of them.
func (s *Store) runBatch(jobs []*job) {
	answers, err := s.commitBatch(jobs)
	for i, j := range jobs {
		if err != nil {
			j.answer(err)
		} else {
			j.answer(answers[i])
		}
	}
}

func (s *Store) commitBatch(jobs []*job) ([]error, error) {
	if err := s.failure.get(); err != nil {
		return nil, err
	}
	b := &batch{txn: s.db.NewTransaction(true)}
	defer b.txn.Discard()
	answers := make([]error, len(jobs))
	for i, j := range jobs {
		if answers[i] = j.apply(b); b.err != nil {
			return nil, b.err // nothing has been written
		}
	}
	if !b.wrote {
		return answers, nil
	}
	if err := s.commit(b); err != nil {
		s.failure.set(err)
		return nil, s.failure.get()
	}
	s.counts.apply(b.tally)
	return answers, nil
}

// commit returns nil when the batch lies on the disk. Badger syncs the value log before the write-ahead log, so that
// after a crash no record can point to a value that is not there.
func (s *Store) commit(b *batch) error {
	if err := s.cfg.Faults.At("batch.before"); err != nil {
		return err
	}
	if err := b.txn.Commit(); err != nil {
		return fmt.Errorf("commit: %w", err)
	}
	if err := s.failure.get(); err != nil {
		return err // Badger has logged a failed sync, and called the commit a success
	}
	if err := s.names.sync(); err != nil {
		return err
	}
	return s.cfg.Faults.At("batch.synced")
}

func (b *batch) set(key, value []byte) {
	if b.err == nil {
		b.err = b.txn.Set(key, value)
		b.wrote = true
	}
}

func (b *batch) unset(key []byte) {
	if b.err == nil {
		b.err = b.txn.Delete(key)
		b.wrote = true
	}
}

// index looks up a blob's record, as changed by the batch so far.
func (b *batch) index(id fs.BlobID) (r record, ok bool, err error) { return index(b.txn, id) }

func index(txn *badger.Txn, id fs.BlobID) (r record, ok bool, err error) {
	item, err := txn.Get(keyOf(indexPrefix, id))
	if errors.Is(err, badger.ErrKeyNotFound) {
		return record{}, false, nil
	}
	if err != nil {
		return record{}, false, fmt.Errorf("index of blob %s: %w: %w", id, err, fs.ErrCorrupt)
	}
	err = item.Value(func(v []byte) error {
		r, err = decodeRecord(v)
		return err
	})
	if err != nil {
		return record{}, false, fmt.Errorf("index of blob %s: %w", id, err)
	}
	return r, true, nil
}
