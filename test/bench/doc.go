// Package bench measures what the tests do not: how two mounts share a file or a directory, and how fast a warm tree is looked
// through. It is run by hand, as root:
//
//	go test -run '^$' -bench . -benchtime 1x ./test/bench
//
// BenchmarkTwoMounts reports, for each way of sharing, the operations a second of both mounts together (ops/s) and how
// unevenly they got them (max/min; 1 is fair). BenchmarkMetadataStorm reports how long a command takes on a mount (ms), on go-fuse's
// loopback filesystem with time-outs of an hour, which never asks twice (loopback-ms), and the first divided by the
// second (ratio). Both are measured in turn, in one run, and the medians count; figures of different runs on a busy machine do not compare.
package bench
