// Package statetest tests implementations of state.KV and the state machine on them: a [Generator] of random commands,
// a [Model] that carries them out in the dumbest way there is, and [Compare], which finds where a state and the model
// part.
//
// The model shares no code with the state machine: a file is a Go pointer with a slice of bytes, link counts are counted
// by walking the tree, a transaction is undone by restoring a copy. It knows no bounds (fs.ExtentsMax and its like); the
// generator stays within them.
package statetest
