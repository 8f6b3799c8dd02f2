package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"

	"dfs/cmd/dfsmount/mount"
	"dfs/fs/fusefs"
)

// echoHelperName is the name under which this program makes the changes of other mounts once more; see fs/fusefs, "Watching".
const echoHelperName = "dfsmount-echo"

func isEchoHelper(argv0 string) bool { return filepath.Base(argv0) == echoHelperName }

// echoHelper is the helper's main function, and returns its exit code.
func echoHelper() int {
	if err := fusefs.EchoHelper(os.Stdin, os.Stdout); err != nil {
		fmt.Fprintf(os.Stderr, "%s: %v\n", echoHelperName, err)
		return 1
	}
	return 0
}

// echo is nil if nobody wants it.
func (m *mounter) echo(client *mount.Client) *fusefs.EchoConfig {
	if !m.Inotify || client.FS.ReadOnly() {
		return nil
	}
	return &fusefs.EchoConfig{Watcher: client.Watcher(), Helper: func() *exec.Cmd {
		return &exec.Cmd{Path: "/proc/self/exe", Args: []string{echoHelperName}, Dir: "/", Stderr: os.Stderr}
	}}
}
