package node

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"google.golang.org/grpc"

	"dfs/blob"
	"dfs/blob/blobrpc"
	"dfs/cluster"
	"dfs/cluster/pki"
	"dfs/cmd/dfsmount/mount"
	"dfs/cmd/internal/config"
	"dfs/fs"
	"dfs/fs/rest"
	"dfs/fs/vfs"
	"dfs/raftmeta/metarpc"
)

// boundWorld is a cluster of one node with TLS: a directory /in with a file, and a file beside it, whose bytes lie in one blob.
type boundWorld struct {
	t    *testing.T
	node *Node
	ca   string

	in, inside, outside fs.Ino
	data, secret        []byte
}

func newBoundWorld(t *testing.T) *boundWorld {
	n, ca := tlsNode(t, true)
	w := &boundWorld{t: t, node: n, ca: ca, data: pattern(100_000, 1), secret: pattern(100_000, 2)}
	ctx, stop := context.WithCancel(t.Context())
	var running sync.WaitGroup
	running.Go(func() {
		if err := n.Run(ctx); err != nil && ctx.Err() == nil {
			t.Errorf("the node has ended: %v", err)
		}
	})
	t.Cleanup(func() { stop(); running.Wait() })

	m := w.mount(w.issue("boss", fs.Scope{}), mount.Config{}).FS
	dir, err := m.Mkdir(ctx, vfs.Caller{}, fs.RootIno, "in", 0o755)
	if err != nil {
		t.Fatal(err)
	}
	w.in = dir.Ino
	w.inside, w.outside = w.write(m, w.in, "f", w.data), w.write(m, fs.RootIno, "secret", w.secret)
	if err := m.Sync(ctx); err != nil {
		t.Fatal(err)
	}
	return w
}

func pattern(n int, seed byte) []byte {
	data := make([]byte, n)
	for i := range data {
		data[i] = byte(i>>8)*31 + byte(i)*7 + seed
	}
	return data
}

// issue makes a mount's certificate and returns its directory.
func (w *boundWorld) issue(name string, scope fs.Scope) string {
	w.t.Helper()
	dir := filepath.Join(w.t.TempDir(), name)
	if err := pki.Issue(w.ca, dir, pki.Request{Role: pki.RoleMount, Name: name, Scope: scope}); err != nil {
		w.t.Fatal(err)
	}
	return dir
}

func (w *boundWorld) open(dir string, cfg mount.Config) (*mount.Client, error) {
	cfg.Hosts, cfg.Dir, cfg.TLS.Dir, cfg.WritePolicy, cfg.ReadPolicy = w.node.Addr(), "/test", dir, "weighted", "p2c"
	cfg.DirtyMax, cfg.FlushAge, cfg.ConnectTimeout, cfg.OpTimeout = 64<<20, time.Minute, 20*time.Second, 20*time.Second
	return mount.Open(w.t.Context(), cfg, mount.Deps{Version: "test", Logger: slog.New(slog.DiscardHandler)})
}

func (w *boundWorld) mount(dir string, cfg mount.Config) *mount.Client {
	w.t.Helper()
	c, err := w.open(dir, cfg)
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() {
		if err := c.Close(context.WithoutCancel(w.t.Context())); err != nil {
			w.t.Error(err)
		}
	})
	return c
}

// write makes a file; its bytes are not flushed yet.
func (w *boundWorld) write(m *vfs.FS, parent fs.Ino, name string, data []byte) fs.Ino {
	w.t.Helper()
	a, h, err := m.Create(w.t.Context(), vfs.Caller{}, parent, name, 0o644, syscall.O_RDWR)
	if err != nil {
		w.t.Fatal(err)
	}
	defer h.Release()
	if n, err := h.Write(w.t.Context(), data, 0); err != nil || n != len(data) {
		w.t.Fatal(n, err)
	}
	return a.Ino
}

func (w *boundWorld) read(m *vfs.FS, ino fs.Ino, off, n int) ([]byte, error) {
	_, h, _, err := m.Open(w.t.Context(), ino, syscall.O_RDONLY)
	if err != nil {
		return nil, err
	}
	defer h.Release()
	p := make([]byte, n)
	n, err = h.Read(w.t.Context(), p, uint64(off))
	return p[:n], err
}

// rpc is the node as whoever has a certificate can call it, without the manners of a mount.
func (w *boundWorld) rpc(dir string) (*metarpc.Client, *blobrpc.Client) {
	w.t.Helper()
	files, err := pki.FilesIn(dir, pki.RoleMount)
	if err != nil {
		w.t.Fatal(err)
	}
	credentials, err := pki.Open(files, pki.RoleMount, nil)
	if err != nil {
		w.t.Fatal(err)
	}
	d := cluster.NewDialer(cluster.DialerConfig{TLS: credentials})
	meta, err := metarpc.NewClient(metarpc.Config{Peers: []string{w.node.Addr()}, Dial: func(addr string) (grpc.ClientConnInterface, error) { return d.DialGRPC(addr) }})
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() {
		if err := errors.Join(meta.Close(), d.Close(), credentials.Close()); err != nil {
			w.t.Error(err)
		}
	})
	conn, err := d.DialGRPC(w.node.Addr())
	if err != nil {
		w.t.Fatal(err)
	}
	return meta, blobrpc.NewClient(conn, w.node.ID())
}

func TestBoundMount_SeesAndChangesItsSubtree(t *testing.T) {
	w := newBoundWorld(t)
	ctx := t.Context()
	m := w.mount(w.issue("bob", fs.Scope{Subtree: "/in"}), mount.Config{}).FS
	if m.Root() != w.in || m.ReadOnly() {
		t.Fatalf("the root is %d, want %d", m.Root(), w.in)
	}
	if root, err := m.Getattr(ctx, m.Root()); err != nil || root.Parent != w.in {
		t.Errorf("the root lies in %d, %v", root.Parent, err)
	}
	for _, at := range [][2]int{{0, len(w.data)}, {1, 10}, {65530, 20}, {99_990, 100}} {
		got, err := w.read(m, w.inside, at[0], at[1])
		if want := w.data[at[0]:min(len(w.data), at[0]+at[1])]; err != nil || !bytes.Equal(got, want) {
			t.Errorf("read %v: %d bytes, %v", at, len(got), err)
		}
	}
	if _, err := w.read(m, w.outside, 0, 10); !errors.Is(err, fs.ErrAccess) {
		t.Errorf("read outside: %v", err)
	}
	if err := m.Rename(ctx, m.Root(), "f", fs.RootIno, "stolen", 0); !errors.Is(err, fs.ErrAccess) {
		t.Errorf("renamed out: %v", err)
	}
	// Its own writes, over what others wrote, in several flushes.
	ino := w.write(m, m.Root(), "own", w.secret)
	want := bytes.Clone(w.secret)
	for i, at := range []int{5_000, 70_000, 64_000} {
		_, h, _, err := m.Open(ctx, ino, syscall.O_RDWR)
		if err != nil {
			t.Fatal(err)
		}
		piece := pattern(9_000, byte(10+i))
		copy(want[at:], piece)
		if _, err := h.Write(ctx, piece, uint64(at)); err != nil {
			t.Fatal(err)
		}
		if err := h.Fsync(ctx, false); err != nil {
			t.Fatal(err)
		}
		h.Release()
	}
	fresh := w.mount(w.issue("bob", fs.Scope{Subtree: "/in"}), mount.Config{}).FS
	for _, m := range []*vfs.FS{m, fresh} {
		if got, err := w.read(m, ino, 0, len(want)); err != nil || !bytes.Equal(got, want) {
			t.Errorf("its own file reads wrong: %d bytes, %v", len(got), err)
		}
	}
	// A file that is removed while it is open, with its directory.
	dir, err := m.Mkdir(ctx, vfs.Caller{}, m.Root(), "tmp", 0o755)
	if err != nil {
		t.Fatal(err)
	}
	_, h, err := m.Create(ctx, vfs.Caller{}, dir.Ino, "tmp", 0o600, syscall.O_RDWR)
	if err != nil {
		t.Fatal(err)
	}
	defer h.Release()
	if err := errors.Join(m.Unlink(ctx, dir.Ino, "tmp"), m.Rmdir(ctx, m.Root(), "tmp")); err != nil {
		t.Fatal(err)
	}
	if _, err := h.Write(ctx, w.data, 0); err != nil {
		t.Fatal(err)
	}
	if err := h.Fsync(ctx, false); err != nil {
		t.Errorf("an open file without a name: %v", err)
	}
	if _, err := m.Statfs(ctx, m.Root()); err != nil {
		t.Error(err)
	}
}

func TestMount_AsksForASubtree(t *testing.T) {
	w := newBoundWorld(t)
	boss, bob := w.issue("boss", fs.Scope{}), w.issue("bob", fs.Scope{Subtree: "/in"})
	m := w.mount(boss, mount.Config{Subtree: "/in", ReadOnly: true}).FS
	if got, err := w.read(m, w.inside, 0, len(w.data)); m.Root() != w.in || err != nil || !bytes.Equal(got, w.data) {
		t.Errorf("root %d: %d bytes, %v", m.Root(), len(got), err)
	}
	if _, err := m.Getattr(t.Context(), w.outside); !errors.Is(err, fs.ErrAccess) {
		t.Errorf("outside: %v", err)
	}
	if _, err := m.Mkdir(t.Context(), vfs.Caller{}, m.Root(), "d", 0o755); !errors.Is(err, fs.ErrReadOnly) {
		t.Errorf("mkdir: %v", err)
	}
	if m := w.mount(w.issue("carol", fs.Scope{ReadOnly: true}), mount.Config{}).FS; !m.ReadOnly() || m.Root() != fs.RootIno {
		t.Errorf("bound to reading: root %d, read-only %v", m.Root(), m.ReadOnly())
	}
	for _, c := range []struct {
		dir, subtree string
		err          error
		says         string
	}{
		{bob, "/other", fs.ErrAccess, "/other does not lie within /in"}, {bob, "/in/none", fs.ErrNotExist, "/in/none"},
		{boss, "/none", fs.ErrNotExist, "/none"}, {boss, "/in/f", fs.ErrNotDir, "/in/f"},
	} {
		if _, err := w.open(c.dir, mount.Config{Subtree: c.subtree}); !errors.Is(err, c.err) || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v", c.subtree, err)
		}
	}
}

// layout is where a file's first bytes lie.
func (w *boundWorld) layout(ino fs.Ino) (fs.Extent, fs.BlobInfo, uint64) {
	w.t.Helper()
	l, err := w.node.meta.Layout(w.t.Context(), ino, 0, 1)
	if err != nil || len(l.Extents) == 0 || l.Extents[0].Inline() {
		w.t.Fatalf("%+v, %v", l, err)
	}
	return l.Extents[0], l.Blobs[0], l.Index
}

func TestStorageNode_GivesABoundCertificateItsFilesBytesOnly(t *testing.T) {
	w := newBoundWorld(t)
	ctx := t.Context()
	mine, info, index := w.layout(w.inside)
	theirs, other, _ := w.layout(w.outside)
	if info.ID != other.ID || index == 0 {
		t.Fatalf("the files lie in %v and %v: this shows nothing", info.ID, other.ID)
	}
	bob, eve, boss := w.issue("bob", fs.Scope{Subtree: "/in"}), w.issue("eve", fs.Scope{Subtree: "/in"}), w.issue("boss", fs.Scope{})
	meta, blobs := w.rpc(bob)
	_, eves := w.rpc(eve)
	_, bosses := w.rpc(boss)
	s, err := meta.OpenSession(ctx, fs.Mount{})
	if err != nil {
		t.Fatal(err)
	}
	good := blob.Claim{Session: s.ID, Epoch: s.Epoch, Ino: w.inside, Off: mine.Off, Index: index}
	get := func(c *blobrpc.Client, claim *blob.Claim, off, n uint64) (*blob.Range, error) {
		ctx := ctx
		if claim != nil {
			ctx = blob.WithClaim(ctx, *claim)
		}
		blind := info
		blind.Sum = 0
		return c.Get(ctx, &blind, uint32(off), uint32(n))
	}
	for _, n := range []uint64{1, 100, 70_000, mine.Len} {
		r, err := get(blobs, &good, mine.BlobOff, n)
		if err != nil {
			t.Fatal(err)
		}
		if data, err := r.VerifyCut(info.ID, uint32(mine.BlobOff), uint32(n)); err != nil || !bytes.Equal(data, w.data[:n]) || len(r.Data) != int(n) {
			t.Errorf("%d bytes: %d bytes and %d checksums, %v", n, len(r.Data), len(r.Sums), err)
		}
	}
	alter := func(change func(*blob.Claim)) *blob.Claim {
		c := good
		change(&c)
		return &c
	}
	for name, c := range map[string]struct {
		client *blobrpc.Client
		claim  *blob.Claim
		off, n uint64
		want   error
	}{
		"without a claim":            {blobs, nil, mine.BlobOff, 10, fs.ErrAccess},
		"one byte more":              {blobs, &good, mine.BlobOff, mine.Len + 1, fs.ErrAccess},
		"other bytes of the blob":    {blobs, &good, theirs.BlobOff, 10, fs.ErrAccess},
		"shifted":                    {blobs, alter(func(c *blob.Claim) { c.Off += 10 }), mine.BlobOff, 10, fs.ErrAccess},
		"a file outside":             {blobs, alter(func(c *blob.Claim) { c.Ino, c.Off = w.outside, theirs.Off }), theirs.BlobOff, 10, fs.ErrAccess},
		"no file":                    {blobs, alter(func(c *blob.Claim) { c.Ino = 1 << 40 }), mine.BlobOff, 10, fs.ErrAccess},
		"a directory":                {blobs, alter(func(c *blob.Claim) { c.Ino = w.in }), mine.BlobOff, 10, fs.ErrAccess},
		"another one's session":      {eves, &good, mine.BlobOff, 10, fs.ErrPermission},
		"another epoch":              {blobs, alter(func(c *blob.Claim) { c.Epoch-- }), mine.BlobOff, 10, fs.ErrFenced},
		"no session":                 {blobs, alter(func(c *blob.Claim) { c.Session += 100 }), mine.BlobOff, 10, fs.ErrFenced},
		"of a state yet to come":     {blobs, alter(func(c *blob.Claim) { c.Index = 1 << 40 }), mine.BlobOff, 10, fs.ErrUnavailable},
		"by who may read everything": {bosses, nil, theirs.BlobOff, 10, nil},
	} {
		r, err := get(c.client, c.claim, c.off, c.n)
		if c.want == nil {
			err = nil // the checksum that the store compares is not known here; what counts is that it was asked
		}
		if !errors.Is(err, c.want) || c.want != nil && r != nil {
			t.Errorf("%s: %v, want %v", name, err, c.want)
		}
	}
	if r, err := bosses.Get(ctx, &info, uint32(theirs.BlobOff), 10); err != nil || len(r.Data) < 10 {
		t.Errorf("who is not bound reads by whole chunks: %v", err)
	}
	// What is moved out is out, here as well: the leader has applied it, and this node is the leader.
	boss2 := w.mount(boss, mount.Config{}).FS
	if err := boss2.Rename(ctx, w.in, "f", fs.RootIno, "moved", 0); err != nil {
		t.Fatal(err)
	}
	if _, err := get(blobs, &good, mine.BlobOff, 10); !errors.Is(err, fs.ErrAccess) {
		t.Errorf("of a file that was moved out: %v", err)
	}
	if err := meta.CloseSession(ctx, s); err != nil {
		t.Fatal(err)
	}
	if _, err := get(blobs, &good, mine.BlobOff, 10); !errors.Is(err, fs.ErrFenced) {
		t.Errorf("of a session that has ended: %v", err)
	}
}

func TestStorageNode_StagesForTheSessionsOwnerOnly(t *testing.T) {
	w := newBoundWorld(t)
	ctx := t.Context()
	meta, bobs := w.rpc(w.issue("bob", fs.Scope{}))
	_, eves := w.rpc(w.issue("eve", fs.Scope{}))
	ro, carols := w.rpc(w.issue("carol", fs.Scope{ReadOnly: true}))
	s, err := meta.OpenSession(ctx, fs.Mount{})
	if err != nil {
		t.Fatal(err)
	}
	reader, err := ro.OpenSession(ctx, fs.Mount{})
	if err != nil {
		t.Fatal(err)
	}
	stage := func(c *blobrpc.Client, s fs.Session, id fs.BlobID) error {
		_, err := c.Stage(ctx, blob.Tx{ID: fs.TxID{Session: s.ID, Seq: 1}, Epoch: s.Epoch}, blob.New(id, []byte("x")))
		return err
	}
	later := s
	later.Epoch = 1 << 40
	for name, c := range map[string]struct {
		client *blobrpc.Client
		s      fs.Session
		id     fs.BlobID
		want   error
	}{
		"owner":              {bobs, s, fs.BlobID{Session: s.ID, Counter: 1}, nil},
		"another":            {eves, s, fs.BlobID{Session: s.ID, Counter: 2}, fs.ErrPermission},
		"another one's blob": {bobs, s, fs.BlobID{Session: reader.ID, Counter: 2}, fs.ErrPermission},
		"reader":             {carols, reader, fs.BlobID{Session: reader.ID, Counter: 1}, fs.ErrReadOnly},
		"not opened yet":     {bobs, later, fs.BlobID{Session: s.ID, Counter: 2}, fs.ErrUnavailable},
	} {
		if err := stage(c.client, c.s, c.id); !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", name, err, c.want)
		}
	}
	if err := meta.CloseSession(ctx, s); err != nil {
		t.Fatal(err)
	}
	if err := stage(bobs, s, fs.BlobID{Session: s.ID, Counter: 3}); !errors.Is(err, fs.ErrFenced) {
		t.Errorf("when the session has ended: %v", err)
	}
}

// Over the network: the session goes along with a read, and the certificate with everything.
func TestBoundCertificate_OverTheNetwork(t *testing.T) {
	w := newBoundWorld(t)
	ctx := t.Context()
	meta, _ := w.rpc(w.issue("bob", fs.Scope{Subtree: "/in"}))
	if _, err := meta.Getattr(ctx, fs.RootIno); !errors.Is(err, fs.ErrAccess) {
		t.Errorf("without a session: %v", err)
	}
	s, err := meta.OpenSession(ctx, fs.Mount{})
	if err != nil {
		t.Fatal(err)
	}
	ctx = fs.WithSession(ctx, &s)
	if a, err := meta.Getattr(ctx, w.in); err != nil || a.Parent != w.in {
		t.Errorf("the root: %+v, %v", a, err)
	}
	if l, err := meta.Layout(ctx, w.inside, 0, 10); err != nil || l.Index == 0 || l.Blobs[0].Sum != 0 {
		t.Errorf("layout: %+v, %v", l, err)
	}
	for _, ino := range []fs.Ino{fs.RootIno, w.outside, 1 << 40} {
		if _, err := meta.Getattr(ctx, ino); !errors.Is(err, fs.ErrAccess) || strings.Contains(err.Error(), "no such") {
			t.Errorf("inode %d: %v", ino, err)
		}
	}
	foreign, _ := w.rpc(w.issue("eve", fs.Scope{Subtree: "/in"}))
	if _, err := foreign.Getattr(ctx, w.in); !errors.Is(err, fs.ErrPermission) {
		t.Errorf("under another one's session: %v", err)
	}
	if _, err := foreign.AllocInos(ctx, s, 1); !errors.Is(err, fs.ErrPermission) {
		t.Errorf("alloc for another one's session: %v", err)
	}
	if err := foreign.CloseSession(ctx, s); !errors.Is(err, fs.ErrPermission) {
		t.Errorf("close another one's session: %v", err)
	}
	if status, err := meta.Status(ctx); err != nil || len(status.Sessions) > 0 || len(status.Nodes) == 0 {
		t.Errorf("status: %+v, %v", status, err)
	}
}

func TestHTTP_RefusesBoundCertificates(t *testing.T) {
	w := newBoundWorld(t)
	served := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusTeapot) })
	front := httptest.NewUnstartedServer(forMounts(served))
	files, err := pki.FilesIn(filepath.Join(w.ca, "n1"), pki.RoleNode)
	if err != nil {
		t.Fatal(err)
	}
	own, err := pki.Open(files, pki.RoleNode, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = own.Close() }) // it never fails
	front.TLS = own.Server()
	front.StartTLS()
	t.Cleanup(front.Close)
	for name, c := range map[string]struct {
		scope fs.Scope
		want  int
	}{"unbound": {fs.Scope{}, http.StatusTeapot}, "subtree": {fs.Scope{Subtree: "/in"}, http.StatusForbidden}, "reader": {fs.Scope{ReadOnly: true}, http.StatusForbidden}} {
		cfg := config.TLS{Dir: w.issue(name, c.scope)}
		credentials, err := cfg.Open(pki.RoleMount, nil)
		if err != nil {
			t.Fatal(err)
		}
		client := &http.Client{Transport: &http.Transport{TLSClientConfig: credentials.Client()}}
		reply, err := client.Get(front.URL + rest.Prefix + "/f")
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(reply.Body)
		if err := errors.Join(err, reply.Body.Close(), credentials.Close()); err != nil {
			t.Error(err)
		}
		client.CloseIdleConnections()
		if reply.StatusCode != c.want || c.want == http.StatusForbidden && !strings.Contains(string(body), "use a mount") {
			t.Errorf("%s: %d, %s", name, reply.StatusCode, body)
		}
	}
}

// The status says who else is there, and where: over HTTP it is shown to the same certificates as over gRPC.
func TestHTTPStatus_ShowsABoundCertificateNoSessions(t *testing.T) {
	w := newBoundWorld(t) // with the boss's session
	for name, c := range map[string]struct {
		scope fs.Scope
		shown bool
	}{"unbound": {fs.Scope{}, true}, "reader": {fs.Scope{ReadOnly: true}, true}, "subtree": {fs.Scope{Subtree: "/in"}, false}} {
		cfg := config.TLS{Dir: w.issue(name, c.scope)}
		credentials, err := cfg.Open(pki.RoleMount, nil)
		if err != nil {
			t.Fatal(err)
		}
		r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/v1/status", nil)
		r.TLS = &tls.ConnectionState{PeerCertificates: []*x509.Certificate{credentials.Leaf()}}
		reply := httptest.NewRecorder()
		w.node.status(reply, r)
		var status fs.Status
		if err := errors.Join(json.Unmarshal(reply.Body.Bytes(), &status), credentials.Close()); err != nil || len(status.Nodes) == 0 {
			t.Fatalf("%s: %d, %s, %v", name, reply.Code, reply.Body, err)
		}
		if shown := len(status.Sessions) > 0; shown != c.shown {
			t.Errorf("%s: sessions %+v", name, status.Sessions)
		}
	}
	r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/v1/status", nil)
	r.TLS = &tls.ConnectionState{}
	reply := httptest.NewRecorder()
	if w.node.status(reply, r); reply.Code != http.StatusForbidden {
		t.Errorf("nobody: %d", reply.Code)
	}
}
