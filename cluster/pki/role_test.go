package pki

import (
	"crypto/x509"
	"errors"
	"net/url"
	"strings"
	"testing"

	"dfs/fs"
)

// Certificates of an authority that somebody else has made may say anything: only one URI of ours with a known path gives a role.
func FuzzRoleOf(f *testing.F) {
	for _, s := range []string{"dfs://ca/role/node", "dfs://ca/role/root", "dfs://ca/role/node/", "dfs:role/node", "dfs://ca/role/%6eode", "https://ca/role/node", "dfs://ca/ROLE/node"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		u, err := url.Parse(s)
		if err != nil {
			return
		}
		role, err := RoleOf(&x509.Certificate{URIs: []*url.URL{u}})
		if err != nil && (!errors.Is(err, fs.ErrPermission) || role != "") {
			t.Errorf("%q: %q, %v", s, role, err)
		}
		if err == nil && (!strings.EqualFold(u.Scheme, uriScheme) || u.Path != "/role/"+string(role)) {
			t.Errorf("%q has the role %q", s, role)
		}
		if _, err := RoleOf(&x509.Certificate{URIs: []*url.URL{u, u}}); err == nil {
			t.Errorf("%q twice is taken", s)
		}
	})
}

func certificateWith(t *testing.T, uri string) *x509.Certificate {
	t.Helper()
	u, err := url.Parse(uri)
	if err != nil {
		t.Fatal(err)
	}
	return &x509.Certificate{URIs: []*url.URL{u}}
}

func TestScope_IsReadAsItIsWrittenAndInNoOtherWay(t *testing.T) {
	for uri, want := range map[string]fs.Scope{
		"dfs://ca/role/mount":                               {},
		"dfs://ca/role/mount?ro=1":                          {ReadOnly: true},
		"dfs://ca/role/mount?subtree=%2Fprojects%2Fx":       {Subtree: "/projects/x"},
		"dfs://ca/role/mount?subtree=%2Fprojects%2Fx&ro=1":  {Subtree: "/projects/x", ReadOnly: true},
		"dfs://ca/role/mount?subtree=%2Fa+b%26ro%3D1%23%2B": {Subtree: "/a b&ro=1#+"},
	} {
		role, scope, err := grantOf(certificateWith(t, uri))
		if role != RoleMount || scope != want || err != nil {
			t.Errorf("%s: %q, %+v, %v", uri, role, scope, err)
		}
		if written := roleURI("ca", RoleMount, want).String(); written != uri {
			t.Errorf("%+v is written as %s, want %s", want, written, uri)
		}
	}
	for _, uri := range []string{
		"dfs://ca/role/mount?ro=0", "dfs://ca/role/mount?ro=true", "dfs://ca/role/mount?ro", "dfs://ca/role/mount?ro=1&ro=1", "dfs://ca/role/mount?RO=1",
		"dfs://ca/role/mount?subtree=", "dfs://ca/role/mount?subtree=%2F", "dfs://ca/role/mount?subtree=a", "dfs://ca/role/mount?subtree=%2Fa%2F",
		"dfs://ca/role/mount?subtree=%2Fa%2F..%2Fb", "dfs://ca/role/mount?subtree=/a", "dfs://ca/role/mount?subtree=%2Fa&subtree=%2Fb",
		"dfs://ca/role/mount?ro=1&subtree=%2Fa", "dfs://ca/role/mount?subtree=%2Fa&quota=1", "dfs://ca/role/mount?x=1", "dfs://ca/role/mount?ro=1;x=2",
		"dfs://ca/role/mount?&ro=1", "dfs://ca/role/mount?subtree=%2Fa%00", "dfs://ca/role/mount?%zz",
		"dfs://ca/role/node?ro=1", "dfs://ca/role/admin?subtree=%2Fa",
		"dfs://ca/role/mount?", "dfs://ca/role/mount#ro=1", "dfs://ca/role/mount?ro=1#x", "dfs://ro@ca/role/mount", "dfs://ca/role/%6dount",
	} {
		if role, scope, err := grantOf(certificateWith(t, uri)); !errors.Is(err, fs.ErrPermission) {
			t.Errorf("%s: %q, %+v, %v", uri, role, scope, err)
		}
	}
}

func TestIssue_BindsMountsOnly(t *testing.T) {
	dir := t.TempDir() + "/ca"
	if err := InitCA(dir); err != nil {
		t.Fatal(err)
	}
	bound := fs.Scope{Subtree: "/a/b", ReadOnly: true}
	for name, r := range map[string]Request{
		"node": {Role: RoleNode, Name: "n", Scope: bound}, "admin": {Role: RoleAdmin, Name: "n", Scope: fs.Scope{ReadOnly: true}},
		"subtree": {Role: RoleMount, Name: "n", Scope: fs.Scope{Subtree: "a/../b"}},
	} {
		if err := Issue(dir, dir+"/"+name, r); !errors.Is(err, fs.ErrInvalid) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := Issue(dir, dir+"/m", Request{Role: RoleMount, Name: "m", Scope: bound}); err != nil {
		t.Fatal(err)
	}
	files, err := FilesIn(dir+"/m", RoleMount)
	if err != nil {
		t.Fatal(err)
	}
	c, err := Open(files, RoleMount, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = c.Close() }() // it never fails
	if _, scope, err := grantOf(c.current().pair.Leaf); scope != bound || err != nil {
		t.Errorf("issued: %+v, %v", scope, err)
	}
}
