package posix

import (
	"maps"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/hanwen/go-fuse/v2/posixtest"
)

// wrong is a test that go-fuse's own runs leave out as well.
const wrong = "FcntlFlockLocksFile"

// TestGoFusePosixSuite_Passes runs go-fuse's own suite, with and without caching in the kernel.
func TestGoFusePosixSuite_Passes(t *testing.T) {
	for name, opts := range map[string]options{"uncached": {}, "cached": {CacheMillis: 1000}} {
		t.Run(name, func(t *testing.T) {
			r := start(t, 1, opts)
			for _, name := range slices.Sorted(maps.Keys(posixtest.All)) {
				t.Run(name, func(t *testing.T) {
					if name == wrong {
						t.Skip("it wants a process to be refused a lock by itself, which no filesystem does")
					}
					dir := filepath.Join(r.dir(), name)
					must(t, os.Mkdir(dir, 0o755))
					posixtest.All[name](t, dir)
				})
			}
			r.must(command{Do: "check"})
		})
	}
}
