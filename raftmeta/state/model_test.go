package state_test

import (
	"fmt"
	"math/rand/v2"
	"reflect"
	"testing"

	"pgregory.net/rapid"

	"dfs/fs"
	"dfs/raftmeta/command"
	"dfs/raftmeta/state"
	"dfs/raftmeta/state/statetest"
)

// world is a state and the model side by side, with all that is checked after every command.
type world struct {
	kv      *state.Memory
	model   *statetest.Model
	history history
	index   uint64
}

func newWorld() *world {
	return &world{kv: state.NewMemory(), model: statetest.NewModel(), history: history{}}
}

// apply applies a command to both and returns the state machine's answer.
func (w *world) apply(cmd command.Command) (state.Answer, error) {
	w.index++
	cmd, err := command.Decode(command.Encode(cmd)) // as the log would carry it
	if err != nil {
		return state.Answer{}, err
	}
	got, err := state.Apply(w.kv, w.index, cmd)
	if err != nil {
		return got, err
	}
	if err := statetest.CompareAnswers(got, w.model.Apply(w.index, cmd)); err != nil {
		return got, fmt.Errorf("%T: %w", cmd, err)
	}
	if err := statetest.Compare(w.kv, w.model); err != nil {
		return got, fmt.Errorf("after %T: %w", cmd, err)
	}
	if err := state.Check(w.kv); err != nil {
		return got, fmt.Errorf("after %T: %w", cmd, err)
	}
	return got, w.history.follow(w.kv)
}

func TestApply_BehavesAsTheNaiveModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		g := statetest.NewGenerator(func(n int) int { return rapid.IntRange(0, n-1).Draw(t, "n") })
		w := newWorld()
		for range 60 {
			cmd := g.Next()
			answer, err := w.apply(cmd)
			if err != nil {
				t.Fatalf("command %d, %+v: %v", w.index, cmd, err)
			}
			g.Observe(cmd, answer)
		}
	})
}

// Rapid prefers small numbers and short runs; a plain source of chance makes longer stories.
func TestApply_BehavesAsTheNaiveModelOverLongRuns(t *testing.T) {
	runs, steps := 12, 400
	if testing.Short() {
		runs = 2
	}
	codes := map[string]int{}
	for seed := range uint64(runs) {
		g := statetest.NewGenerator(rand.New(rand.NewPCG(seed, 1)).IntN)
		g.KeepAccounts = seed%2 == 0
		w := newWorld()
		for range steps {
			cmd := g.Next()
			answer, err := w.apply(cmd)
			if err != nil {
				t.Fatalf("seed %d, command %d, %+v: %v", seed, w.index, cmd, err)
			}
			g.Observe(cmd, answer)
			tally(codes, cmd, answer)
		}
	}
	t.Log(codes)
	for _, op := range []string{"Create", "Link", "Unlink", "Rmdir", "Rename", "Setattr", "Write", "Allocate", "Clone",
		"Setxattr", "Removexattr", "Access"} {
		if codes[op] == 0 {
			t.Errorf("no %s ever succeeded: the generator proves nothing about it", op)
		}
	}
}

func tally(codes map[string]int, cmd command.Command, answer state.Answer) {
	tx, ok := cmd.(*command.Tx)
	if !ok || answer.Tx == nil {
		return
	}
	if answer.Tx.Err != fs.CodeOK {
		codes["refused: "+fs.FromCode(answer.Tx.Err).Error()]++
		return
	}
	for _, op := range tx.Ops {
		codes[reflect.TypeOf(op).Elem().Name()]++
	}
}
