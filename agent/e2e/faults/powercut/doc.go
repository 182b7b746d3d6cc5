// Package powercut is a disk whose power can be cut: a file system in memory,
// mounted over FUSE, that writes down everything a program does to it and can
// then tell what a real disk might have held at any instant.
//
// # Why
//
// A program that keeps its word over a power cut must not rely on a write
// before the fsync that follows it. Cutting the power of a real machine tries
// one instant in a minute, and the instants that matter are microseconds wide.
// So the program works once, on this disk, undisturbed:
//
//	program ──write, fsync, rename, …──> kernel ──FUSE──> Disk ──> History
//
// and the History is then played back. It stops after every single operation,
// and at each stop the power goes:
//
//	History.Replay ──Step──> Replay ──Image(seed)──> files as found after the cut
//
// Every instant is tried, not a sample of them, and it costs no second run: a
// program that had really lost its power there would have done exactly the
// same operations before.
//
// # What a disk may lose
//
// What a successful fsync of a file covered is there. Of what came later each
// sector of 512 bytes is there or not, by the seed: a write may be torn, two
// writes may arrive in the other order, a file may have its new size without
// the data or the data without the size. Names are apart from files: a new,
// renamed or removed name is certain only after an fsync of its folder. Seed
// 0 loses all it may, seed 1 nothing (that is SIGKILL); with the others
// sectors go by chance, and names either from some moment on (a journalling
// file system) or each for itself.
//
// An fsync that fails is worse than none: the kernel holds the pages for clean
// from then on, a later fsync does not write them again, and reads still show
// them. Here too: of what was unsynced when an fsync failed, each sector is
// lost or kept for good.
//
// # Faults
//
// Disk.Fault is asked before each call and may refuse it (EIO, ENOSPC).
// SetCapacity makes the disk full as real ones are: what allocates fails,
// what overwrites does not, and statfs says so.
//
// The program must be another process than the one that serves the disk: a
// page fault on a mapped file waits for the server. Nor may that process start
// a child with its working folder on the disk.
package powercut
