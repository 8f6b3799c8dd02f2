package harness

import (
	"sync"
	"time"
)

// Supervise starts again, without any failpoint, every node that ends, until the returned function is called: that
// returns how many there were. Meanwhile the test must leave the nodes alone.
func (c *Cluster) Supervise() (stop func() int) {
	over := make(chan struct{})
	restarted := 0
	var wg sync.WaitGroup
	wg.Go(func() {
		tick := time.NewTicker(50 * time.Millisecond)
		defer tick.Stop()
		for {
			select {
			case <-over:
				return
			case <-tick.C:
			}
			for _, n := range c.Nodes {
				if !n.Alive() {
					n.Start()
					restarted++
				}
			}
		}
	})
	return func() int {
		close(over)
		wg.Wait()
		return restarted
	}
}
