package main

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"time"
)

// A MSI's summary holds two dates and the code of this very package, which the
// tools fill with the moment and a random number. They are set in place: the
// summary is a property set, small enough to lie in one piece in the file.
//
//	28 bytes header, format id, offset of the section
//	section: size, number of properties, then (id, offset) of each
//	property: type, value
const (
	summaryPackage = 9  // package code, text
	summaryCreated = 12 // date
	summarySaved   = 13 // date
	typeText       = 30
	typeDate       = 64
)

// summaryID is the format id of a summary, as it lies in the file.
var summaryID = []byte{0xe0, 0x85, 0x9f, 0xf2, 0xf9, 0x4f, 0x68, 0x10, 0xab, 0x91, 0x08, 0x00, 0x2b, 0x27, 0xb3, 0xd9}

var errSummary = errors.New("the summary is not where it should be")

// setSummary sets package code and dates in the bytes of a MSI.
func setSummary(msi []byte, code string, date time.Time) error {
	at := bytes.Index(msi, summaryID)
	if at < 28 || bytes.Contains(msi[at+16:], summaryID) {
		return errSummary
	}
	set := msi[at-28:]
	u32 := func(off int) int {
		if off < 0 || off+4 > len(set) {
			return -1
		}
		return int(int32(binary.LittleEndian.Uint32(set[off:])))
	}
	section := u32(44)
	n := u32(section + 4)
	if section < 48 || n < 1 || n > 30 {
		return errSummary
	}
	// The system counts hundreds of nanoseconds since 1601.
	ticks := uint64(date.Unix()+11644473600) * 10_000_000
	done := 0
	for i := range n {
		prop, off := u32(section+8+8*i), section+u32(section+12+8*i)
		switch kind := u32(off); {
		case (prop == summaryCreated || prop == summarySaved) && kind == typeDate && off+12 <= len(set):
			binary.LittleEndian.PutUint64(set[off+4:], ticks)
			done++
		case prop == summaryPackage && kind == typeText && u32(off+4) >= len(code) && off+8+len(code) <= len(set) && set[off+8] == '{':
			copy(set[off+8:], bytes.ToUpper([]byte(code)))
			done++
		}
	}
	if done != 3 {
		return fmt.Errorf("%w: %d of 3 values found", errSummary, done)
	}
	return nil
}
