//go:build unix && !linux

package main

import "syscall"

// attributes give each process a group of its own, so that a Ctrl-C on the terminal reaches only us and we end them in
// order.
func attributes() *syscall.SysProcAttr { return &syscall.SysProcAttr{Setpgid: true} }
