package main

import (
	"testing"

	"dfs/cmd/internal/cli/clitest"
)

func TestManuals_KnowEveryCommandAndFlag(t *testing.T) { clitest.CheckFiles(t, command(nil), "1") }
