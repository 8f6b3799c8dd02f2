package config

import "fmt"

// policy checks the name of a placement policy.
func policy(flag, name string) error {
	switch name {
	case "random", "round-robin", "weighted", "p2c":
		return nil
	}
	return fmt.Errorf("%w: %s %q: want random, round-robin, weighted or p2c", ErrUsage, flag, name)
}
