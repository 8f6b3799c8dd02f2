package rest

import (
	"bufio"
	"crypto/sha256"
	"crypto/subtle"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"strings"
	"sync"
	"time"

	"dfs/fs"
)

// Tokens are the bearer tokens that open the front, as a file has them: when it changes, it is read again.
type Tokens struct {
	name string

	mu     sync.Mutex
	looked time.Time // at the file
	stamp  stamp     // of what was read, or could not be
	sums   [][sha256.Size]byte
}

// stamp tells one version of a file from another.
type stamp struct {
	mtime time.Time
	size  int64
}

// lookEvery is how often the file is looked at, while requests come.
const lookEvery = time.Second

// Bounds of a token file.
const (
	tokenMin  = 16 // bytes: shorter ones can be guessed
	tokenMax  = 4096
	tokensMax = 1024
)

// ReadTokens reads a file of tokens, one a line; empty lines and those that start with # are skipped.
func ReadTokens(name string) (*Tokens, error) {
	t := &Tokens{name: name, looked: time.Now(), stamp: stampOf(name)} // before it is read: what changes meanwhile is read again
	f, err := os.Open(name)
	if err != nil {
		return nil, fmt.Errorf("tokens: %w", err)
	}
	defer f.Close() // nothing is written to it
	lines := bufio.NewScanner(f)
	for n := 1; lines.Scan(); n++ {
		token := strings.TrimSpace(lines.Text())
		if token == "" || strings.HasPrefix(token, "#") {
			continue
		}
		if len(token) < tokenMin || len(token) > tokenMax || strings.ContainsAny(token, " \t") {
			return nil, fmt.Errorf("tokens: %s, line %d: want one token of %d to %d characters, without blanks: %w", name, n, tokenMin, tokenMax, fs.ErrInvalid)
		}
		t.sums = append(t.sums, sha256.Sum256([]byte(token)))
	}
	if err := lines.Err(); err != nil {
		return nil, fmt.Errorf("tokens: %s: %w", name, err)
	}
	if len(t.sums) == 0 || len(t.sums) > tokensMax {
		return nil, fmt.Errorf("tokens: %s has %d tokens, 1 to %d are wanted: %w", name, len(t.sums), tokensMax, fs.ErrInvalid)
	}
	return t, nil
}

func stampOf(name string) stamp {
	info, err := os.Stat(name)
	if err != nil {
		return stamp{}
	}
	return stamp{info.ModTime(), info.Size()}
}

// current is what the file has now or, if that cannot be used, what it had before: it may be half written.
func (t *Tokens) current(log *slog.Logger) [][sha256.Size]byte {
	t.mu.Lock()
	defer t.mu.Unlock()
	now := time.Now()
	if now.Sub(t.looked) < lookEvery {
		return t.sums
	}
	before := t.looked
	t.looked = now
	// A file that had just been changed when it was read may have been changed again within its clock's step.
	if s := stampOf(t.name); s == t.stamp && before.Sub(s.mtime).Abs() > lookEvery {
		return t.sums
	}
	fresh, err := ReadTokens(t.name)
	if err != nil {
		if s := stampOf(t.name); s != t.stamp {
			log.Warn("the token file has changed and cannot be used; going on with what it held before", "err", err)
			t.stamp = s
		}
		return t.sums
	}
	t.stamp, t.sums = fresh.stamp, fresh.sums
	return t.sums
}

// check asks for one of the tokens; no Tokens ask for none.
func (t *Tokens) check(r *http.Request, log *slog.Logger) error {
	if t == nil {
		return nil
	}
	scheme, token, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	if !strings.EqualFold(scheme, "Bearer") {
		return unauthorized(`Bearer realm="dfs"`, "a bearer token is wanted")
	}
	if !has(t.current(log), strings.TrimSpace(token)) {
		return unauthorized(`Bearer realm="dfs", error="invalid_token"`, "the bearer token is not known here")
	}
	return nil
}

// has compares hashes with all of them, in a time that tells nothing of how much of a token was right.
func has(sums [][sha256.Size]byte, token string) bool {
	sum, found := sha256.Sum256([]byte(token)), 0
	for i := range sums {
		found |= subtle.ConstantTimeCompare(sum[:], sums[i][:])
	}
	return found == 1
}

func unauthorized(challenge, message string) error {
	e := newError(http.StatusUnauthorized, "unauthorized", message)
	e.header = http.Header{"Www-Authenticate": {challenge}}
	return e
}
