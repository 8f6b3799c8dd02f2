package bench

import (
	"fmt"
	"os"
	"testing"

	"dfs/test/harness"
)

// Environment that makes this program a process other than the one that measures: one that uses a mount, or a loopback filesystem.
const (
	sharerEnv   = "BENCH_SHARER"
	loopbackEnv = "BENCH_LOOPBACK"
)

func TestMain(m *testing.M) {
	switch {
	case os.Getenv(sharerEnv) != "":
		exit(share(os.Getenv(sharerEnv)))
	case os.Getenv(loopbackEnv) != "":
		exit(serveLoopback(os.Getenv(loopbackEnv)))
	}
	os.Exit(harness.Main(m))
}

func exit(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(0)
}
