package e2e

import (
	"syscall"
	"time"
)

// fault is something that is broken while a round goes on.
type fault struct {
	name  string
	lasts time.Duration
	ends  bool                               // it is about a mount, and lasts longer than a session
	begin func(s *torment, mount int) func() // it returns what mends it; nil: nothing is broken
}

// Lengths of faults: within a session's time-out, and long enough for its end to be decided.
const (
	briefly = tortureSession / 3
	tooLong = 2*tortureSession + tortureSession/4
)

// everyFault is one round of each fault, and as many without.
func everyFault() []fault {
	none := fault{name: "none"}
	return []fault{
		none, {name: "mount stopped", lasts: briefly, begin: (*torment).stopMount},
		none, {name: "leader killed", lasts: time.Second, begin: (*torment).killLeader},
		none, {name: "mount stopped, session over", lasts: tooLong, ends: true, begin: (*torment).stopMount},
		none, {name: "mount cut off", lasts: briefly, begin: (*torment).cutMount},
		none, {name: "leader stopped", lasts: 3 * time.Second, begin: (*torment).stopLeader},
		none, {name: "mount cut off, session over", lasts: tooLong, ends: true, begin: (*torment).cutMount},
		none, {name: "leader cut off", lasts: 3 * time.Second, begin: (*torment).cutLeader},
		none, {name: "follower killed", lasts: time.Second, begin: (*torment).killFollower},
	}
}

func (s *torment) stopMount(mount int) func() {
	m := s.mounts[mount]
	m.Signal(syscall.SIGSTOP)
	return func() { m.Signal(syscall.SIGCONT) }
}

func (s *torment) cutMount(mount int) func() {
	s.fabric.CutHost(mountHost(mount))
	return func() { s.fabric.HealHost(mountHost(mount)) }
}

func (s *torment) killLeader(int) func() {
	leader := s.cluster.Leader()
	leader.Kill()
	return func() { leader.Restart() }
}

func (s *torment) killFollower(int) func() {
	follower := s.cluster.Follower()
	follower.Kill()
	return func() { follower.Restart() }
}

func (s *torment) stopLeader(int) func() {
	leader := s.cluster.Leader()
	leader.Signal(syscall.SIGSTOP)
	return func() { leader.Signal(syscall.SIGCONT) }
}

func (s *torment) cutLeader(int) func() {
	leader := s.cluster.Leader()
	s.fabric.Cut(leader)
	return func() { s.fabric.Heal(leader) }
}
