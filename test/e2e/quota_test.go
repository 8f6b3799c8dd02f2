package e2e

import (
	"encoding/json"
	"fmt"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"dfs/fs"
	"dfs/test/harness"
)

// quotas are what dfs quota ls tells, by path or uid.
func quotas(t testing.TB, c *harness.Cluster) map[string]fs.Quota {
	t.Helper()
	r := c.Dfs(c.Addrs(), "quota", "ls", "--json")
	var list []fs.Quota
	if r.Failure() != nil || json.Unmarshal([]byte(r.Out), &list) != nil {
		t.Fatal(r.Out, r.Err)
	}
	all := map[string]fs.Quota{}
	for _, q := range list {
		name := q.Path
		if q.ID.User {
			name = fmt.Sprint(q.ID.Number)
		}
		all[name] = q
	}
	return all
}

// heard waits until mounts know that there are limits, which takes about a second. Until then they take writes as ever.
func heard(t testing.TB, mounts ...*harness.Mount) {
	t.Helper()
	for _, m := range mounts {
		harness.Eventually(t, 20*time.Second, func() error { return want(m.Sh(time.Minute, "cat .dfs/status"), "there are quotas") })
	}
}

// number runs a script that prints a number.
func number(t testing.TB, m *harness.Mount, script string) int {
	t.Helper()
	out := strings.TrimSpace(m.Sh(2*time.Minute, script))
	n, err := strconv.Atoi(out)
	if err != nil {
		t.Fatalf("%s: %q", script, out)
	}
	return n
}

func TestQuota_OfATreeIsExactAcrossMounts(t *testing.T) {
	t.Parallel()
	c := harness.StartCluster(t, 3, "--garbage-grace", "1s")
	a, b := c.Mount(), c.Mount()
	// The first limit of all holds from the moment that the command has returned.
	a.Sh(time.Minute, "mkdir first")
	if err := dfs(c, c.Addrs(), 0, []string{"is set\n"}, "quota", "set", "/first", "--bytes", "1MiB"); err != nil {
		t.Fatal(err)
	}
	if n := number(t, b, "head -c 4M /dev/zero > first/f 2> /dev/null || stat -c %s first/f"); n != 1<<20 {
		t.Errorf("%d bytes were taken", n)
	}
	const limit = 48 << 20
	a.Sh(time.Minute, "mkdir -p tree/sub; head -c 1M /dev/urandom > tree/sub/old; ln tree/sub/old tree/twin; sync tree/sub/old")
	if err := dfs(c, c.Addrs(), 0, []string{"is set"}, "quota", "set", "/tree", "--bytes", strconv.Itoa(limit), "--inodes", "10"); err != nil {
		t.Fatal(err)
	}
	harness.Eventually(t, 20*time.Second, func() error {
		if q := quotas(t, c)["/tree"]; q.State != fs.QuotaCounted || q.Used != (fs.Usage{Bytes: 1 << 20, Inodes: 3}) {
			return errorf("%+v", q)
		}
		return nil
	})
	harness.Eventually(t, 20*time.Second, func() error {
		for _, m := range []*harness.Mount{a, b} {
			if n := number(t, m, "df --output=size -B1 tree | tail -n 1"); n != limit {
				return errorf("df shows %d", n)
			}
		}
		return nil
	})
	heard(t, a, b)

	// Both write until they are told, by write(2), that there is no more; what write took is there.
	script := `dd if=/dev/zero of=tree/%s bs=300000 count=400 conv=notrunc 2> /tmp/none.$$ && exit 1
		grep -q 'error writing.*Disk quota exceeded' /tmp/none.$$ || { cat /tmp/none.$$ >&2; exit 2; }; rm /tmp/none.$$; stat -c %%s tree/%[1]s`
	sizes := make(chan int, 2)
	for _, m := range []*harness.Mount{a, b} {
		go func() {
			r := harness.Command{Argv: []string{"sh", "-c", fmt.Sprintf(script, filepath.Base(m.Dir))}, Dir: m.Dir, Timeout: 2 * time.Minute}.Exec()
			n, err := strconv.Atoi(strings.TrimSpace(r.Out))
			if err != nil {
				t.Errorf("dd: %v\n%s%s", r.Failure(), r.Out, r.Err)
			}
			sizes <- n
		}()
	}
	written := <-sizes + <-sizes + 1<<20
	if q := quotas(t, c)["/tree"]; q.Used.Bytes != limit || written != limit {
		t.Errorf("%d bytes were written, %+v", written, q)
	}
	if got := number(t, b, "df --output=avail -B1 tree | tail -n 1"); got != 0 {
		t.Errorf("df shows %d bytes left", got)
	}
	if err := dfs(c, c.Addrs(), 0, []string{"/tree", "48 MiB", "100.0", "counted"}, "quota", "ls"); err != nil {
		t.Error(err)
	}
	// Files, too, are counted; directories cannot leave the tree but by a copy, which mv makes.
	a.Sh(time.Minute, `for i in 1 2 3 4 5; do touch tree/n$i; done; touch tree/n6 2>&1 | grep 'Disk quota exceeded'; test ! -e tree/n6
		mkdir other; touch other/n6; mv other/n6 tree/ 2>&1 | grep 'Disk quota exceeded'; test -e other/n6
		if ln tree/n1 other/n1; then exit 1; fi; mv tree/n1 other/; mv other/n6 tree/; mv tree/sub other/; test -e other/sub/old; rm -r other`)
	// What is removed is free again, on the other mount as well.
	b.Sh(time.Minute, "rm tree/"+filepath.Base(a.Dir))
	harness.Eventually(t, 20*time.Second, func() error { // it is charged for until it is reaped
		if got := number(t, a, "df --output=avail -B1 tree | tail -n 1"); got < 1<<20 {
			return errorf("df shows %d bytes left", got)
		}
		return nil
	})
	a.Sh(time.Minute, "head -c 1M /dev/zero > tree/again; sync tree/again")
	if err := dfs(c, c.Addrs(), 0, []string{"is removed"}, "quota", "rm", "/tree"); err != nil {
		t.Error(err)
	}
	harness.Eventually(t, 20*time.Second, func() error {
		if q, there := quotas(t, c)["/tree"]; there {
			return errorf("%+v", q)
		}
		return nil
	})
	a.Sh(time.Minute, "for i in $(seq 12); do head -c 5M /dev/zero > tree/m$i; done; sync")
}

func TestQuota_OfAUserFollowsTheOwner(t *testing.T) {
	t.Parallel()
	c := harness.StartCluster(t, 1)
	m := c.Mount()
	m.Sh(time.Minute, "mkdir d; chmod 777 d; touch d/mine; chown 4321 d/mine; head -c 2M /dev/zero > d/roots; sync d/roots")
	if err := dfs(c, c.Addrs(), 0, []string{"is set"}, "quota", "set", "--user", "4321", "--bytes", "5MiB", "--inodes", "2"); err != nil {
		t.Fatal(err)
	}
	heard(t, m)
	m.Sh(time.Minute, `dd if=/dev/zero of=d/mine bs=1M count=20 2>&1 | grep 'error writing.*Disk quota exceeded'; test $(stat -c %s d/mine) = 5242880
		chown 4321 d/roots 2>&1 | grep 'Disk quota exceeded'; truncate -s 3M d/mine; chown 4321 d/roots; truncate -s 1G d/mine`)
	if q := quotas(t, c)["4321"]; q.Used != (fs.Usage{Bytes: 5 << 20, Inodes: 2}) {
		t.Errorf("%+v", q)
	}
	m.Sh(time.Minute, "touch d/x; chown 4321 d/x 2>&1 | grep 'Disk quota exceeded'; chown 0 d/roots; chown 4321 d/x")
	if err := dfs(c, c.Addrs(), 0, []string{"is removed"}, "quota", "rm", "--user", "4321"); err != nil {
		t.Error(err)
	}
	for _, err := range []error{
		dfs(c, c.Addrs(), 1, []string{"no such file"}, "quota", "rm", "--user", "4321"),
		dfs(c, c.Addrs(), 2, []string{"either a path or --user"}, "quota", "set", "--bytes", "1"),
		dfs(c, c.Addrs(), 2, []string{"want --bytes or --inodes"}, "quota", "set", "/d"),
		dfs(c, c.Addrs(), 1, []string{"no such file"}, "quota", "set", "/none", "--bytes", "1M"),
		dfs(c, c.Addrs(), 0, []string{"QUOTA OF", "STATE"}, "quota", "ls"),
	} {
		if err != nil {
			t.Error(err)
		}
	}
}

// When the nodes are full write(2) says so; what it took before is there, and removing it makes room again.
func TestSpace_ThatIsUsedUpIsToldByWrite(t *testing.T) {
	t.Parallel()
	c := harness.StartCluster(t, 1, "--max-bytes", "512MiB", "--garbage-grace", "1s", "--sweep-interval", "1s")
	m := c.Mount()
	m.Sh(3*time.Minute, `dd if=/dev/urandom of=f bs=1M count=1000 2>&1 | tee /dev/stderr | grep 'error writing.*No space left on device'
		sync f; size=$(stat -c %s f); test $size -gt 100000000; test $(cat f | wc -c) = $size; rm f`)
	harness.Eventually(t, 2*time.Minute, func() error {
		return harness.Command{Argv: []string{"sh", "-c", "head -c 1M /dev/zero > g && sync g"}, Dir: m.Dir, Timeout: time.Minute}.Exec().Failure()
	})
}
