// Package torture lets processes on two mounts of one cluster do random things to a few files and names, and checks that what
// they were told is what one local filesystem could have told them (linearizability, by porcupine).
//
// A Plan makes the operations from a seed; a Crew of worker processes carries them out, a phase at a time, while whoever drives
// it breaks things in between; Check compares the records with the models. See DESIGN.md for the models and what they forgive.
//
// The process that checks touches no mount.
package torture
