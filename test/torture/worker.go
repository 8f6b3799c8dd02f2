package torture

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// WorkerEnv makes the process a worker; it holds a workerConfig as JSON.
const WorkerEnv = "DFS_TORTURE_WORKER"

type workerConfig struct {
	Dir     string // the mount
	Worker  int
	Promise Promise
}

// order is what a worker is told, one JSON object a line; a report answers each.
type order struct {
	Do    string // "make", "enter", "run", "leave"
	Round string // the directory
	Ops   []Op
}

type report struct {
	Records []Record
	Err     string // what kept it from doing what it was told
}

// WorkerMain is the main function of a worker; it ends when its standard input does.
func WorkerMain(env string) int {
	var cfg workerConfig
	if err := json.Unmarshal([]byte(env), &cfg); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 2
	}
	w := &worker{workerConfig: cfg}
	in, out := json.NewDecoder(bufio.NewReader(os.Stdin)), json.NewEncoder(os.Stdout)
	for {
		var o order
		if err := in.Decode(&o); errors.Is(err, io.EOF) {
			return 0
		} else if err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		r := &report{}
		if err := w.obey(&o, r); err != nil {
			r.Err = err.Error()
		}
		if err := out.Encode(r); err != nil {
			return 1 // nobody listens any more
		}
	}
}

type worker struct {
	workerConfig
	round string
	dirs  [dirs]int // descriptors
	files [files]*openFile
}

func (w *worker) obey(o *order, r *report) error {
	switch o.Do {
	case "make":
		return makeRound(w.Dir + "/" + o.Round)
	case "enter":
		return w.enter(w.Dir + "/" + o.Round)
	case "run":
		for _, op := range o.Ops {
			r.Records = append(r.Records, w.carryOut(op))
		}
		return nil
	case "leave":
		return w.leave()
	}
	return fmt.Errorf("unknown order %q", o.Do)
}

// makeRound makes what a round is about, durably.
func makeRound(dir string) error {
	if err := os.Mkdir(dir, 0o755); err != nil {
		return err
	}
	for d := range dirs {
		if err := os.Mkdir(fmt.Sprintf("%s/d%d", dir, d), 0o755); err != nil {
			return err
		}
	}
	for f := range files {
		file, err := os.OpenFile(fmt.Sprintf("%s/f%d", dir, f), os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o644)
		if err != nil {
			return err
		}
		if err := errors.Join(file.Sync(), file.Close()); err != nil {
			return err
		}
	}
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// enter opens what a round is about. Names are used relative to the open directories, so that each operation is about one name
// (or two) and not about the way there, which no filesystem walks at one moment.
func (w *worker) enter(dir string) error {
	w.round = dir
	for d := range dirs {
		fd, err := unix.Open(fmt.Sprintf("%s/d%d", dir, d), unix.O_RDONLY|unix.O_DIRECTORY, 0)
		if err != nil {
			return fmt.Errorf("open d%d: %w", d, err)
		}
		w.dirs[d] = fd
	}
	for f := range files {
		file, err := openContent(fmt.Sprintf("%s/f%d", dir, f), f)
		if err != nil {
			return fmt.Errorf("open f%d: %w", f, err)
		}
		w.files[f] = file
	}
	return nil
}

// leave closes everything. An error of data that was lost is said once: the second fsync of a handle works.
func (w *worker) leave() error {
	var errs []error
	for i, f := range w.files {
		if f == nil {
			continue
		}
		_ = f.sync() // what it says is judged by the records
		if err := f.sync(); err != nil {
			errs = append(errs, fmt.Errorf("second fsync of f%d: %w", i, err))
		}
		_ = f.close() // likewise
		w.files[i] = nil
	}
	for _, fd := range w.dirs {
		errs = append(errs, unix.Close(fd))
	}
	return errors.Join(errs...)
}

// carryOut does op, and measures the time around it.
func (w *worker) carryOut(op Op) Record {
	r := Record{Op: op, Worker: w.Worker, Mount: w.Worker % Mounts}
	r.Call = Now()
	var err error
	if op.onContent() {
		err = w.doContent(&r)
	} else {
		err = w.doNames(&r)
	}
	r.Return = Now()
	if err != nil && !errors.As(err, &r.Errno) {
		r.Wrong = err.Error()
	}
	if r.Errno == syscall.EINTR { // nobody interrupts a worker
		r.Wrong = "interrupted"
	}
	return r
}

// Now is the machine's monotonic clock, in nanoseconds: the same for all processes.
func Now() int64 {
	var t unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &t); err != nil {
		panic(err)
	}
	return t.Nano()
}
