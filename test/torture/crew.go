package torture

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"sync"
	"time"
)

// Patience is how long workers have for one order. No call of theirs hangs for as long as the filesystem keeps its promises.
const Patience = 2 * time.Minute

// Crew is the worker processes: this program, run again with WorkerEnv set. Its methods are for one goroutine.
type Crew struct {
	workers [Workers]*member
}

type member struct {
	cmd     *exec.Cmd
	in      io.WriteCloser
	reports chan *report
	ended   error         // of the process; valid when reports is closed
	idle    chan struct{} // closed when the last order is carried out
}

// NewCrew starts the workers on the two mounts. Its program's main must call WorkerMain if WorkerEnv is set.
func NewCrew(mounts [Mounts]string, promise Promise) (*Crew, error) {
	c := &Crew{}
	for w := range Workers {
		m, err := hire(workerConfig{Dir: mounts[w%Mounts], Worker: w, Promise: promise})
		if err != nil {
			return nil, errors.Join(err, c.Close())
		}
		c.workers[w] = m
	}
	return c, nil
}

func hire(cfg workerConfig) (*member, error) {
	env, err := json.Marshal(cfg)
	if err != nil {
		return nil, err
	}
	m := &member{cmd: exec.Command("/proc/self/exe"), reports: make(chan *report), idle: make(chan struct{})}
	close(m.idle)
	m.cmd.Env = append(os.Environ(), WorkerEnv+"="+string(env))
	m.cmd.Stderr = os.Stderr
	if m.in, err = m.cmd.StdinPipe(); err != nil {
		return nil, err
	}
	out, err := m.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := m.cmd.Start(); err != nil {
		return nil, fmt.Errorf("start worker %d: %w", cfg.Worker, err)
	}
	go m.listen(out)
	return m, nil
}

// listen passes on what the worker reports, until it ends.
func (m *member) listen(out io.Reader) {
	defer close(m.reports)
	for lines := json.NewDecoder(bufio.NewReader(out)); ; {
		r := &report{}
		if err := lines.Decode(r); err != nil {
			m.ended = errors.Join(m.cmd.Wait(), err)
			return
		}
		m.reports <- r
	}
}

// do has the worker carry out an order.
func (m *member) do(o order) (*report, error) {
	if err := json.NewEncoder(m.in).Encode(o); err != nil {
		return nil, err
	}
	select {
	case r, ok := <-m.reports:
		switch {
		case !ok:
			return nil, fmt.Errorf("the worker has ended: %w", m.ended)
		case r.Err != "":
			return r, errors.New(r.Err)
		}
		return r, nil
	case <-time.After(Patience):
		return nil, fmt.Errorf("no answer to %q within %s", o.Do, Patience)
	}
}

// Make makes the directory of a round, through the first mount.
func (c *Crew) Make(round string) error {
	if _, err := c.workers[0].do(order{Do: "make", Round: round}); err != nil {
		return fmt.Errorf("make %s: %w", round, err)
	}
	return nil
}

// Enter has all workers open what is in it.
func (c *Crew) Enter(round string) error {
	_, err := c.all(func(int) order { return order{Do: "enter", Round: round} })
	return err
}

// Leave has all workers close it.
func (c *Crew) Leave() error {
	_, err := c.all(func(int) order { return order{Do: "leave"} })
	return err
}

// Start has each worker carry out its operations, after those that it was given before. Wait collects the records of all.
func (c *Crew) Start(ops [Workers][]Op) *Shift {
	return c.start(func(w int) order { return order{Do: "run", Ops: ops[w]} })
}

// Look has each worker look at everything, one after the other.
func (c *Crew) Look() ([]Record, error) {
	var all []Record
	for w := range Workers {
		r, err := c.workers[w].do(order{Do: "run", Ops: everything()})
		if err != nil {
			return all, fmt.Errorf("worker %d: %w", w, err)
		}
		all = append(all, r.Records...)
	}
	return all, nil
}

// everything is operations that see all that there is in a round.
func everything() []Op {
	var ops []Op
	for f := range files {
		ops = append(ops, Op{Kind: Size, File: f}, Op{Kind: ReadAll, File: f})
	}
	for d := range dirs {
		ops = append(ops, Op{Kind: List, Name: Name{Dir: d}})
		for n := range namesPerDir {
			ops = append(ops, Op{Kind: Stat, Name: Name{d, n}})
		}
	}
	return ops
}

func (c *Crew) all(orderFor func(worker int) order) ([]Record, error) {
	return c.start(orderFor).Wait()
}

// Shift is one order to each worker.
type Shift struct {
	reports [Workers]*report
	errs    [Workers]error
	over    sync.WaitGroup
}

func (c *Crew) start(orderFor func(worker int) order) *Shift {
	s := &Shift{}
	for w, m := range c.workers {
		before, idle := m.idle, make(chan struct{})
		m.idle = idle
		s.over.Go(func() {
			defer close(idle)
			<-before
			if s.reports[w], s.errs[w] = m.do(orderFor(w)); s.errs[w] != nil {
				s.errs[w] = fmt.Errorf("worker %d: %w", w, s.errs[w])
			}
		})
	}
	return s
}

// Wait waits until all workers are done, and returns their records.
func (s *Shift) Wait() ([]Record, error) {
	s.over.Wait()
	var all []Record
	for _, r := range s.reports {
		if r != nil {
			all = append(all, r.Records...)
		}
	}
	return all, errors.Join(s.errs[:]...)
}

// Close ends the workers. One that hangs in a mount ends when that answers, or is gone.
func (c *Crew) Close() error {
	var errs []error
	for w, m := range c.workers {
		if m == nil {
			continue
		}
		errs = append(errs, m.in.Close())
		select {
		case <-m.reports:
		case <-time.After(10 * time.Second):
			errs = append(errs, fmt.Errorf("worker %d hangs", w), m.cmd.Process.Kill())
		}
	}
	return errors.Join(errs...)
}
