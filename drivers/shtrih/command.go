package shtrih

import (
	"encoding/binary"

	"github.com/tillside/tillside/drivers/codepage"
)

// Commands, grouped as the maker's document groups them.
const (
	cmdOther byte = 0x00 // stands for "any" where only the waiting time matters

	// Status and identity.
	cmdShortStatus byte = 0x10
	cmdFullStatus  byte = 0x11
	cmdDeviceType  byte = 0xFC
	cmdFont        byte = 0x26
	cmdErrorText   byte = 0x6B
	cmdParameters  byte = 0xF7
	cmdResetTables byte = 0x16

	// Text and paper.
	cmdBoldLine  byte = 0x12
	cmdBeep      byte = 0x13
	cmdLine      byte = 0x17
	cmdCut       byte = 0x25
	cmdDrawer    byte = 0x28
	cmdFeed      byte = 0x29
	cmdFontLine  byte = 0x2F
	cmdContinue  byte = 0xB0
	cmdEAN13     byte = 0xC2
	cmdGraphic   byte = 0xC5
	cmdBarcode   byte = 0xCB
	cmdLoad2D    byte = 0xDD
	cmdPrint2D   byte = 0xDE
	cmdOpenNonf  byte = 0xE2
	cmdCloseNonf byte = 0xE3
	cmdRequisite byte = 0xE4

	// Receipts of the classic generation.
	cmdSale       byte = 0x80
	cmdRefund     byte = 0x82
	cmdClose      byte = 0x85
	cmdDiscount   byte = 0x86
	cmdSurcharge  byte = 0x87
	cmdCancel     byte = 0x88
	cmdSubtotal   byte = 0x89
	cmdCopy       byte = 0x8C
	cmdOpen       byte = 0x8D
	cmdClose16    byte = 0x8E
	cmdCashIn     byte = 0x50
	cmdCashOut    byte = 0x51
	cmdXReport    byte = 0x40
	cmdZReport    byte = 0x41
	cmdOpenShift  byte = 0xE0
	twoByte       byte = 0xFF
	ffStorage     byte = 0x01 // FF01h state of the fiscal storage
	ffShift       byte = 0x40 // FF40h shift parameters
	ffCloseV2     byte = 0x45 // FF45h
	ffOperationV2 byte = 0x46 // FF46h
)

// Modes: low nibble of the mode byte.
const (
	modeShiftOpen   = 2
	modeShiftOld    = 3
	modeShiftClosed = 4
	modeLocked      = 5
	modeDate        = 6
	modePoint       = 7
	modeDocument    = 8
	modeReset       = 9
	modeTestRun     = 10
)

// Submodes.
const (
	subPaper        = 0
	subNoPaper      = 1 // ran out while idle
	subBroke        = 2 // ran out while printing
	subWaitContinue = 3 // paper is back: wants B0h
	subReport       = 4
	subPrinting     = 5
)

// receiptRoll is the usual value of the flags of printing commands.
const receiptRoll byte = 2

// page is the register's code page.
var page = codepage.Must("cp1251")

// request builds a command with its password.
type request struct{ b []byte }

func req(code ...byte) *request { return &request{append(make([]byte, 0, 64), code...)} }

func (r *request) password(pw uint32) *request {
	r.b = binary.LittleEndian.AppendUint32(r.b, pw)
	return r
}

func (r *request) bytes(b ...byte) *request {
	r.b = append(r.b, b...)
	return r
}

// number puts n bytes, little-endian; n up to 8.
func (r *request) number(v int64, n int) *request {
	for i := range n {
		r.b = append(r.b, byte(uint64(v)>>(8*i)))
	}
	return r
}

// text puts text in the code page: cut to most bytes; padded with zeros to
// exactly fixed bytes when that is not 0.
func (r *request) text(s string, most, fixed int) *request {
	t := page.Encode(s)
	t = t[:min(len(t), most)]
	r.b = append(r.b, t...)
	for i := len(t); i < fixed; i++ {
		r.b = append(r.b, 0)
	}
	return r
}

// little reads a little-endian number.
func little(b []byte) int64 {
	var v uint64
	for i := len(b) - 1; i >= 0; i-- {
		v = v<<8 | uint64(b[i])
	}
	return int64(v)
}
