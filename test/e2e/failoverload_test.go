package e2e

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"
)

// load is work of two mounts, done by one agent, so that what one has had acknowledged is known when the other looks. Each
// worker goes on until it is told to stop; the first thing that is wrong ends it.
type load struct {
	stop    atomic.Bool
	workers []*worker
	all     sync.WaitGroup
}

// worker does the same operations again and again. Its gap is the time between two that need the leader.
type worker struct {
	mount int // 0 or 1
	name  string
	mu    sync.Mutex
	last  time.Time
	worst time.Duration
	count int
	err   error
}

// seen is what an agent tells of a worker since it last did.
type seen struct {
	Mount int
	Name  string
	Gap   time.Duration // the longest, the present one included
	Count int           // operations in all
	Err   string
}

// done notes that an operation is over.
func (w *worker) done() {
	w.mu.Lock()
	defer w.mu.Unlock()
	now := time.Now()
	w.worst = max(w.worst, now.Sub(w.last))
	w.last = now
	w.count++
}

// startLoad begins the work in two directories, a and b, in which two mounts show the same.
func startLoad(a, b string) (*load, error) {
	l := &load{}
	for _, dir := range []string{"shared", "private0", "private1"} {
		if err := os.Mkdir(a+"/"+dir, 0o755); err != nil {
			return nil, err
		}
	}
	l.work(0, "private", func(w *worker) error { return private(w, a+"/private0", b+"/private0") })
	l.work(1, "private", func(w *worker) error { return private(w, b+"/private1", a+"/private1") })
	l.counter(0, a, b)
	l.counter(1, b, a)
	l.names(0, a, b)
	l.names(1, b, a)
	return l, nil
}

func (l *load) work(mount int, name string, step func(*worker) error) {
	w := &worker{mount: mount, name: name, last: time.Now()}
	l.workers = append(l.workers, w)
	l.all.Go(func() {
		for !l.stop.Load() {
			if err := step(w); err != nil {
				w.mu.Lock()
				w.err = err
				w.mu.Unlock()
				return
			}
		}
	})
}

// private makes files durable where nobody else works, and, now and then, looks at them through the other mount.
func private(w *worker, mine, others string) error {
	i := w.count
	name, data := fmt.Sprintf("f%d", i%16), fmt.Appendf(nil, "%d %0*d", i, i%9000, i)
	if err := writeSynced(mine+"/tmp", data); err != nil {
		return err
	}
	w.done()
	if err := os.Rename(mine+"/tmp", mine+"/"+name); err != nil {
		return err
	}
	from := mine
	if i%16 == 0 {
		from = others
	}
	got, err := os.ReadFile(from + "/" + name)
	if err == nil && string(got) != string(data) {
		err = fmt.Errorf("%s: %d bytes were synced, and %d others are there", name, len(data), len(got))
	}
	return err
}

func writeSynced(path string, data []byte) (err error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	return errors.Join(err, f.Sync(), f.Close())
}

// counter has a number in a file counted up by one mount and read by the other, which never sees less than what had been written
// when its read began.
func (l *load) counter(mount int, mine, others string) {
	name := fmt.Sprintf("/shared/counter%d", mount)
	var written, begun atomic.Int64
	ready := make(chan struct{})
	l.work(mount, "counter", func(w *worker) error {
		n := written.Load() + 1
		begun.Store(n)
		f, err := os.OpenFile(mine+name, os.O_CREATE|os.O_WRONLY, 0o644)
		if err != nil {
			return err
		}
		_, err = f.WriteAt(fmt.Appendf(nil, "%012d", n), 0)
		if n%4 == 0 && err == nil {
			err = f.Sync()
		}
		if err = errors.Join(err, f.Close()); err != nil {
			return err
		}
		written.Store(n)
		if n == 1 {
			close(ready)
		}
		w.done()
		return nil
	})
	l.work(1-mount, "reader", func(w *worker) error {
		<-ready
		least := written.Load()
		data, err := os.ReadFile(others + name)
		if err != nil {
			return err
		}
		n, err := strconv.ParseInt(string(data), 10, 64)
		if most := begun.Load(); err == nil && (n < least || n > most) {
			err = fmt.Errorf("%s reads %d, while %d had been written before and %d were begun after", others+name, n, least, most)
		}
		w.done()
		return err
	})
}

// names has one mount make and remove a name, and the other look after each.
func (l *load) names(mount int, mine, others string) {
	name := fmt.Sprintf("/shared/name%d", mount)
	l.work(mount, "names", func(w *worker) error {
		if err := os.WriteFile(mine+name, nil, 0o644); err != nil {
			return err
		}
		w.done()
		if err := unix.Access(others+name, unix.F_OK); err != nil {
			return fmt.Errorf("%s was made: %w", others+name, err)
		}
		if err := os.Remove(mine + name); err != nil {
			return err
		}
		w.done()
		if err := unix.Access(others+name, unix.F_OK); !errors.Is(err, unix.ENOENT) {
			return fmt.Errorf("%s was removed: %v", others+name, err)
		}
		return nil
	})
}

// tell is what the workers have done since it was last asked.
func (l *load) tell() ([]byte, error) {
	var list []seen
	for _, w := range l.workers {
		w.mu.Lock()
		s := seen{Mount: w.mount, Name: w.name, Gap: max(w.worst, time.Since(w.last)), Count: w.count}
		if w.err != nil {
			s.Err, s.Gap = w.err.Error(), 0
		}
		w.worst = 0
		w.mu.Unlock()
		list = append(list, s)
	}
	return json.Marshal(list)
}

// end stops the work and waits for it.
func (l *load) end() ([]byte, error) {
	l.stop.Store(true)
	l.all.Wait()
	return l.tell()
}
