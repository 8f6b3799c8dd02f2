package rest

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"

	"dfs/fs"
	"dfs/fs/vfs"
	"dfs/raftmeta/state"
)

func TestPut_IsInTheMountAtOnceAndTheOtherWayRound(t *testing.T) {
	w := newWorld(t, Config{})
	for _, size := range []int{0, 1, 5000, bufferSize + 1, 5 << 20} {
		name := fmt.Sprintf("f%d", size)
		made := w.put("/"+name, noise(size)).is(t, 201, "")
		if got := w.content(name); got != noise(size) {
			t.Errorf("%d bytes differ in the mount", size)
		}
		got := w.get("/"+name).is(t, 200, "")
		if string(got.body) != noise(size) || got.Header.Get("Etag") != made.Header.Get("Etag") || made.Header.Get("Etag") == "" {
			t.Errorf("%d bytes: %d came, ETags %s and %s", size, len(got.body), made.Header.Get("Etag"), got.Header.Get("Etag"))
		}
	}
	w.write("m", "from the mount")
	if got := w.get("/m").is(t, 200, ""); string(got.body) != "from the mount" {
		t.Errorf("got %q", got.body)
	}
	if err := w.meta.Check(); err != nil {
		t.Error(err)
	}
}

func TestPut_KeepsWhatIsNotContent(t *testing.T) {
	w := newWorld(t, Config{})
	old := w.write("f", noise(9<<20))
	ctx := t.Context()
	if _, err := w.mount.Setattr(ctx, old.Ino, fs.Setattr{Set: fs.SetMode | fs.SetUID, Mode: 0o4755, UID: 7}); err != nil {
		t.Fatal(err)
	}
	if _, err := w.mount.Link(ctx, old.Ino, fs.RootIno, "other"); err != nil {
		t.Fatal(err)
	}
	if err := w.mount.Setxattr(ctx, old.Ino, "user.k", []byte("v"), 0); err != nil {
		t.Fatal(err)
	}
	w.put("/f", "new").is(t, 204, "")
	a, err := w.mount.Lookup(ctx, fs.RootIno, "other")
	if err != nil {
		t.Fatal(err)
	}
	if a.Ino != old.Ino || a.Mode != 0o755 || a.UID != 7 || a.Nlink != 2 || a.Size != 3 {
		t.Errorf("got %+v", a)
	}
	if v, err := w.mount.Getxattr(ctx, a.Ino, "user.k"); string(v) != "v" {
		t.Errorf("xattr %q, %v", v, err)
	}
	if got := w.content("other"); got != "new" {
		t.Errorf("got %q", got)
	}
}

func TestOwner_IsWhatTheConfigurationSays(t *testing.T) {
	w := newWorld(t, Config{Owner: vfs.Caller{UID: 5, GID: 6}})
	w.put("/f", "x").is(t, 201, "")
	w.ask("PUT", Prefix+"/d?mkdir", nil).is(t, 201, "")
	for name, mode := range map[string]uint32{"f": 0o644, "d": 0o755} {
		a, err := w.mount.Lookup(t.Context(), fs.RootIno, name)
		if err != nil || a.UID != 5 || a.GID != 6 || a.Mode != mode {
			t.Errorf("%s: %+v, %v", name, a, err)
		}
	}
}

// cutBody breaks after n bytes.
func cutBody(n int) io.Reader {
	return io.MultiReader(strings.NewReader(noise(n)), &broken{})
}

type broken struct{}

func (*broken) Read([]byte) (int, error) { return 0, errors.New("cut") }

func TestUploadCutInTheMiddle_LeavesNothing(t *testing.T) {
	for _, there := range []bool{false, true} {
		w := newWorld(t, Config{})
		inodes := uint64(1)
		if there {
			w.write("f", "old")
			inodes++
		}
		if _, err := w.try("PUT", Prefix+"/f", cutBody(20<<20)); err == nil {
			t.Error("a request that broke off was answered")
		}
		w.settled(inodes)
		if there && w.content("f") != "old" {
			t.Error("the old content is damaged")
		}
		if !there {
			w.get("/f").is(t, 404, "not_found")
		}
		live := 0
		w.meta.View(func(v state.View) {
			s, err := v.Stats()
			if err != nil {
				t.Error(err)
			}
			live = int(s.LiveBytes)
		})
		if live != 0 {
			t.Errorf("%d bytes are still in use", live)
		}
	}
}

// The client is still there to hear of it, so nothing but the body's end tells that it was not the whole.
func TestBodyThatEndsTooEarly_IsNotTaken(t *testing.T) {
	w := newWorld(t, Config{})
	for kind, request := range map[string]string{
		"length":  "Content-Length: 10\r\n\r\n12345",
		"chunked": "Transfer-Encoding: chunked\r\n\r\n5\r\n12345\r\n",
	} {
		conn, err := net.Dial("tcp", strings.TrimPrefix(w.url, "http://"))
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		if _, err := io.WriteString(conn, "PUT /v1/fs/f HTTP/1.1\r\nHost: localhost\r\n"+request); err != nil {
			t.Fatal(err)
		}
		if err := conn.(*net.TCPConn).CloseWrite(); err != nil {
			t.Fatal(err)
		}
		got, err := io.ReadAll(conn)
		if err != nil || !strings.Contains(string(got), " 400 ") || !strings.Contains(string(got), "incomplete_body") {
			t.Errorf("%s: %v, %s", kind, err, got)
		}
		w.get("/f").is(t, 404, "not_found")
	}
	w.settled(1)
}

func TestTwoPutsWithTheSameIfMatch_OneWins(t *testing.T) {
	w := newWorld(t, Config{})
	tag := w.put("/f", "0").is(t, 201, "").Header.Get("Etag")
	for round := range 20 {
		var wg sync.WaitGroup
		var mu sync.Mutex
		won, lost, next := "", 0, ""
		for i := range 4 {
			wg.Go(func() {
				content := fmt.Sprintf("%d.%d", round, i)
				a, err := w.try("PUT", Prefix+"/f", strings.NewReader(content), "If-Match: "+tag)
				mu.Lock()
				defer mu.Unlock()
				switch {
				case err != nil:
					t.Error(err)
				case a.StatusCode == 204:
					if won != "" {
						t.Error("two have won")
					}
					won, next = content, a.Header.Get("Etag")
				case a.StatusCode == 412:
					lost++
				default:
					t.Errorf("%d %s", a.StatusCode, a.body)
				}
			})
		}
		wg.Wait()
		if got := w.get("/f"); won == "" || lost != 3 || string(got.body) != won || got.Header.Get("Etag") != next {
			t.Fatalf("won %q, %d lost, content %q", won, lost, got.body)
		}
		tag = next
	}
}

func TestPutsWithoutPrecondition_AreEachWhole(t *testing.T) {
	w := newWorld(t, Config{})
	var wg sync.WaitGroup
	whole := map[string]bool{}
	for i := range 4 {
		content := strings.Repeat(fmt.Sprint(i), 300_000)
		whole[content] = true
		wg.Go(func() {
			for range 5 {
				if a, err := w.try("PUT", Prefix+"/f", strings.NewReader(content)); err != nil || a.StatusCode != 201 && a.StatusCode != 204 {
					t.Errorf("%v %v", a, err)
				}
			}
		})
	}
	done := make(chan struct{})
	go func() { wg.Wait(); close(done) }()
	for over := false; !over; {
		select {
		case <-done:
			over = true
		default:
		}
		a := w.get("/f")
		if a.StatusCode == 200 && !whole[string(a.body)] {
			t.Fatalf("a reader got %d bytes that nobody wrote so", len(a.body))
		}
	}
	w.settled(2)
}

func TestCreateOnly_OneWins(t *testing.T) {
	w := newWorld(t, Config{})
	var wg sync.WaitGroup
	var mu sync.Mutex
	statuses := map[int]int{}
	for range 8 {
		wg.Go(func() {
			a, err := w.try("PUT", Prefix+"/f", strings.NewReader("x"), "If-None-Match: *")
			if err != nil {
				t.Error(err)
				return
			}
			mu.Lock()
			defer mu.Unlock()
			statuses[a.StatusCode]++
		})
	}
	wg.Wait()
	if statuses[201] != 1 || statuses[412] != 7 {
		t.Errorf("got %v", statuses)
	}
	w.settled(2)
}

// gate holds readers of a body back.
type gate struct {
	r    io.Reader
	open chan struct{}
}

func (g *gate) Read(p []byte) (int, error) {
	<-g.open
	return g.r.Read(p)
}

func TestIfMatch_IsCheckedWhenTheChangeIsApplied(t *testing.T) {
	w := newWorld(t, Config{})
	tag := w.put("/f", "old").is(t, 201, "").Header.Get("Etag")
	open := make(chan struct{})
	body := io.MultiReader(bytes.NewReader(make([]byte, bufferSize)), &gate{strings.NewReader("tail"), open})
	late := make(chan *answer, 1)
	go func() {
		a, err := w.try("PUT", Prefix+"/f", body, "If-Match: "+tag)
		if err != nil {
			t.Error(err)
		}
		late <- a
	}()
	eventually(t, "the first part has been taken", func() bool { return w.meta.Pins() == 1 })
	w.put("/f", "newer").is(t, 204, "")
	close(open)
	if a := <-late; a != nil {
		a.is(t, 412, "precondition_failed")
	}
	if got := w.content("f"); got != "newer" {
		t.Errorf("got %q", got)
	}
}

func TestReader_SeesOneVersionOfALargeFile(t *testing.T) {
	w := newWorld(t, Config{})
	size := 24 << 20
	w.put("/f", strings.Repeat("a", size)).is(t, 201, "")
	resp, err := http.Get(w.url + Prefix + "/f")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	first := make([]byte, 1)
	if _, err := io.ReadFull(resp.Body, first); err != nil {
		t.Fatal(err)
	}
	w.put("/f", strings.Repeat("b", size)).is(t, 204, "")
	rest, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	if got := strings.Count(string(rest), "a"); got != size-1 {
		t.Errorf("%d of %d bytes are of the old content", got, size-1)
	}
}
