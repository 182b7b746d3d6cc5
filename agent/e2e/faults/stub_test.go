package faults

import "io"

func centreVerifier(io.Reader, io.Writer) int { return 2 }
func compactor([]string) int                  { return 2 }
