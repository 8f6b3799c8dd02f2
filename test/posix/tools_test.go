package posix

import (
	"context"
	"os/exec"
	"testing"
	"time"
)

// script runs a shell script in the mount; every command must succeed.
func script(t *testing.T, dir, text string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 3*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, "bash", "-euo", "pipefail", "-c", text)
	cmd.Dir = dir
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
}

func need(t *testing.T, tools ...string) {
	t.Helper()
	for _, tool := range tools {
		if _, err := exec.LookPath(tool); err != nil {
			t.Skip("not installed: ", tool)
		}
	}
}

func TestTar_PacksAndUnpacksATree(t *testing.T) {
	need(t, "tar", "cmp", "find")
	script(t, start(t, 1, options{}).dir(), `
mkdir tree; cd tree
for i in $(seq 40); do mkdir -p d$i; for j in 1 2 3 4 5; do echo "file $i $j" > d$i/f$j; done; ln -s ../d1 d$i/l; done
ln d1/f1 d1/hard; chmod 750 d2; touch -d 2001-02-03 d3/f1; head -c 3000000 /dev/urandom > big
truncate -s 10M sparse; printf tail >> sparse
cd ..; tar cf - --sparse tree > t.tar; mkdir out; tar xf t.tar -C out
diff -r --no-dereference tree out/tree
cmp tree/sparse out/tree/sparse
[ "$(stat -c %i out/tree/d1/f1)" = "$(stat -c %i out/tree/d1/hard)" ]
[ "$(stat -c %a out/tree/d2)" = 750 ]
[ "$(stat -c %Y out/tree/d3/f1)" = "$(stat -c %Y tree/d3/f1)" ]
[ "$(du -k out/tree/sparse | cut -f1)" -lt 1000 ]
find . -name 'f*' | wc -l | grep -qx 400
rm -rf tree out; [ -z "$(ls -d tree out 2>/dev/null)" ]`)
}

func TestCp_CopiesContentAndAttributes(t *testing.T) {
	need(t, "cp", "cmp", "dd")
	script(t, start(t, 1, options{}).dir(), `
head -c 20000000 /dev/urandom > a
cp a b; cmp a b
cp --reflink=auto a c; cmp a c
cp -a a d; [ "$(stat -c '%a %Y' a)" = "$(stat -c '%a %Y' d)" ]
dd if=a of=e bs=1M conv=fsync status=none; cmp a e
dd if=a of=e bs=1000 seek=100 count=10 conv=notrunc status=none
dd if=a of=f bs=64k oflag=append conv=notrunc status=none; cmp a f
dd if=a of=g bs=1M oflag=direct iflag=fullblock status=none || dd if=a of=g bs=1M status=none; cmp a g
truncate -s 30M h; cp --sparse=always h i; cmp h i; [ "$(stat -c %b i)" -lt 100 ]
mv a z; [ ! -e a ]; cmp z b
echo one > log; echo two >> log; [ "$(cat log)" = "$(printf 'one\ntwo')" ]`)
}

func TestGit_KeepsARepository(t *testing.T) {
	need(t, "git")
	script(t, start(t, 1, options{}).dir(), `
export HOME=$PWD GIT_AUTHOR_NAME=a GIT_AUTHOR_EMAIL=a@b GIT_COMMITTER_NAME=a GIT_COMMITTER_EMAIL=a@b
git init -q r; cd r
for i in $(seq 50); do echo $i > f$i; done
git add .; git commit -qm one
git mv f1 g1; echo more >> f2; git commit -qam two
git checkout -q -b side HEAD~1; echo side > s; git add s; git commit -qm side
git merge -q -m merged master 2>/dev/null || git merge -q -m merged main
git gc -q; git fsck --strict; [ -z "$(git status --porcelain)" ]
git clone -q . ../clone; diff -r -x .git . ../clone`)
}

func TestSqlite_CommitsAndRollsBack(t *testing.T) {
	need(t, "python3")
	script(t, start(t, 1, options{}).dir(), `
python3 - <<'PY'
try:
    import sqlite3
except ImportError:
    raise SystemExit(0)
for mode in ("delete", "truncate", "persist", "wal"):
    db = sqlite3.connect(mode + ".db", isolation_level=None)
    db.execute("pragma journal_mode=" + mode)
    db.execute("create table t(a integer primary key, b blob)")
    for i in range(20):
        db.execute("begin")
        for j in range(50):
            db.execute("insert into t(b) values(randomblob(500))")
        db.execute("commit" if i % 2 else "rollback")
    db.close()
    db = sqlite3.connect(mode + ".db")
    assert db.execute("select count(*) from t").fetchone() == (500,), mode
    assert db.execute("pragma integrity_check").fetchone() == ("ok",), mode
PY`)
}

func TestExecutables_RunFromTheMount(t *testing.T) {
	need(t, "cp", "gcc")
	script(t, start(t, 1, options{}).dir(), `
cp "$(type -P true)" t; ./t
printf '#!/bin/sh\necho ok\n' > s; chmod +x s; [ "$(./s)" = ok ]
echo 'int main(void){return 0;}' > m.c; gcc m.c -o m; ./m`)
}
