package shtrih

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/tillside/tillside/drivers"
)

// short is the short status 10h.
type short struct {
	flags     uint16
	mode      byte // low nibble
	document  byte // high nibble of the mode: what kind of document is open
	sub       byte
	ops       int // operations in the receipt
	lastPrint byte
}

// Bits of the flags word. On models without a sensor the bit never changes.
const (
	flagRollNotLow = 1 << 1
	flagRollThere  = 1 << 7
	flagCoverOpen  = 1 << 10
	flagDrawerOpen = 1 << 11
)

func (s short) paperOut() bool  { return s.flags&flagRollThere == 0 }
func (s short) coverOpen() bool { return s.flags&flagCoverOpen != 0 }

// parseShort reads what follows the error byte.
func parseShort(b []byte) (short, error) {
	if len(b) < 14 {
		return short{}, fmt.Errorf("short status of %d bytes: %w", len(b), drivers.Garbage)
	}
	s := short{
		flags: uint16(little(b[1:3])), mode: b[3] & 0x0F, document: b[3] >> 4, sub: b[4],
		ops: int(b[5]) | int(b[10])<<8,
	}
	if len(b) > 14 {
		s.lastPrint = b[14]
	}
	return s, nil
}

// full is the full status 11h.
type full struct {
	firmware string
	build    int
	document int64
	short
	clock       time.Time
	fmFlags     byte
	serial      int64 // -1 when not set
	lastShift   int
	freeRecords int
	taxNumber   int64 // -1 when not set
}

// Bits of the fiscal memory's flags, counted from bit 0 as the maker does.
const (
	fmOverflow   = 1 << 3
	fmBatteryLow = 1 << 4
	fmShiftOpen  = 1 << 6
	fmShiftOld   = 1 << 7
)

func parseFull(b []byte) (full, error) {
	if len(b) < 46 {
		return full{}, fmt.Errorf("full status of %d bytes: %w", len(b), drivers.Garbage)
	}
	f := full{
		firmware: printable(b[1:3]), build: int(little(b[3:5])), document: little(b[9:11]),
		short:   short{flags: uint16(little(b[11:13])), mode: b[13] & 0x0F, document: b[13] >> 4, sub: b[14]},
		fmFlags: b[29], serial: little(b[30:34]), lastShift: int(little(b[34:36])),
		freeRecords: int(little(b[36:38])), taxNumber: little(b[40:46]),
	}
	if d, c := b[23:26], b[26:29]; d[1] >= 1 && d[1] <= 12 {
		f.clock = time.Date(2000+int(d[2]), time.Month(d[1]), int(d[0]), int(c[0]), int(c[1]), int(c[2]), 0, time.Local)
	}
	if f.serial == 0xFFFFFFFF {
		f.serial = -1
	}
	if f.taxNumber == 0xFFFFFFFFFFFF {
		f.taxNumber = -1
	}
	return f, nil
}

// printable is a version of two characters "30" as "3.0".
func printable(b []byte) string {
	return strings.TrimRight(string(b[0:1])+"."+string(b[1:2]), "\x00")
}

var documents = [...]string{"sale", "buy", "refund", "buy_refund", "nonfiscal"}

func (s short) documentKind() string {
	if s.mode != modeDocument {
		return ""
	}
	if int(s.document) < len(documents) {
		return documents[s.document]
	}
	return strconv.Itoa(int(s.document))
}

// statusOf names what the short status says.
func (d *Dev) statusOf(s short) drivers.Status {
	st := drivers.Status{At: time.Now(), Known: true, Fiscal: &drivers.FiscalStatus{
		ShiftOpen: s.mode == modeShiftOpen || s.mode == modeShiftOld || s.mode == modeDocument,
		// A non-fiscal document may be open with a closed shift; nobody can tell.
		ReceiptOpen: s.mode == modeDocument, DocumentKind: s.documentKind(),
	}}
	switch {
	case s.sub == subNoPaper || s.sub == subBroke || s.paperOut():
		st.Add(drivers.PaperOut)
	case d.o.near && s.flags&flagRollNotLow == 0:
		st.Add(drivers.PaperNear)
	}
	switch s.sub {
	case subBroke, subWaitContinue:
		st.Add(drivers.Interrupted)
	case subPrinting, subReport:
		st.Add(drivers.Busy)
	}
	if s.coverOpen() {
		st.Add(drivers.CoverOpen)
	}
	if s.flags&flagDrawerOpen != 0 {
		st.Add(drivers.DrawerOpen)
	}
	switch s.mode {
	case modeShiftOld:
		st.Add(drivers.ShiftExpired)
	case modeShiftClosed:
		st.Add(drivers.ShiftClosed)
	case modeLocked:
		st.Add(drivers.BadPassword)
		st.Detail = "locked after a wrong inspector's password"
	case modeDate:
		st.Add(drivers.ClockFault, drivers.WaitingUser)
	case modePoint, modeReset:
		st.Add(drivers.MemoryFault)
		st.Detail = "memory was reset; service must set the register up"
	case modeDocument:
		st.Add(drivers.ReceiptOpen)
	case 1, modeTestRun, 11, 12, 13, 14, 15:
		st.Add(drivers.Busy)
	}
	return st
}

// short asks for the short status and keeps the device's state by it.
func (d *Dev) short(ctx context.Context, op string) (short, error) {
	rest, err := d.query(ctx, op, req(cmdShortStatus).password(d.o.password).b)
	if err != nil {
		return short{}, err
	}
	s, err := parseShort(rest)
	return s, d.run.Named(op, err)
}

func (d *Dev) full(ctx context.Context, op string) (full, error) {
	rest, err := d.query(ctx, op, req(cmdFullStatus).password(d.o.password).b)
	if err != nil {
		return full{}, err
	}
	f, err := parseFull(rest)
	return f, d.run.Named(op, err)
}

// Status asks the register. It passes by a slip that waits for paper.
func (d *Dev) Status(ctx context.Context) (drivers.Status, error) {
	const op = "read status"
	s, err := d.short(ctx, op)
	if err != nil {
		return drivers.Status{}, err
	}
	st := d.statusOf(s)
	if f, err := d.full(ctx, op); err == nil {
		st.Fiscal.Clock = f.clock
		st.Fiscal.ShiftNumber = f.lastShift
		if f.fmFlags&fmShiftOpen != 0 {
			st.Fiscal.ShiftOpen = true
			st.Fiscal.ShiftNumber++
		} else {
			st.Fiscal.ShiftOpen = false
		}
		if f.fmFlags&fmShiftOld != 0 {
			st.Add(drivers.ShiftExpired)
		}
		if f.fmFlags&fmOverflow != 0 {
			st.Add(drivers.MemoryFull)
		} else if f.freeRecords > 0 && f.freeRecords < 30 {
			st.Add(drivers.MemoryNear)
		}
		if f.fmFlags&fmBatteryLow != 0 {
			st.Add(drivers.PowerFault)
		}
	} else if !isRefusal(err) {
		return drivers.Status{}, err
	}
	if n, ok, err := d.receiptNumber(ctx, op); err == nil && ok {
		st.Fiscal.ReceiptNo = n
	}
	d.tell(ctx, st)
	return st, nil
}

// tell puts a status into the session's state.
func (d *Dev) tell(ctx context.Context, st drivers.Status) {
	d.Do(ctx, "read status", d.setter(st)) // an ended session needs no state
}

// receiptNumber is the number of the last receipt in the shift by FF40h; old
// models do not know the command.
func (d *Dev) receiptNumber(ctx context.Context, op string) (n int64, ok bool, err error) {
	rest, err := d.query(ctx, op, req(twoByte, ffShift).password(d.o.password).b)
	switch {
	case isRefusal(err):
		return 0, false, nil
	case err != nil:
		return 0, false, err
	case len(rest) < 5:
		return 0, false, nil
	}
	return little(rest[1:3])<<16 | little(rest[3:5]), true, nil
}

// Identity says who the register is.
func (d *Dev) Identity(ctx context.Context) (drivers.Identity, error) {
	const op = "read identity"
	id := drivers.Identity{Maker: "Shtrih-M"}
	rest, err := d.query(ctx, op, req(cmdDeviceType).b)
	if err != nil {
		return id, err
	}
	if len(rest) > 6 {
		id.Model = strings.TrimRight(page.Decode(rest[6:]), "\x00 ")
	}
	f, err := d.full(ctx, op)
	if err != nil {
		return id, err
	}
	id.Firmware = fmt.Sprintf("%s.%d", f.firmware, f.build)
	if f.serial >= 0 {
		id.Serial = fmt.Sprintf("%08d", f.serial)
	}
	if f.taxNumber >= 0 {
		id.TaxNumber = fmt.Sprintf("%010d", f.taxNumber)
	}
	rest, err = d.query(ctx, op, req(cmdFont).password(d.o.admin).bytes(1).b)
	switch {
	case err == nil && len(rest) >= 3 && rest[2] > 0:
		id.Columns = int(little(rest[0:2]) / int64(rest[2]))
	case err != nil && !isRefusal(err):
		return id, err
	}
	rest, err = d.query(ctx, op, req(twoByte, ffStorage).password(d.o.admin).b)
	switch {
	case err == nil && len(rest) >= 26:
		// phase, document, data, shift, warnings: 5; date and time: 5; number: 16.
		id.FiscalMemory = strings.TrimRight(string(rest[10:26]), "\x00 ")
	case err != nil && !isRefusal(err):
		return id, err
	}
	return id, nil
}

// Columns is the number of characters in a line: of font 1, and no more than one
// text command takes, so that what is laid out for it is never broken in two.
func (d *Dev) Columns() int {
	n := int(d.columns.Load())
	if n <= 0 {
		n = 36
	}
	return min(n, d.o.line)
}
