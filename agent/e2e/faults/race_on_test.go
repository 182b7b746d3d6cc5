//go:build race

package faults

// sparsely is by how much the short form thins out what it tries: under the
// race detector everything takes some times as long.
const sparsely = 5
