package pki

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"dfs/fs"
)

// granter grants as a node does, and counts the keys that have asked.
type granter struct {
	t      *testing.T
	ca     string
	role   Role
	name   string
	keys   map[string]bool
	change func(*Grant)
}

func (g *granter) ask(_ context.Context, csr []byte) (*Grant, error) {
	key, err := ParseCSR(csr)
	if err != nil {
		return nil, err
	}
	public, err := key.Bytes()
	if err != nil {
		return nil, err
	}
	g.keys[string(public)] = true
	issuer := issuerOf(g.t, g.ca)
	chain, err := issuer.Issue(Request{Role: g.role, Name: g.name}, key)
	if err != nil {
		return nil, err
	}
	grant := &Grant{Chain: chain, Root: issuer.Root()}
	if g.role == RoleNode {
		grant.IssuerCert, grant.IssuerKey = issuer.Files()
		grant.GossipKey = read(g.t, filepath.Join(g.ca, GossipKeyFile))
	}
	if g.change != nil {
		g.change(grant)
	}
	return grant, nil
}

// newcomer is a machine with a token.
func newcomer(t *testing.T, role Role) (g *granter, token Token, dir string) {
	ca := authorityIn(t)
	admin := open(t, issue(t, ca, Request{Role: RoleAdmin, Name: "x"}), RoleAdmin, nil)
	return &granter{t: t, ca: ca, role: role, name: "n", keys: map[string]bool{}}, newToken(t, admin, role), filepath.Join(t.TempDir(), "a", "tls")
}

func TestEnrol_MakesTheDirectoryThatIssueWouldMake(t *testing.T) {
	for _, role := range []Role{RoleNode, RoleMount} {
		g, token, dir := newcomer(t, role)
		if err := Enrol(t.Context(), dir, "n", token, g.ask); err != nil {
			t.Fatal(err)
		}
		open(t, dir, role, nil)
		want := issue(t, g.ca, Request{Role: role, Name: "n"})
		got, err := os.ReadDir(dir)
		if err != nil {
			t.Fatal(err)
		}
		other, err := os.ReadDir(want)
		if err != nil {
			t.Fatal(err)
		}
		for i := range max(len(got), len(other)) {
			a, b := got[min(i, len(got)-1)], other[min(i, len(other)-1)]
			ai, aErr := a.Info()
			bi, bErr := b.Info()
			if err := errors.Join(aErr, bErr); err != nil || a.Name() != b.Name() || ai.Mode() != bi.Mode() {
				t.Errorf("%s: %v, want %v", role, ai, bi)
			}
		}
	}
}

// Wherever it is cut short, the next attempt asks with the same key, and has the certificate last.
func TestEnrol_CutShortAnywhere_AsksAgainWithTheSameKey(t *testing.T) {
	order := []string{"n.key", CACertFile, GossipKeyFile, IssuerKeyFile, IssuerCertFile, "n.crt"}
	for done := range order {
		g, token, dir := newcomer(t, RoleNode)
		if err := Enrol(t.Context(), dir, "n", token, g.ask); err != nil {
			t.Fatal(err)
		}
		for _, name := range order[done+1:] { // what a crash after `done` would not have left
			if err := os.Remove(filepath.Join(dir, name)); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := FilesIn(dir, RoleNode); (err == nil) != (done == len(order)-1) {
			t.Errorf("with %v it is taken for complete: %v", order[:done+1], err)
		}
		if err := Enrol(t.Context(), dir, "n", token, g.ask); err != nil || len(g.keys) != 1 {
			t.Errorf("after %s: %v, %d keys", order[done], err, len(g.keys))
		}
		open(t, dir, RoleNode, nil)
	}
}

// A reply that is lost, or no answer at all, leaves the key to ask with again, and nothing else.
func TestEnrol_AFailedAttemptLeavesTheKeyOnly(t *testing.T) {
	g, token, dir := newcomer(t, RoleNode)
	lost := func(ctx context.Context, csr []byte) (*Grant, error) {
		if _, err := g.ask(ctx, csr); err != nil {
			t.Error(err)
		}
		return nil, fs.ErrUnavailable
	}
	if err := Enrol(t.Context(), dir, "n", token, lost); !errors.Is(err, fs.ErrUnavailable) {
		t.Error(err)
	}
	if files, err := os.ReadDir(dir); err != nil || len(files) != 1 || files[0].Name() != "n.key" {
		t.Errorf("%v, %v", files, err)
	}
	if err := Enrol(t.Context(), dir, "n", token, g.ask); err != nil || len(g.keys) != 1 {
		t.Errorf("%v, %d keys", err, len(g.keys))
	}
}

func TestEnrol_KeepsNothingOfAGrantThatIsWrong(t *testing.T) {
	other, otherToken, otherDir := newcomer(t, RoleNode)
	if err := Enrol(t.Context(), otherDir, "n", otherToken, other.ask); err != nil {
		t.Fatal(err)
	}
	file := func(name string) []byte { return read(t, filepath.Join(otherDir, name)) }
	for name, change := range map[string]func(*Grant){
		"another root":         func(g *Grant) { g.Root = file(CACertFile) },
		"two roots":            func(g *Grant) { g.Root = slices.Concat(g.Root, file(CACertFile)) },
		"no root":              func(g *Grant) { g.Root = nil },
		"another key's":        func(g *Grant) { g.Chain = file("n.crt") },
		"no issuer":            func(g *Grant) { g.IssuerCert, g.IssuerKey = nil, nil },
		"another's issuer":     func(g *Grant) { g.IssuerCert, g.IssuerKey = file(IssuerCertFile), file(IssuerKeyFile) },
		"another issuer's key": func(g *Grant) { g.IssuerKey = file(IssuerKeyFile) },
		"no gossip key":        func(g *Grant) { g.GossipKey = []byte("x") },
	} {
		g, token, dir := newcomer(t, RoleNode)
		g.change = change
		if err := Enrol(t.Context(), dir, "n", token, g.ask); err == nil {
			t.Errorf("%s: kept", name)
		}
		if files, err := os.ReadDir(dir); err != nil || len(files) != 1 {
			t.Errorf("%s: %v, %v", name, files, err)
		}
	}
	g, token, dir := newcomer(t, RoleNode)
	g.role = RoleMount
	if err := Enrol(t.Context(), dir, "n", token, g.ask); !errors.Is(err, fs.ErrPermission) {
		t.Errorf("another role: %v", err)
	}
}

func TestEnrol_LeavesAnotherAuthoritysFilesAlone(t *testing.T) {
	g, token, dir := newcomer(t, RoleMount)
	foreign := read(t, filepath.Join(authorityIn(t), CACertFile))
	if err := errors.Join(os.MkdirAll(dir, 0o700), os.WriteFile(filepath.Join(dir, CACertFile), foreign, 0o644)); err != nil {
		t.Fatal(err)
	}
	if err := Enrol(t.Context(), dir, "n", token, g.ask); !errors.Is(err, fs.ErrExist) {
		t.Error(err)
	}
	if !bytes.Equal(foreign, read(t, filepath.Join(dir, CACertFile))) {
		t.Error("it was replaced")
	}
	if err := os.WriteFile(filepath.Join(dir, "n.key"), []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := Enrol(t.Context(), dir, "n", token, g.ask); !errors.Is(err, fs.ErrInvalid) {
		t.Errorf("a key that is none: %v", err)
	}
}
