// Package harness starts clusters for tests: as real processes, in network namespaces, or inside the test's own process.
//
// The processes are those that users run, built once for a test binary by [Main]. Everything that a test starts is
// stopped by its cleanup, and Main checks at the end that nothing has been left behind: no process, no mount, no
// namespace. A test reads and writes a mount only through commands run with [Run], never by itself: when a mount hangs,
// the command is killed after its time and the test fails, instead of hanging as well.
package harness
