package harness

import (
	"strings"
	"sync"
	"testing"
)

// Steps makes steps of a protocol fail or wait, in one node or client. It counts which have been reached.
type Steps struct {
	mu      sync.Mutex
	actions map[string]func() error
	reached map[string]int
}

func newSteps() *Steps {
	return &Steps{actions: map[string]func() error{}, reached: map[string]int{}}
}

// On makes every visit of a step run action, and counts its visits anew.
func (s *Steps) On(step string, action func() error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.actions[step] = action
	s.reached[step] = 0
}

// Clear lets all steps pass.
func (s *Steps) Clear() {
	s.mu.Lock()
	defer s.mu.Unlock()
	clear(s.actions)
}

// Reached is how often a step has been visited, since On if that was called for it.
func (s *Steps) Reached(step string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.reached[step]
}

// at is the fs.Faults.
func (s *Steps) at(step string) error {
	s.mu.Lock()
	s.reached[step]++
	action := s.actions[step]
	s.mu.Unlock()
	if action == nil {
		return nil
	}
	return action()
}

// testWriter shows log lines with the test that they belong to.
type testWriter struct {
	t    testing.TB
	name string
}

func (w testWriter) Write(p []byte) (int, error) {
	w.t.Logf("%s: %s", w.name, strings.TrimSuffix(string(p), "\n"))
	return len(p), nil
}
