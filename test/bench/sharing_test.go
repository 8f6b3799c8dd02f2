package bench

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"testing"
	"time"

	"dfs/test/harness"
)

// shareFor is how long two mounts share something.
const shareFor = 5 * time.Second

// sharing is what a process does: again and again, on the mount Dir.
type sharing struct {
	Dir  string
	Who  int // 0 or 1
	What string
	For  time.Duration
}

// ways of sharing; each does something once, which for the alternating ones includes waiting for the other mount's turn.
var ways = []struct {
	name string
	open func(s sharing) (once func(i int) error, err error)
}{
	{"same file/pwrite", writes(false)},
	{"same file/pwrite, fsync", writes(true)},
	{"same file/append", appends},
	{"same directory/create, rename, unlink", churn},
	{"alternating/file", alternateFile},
	{"alternating/directory", alternateNames},
}

// share is the main function of a process that shares: it says when it is ready, starts when its input ends, and says how often it did it.
func share(env string) error {
	var s sharing
	if err := json.Unmarshal([]byte(env), &s); err != nil {
		return err
	}
	for _, w := range ways {
		if w.name != s.What {
			continue
		}
		once, err := w.open(s)
		if err != nil {
			return err
		}
		fmt.Println("ready")
		if _, err := io.ReadAll(os.Stdin); err != nil {
			return err
		}
		n := 0
		for end := time.Now().Add(s.For); time.Now().Before(end); n++ {
			if err := once(n); errors.Is(err, errOver) {
				break
			} else if err != nil {
				return err
			}
		}
		fmt.Println(n)
		return nil
	}
	return fmt.Errorf("no such way of sharing: %q", s.What)
}

func BenchmarkTwoMounts(b *testing.B) {
	c := harness.StartCluster(b, 3)
	mounts := []*harness.Mount{c.Mount(), c.Mount()}
	for _, w := range ways {
		mounts[0].Sh(time.Minute, "rm -rf s && mkdir s && head -c 64K /dev/zero > s/file && sync s/file && : > s/log && : > s/turn")
		b.Run(w.name, func(b *testing.B) {
			var counts [2]int
			for b.Loop() {
				counts = together(b, mounts, w.name)
			}
			b.ReportMetric(0, "ns/op") // leaves it out
			b.ReportMetric(float64(counts[0]+counts[1])/shareFor.Seconds(), "ops/s")
			b.ReportMetric(float64(max(counts[0], counts[1]))/float64(max(1, min(counts[0], counts[1]))), "max/min")
		})
	}
}

// together runs a process on each mount at the same time.
func together(b *testing.B, mounts []*harness.Mount, what string) (counts [2]int) {
	b.Helper()
	var start, out [2]io.Closer
	var lines [2]*bufio.Scanner
	for i, m := range mounts {
		env, err := json.Marshal(sharing{m.Dir, i, what, shareFor})
		if err != nil {
			b.Fatal(err)
		}
		cmd := exec.Command("/proc/self/exe")
		cmd.Env = append(os.Environ(), sharerEnv+"="+string(env))
		cmd.Stderr = os.Stderr
		in, err := cmd.StdinPipe()
		if err != nil {
			b.Fatal(err)
		}
		stdout, err := cmd.StdoutPipe()
		if err != nil {
			b.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			b.Fatal(err)
		}
		b.Cleanup(func() { _ = cmd.Wait() }) // its count was all that was wanted of it
		start[i], out[i], lines[i] = in, stdout, bufio.NewScanner(stdout)
		if !lines[i].Scan() {
			b.Fatalf("%s on mount %d: not ready", what, i)
		}
	}
	for i := range start {
		if err := start[i].Close(); err != nil {
			b.Fatal(err)
		}
	}
	for i := range lines {
		if !lines[i].Scan() {
			b.Fatalf("%s on mount %d: no count", what, i)
		}
		if _, err := fmt.Sscan(lines[i].Text(), &counts[i]); err != nil {
			b.Fatal(err)
		}
		_ = out[i].Close() // read to its end
	}
	return counts
}
