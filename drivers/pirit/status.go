package pirit

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/tillside/tillside/drivers"
	"github.com/tillside/tillside/drivers/line"
)

// Bits of the flags mask.
const (
	flagNotStarted = 1 << 0
	flagNotFiscal  = 1 << 1
	flagShiftOpen  = 1 << 2
	flagShiftOld   = 1 << 3
	flagArchive    = 1 << 4
	flagNotReg     = 1 << 5
	flagHalfZ      = 1 << 8 // closing the shift was not finished
)

// Bits of the printer's mask.
const (
	prnNotReady = 1 << 0
	prnNoPaper  = 1 << 1
	prnCover    = 1 << 2
	prnCutter   = 1 << 3
	prnNoLink   = 1 << 7
)

// state is what 00h and 04h say.
type state struct {
	fatal, flags int
	kind, doc    int // kind and state of the document
	printer      int
}

func parseStatus(f []string) (state, error) {
	if len(f) < 3 {
		return state{}, fmt.Errorf("status of %d fields: %w", len(f), drivers.Garbage)
	}
	var n [3]int
	for i := range n {
		if f[i] == "" {
			continue
		}
		v, err := strconv.Atoi(f[i])
		if err != nil {
			return state{}, fmt.Errorf("status %q: %w", f[i], drivers.Garbage)
		}
		n[i] = v
	}
	return state{fatal: n[0], flags: n[1], kind: n[2] & 0x0F, doc: n[2] >> 4}, nil
}

func (d *Dev) state(ctx context.Context, op string) (state, error) {
	f, err := d.query(ctx, op, cmdStatus)
	if err != nil {
		return state{}, err
	}
	s, err := parseStatus(f)
	if err != nil {
		return s, d.run.Named(op, err)
	}
	if f, err = d.query(ctx, op, cmdPrinter); err != nil {
		return s, err
	}
	s.printer = first(f)
	return s, nil
}

var kinds = map[int]string{1: "nonfiscal", 2: "sale", 3: "refund", 4: "cash_in", 5: "cash_out", 6: "buy", 7: "buy_refund"}

func (s state) open() bool { return s.kind != 0 }

// status names what the masks say.
func (s state) status() drivers.Status {
	st := drivers.Status{At: time.Now(), Known: true, Fiscal: &drivers.FiscalStatus{
		ShiftOpen: s.flags&flagShiftOpen != 0, ReceiptOpen: s.open(), DocumentKind: kinds[s.kind],
	}}
	for _, b := range []struct {
		set  bool
		code drivers.Code
		text string
	}{
		{s.fatal&(1<<2|1<<6) != 0, drivers.MemoryFault, "fiscal storage"},
		{s.fatal&(1|1<<1) != 0, drivers.MemoryFault, "settings memory"},
		{s.fatal&(1<<5) != 0, drivers.Refused, "register is not authorised"},
		{s.flags&flagArchive != 0, drivers.MemoryFull, "fiscal archive is closed"},
		{s.printer&prnNoPaper != 0, drivers.PaperOut, ""},
		{s.printer&prnCover != 0, drivers.CoverOpen, ""},
		{s.printer&prnCutter != 0, drivers.CutterFault, ""},
		{s.printer&prnNoLink != 0, drivers.Mechanism, "no link to the printing unit"},
		{s.printer&0x0F == prnNotReady, drivers.Offline, "printer not ready"},
		{s.flags&flagShiftOld != 0, drivers.ShiftExpired, ""},
		{s.doc == docInMemory, drivers.Interrupted, "a receipt is not printed to its end"},
		{s.flags&flagHalfZ != 0, drivers.Interrupted, "closing the shift was not finished: close it again"},
		{s.flags&(flagNotFiscal|flagNotReg) != 0, drivers.NotFiscal, ""},
		{s.flags&flagNotStarted != 0, drivers.ClockFault, "start of work was refused"},
		{s.flags&flagShiftOpen == 0, drivers.ShiftClosed, ""},
		{s.open() && s.doc != docInMemory, drivers.ReceiptOpen, ""},
	} {
		if b.set {
			st.Add(b.code)
			if st.Detail == "" {
				st.Detail = b.text
			}
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
	st := s.status()
	if f, err := d.query(ctx, op, cmdShift, "1"); err == nil && len(f) > 1 {
		st.Fiscal.ShiftNumber, _ = strconv.Atoi(f[1])
	} else if err != nil && !isRefusal(err) {
		return drivers.Status{}, err
	}
	if f, err := d.query(ctx, op, 0x13); err == nil && len(f) > 1 {
		if at, err := time.ParseInLocation("020106150405", f[0]+f[1], time.Local); err == nil {
			st.Fiscal.Clock = at
			if diff := at.Sub(d.now()); diff > 8*time.Minute || diff < -8*time.Minute {
				st.Add(drivers.ClockFault)
			}
		}
	} else if err != nil && !isRefusal(err) {
		return drivers.Status{}, err
	}
	d.Do(ctx, op, func(context.Context, *line.Port) error { d.SetStatus(st); return nil })
	return st, nil
}

// models by the answer to 02h/21.
var models = map[string]string{"1": "PIRIT 1F", "2": "PIRIT 2F", "3": "PIRIT 2SF", "57": "VIKI PRINT 57", "80": "VIKI PRINT 80"}

// Identity says who the register is.
func (d *Dev) Identity(ctx context.Context) (drivers.Identity, error) {
	const op = "read identity"
	id := drivers.Identity{Maker: "Dreamkas", Columns: d.Columns()}
	for _, q := range []struct {
		number string
		to     *string
	}{{"1", &id.Serial}, {"3", &id.TaxNumber}, {"70", &id.Firmware}, {"21", &id.Model}, {"4", &id.FiscalMemory}} {
		f, err := d.query(ctx, op, cmdFacts, q.number)
		switch {
		case err == nil && len(f) > 1:
			*q.to = strings.TrimSpace(page.Decode([]byte(f[1])))
		case err != nil && !isRefusal(err):
			return id, err
		}
	}
	if id.Firmware == "" {
		if f, err := d.query(ctx, op, cmdFacts, "2"); err == nil && len(f) > 1 {
			id.Firmware = f[1]
		}
	}
	if name, ok := models[id.Model]; ok {
		id.Model = name
	} else if id.Model != "" {
		id.Model = "model " + id.Model
	}
	return id, nil
}

// Columns is the number of characters in a line of font 0.
func (d *Dev) Columns() int {
	if n := d.columns.Load(); n > 0 {
		return int(n)
	}
	return 44
}
