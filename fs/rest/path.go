package rest

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"dfs/fs"
)

// path is a cleaned path: names from the root down, none of them special.
type path struct {
	names []string
	dir   bool // it ended in a slash: what it names must be a directory
}

func (p path) isRoot() bool { return len(p.names) == 0 }

// cleanEscaped cleans a path as it stands in a request's URL: each component is percent-decoded once.
func cleanEscaped(raw string) (path, error) { return clean(raw, url.PathUnescape) }

// cleanPlain cleans a path that is not encoded (any more).
func cleanPlain(raw string) (path, error) {
	return clean(raw, func(s string) (string, error) { return s, nil })
}

// clean is the only place where a request's path is taken apart. It refuses what could mean two things.
func clean(raw string, decode func(string) (string, error)) (path, error) {
	raw = strings.TrimPrefix(raw, "/")
	trimmed := strings.TrimSuffix(raw, "/")
	p := path{dir: trimmed != raw}
	if trimmed == "" {
		if p.dir {
			return path{}, badPath("a component is empty")
		}
		return path{dir: true}, nil
	}
	total := 0
	for part := range strings.SplitSeq(trimmed, "/") {
		name, err := decode(part)
		if err != nil {
			return path{}, badPath(err.Error())
		}
		if err := checkName(name); err != nil {
			return path{}, err
		}
		if total += len(name) + 1; total > fs.PathMax {
			return path{}, newError(http.StatusBadRequest, "name_too_long", fmt.Sprintf("the path has more than %d bytes", fs.PathMax))
		}
		p.names = append(p.names, name)
	}
	return p, nil
}

func checkName(name string) error {
	switch {
	case name == "":
		return badPath("a component is empty")
	case name == "." || name == "..":
		return badPath(fmt.Sprintf("%q is not allowed in it", name))
	case strings.ContainsAny(name, "/\x00"):
		return badPath("a name contains a slash or NUL")
	case len(name) > fs.NameMax:
		return newError(http.StatusBadRequest, "name_too_long", fmt.Sprintf("a name has more than %d bytes", fs.NameMax))
	}
	return nil
}

func badPath(why string) error {
	return newError(http.StatusBadRequest, "invalid_path", "bad path: "+why)
}

// escape is the URL path of names below Prefix, with each name encoded so that cleanEscaped gives it back.
func escape(names []string) string {
	var b strings.Builder
	b.WriteString(Prefix)
	for _, name := range names {
		b.WriteByte('/')
		b.WriteString(url.PathEscape(name))
	}
	return b.String()
}
