package state_test

import (
	"math/rand/v2"
	"testing"

	"dfs/fs"
	"dfs/raftmeta/command"
	"dfs/raftmeta/state"
	"dfs/raftmeta/state/statetest"
)

// Surveys in small steps, quotas set and removed while others are being counted, and everything else in between: Check, which
// counts anew, agrees after every command, and in the end nothing is left under way.
func TestQuotas_UsageIsARecountWhateverComesInBetween(t *testing.T) {
	runs, steps := 60, 300
	if testing.Short() {
		runs = 10
	}
	saw := map[string]int{}
	for seed := range uint64(runs) {
		chance := rand.New(rand.NewPCG(seed, 7)).IntN
		g := statetest.NewGenerator(chance)
		g.KeepAccounts = chance(3) > 0 // else an older state, of which the census has to be taken
		g.SurveyInodes = 1 + chance(3)
		kv, index := state.NewMemory(), uint64(0)
		do := func(cmd command.Command) state.Answer {
			index++
			answer, err := state.Apply(kv, index, cmd)
			if err == nil {
				err = state.Check(kv)
			}
			if err != nil {
				t.Fatalf("seed %d, command %d, %T %+v: %v", seed, index, cmd, cmd, err)
			}
			return answer
		}
		for range steps {
			cmd := g.Next()
			answer := do(cmd)
			g.Observe(cmd, answer)
			if answer.Tx != nil && answer.Tx.Err != fs.CodeOK {
				saw[fs.FromCode(answer.Tx.Err).Error()]++
			}
			list, err := state.NewView(kv).Quotas(fs.QuotaID{}, fs.QuotasMax, true)
			if err != nil {
				t.Fatal(err)
			}
			for _, q := range list {
				saw[q.State]++
			}
		}
		for left := 10_000; ; left-- {
			more, err := state.NewView(kv).Surveying()
			if err != nil || left == 0 {
				t.Fatalf("seed %d: the survey does not end (%v)", seed, err)
			}
			if !more {
				break
			}
			do(&command.Survey{Inodes: 1})
		}
	}
	t.Log(saw)
	for _, want := range []string{fs.QuotaCounted, fs.QuotaCounting, fs.QuotaWaiting, fs.QuotaLeaving,
		fs.ErrQuota.Error(), fs.ErrCrossDevice.Error()} {
		if saw[want] == 0 {
			t.Errorf("never saw %q: the test proves nothing about it", want)
		}
	}
}
