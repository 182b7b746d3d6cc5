package installer

import (
	"crypto/sha1"
	"encoding/binary"
	"fmt"
	"strings"
	"unicode/utf16"
)

// serviceSID is the security identifier of NT SERVICE\name. Windows computes
// it from the name in capitals, so it is known before the service exists.
func serviceSID(name string) string {
	var b []byte
	for _, u := range utf16.Encode([]rune(strings.ToUpper(name))) {
		b = binary.LittleEndian.AppendUint16(b, u)
	}
	h := sha1.Sum(b)
	var s strings.Builder
	s.WriteString("S-1-5-80")
	for i := 0; i < len(h); i += 4 {
		fmt.Fprintf(&s, "-%d", binary.LittleEndian.Uint32(h[i:]))
	}
	return s.String()
}

// dataRights are the rights of the data folder in the system's own notation:
// nothing inherited from above; all for the system (SY) and administrators
// (BA), change for the service; the same for everything inside.
func dataRights(service string) string {
	return "D:PAI(A;OICI;FA;;;SY)(A;OICI;FA;;;BA)(A;OICI;0x1301bf;;;" + serviceSID(service) + ")"
}
