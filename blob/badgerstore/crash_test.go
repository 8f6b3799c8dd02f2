package badgerstore

import (
	"bufio"
	"context"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"dfs/blob"
	"dfs/blob/blobtest"
	"dfs/fs"
)

const childEnv = "DFS_BADGERSTORE_CRASH_CHILD"

// TestMain lets the test binary be its own child: a process with a store that is there to be killed.
func TestMain(m *testing.M) {
	if dir := os.Getenv(childEnv); dir != "" {
		if err := crashChild(dir); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

const crashWriters = 6

// crashChild stages blobs for ever, and says on its standard output what it has been promised: "staged n", "live n",
// "deleted n". It reclaims meanwhile, so that it dies in the middle of that too.
func crashChild(dir string) error {
	s, err := Open(context.Background(), Config{
		Dir: dir, NodeID: "n1", ReserveBytes: 64 * mib, ValueLogFileBytes: 8 * mib,
		ReclaimEvery: 10 * time.Millisecond, ReclaimBytes: mib,
		Logger: slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelWarn})),
	})
	if err != nil {
		return err
	}
	u, err := s.Usage(context.Background())
	if err != nil {
		return err
	}
	fmt.Printf("open %d\n", u.Blobs)
	start, _ := time.Parse(time.RFC3339, "2026-01-01T00:00:00Z")
	base := uint64(time.Since(start)) // no counter is used by two children
	var wg sync.WaitGroup
	errs := make(chan error, crashWriters)
	for w := range uint64(crashWriters) {
		wg.Go(func() { errs <- crashWriter(s, w+1, base) })
	}
	wg.Wait()
	return <-errs
}

func crashWriter(s *Store, session, base uint64) error {
	ctx := context.Background()
	for i := base; ; i++ {
		b := crashBlob(session, i)
		if _, err := s.Stage(ctx, blobtest.Tx(session, 1), b); err != nil {
			return err
		}
		fmt.Printf("staged %d %d\n", session, i)
		switch i % 4 {
		case 1:
			if err := s.Commit(ctx, []fs.BlobID{b.ID}); err != nil {
				return err
			}
			fmt.Printf("live %d %d\n", session, i)
		case 2, 3:
			fmt.Printf("deleting %d %d\n", session, i)
			if err := s.Delete(ctx, []fs.BlobID{b.ID}); err != nil {
				return err
			}
			fmt.Printf("deleted %d %d\n", session, i)
		}
	}
}

func crashBlob(session, counter uint64) *blob.Blob {
	return seeded(session, counter, 1000+int(counter%7)*50_000)
}

// promises is what children have said before they died.
type promises map[fs.BlobID]string

// run lets a child work until it has said so many lines, ends it, and notes what it said.
func (p promises) run(t *testing.T, dir string, lines int, end func()) {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(exe)
	cmd.Env = append(os.Environ(), childEnv+"="+dir)
	cmd.Stderr = testWriter{t}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	read := bufio.NewScanner(out)
	n := 0
	for read.Scan() {
		p.note(t, read.Text())
		if n++; n == lines {
			end()
			if err := cmd.Process.Kill(); err != nil { // SIGKILL; what is in the pipe still counts
				t.Fatal(err)
			}
		}
	}
	err = cmd.Wait()
	if n < lines {
		t.Fatalf("the child ended by itself: %v", err)
	}
}

func (p promises) note(t *testing.T, line string) {
	t.Helper()
	var state string
	var session, counter uint64
	if strings.HasPrefix(line, "open ") {
		return
	}
	if _, err := fmt.Sscanf(line, "%s %d %d", &state, &session, &counter); err != nil {
		t.Fatalf("the child says %q: %v", line, err)
	}
	p[blobtest.ID(session, counter)] = state
}

// check opens what was left and compares it with the promises.
func (p promises) check(t *testing.T, dir string) {
	t.Helper()
	cfg := testConfig(t, dir)
	cfg.ClusterID, cfg.ValueLogFileBytes = "", 8*mib
	s := openStore(t, cfg)
	defer closeStore(t, s)
	have := make(map[fs.BlobID]blob.Entry)
	for after := (fs.BlobID{}); ; {
		list, err := s.List(t.Context(), after, blob.ListMax)
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range list {
			have[e.ID], after = e, e.ID
		}
		if len(list) < blob.ListMax {
			break
		}
	}
	for id, state := range p {
		e, ok := have[id]
		switch {
		case state == "deleted" && ok:
			t.Errorf("blob %s was deleted and is back", id)
		case (state == "staged" || state == "live") && !ok:
			t.Errorf("blob %s was %s and is lost", id, state)
		case state == "live" && e.Staged:
			t.Errorf("blob %s was live and is staged", id)
		}
	}
	for id, e := range have {
		want := crashBlob(uint64(id.Session), id.Counter)
		if e.Sum != want.Sums.Root() {
			t.Fatalf("blob %s has another checksum", id)
		}
		info := want.Info(nil)
		r, err := s.Get(t.Context(), &info, 0, info.Length)
		if err != nil {
			t.Fatalf("%s: %v", p[id], err)
		}
		if _, err := r.Verify(&info, 0, info.Length); err != nil {
			t.Fatal(err)
		}
	}
	if u, err := s.Usage(t.Context()); err != nil || u.Blobs != uint64(len(have)) {
		t.Errorf("usage %+v, %v; the list has %d", u, err, len(have))
	}
}

func TestKilledProcess_LosesNothingItVotedFor(t *testing.T) {
	dir := t.TempDir()
	p := make(promises)
	for _, lines := range []int{50, 200, 400, 500} {
		p.run(t, dir, lines, func() {})
		p.check(t, dir)
	}
}
