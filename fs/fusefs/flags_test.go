package fusefs

import (
	"errors"
	"os"
	"os/exec"
	"testing"

	"dfs/fs"

	"golang.org/x/sys/unix"
)

func TestRenameFlags_KnowsTwo(t *testing.T) {
	for flags, want := range map[uint32]fs.RenameFlags{
		0: 0, unix.RENAME_NOREPLACE: fs.RenameNoReplace, unix.RENAME_EXCHANGE: fs.RenameExchange,
	} {
		if got, err := renameFlags(flags); got != want || err != nil {
			t.Errorf("%#x: %d, %v", flags, got, err)
		}
	}
	for _, flags := range []uint32{unix.RENAME_WHITEOUT, 3, 8} {
		if _, err := renameFlags(flags); !errors.Is(err, fs.ErrInvalid) {
			t.Errorf("%#x: %v", flags, err)
		}
	}
}

func TestAllocateMode_KnowsThree(t *testing.T) {
	const keep = unix.FALLOC_FL_KEEP_SIZE
	for mode, want := range map[uint32]struct {
		m    fs.AllocateMode
		keep bool
	}{
		0:                                {fs.AllocatePlain, false},
		keep:                             {fs.AllocatePlain, true},
		keep | unix.FALLOC_FL_PUNCH_HOLE: {fs.AllocatePunch, true},
		unix.FALLOC_FL_ZERO_RANGE:        {fs.AllocateZero, false},
		keep | unix.FALLOC_FL_ZERO_RANGE: {fs.AllocateZero, true},
	} {
		if m, k, err := allocateMode(mode); m != want.m || k != want.keep || err != nil {
			t.Errorf("%#x: %d, %v, %v", mode, m, k, err)
		}
	}
	for _, mode := range []uint32{unix.FALLOC_FL_PUNCH_HOLE, unix.FALLOC_FL_COLLAPSE_RANGE, unix.FALLOC_FL_INSERT_RANGE,
		unix.FALLOC_FL_UNSHARE_RANGE, keep | unix.FALLOC_FL_PUNCH_HOLE | unix.FALLOC_FL_ZERO_RANGE} {
		if _, _, err := allocateMode(mode); !errors.Is(err, fs.ErrNotSupported) {
			t.Errorf("%#x: %v", mode, err)
		}
	}
}

func TestPendingKill_ReadsTheThreadsMask(t *testing.T) {
	for status, want := range map[string]bool{
		"Name:\tx\nSigPnd:\t0000000000000100\nShdPnd:\t0000000000000000\n": true,
		"Name:\tx\nSigPnd:\t0000000000010100\n":                            true,
		"Name:\tx\nSigPnd:\t0000000000010000\nShdPnd:\t0000000000000100\n": false,
		"Name:\tx\nSigPnd:\t0000000000000000\n":                            false,
		"SigPnd:\tnonsense\n":                                              false,
		"":                                                                 false,
	} {
		if got := pendingKill([]byte(status)); got != want {
			t.Errorf("%q: %v", status, got)
		}
	}
}

func TestDying_KnowsTheLivingAndTheGone(t *testing.T) {
	if dying(uint32(os.Getpid())) || dying(0) {
		t.Error("this process, or one unknown, is taken for dying")
	}
	cmd := exec.Command("true")
	if err := cmd.Run(); err != nil {
		t.Fatal(err)
	}
	if !dying(uint32(cmd.ProcessState.Pid())) {
		t.Error("a process that has been is taken to live")
	}
}
