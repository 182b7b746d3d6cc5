//go:build !race

package faults

const sparsely = 1
