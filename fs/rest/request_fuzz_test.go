package rest

import (
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	"dfs/fs"
)

// Whatever a client sends for a path, a range or a list of tags: what is let through is what it is taken for.
func FuzzRequest(f *testing.F) {
	f.Add("/a/b%2Fc", "bytes=0-1", `"5-2a", W/"x"`, uint64(10))
	f.Add("/%2e%2e/x/", "bytes=-5", "*", uint64(0))
	f.Add("//", "bytes=18446744073709551615-", `"`, uint64(1)<<63)
	f.Add("/a", "bytes=5-18446744073709551615", `W/W/"a"`, ^uint64(0))
	f.Fuzz(func(t *testing.T, raw, ranges, tags string, size uint64) {
		fuzzPath(t, raw)
		a := &fs.Attr{Ino: 5, Version: 42, Size: size}
		if s, err := rangeOf(http.Header{"Range": {ranges}}, a); err == nil && s != nil && (s.from >= s.to || s.to > size) {
			t.Errorf("range %q of %d bytes is %+v", ranges, size, *s)
		}
		pre, err := parsePreconditions(http.Header{"If-Match": {tags}, "If-None-Match": {tags}})
		if err != nil {
			return
		}
		if n := len(pre.match.tags) + len(pre.match.weak); n > tagsMax || pre.match.star && n > 0 {
			t.Errorf("%q has %d tags", tags, n)
		}
		if pre.check(a, false) == nil {
			t.Errorf("%q matches, and does not match either", tags)
		}
	})
}

func fuzzPath(t *testing.T, raw string) {
	p, err := cleanEscaped(raw)
	if err != nil {
		return
	}
	for _, name := range p.names {
		if name == "" || name == "." || name == ".." || len(name) > fs.NameMax || strings.ContainsAny(name, "/\x00") {
			t.Errorf("%q has the component %q", raw, name)
		}
	}
	escaped := strings.TrimPrefix(escape(p.names), Prefix)
	again, err := cleanEscaped(escaped)
	if err != nil || !slices.Equal(again.names, p.names) {
		t.Errorf("%q is %q, which is %q, %v", raw, p.names, again.names, err)
	}
	if u, err := url.Parse("http://h" + Prefix + escaped); err != nil || u.EscapedPath() != Prefix+escaped {
		t.Errorf("%q does not stand in a URL: %v", escaped, err)
	}
}
