package atol

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/tillside/tillside/drivers"
	"github.com/tillside/tillside/drivers/line"
)

// Flags of the answer to 3Fh.
const (
	flagFiscal    = 1 << 0
	flagShiftOpen = 1 << 1
	flagDrawer    = 1 << 2
	flagPaper     = 1 << 3
	flagCover     = 1 << 5
	flagBattery   = 1 << 7
)

// Flags of the answer to 45h.
const (
	codeNoPaper   = 1 << 0
	codeNoLink    = 1 << 1
	codeMechanics = 1 << 2
	codeCutter    = 1 << 3
	codeHot       = 1 << 4
)

// state is what 3Fh and 45h say.
type state struct {
	flags   byte
	clock   time.Time
	serial  string
	model   byte
	mode    byte
	receipt byte // kind of the open receipt, 0 closed
	number  int64
	shift   int64
	sum     int64
	codes   byte
}

func parseState(b []byte) (state, error) {
	if len(b) < 28 || b[0] != 0x44 {
		return state{}, fmt.Errorf("state of %d bytes: %w", len(b), drivers.Garbage)
	}
	s := state{flags: b[9], model: b[14], mode: b[17] & 0x0F, receipt: b[22]}
	var err error
	if s.number, err = unBCD(b[18:20]); err == nil {
		if s.shift, err = unBCD(b[20:22]); err == nil {
			s.sum, err = unBCD(b[23:28])
		}
	}
	if err != nil {
		return s, fmt.Errorf("%w: %w", drivers.Garbage, err)
	}
	s.serial = fmt.Sprintf("%X", b[10:14])
	var t [6]int
	for i := range t {
		v, err := unBCD(b[3+i : 4+i])
		if err != nil {
			return s, nil // a clock that makes no sense is no reason to fail
		}
		t[i] = int(v)
	}
	if t[1] >= 1 && t[1] <= 12 {
		s.clock = time.Date(2000+t[0], time.Month(t[1]), t[2], t[3], t[4], t[5], 0, time.Local)
	}
	return s, nil
}

// code adds the answer to 45h: 55, mode, flags.
func (s *state) code(b []byte) {
	if len(b) >= 3 && b[0] == 0x55 {
		s.codes = b[2]
	}
}

func (d *Dev) state(ctx context.Context, op string) (state, error) {
	b, err := d.query(ctx, op, cmdState)
	if err != nil {
		return state{}, err
	}
	s, err := parseState(b)
	if err != nil {
		return s, d.run.Named(op, err)
	}
	if b, err = d.query(ctx, op, cmdStateCode); err != nil {
		return s, err
	}
	s.code(b)
	return s, nil
}

var kinds = map[byte]string{1: "sale", 2: "refund", 4: "buy", 5: "buy_refund", 7: "correction", 9: "correction"}

func (d *Dev) status(s state) drivers.Status {
	st := drivers.Status{At: time.Now(), Known: true, Fiscal: &drivers.FiscalStatus{
		ShiftOpen: s.flags&flagShiftOpen != 0, ShiftNumber: int(s.shift), ReceiptOpen: s.receipt != 0,
		DocumentKind: kinds[s.receipt], ReceiptNo: s.number, Clock: s.clock,
	}}
	if s.flags&flagShiftOpen == 0 {
		d.expired.Store(false)
	}
	for _, b := range []struct {
		set  bool
		code drivers.Code
	}{
		{s.flags&flagPaper == 0 || s.codes&codeNoPaper != 0, drivers.PaperOut},
		{s.flags&flagCover != 0, drivers.CoverOpen},
		{s.codes&(codeNoLink|codeMechanics) != 0, drivers.Mechanism},
		{s.codes&codeCutter != 0, drivers.CutterFault},
		{s.codes&codeHot != 0, drivers.Overheated},
		{d.expired.Load(), drivers.ShiftExpired},
		{s.flags&flagBattery != 0, drivers.PowerFault},
		{s.flags&flagFiscal == 0, drivers.NotFiscal},
		{s.flags&flagShiftOpen == 0, drivers.ShiftClosed},
		{s.flags&flagDrawer != 0, drivers.DrawerOpen},
		{s.receipt != 0, drivers.ReceiptOpen},
	} {
		if b.set {
			st.Add(b.code)
		}
	}
	return st
}

// Status asks the register.
func (d *Dev) Status(ctx context.Context) (drivers.Status, error) {
	const op = "read status"
	s, err := d.state(ctx, op)
	if err != nil {
		return drivers.Status{}, err
	}
	st := d.status(s)
	d.Do(ctx, op, func(context.Context, *line.Port) error { d.SetStatus(st); return nil })
	return st, nil
}

// Identity says who the register is.
func (d *Dev) Identity(ctx context.Context) (drivers.Identity, error) {
	const op = "read identity"
	id := drivers.Identity{Maker: "ATOL"}
	b, err := d.query(ctx, op, cmdDevice)
	if err != nil {
		return id, err
	}
	if len(b) < 11 {
		return id, d.run.Named(op, fmt.Errorf("device type of %d bytes: %w", len(b), drivers.Garbage))
	}
	if b[0] != 0 {
		r := Refusal{Code: b[0]}
		return id, d.run.Named(op, &drivers.Error{Code: r.DriverCode(), Err: r})
	}
	id.Model = strings.TrimRight(Decode(b[11:]), "\x00 ")
	id.Firmware = strings.TrimRight(fmt.Sprintf("%X.%X.%X%X%X", b[6], b[7], b[8], b[9], b[10]), "0")
	s, err := d.state(ctx, op)
	if err != nil {
		return id, err
	}
	id.Serial = s.serial
	return id, nil
}

// Columns is the number of characters in a line, by the model's file.
func (d *Dev) Columns() int { return d.columns }
