// Package posix asks a mounted dfs what ordinary programs ask of a filesystem.
//
// The one rule: whoever reads or writes a mount is another process than the one that serves it, or both wait for each
// other. So the test binary starts itself again as the server (server_test.go), on an in-memory cluster, and every test
// has a watchdog that kills the server, which wakes whatever hangs on its mounts.
package posix
