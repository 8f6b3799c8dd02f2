// Package arch holds the shape of the source tree: which package may import which, and where what may be done.
//
// The rules are data, each with its reason. They look at the source alone (the files' syntax, not a build), so that they
// also speak about a tree that does not compile, and so that a planted violation can prove that each of them bites.
// Test files are exempt from the floors: a test may use what it likes.
package arch
