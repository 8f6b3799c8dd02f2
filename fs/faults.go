package fs

// Faults is where tests break things: protocol code calls At before and after each step of a protocol, with the step's
// name ("flush.decide.before"). The nil Faults, used in production, does nothing.
type Faults func(step string) error

// At runs the fault of a step, if there is one: it may return an error, block, or kill the process.
func (f Faults) At(step string) error {
	if f == nil {
		return nil
	}
	return f(step)
}
