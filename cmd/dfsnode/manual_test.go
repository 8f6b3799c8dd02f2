package main

import (
	"testing"

	"dfs/cmd/internal/cli/clitest"
)

func TestManual_KnowsEveryFlag(t *testing.T) { clitest.CheckFiles(t, command(nil), "8") }
