package bench

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"time"
)

// errOver ends a way of sharing before its time: the other mount has ended.
var errOver = errors.New("the other one is gone")

const block = 4096

func writes(sync bool) func(s sharing) (func(int) error, error) {
	return func(s sharing) (func(int) error, error) {
		f, err := os.OpenFile(filepath.Join(s.Dir, "s/file"), os.O_RDWR, 0)
		buf := make([]byte, block)
		return func(int) error {
			if _, err := f.WriteAt(buf, rand.Int64N(16)*block); err != nil || !sync {
				return err
			}
			return f.Sync()
		}, err
	}
}

func appends(s sharing) (func(int) error, error) {
	f, err := os.OpenFile(filepath.Join(s.Dir, "s/log"), os.O_WRONLY|os.O_APPEND, 0)
	record := make([]byte, 100)
	return func(int) error {
		_, err := f.Write(record)
		return err
	}, err
}

func churn(s sharing) (func(int) error, error) {
	return func(i int) error {
		name := filepath.Join(s.Dir, "s", fmt.Sprint("f", s.Who, "-", i))
		f, err := os.OpenFile(name, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o644)
		if err != nil {
			return err
		}
		return errors.Join(f.Close(), os.Rename(name, name+"+"), os.Remove(name+"+"))
	}, nil
}

// alternateFile waits until the number in a file is its own turn's, and writes the next one.
func alternateFile(s sharing) (func(int) error, error) {
	f, err := os.OpenFile(filepath.Join(s.Dir, "s/turn"), os.O_RDWR, 0)
	b := make([]byte, 8)
	return func(i int) error {
		turn := uint64(2*i + s.Who)
		err := s.until(func() (bool, error) {
			n, err := f.ReadAt(b, 0)
			if errors.Is(err, io.EOF) {
				err = nil
			}
			return (n == 8 && binary.LittleEndian.Uint64(b) == turn) || n == 0 && turn == 0, err
		})
		if err != nil {
			return err
		}
		binary.LittleEndian.PutUint64(b, turn+1)
		if _, err := f.WriteAt(b, 0); err != nil {
			return err
		}
		return f.Sync()
	}, err
}

// alternateNames waits for the name that the other one makes, and makes the next.
func alternateNames(s sharing) (func(int) error, error) {
	name := func(turn int) string { return filepath.Join(s.Dir, "s", fmt.Sprint("turn", turn)) }
	return func(i int) error {
		turn := 2*i + s.Who
		err := s.until(func() (bool, error) {
			if turn == 0 {
				return true, nil
			}
			_, err := os.Lstat(name(turn - 1))
			if errors.Is(err, os.ErrNotExist) {
				return false, nil
			}
			return err == nil, err
		})
		if err != nil {
			return err
		}
		return os.Mkdir(name(turn), 0o755)
	}, nil
}

// until asks again and again, as a program does that has no other way to be told.
func (s sharing) until(done func() (bool, error)) error {
	for end := time.Now().Add(s.For); time.Now().Before(end); {
		if ok, err := done(); ok || err != nil {
			return err
		}
	}
	return errOver
}
