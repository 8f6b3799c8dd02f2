package rest

import (
	"fmt"
	"net/http"
	"strings"
	"time"

	"dfs/fs"
	"dfs/fs/vfs"
)

// etag is strong: the same inode at the same Version has the same bytes, attributes and names.
func etag(a *fs.Attr) string { return fmt.Sprintf(`"%x-%x"`, uint64(a.Ino), a.Version) }

// cacheControl has caches ask each time, with the ETag.
const cacheControl = "no-cache"

// guard has the change that it goes with refused unless the inode is still as a says.
func guard(a *fs.Attr) vfs.Guard { return vfs.Guard{Ino: a.Ino, Version: a.Version} }

// preconditions are If-Match, If-None-Match and If-Unmodified-Since, RFC 9110, section 13. If-Modified-Since is ignored, as is
// allowed: of two changes within one second it would hide the later one.
type preconditions struct {
	match, noneMatch *tagList
	unmodified       time.Time // zero: not asked
}

func (p *preconditions) any() bool {
	return p.match != nil || p.noneMatch != nil || !p.unmodified.IsZero()
}

// tagList is the value of such a header.
type tagList struct {
	star bool
	tags []string // strong ones, with their quotes
	weak []string // the opaque parts of weak ones, with their quotes
}

// tagsMax bounds the tags of one header.
const tagsMax = 64

func parsePreconditions(h http.Header) (p preconditions, err error) {
	if p.match, err = parseTags(h, "If-Match"); err == nil {
		p.noneMatch, err = parseTags(h, "If-None-Match")
	}
	if since, bad := http.ParseTime(h.Get("If-Unmodified-Since")); bad == nil && p.match == nil {
		p.unmodified = since // else it is ignored, as section 13.1.4 asks
	}
	return p, err
}

// parseTags reads a list of entity tags; nil if the header is not there.
func parseTags(h http.Header, name string) (*tagList, error) {
	values := h.Values(name)
	if len(values) == 0 {
		return nil, nil
	}
	l := &tagList{}
	rest := strings.TrimSpace(strings.Join(values, ","))
	if rest == "*" {
		l.star = true
		return l, nil
	}
	for rest != "" {
		weak := strings.HasPrefix(rest, "W/")
		tag, after, ok := cutTag(strings.TrimPrefix(rest, "W/"))
		if !ok || len(l.tags)+len(l.weak) == tagsMax {
			return nil, newError(http.StatusBadRequest, "invalid", name+" is not a list of entity tags")
		}
		if weak {
			l.weak = append(l.weak, tag)
		} else {
			l.tags = append(l.tags, tag)
		}
		rest = after
	}
	return l, nil
}

// cutTag takes one quoted tag, and the comma behind it, off a list.
func cutTag(s string) (tag, rest string, ok bool) {
	if !strings.HasPrefix(s, `"`) {
		return "", "", false
	}
	end := strings.IndexByte(s[1:], '"')
	if end < 0 {
		return "", "", false
	}
	tag, rest = s[:end+2], strings.TrimSpace(s[end+2:])
	if rest == "" {
		return tag, "", true
	}
	rest, ok = strings.CutPrefix(rest, ",")
	return tag, strings.TrimLeft(rest, ", \t"), ok
}

func contains(list []string, tag string) bool {
	for _, t := range list {
		if t == tag {
			return true
		}
	}
	return false
}

// check evaluates the preconditions for what is there now; an inode number of 0 is nothing. reading tells GET and HEAD,
// which a match of If-None-Match makes "not modified".
func (p *preconditions) check(a *fs.Attr, reading bool) error {
	exists := a.Ino != 0
	if exists && !p.unmodified.IsZero() && a.Mtime.Std().Truncate(time.Second).After(p.unmodified) {
		return preconditionFailed("If-Unmodified-Since")
	}
	return p.checkTag(exists, etag(a), reading)
}

// checkTag is check for what has an ETag of its own, and no time.
func (p *preconditions) checkTag(exists bool, tag string, reading bool) error {
	if m := p.match; m != nil && (!exists || !m.star && !contains(m.tags, tag)) {
		return preconditionFailed("If-Match")
	}
	m := p.noneMatch
	if m == nil || !exists || !m.star && !contains(m.tags, tag) && !contains(m.weak, tag) {
		return nil
	}
	if reading {
		e := newError(http.StatusNotModified, "not_modified", "not modified")
		e.header = http.Header{"Etag": {tag}, "Cache-Control": {cacheControl}} // section 15.4.5: as with 200
		return e
	}
	return preconditionFailed("If-None-Match")
}

func preconditionFailed(header string) error {
	return newError(http.StatusPreconditionFailed, "precondition_failed", header+" does not hold")
}
