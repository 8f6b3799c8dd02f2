package fs_test

import (
	"errors"
	"strings"
	"testing"

	"dfs/fs"
)

func TestParseSubtree_TakesOneSpellingOnly(t *testing.T) {
	for _, p := range []string{"", "/"} {
		if got, err := fs.ParseSubtree(p); got != "" || err != nil {
			t.Errorf("%q: %q, %v", p, got, err)
		}
	}
	for _, p := range []string{"/a", "/a/b c", "/ä/..."} {
		if got, err := fs.ParseSubtree(p); got != p || err != nil {
			t.Errorf("%q: %q, %v", p, got, err)
		}
	}
	for _, p := range []string{"a", "./a", "/a/", "//a", "/a//b", "/a/../b", "/..", "/.", "/a\x00"} {
		if got, err := fs.ParseSubtree(p); !errors.Is(err, fs.ErrInvalid) {
			t.Errorf("%q: %q, %v", p, got, err)
		}
	}
	for _, p := range []string{"/" + strings.Repeat("x", fs.NameMax+1), strings.Repeat("/x", fs.PathMax)} {
		if _, err := fs.ParseSubtree(p); !errors.Is(err, fs.ErrNameTooLong) {
			t.Errorf("%d bytes: %v", len(p), err)
		}
	}
}

func TestScope_IsNarrowedNeverWidened(t *testing.T) {
	for _, test := range []struct {
		has, asked, want fs.Scope
		refused          bool
	}{
		{fs.Scope{}, fs.Scope{}, fs.Scope{}, false},
		{fs.Scope{}, fs.Scope{Subtree: "/a"}, fs.Scope{Subtree: "/a"}, false},
		{fs.Scope{Subtree: "/a"}, fs.Scope{}, fs.Scope{Subtree: "/a"}, false},
		{fs.Scope{Subtree: "/a"}, fs.Scope{Subtree: "/a"}, fs.Scope{Subtree: "/a"}, false},
		{fs.Scope{Subtree: "/a"}, fs.Scope{Subtree: "/a/b"}, fs.Scope{Subtree: "/a/b"}, false},
		{fs.Scope{Subtree: "/a"}, fs.Scope{Subtree: "/ab"}, fs.Scope{}, true},
		{fs.Scope{Subtree: "/a/b"}, fs.Scope{Subtree: "/a"}, fs.Scope{}, true},
		{fs.Scope{ReadOnly: true}, fs.Scope{Subtree: "/a"}, fs.Scope{Subtree: "/a", ReadOnly: true}, false},
		{fs.Scope{Subtree: "/a"}, fs.Scope{ReadOnly: true}, fs.Scope{Subtree: "/a", ReadOnly: true}, false},
	} {
		got, err := test.has.Narrow(test.asked)
		if got != test.want || errors.Is(err, fs.ErrAccess) != test.refused || err != nil != test.refused {
			t.Errorf("%+v of %+v: %+v, %v", test.asked, test.has, got, err)
		}
	}
}
