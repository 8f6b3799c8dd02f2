package posix

import (
	"os"
	"testing"

	"golang.org/x/sys/unix"
)

// users runs a script, as root, in the first of two mounts, with $b the second, and functions that run a command as user 1001 of
// group 1001, who is in group 1005 as well (as1), and as user 1002 of group 1002 (as2).
func users(t *testing.T, text string) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("only root can become somebody else")
	}
	need(t, "setpriv", "perl")
	r := start(t, 2, options{AllowOther: true, Suid: true})
	script(t, r.dir(), "b="+r.opts.Dirs[1]+`
as1() { setpriv --reuid 1001 --regid 1001 --groups 1005 "$@"; }
as2() { setpriv --reuid 1002 --regid 1002 --clear-groups "$@"; }
no() { if "$@" 2>/dev/null; then echo "allowed: $*"; return 1; fi; }
is() { if [ "$1" != "$2" ]; then printf 'got\n%s\nwant\n%s\n' "$1" "$2"; return 1; fi; }
# make MODE FILE: open(2) with O_CREAT and that mode, whatever the umask.
make="umask 0; sysopen(my \$f, \$ARGV[1], 0101, oct \$ARGV[0]) or die"
umask 022
`+text)
	r.must(command{Do: "check"})
}

func TestSetgidDirectory_HandsItsGroupOn(t *testing.T) {
	users(t, `
mkdir d; chgrp 1005 d; chmod 2777 d
as1 perl -e "$make" 2775 d/f1; is "$(stat -c '%a %g' $b/d/f1)" "2775 1005"
as2 perl -e "$make" 2775 d/f2; is "$(stat -c '%a %g' $b/d/f2)" "775 1005"
as2 perl -e "$make" 2765 d/f3; is "$(stat -c '%a %g' $b/d/f3)" "2765 1005"
as2 perl -e "$make" 4775 d/f4; is "$(stat -c '%a %g' $b/d/f4)" "4775 1005"
perl -e "$make" 2775 d/f5; is "$(stat -c '%a %g' $b/d/f5)" "2775 1005"
as2 mkdir d/s; is "$(stat -c '%a %g' $b/d/s)" "2755 1005"
as2 mkdir $b/d/s/t; is "$(stat -c '%a %g' d/s/t)" "2755 1005"
as2 mkfifo d/p; is "$(stat -c '%a %g' $b/d/p)" "644 1005"
as2 ln -s x d/l; is "$(stat -c '%a %g' $b/d/l)" "777 1005"
chmod g-s $b/d
as2 perl -e "$make" 2775 d/f6; is "$(stat -c '%a %g' d/f6)" "2775 1002"`)
}

func TestChmodAndChown_ByWhomAndWhatTheyTake(t *testing.T) {
	users(t, `
touch f; chown 1002:1005 f; as2 chmod 2770 f; is "$(stat -c %a $b/f)" 770
touch g; chown 1001:1005 g; as1 chmod 2770 $b/g; is "$(stat -c %a g)" 2770
touch h; chown 1001:1001 h; as1 chgrp 1005 h; is "$(stat -c %g $b/h)" 1005
no as1 chgrp 1002 h; no as1 chown 1002 h; no as2 chmod 777 h; no as2 chgrp 1002 h
as1 chmod 6755 h; as1 chgrp 1001 h; is "$(stat -c %a $b/h)" 755
chmod 6755 h; chown 0 h; is "$(stat -c %a $b/h)" 755
mkdir d; chmod 6755 d; chown 1001 d; is "$(stat -c %a $b/d)" 6755`)
}

func TestSupplementaryGroups_Count(t *testing.T) {
	users(t, `
echo x > f; chgrp 1005 f; chmod 060 f
as1 cat f >/dev/null; as1 cat $b/f >/dev/null; no as2 cat f
mkdir d; chgrp 1005 d; chmod 070 d
as1 touch d/f; no as2 touch d/g; no as2 ls $b/d`)
}

func TestStickyDirectory_LetsOnlyOwnersRemove(t *testing.T) {
	users(t, `
mkdir d; chown 1003 d; chmod 1777 d
as1 touch d/f; as2 touch d/g; as2 mkdir d/s
no as2 rm -f $b/d/f; no as2 mv $b/d/f $b/d/h; no as2 mv -f $b/d/g $b/d/f; no as1 mv $b/d/s .
as2 mv d/g d/h; as2 rmdir $b/d/s
setpriv --reuid 1003 --regid 1003 --clear-groups rm -f d/f
chmod 777 $b/d; as1 rm -f d/h`)
}

// A running program cannot be written, and what is being written cannot be run, within a mount: that is the kernel's to know.
// Another mount's kernel does not.
func TestRunningProgram_CannotBeWrittenOnItsMount(t *testing.T) {
	need(t, "sleep", "true")
	users(t, `
cp "$(type -P sleep)" s; cp "$(type -P true)" t
./s 100 & pid=$!
trap 'kill $pid' EXIT
for i in $(seq 100); do [ "$(cat /proc/$pid/comm)" = s ] && break; sleep 0.05; done
if (echo x >> s) 2>err; then exit 1; fi; grep -q 'Text file busy' err
exec 3>>t
if ./t 2>err; then exit 1; fi; grep -q 'Text file busy' err
$b/t
exec 3>&-
./t
printf x >> $b/s`)
}

func TestLongPaths_WorkStepByStep(t *testing.T) {
	users(t, `
perl -e '
my $name = "n" x 255;
for (1 .. 20) { mkdir $name or die $!; chdir $name or die $! }
open(my $f, ">", "f") or die $!; print $f "deep"; close $f or die $!;
my $path = $ENV{PWD} . "/" . join("/", ($name) x 20) . "/f";
!open($f, "<", $path) && $!{ENAMETOOLONG} or die "a path of 5000 bytes: $!";
symlink("t" x 4095, "l") or die $!;
length(readlink "l") == 4095 or die;
!symlink("t" x 4096, "m") && $!{ENAMETOOLONG} or die "a target of 4096 bytes: $!";
'
rm -rf n*`)
	d := start(t, 1, options{}).dir()
	want(t, "an empty target", unix.Symlink("", d+"/l"), unix.ENOENT)
}
