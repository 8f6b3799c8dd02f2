package e2e

import (
	"fmt"
	"testing"
	"time"

	"dfs/test/harness"
)

func TestSecondMount_SeesClosedFiles(t *testing.T) {
	t.Parallel()
	c := harness.StartCluster(t, 3)
	a, b := c.Mount(), c.Mount()
	a.Sh(2*time.Minute, `mkdir d; for i in $(seq 40); do seq $((i * 1000)) > d/f$i; done
		echo one > changed; ln -s d link; ln d/f1 hard; mkdir gone; touch gone-file`)
	if diff := harness.Run(t, "diff", "-r", a.Dir, b.Dir); diff != "" {
		t.Errorf("the mounts differ:\n%s", diff)
	}
	// What b has seen and cached changes under it.
	for i := range 20 {
		a.Sh(time.Minute, fmt.Sprintf("echo %d > changed; echo %[1]d >> appended; mv d/f%d d/g%[2]d; rmdir gone; mkdir gone", i, i+1))
		got := b.Sh(time.Minute, fmt.Sprintf("cat changed; tail -n 1 appended; wc -l < appended; test -e d/g%d; test ! -e d/f%[1]d; ls -d gone", i+1))
		if want := fmt.Sprintf("%d\n%[1]d\n%d\ngone\n", i, i+1); got != want {
			t.Fatalf("round %d: the other mount sees %q, want %q", i, got, want)
		}
	}
	// fsync without close is enough as well.
	b.Sh(time.Minute, fmt.Sprintf(`exec 3> held; echo synced >&3; sync held; test "$(cat %s/held)" = synced`, a.Dir))
	// And what one removes the other no longer sees, nor its space.
	b.Sh(time.Minute, "rm -r d")
	a.Sh(time.Minute, "test ! -e d && test -z \"$(ls -A gone)\"")
}

func TestUnlinkedOpenFile_StaysReadableFromWhereItIsOpen(t *testing.T) {
	t.Parallel()
	c := harness.StartCluster(t, 1, "--garbage-grace", "1s")
	a, b := c.Mount(), c.Mount()
	a.Sh(time.Minute, fmt.Sprintf(`seq 100000 > f; sha256sum < f > /dev/null; exec 3< f
		rm %s/f; test ! -e f; sleep 4; seq 100000 | cmp - /dev/fd/3`, b.Dir))
	c.WaitSettled(90 * time.Second)
}
