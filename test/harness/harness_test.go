package harness

import (
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestMain(m *testing.M) { os.Exit(Main(m)) }

func TestCommandThatHangs_IsKilledWithItsChildren(t *testing.T) {
	began := time.Now()
	r := Command{Argv: []string{"sh", "-c", "sleep 1000 & sleep 1000"}, Timeout: 200 * time.Millisecond}.Exec()
	if !r.Hung || r.Failure() == nil || time.Since(began) > 20*time.Second {
		t.Errorf("%+v after %s", r, time.Since(began))
	}
}

func TestCommand_TellsHowItEnded(t *testing.T) {
	r := Command{Argv: []string{"sh", "-c", "cat; echo bad >&2; exit 3"}, Stdin: "in"}.Exec()
	if r.Code != 3 || r.Out != "in" || r.Err != "bad\n" || r.Hung || r.Failure() == nil {
		t.Errorf("%+v", r)
	}
	if r := (Command{Argv: []string{"/no/such/program"}}).Exec(); r.Code != -1 || r.Failure() == nil {
		t.Errorf("%+v", r)
	}
	if r := (Command{Argv: []string{"true"}}).Exec(); r.Failure() != nil {
		t.Errorf("%+v", r)
	}
}

func TestCommand_DoesNotInheritOptions(t *testing.T) {
	t.Setenv("DFS_ZONE", "tester")
	if r := (Command{Argv: []string{"env"}, Env: []string{"DFS_NAME=x"}}).Exec(); strings.Contains(r.Out, "DFS_ZONE") || !strings.Contains(r.Out, "DFS_NAME=x") {
		t.Errorf("%s", r.Out)
	}
}

func TestLeftoverProcess_IsFoundAndSwept(t *testing.T) {
	dir := t.TempDir()
	sleep, err := exec.LookPath("sleep")
	if err != nil {
		t.Skip("needs sleep")
	}
	program := filepath.Join(dir, "bin", "left")
	Shell(t, time.Minute, dir, "mkdir bin; cp "+sleep+" bin/left")
	cmd := exec.Command(program, "1000")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	if left := leftovers(dir); !slices.ContainsFunc(left, func(s string) bool { return strings.HasPrefix(s, fmt.Sprintf("process %d:", cmd.Process.Pid)) }) {
		t.Errorf("found %q", left)
	}
	sweep(dir)
	if exit := (*exec.ExitError)(nil); !errors.As(cmd.Wait(), &exit) || exit.ExitCode() != -1 {
		t.Error("the process was not killed")
	}
	if _, err := os.Stat(dir); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the directory is still there: %v", err)
	}
}

func TestLeftoverMount_IsFoundAndSwept(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root to mount")
	}
	dir := t.TempDir()
	Shell(t, time.Minute, dir, "mkdir m; mount -t tmpfs none m")
	if left := leftovers(dir); !slices.Contains(left, "mount "+dir+"/m") {
		t.Errorf("found %q", left)
	}
	sweep(dir)
	if left := mountsUnder(dir); len(left) != 0 {
		t.Errorf("still mounted: %q", left)
	}
}

func TestLeftoverNamespace_IsFoundAndSwept(t *testing.T) {
	NewFabric(t) // skips where there are none
	name := namespaceTag() + "left"
	Run(t, "ip", "netns", "add", name)
	if own := ownNamespaces(); !slices.Contains(own, name) {
		t.Errorf("found %q", own)
	}
	if err := deleteNamespace(name); err != nil {
		t.Fatal(err)
	}
	if own := ownNamespaces(); slices.Contains(own, name) {
		t.Error("still there")
	}
}

func TestPorts_AreFreeAndDiffer(t *testing.T) {
	ports := freePorts(t, 20)
	slices.Sort(ports)
	if len(slices.Compact(ports)) != 20 {
		t.Errorf("%v", ports)
	}
	for _, p := range ports[:3] {
		ln, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", p))
		if err != nil {
			t.Error(err)
			continue
		}
		if isFree(p) {
			t.Errorf("port %d is said to be free and is not", p)
		}
		_ = ln.Close() // nothing was accepted
	}
}

func TestCutNetwork_IsCut(t *testing.T) {
	f := NewFabric(t)
	n := &Node{Name: "a"}
	a := f.host("a")
	f.host("b")
	NeedProgram(t, "bash")
	ping := func() error { // a closed port answers with a refusal at once; what is dropped is not answered
		r := Command{Argv: f.within("b", []string{"bash", "-c", "< /dev/tcp/" + a + "/9"}), Timeout: time.Second}.Exec()
		if !strings.Contains(r.Err, "refused") {
			return fmt.Errorf("no answer: %+v", r)
		}
		return nil
	}
	Eventually(t, 10*time.Second, ping)
	f.Cut(n)
	if ping() == nil {
		t.Error("cut, and it still answers")
	}
	f.Heal(n)
	Eventually(t, 10*time.Second, ping)
}

func TestSteps_ActAndCount(t *testing.T) {
	s := newSteps()
	if s.at("a") != nil || s.Reached("a") != 1 {
		t.Error("a step without action is not passed and counted")
	}
	bad := errors.New("bad")
	s.On("a", func() error { return bad })
	if !errors.Is(s.at("a"), bad) || s.at("b") != nil || s.Reached("a") != 1 {
		t.Errorf("reached %d times since", s.Reached("a"))
	}
	s.Clear()
	if s.at("a") != nil {
		t.Error("cleared, and it still fails")
	}
}

// childEnv makes this test binary the one that is killed.
const childEnv = "HARNESS_TEST_CHILD"

func TestProcess_DiesWithAKilledTestBinary(t *testing.T) {
	if os.Getenv(childEnv) != "" {
		p := start(t, "sleep", filepath.Join(os.Getenv(childEnv), "log"), nil, "sleep", "1000")
		if err := os.WriteFile(filepath.Join(os.Getenv(childEnv), "pid"), []byte(fmt.Sprint(p.PID())), 0o600); err != nil {
			t.Fatal(err)
		}
		p.Wait(time.Minute)
		return
	}
	dir := t.TempDir()
	child := exec.Command(os.Args[0], "-test.run=^"+t.Name()+"$")
	child.Env = append(os.Environ(), childEnv+"="+dir)
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	var pid []byte
	Eventually(t, 20*time.Second, func() (err error) {
		if pid, err = os.ReadFile(filepath.Join(dir, "pid")); err == nil && len(pid) == 0 {
			err = errors.New("no pid yet")
		}
		return err
	})
	if err := child.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = child.Wait() // killed: its exit code says nothing
	Eventually(t, 10*time.Second, func() error {
		stat, err := os.ReadFile("/proc/" + string(pid) + "/stat")
		if err != nil || strings.Contains(string(stat), ") Z ") {
			return nil
		}
		return fmt.Errorf("process %s lives on", pid)
	})
}
