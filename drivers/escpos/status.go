package escpos

import "github.com/tillside/tillside/drivers"

// Answers of a printer are single bytes without a name; their fixed bits tell
// which query they belong to:
//
//	xxx1 xx10 with bit 7 and 0 clear   a DLE EOT answer       (b & 93h == 12h)
//	0xx1 xx00                          the first of 4 ASB bytes (b & 93h == 10h)
//	0xx0 xxxx                          an answer to GS r or GS I, or ASB byte 2 to 4
//	5Fh ... 00h                        a text answer to GS I
//	11h, 13h                           XON, XOFF
const (
	fixedMask  = 0x93
	fixedEOT   = 0x12
	fixedASB   = 0x10
	queuedMask = 0x90
	paperMask  = 0xF0 // GS r 1 answers have only the four paper bits
	xon, xoff  = 0x11, 0x13
)

// event is one sorted answer.
type event struct {
	kind eventKind
	b    byte
	asb  [4]byte
	text string
}

type eventKind int

const (
	noise  eventKind = iota
	eotAns           // b
	queued           // b: GS r or GS I n answer
	asbAns           // asb
	textAns
)

// sorter sorts answer bytes into events.
type sorter struct {
	asb  [4]byte
	have int // bytes of an ASB block so far
	text []byte
	open bool // inside 5F ... 00
	// wantText is set while a GS I text is due: 5Fh is a legal GS r answer else.
	wantText bool
	// strange counts bytes that no printer sends: noise, or a wrong speed.
	strange int
}

func (s *sorter) reset() { *s = sorter{strange: s.strange} }

// feed takes a byte; the event has the kind noise while nothing is complete.
func (s *sorter) feed(b byte) event {
	if s.open {
		if b == 0 || len(s.text) >= 80 {
			e := event{kind: textAns, text: string(s.text)}
			s.open, s.text = false, nil
			return e
		}
		s.text = append(s.text, b)
		return event{}
	}
	switch {
	case b&fixedMask == fixedEOT:
		return event{kind: eotAns, b: b}
	case b&fixedMask == fixedASB:
		s.asb, s.have = [4]byte{b}, 1
		return event{}
	case b&queuedMask == 0 && s.have > 0:
		s.asb[s.have] = b
		if s.have++; s.have == 4 {
			s.have = 0
			return event{kind: asbAns, asb: s.asb}
		}
		return event{}
	case b == 0x5F && s.wantText:
		s.open, s.text = true, nil
		return event{}
	case b&queuedMask == 0:
		return event{kind: queued, b: b}
	case b != xon && b != xoff:
		s.strange++
	}
	return event{}
}

// realtime are the answers to DLE EOT 1 to 4; zero where not asked.
type realtime [4]byte

// status reads DLE EOT answers. Two sources differ by one bit about the cutter
// in EOT 3, so bits 2 and 3 both mean "mechanism or cutter".
func (r realtime) status() drivers.Status {
	st := drivers.Status{Known: r[0] != 0}
	offline := r[0]&0x08 != 0
	if r[1]&0x04 != 0 {
		st.Add(drivers.CoverOpen)
	}
	if r[1]&0x20 != 0 || r[3]&0x60 == 0x60 {
		st.Add(drivers.PaperOut)
	} else if r[3]&0x0C != 0 {
		st.Add(drivers.PaperNear)
	}
	switch {
	case r[2]&0x20 != 0:
		st.Add(drivers.Mechanism)
		st.Detail = "unrecoverable error"
	case r[2]&0x08 != 0:
		st.Add(drivers.CutterFault)
	case r[2]&0x04 != 0:
		st.Add(drivers.Mechanism)
	case r[2]&0x40 != 0:
		st.Add(drivers.Overheated)
	case r[1]&0x40 != 0:
		st.Add(drivers.Mechanism)
	}
	if offline && (len(st.Codes) == 0 || st.Codes[0].Severity() < drivers.Fault) {
		if r[0]&0x40 != 0 || r[1]&0x08 != 0 {
			st.Add(drivers.Busy)
			st.Detail = "paper is being fed by the button"
		} else {
			st.Add(drivers.Offline)
		}
	}
	return st
}

// asbStatus reads an automatic status block.
func asbStatus(a [4]byte) drivers.Status {
	st := drivers.Status{Known: true}
	if a[0]&0x20 != 0 {
		st.Add(drivers.CoverOpen)
	}
	switch {
	case a[1]&0x20 != 0:
		st.Add(drivers.Mechanism)
		st.Detail = "unrecoverable error"
	case a[1]&0x08 != 0:
		st.Add(drivers.CutterFault)
	case a[1]&0x04 != 0:
		st.Add(drivers.Mechanism)
	case a[1]&0x40 != 0:
		st.Add(drivers.Overheated)
	}
	if a[2]&0x0C != 0 {
		st.Add(drivers.PaperOut)
	} else if a[2]&0x03 != 0 {
		st.Add(drivers.PaperNear)
	}
	if a[0]&0x08 != 0 && (len(st.Codes) == 0 || st.Codes[0].Severity() < drivers.Fault) {
		st.Add(drivers.Offline)
	}
	return st
}

// queuedStatus reads the paper bits of a GS r 1 answer.
func queuedStatus(b byte) drivers.Status {
	st := drivers.Status{Known: true}
	if b&0x0C != 0 {
		st.Add(drivers.PaperOut)
	} else if b&0x03 != 0 {
		st.Add(drivers.PaperNear)
	}
	return st
}
