package main

import (
	"strings"
	"testing"

	"dfs/fs"
)

func TestLocks_AreListedWithHoldersAndWaiters(t *testing.T) {
	out := &strings.Builder{}
	err := writeLocks(out, &fs.LockList{Time: 90e9, More: 3, Owing: 2, Locks: []fs.LockStatus{
		{Lock: fs.Lock{Ino: 7, Kind: fs.LockRange, Type: fs.LockRead, PID: 42, Start: 10, End: 19}, Since: 30e9, Session: 3, Host: "h", Path: "/mnt"},
		{Lock: fs.Lock{Ino: 7, Kind: fs.LockRange, Type: fs.LockWrite, Start: 10, End: fs.LockEnd}, Since: 88.5e9, Waiting: true, Session: 4},
		{Lock: fs.Lock{Ino: 8, Kind: fs.LockFlock, Type: fs.LockWrite, End: fs.LockEnd}, Since: 91e9, Session: 4},
	}})
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for line := range strings.Lines(out.String()) {
		got = append(got, strings.Join(strings.Fields(line), " "))
	}
	want := []string{
		"INODE KIND TYPE BYTES STATE AGE PID SESSION MOUNT",
		"7 fcntl read 10-19 held 1m0s 42 3 h:/mnt",
		"7 fcntl write 10- waiting 1.5s ? 4 :",
		"8 flock write all held 0s ? 4 :",
		"… and 3 more; see --limit",
		"the leader is new: 2 sessions have not told it their locks yet",
	}
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("got\n%s", out)
	}
}
