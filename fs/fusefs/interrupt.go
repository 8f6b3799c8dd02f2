package fusefs

import (
	"bytes"
	"os"
	"strconv"
	"syscall"
	"time"
)

// fatalPoll is how often the process behind an interrupted request is looked at.
const fatalPoll = 50 * time.Millisecond

// dying reports whether a thread has a fatal signal pending. Whatever signal kills a process, the kernel marks SIGKILL
// in each of its threads, so that one bit tells. A thread that is in another PID namespace (0), or that cannot be looked
// at, is taken to live; one that is gone waits for nothing.
func dying(tid uint32) bool {
	if tid == 0 {
		return false
	}
	status, err := os.ReadFile("/proc/" + strconv.FormatUint(uint64(tid), 10) + "/status")
	if err != nil {
		return os.IsNotExist(err)
	}
	return pendingKill(status)
}

// pendingKill looks for SIGKILL among the pending signals in a /proc/TID/status.
func pendingKill(status []byte) bool {
	for line := range bytes.Lines(status) {
		mask, ok := bytes.CutPrefix(line, []byte("SigPnd:"))
		if !ok {
			continue
		}
		bits, err := strconv.ParseUint(string(bytes.TrimSpace(mask)), 16, 64)
		return err == nil && bits&(1<<(syscall.SIGKILL-1)) != 0
	}
	return false
}
