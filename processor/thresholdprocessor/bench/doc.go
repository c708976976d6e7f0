// Package bench measures the processor's path of metrics beside processors that others wrote, on the same batches, in
// the same run, in turns: on a shared machine only the ratio means something. `make bench` runs it.
package bench
