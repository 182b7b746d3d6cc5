package drivers

import (
	"context"
	"time"
)

// Identity tells one device from another. Serial is the maker's number and
// stays when the port number changes.
type Identity struct {
	Maker        string `json:"maker,omitempty"`
	Model        string `json:"model,omitempty"`
	Serial       string `json:"serial,omitempty"`
	Firmware     string `json:"firmware,omitempty"`
	FiscalMemory string `json:"fiscal_memory,omitempty"` // number of fiscal memory or storage
	TaxNumber    string `json:"tax_number,omitempty"`
	Columns      int    `json:"columns,omitempty"` // as the device tells, 0 if it does not
}

// Identifier is a device that can say who it is. Asking changes nothing.
type Identifier interface {
	Identity(ctx context.Context) (Identity, error)
}

// Drawer is a printer with a cash drawer on it.
type Drawer interface {
	// OpenDrawer sends the pulse. It does not know whether the drawer opened.
	OpenDrawer(ctx context.Context) error
}

// Beeper makes a sound.
type Beeper interface {
	Beep(ctx context.Context) error
}

// Recoverer can be told to go on after a fault that needs a command
// (cutter jam, interrupted document).
type Recoverer interface {
	// Recover continues what was interrupted where the protocol allows that
	// without printing anything twice.
	Recover(ctx context.Context) error
}

// Tester prints a page that shows the code page, the columns and the
// barcodes, for the technician.
type Tester interface {
	TestPage(ctx context.Context) (Outcome, error)
}

// Typesetter is a printer or display that tells what its letters are, so that a
// text is laid out once, for this device: with its own letters, which may be
// more than the text had (Щ is Shch), and within its own widths.
type Typesetter interface {
	// Spell writes texts that will stand on one line in the letters the device
	// has. What it gives back is shown as it is, letter for letter.
	Spell(parts ...string) []string
	// Wide is how many letters of double width a line holds; 0 when the device
	// has none.
	Wide() int
	// Draws tells whether a code comes out as bars or dots that a scanner
	// reads. One that does not is better printed as its text.
	Draws(b Block) bool
}

// Scroller is a display that can show a line longer than itself.
type Scroller interface {
	// Scrolls tells whether it is set to.
	Scrolls() bool
}

// Amounts are in minor units (grosz, kopeck, cent), quantities in thousandths,
// percents in hundredths of a percent.

// FiscalStatus is the part of Status that only fiscal printers have.
type FiscalStatus struct {
	ShiftOpen    bool      `json:"shift_open"`
	ShiftNumber  int       `json:"shift_number,omitempty"`
	ReceiptOpen  bool      `json:"receipt_open"`
	DocumentKind string    `json:"document_kind,omitempty"` // "sale", "refund", "nonfiscal", ...
	ReceiptNo    int64     `json:"receipt_no,omitempty"`
	Clock        time.Time `json:"clock,omitzero"`
}

// ReceiptKind is what a fiscal receipt is about.
type ReceiptKind string

// The receipt kinds.
const (
	Sale   ReceiptKind = "sale"
	Refund ReceiptKind = "refund"
)

// ReceiptHead opens a receipt.
type ReceiptHead struct {
	Kind     ReceiptKind
	Operator string // name or number as the device wants it
	Password string // "" means the one of the settings
	Till     string
	// SaleNumber is the unique sale number where the law wants one.
	SaleNumber string
	// Lines is the number of lines when known before; block mode needs it.
	Lines int
}

// Item is one line of a fiscal receipt.
type Item struct {
	Name       string
	Price      int64 // minor units per 1.000
	Quantity   int64 // thousandths; 0 means 1.000
	Tax        string
	Department int
	Unit       string
	// Discount is taken from the line, minor units; negative is a surcharge.
	Discount     int64
	DiscountName string
}

// Payment is one tender.
type Payment struct {
	Type   string // "cash", "card", "voucher", ... ; the driver maps it
	Amount int64  // minor units
	Name   string
}

// ClosedReceipt is what the device tells about a closed receipt.
type ClosedReceipt struct {
	Number     string // document number
	FiscalSign string
	Shift      int
	Change     int64
	At         time.Time
	// Loyalty is what became of the lines that PrintLoyalty kept; "" when
	// there were none.
	Loyalty Outcome
}

// Receipts sells through the fiscal memory. Calls come in this order:
// OpenReceipt, Sell.., DiscountReceipt.., Subtotal, Pay.., CloseReceipt; the
// device itself refuses another order (WrongState). After an error with an
// unknown outcome ask LastDocument before anything else.
type Receipts interface {
	OpenReceipt(ctx context.Context, head ReceiptHead) error
	Sell(ctx context.Context, item Item) error
	// DiscountReceipt takes an amount from the whole receipt, minor units;
	// negative is a surcharge.
	DiscountReceipt(ctx context.Context, name string, amount int64) error
	// Subtotal is what the device has added up, minor units.
	Subtotal(ctx context.Context) (int64, error)
	Pay(ctx context.Context, p Payment) error
	CloseReceipt(ctx context.Context) (ClosedReceipt, error)
	CancelReceipt(ctx context.Context) error
}

// DiscountLimited is a printer that takes little or nothing off a whole receipt,
// and discounts of a line off the price of one unit. The caller spreads a larger
// discount over the lines, and splits lines whose discount does not divide.
type DiscountLimited interface {
	// DiscountLimit is the most that DiscountReceipt takes, minor units.
	DiscountLimit() int64
}

// DocumentState is how far the last document came.
type DocumentState string

// The document states.
const (
	DocumentNone      DocumentState = "none"
	DocumentOpen      DocumentState = "open"
	DocumentClosed    DocumentState = "closed"    // fiscalised and printed
	DocumentUnprinted DocumentState = "unprinted" // fiscalised, not printed to the end
	DocumentCancelled DocumentState = "cancelled"
	DocumentUnknown   DocumentState = "unknown"
)

// Document is the last document the device knows.
type Document struct {
	State  DocumentState
	Kind   string
	Number string
	Total  int64 // minor units; -1 when the device does not tell
	// Loyalty is what became of the lines that PrintLoyalty kept for this
	// document; OutcomeKept while it is open, "" when there were none or
	// another run of the program kept them.
	Loyalty Outcome
}

// Documents tells what became of the last document: each protocol's own
// protection against printing twice ends here.
type Documents interface {
	LastDocument(ctx context.Context) (Document, error)
}

// LoyaltyField is what a loyalty line is about. Devices with preset lines
// (Posnet, Thermal) print the field's own keyword and take only the value.
type LoyaltyField string

// The loyalty fields; Free is a line of text.
const (
	Free          LoyaltyField = ""
	PointsEarned  LoyaltyField = "earned"
	PointsSpent   LoyaltyField = "spent"
	BalanceBefore LoyaltyField = "balance_before"
	BalanceAfter  LoyaltyField = "balance_after"
	PointsTotal   LoyaltyField = "points_total"
	CardNumber    LoyaltyField = "card" // masked by the caller
	ValidUntil    LoyaltyField = "valid_until"
)

// LoyaltyLine is one line of loyalty text in a fiscal receipt.
type LoyaltyLine struct {
	Field LoyaltyField
	// Label and Value make the line on devices without preset lines.
	Label string
	Value string
}

// LoyaltyText prints loyalty lines inside the open fiscal receipt, or at its
// foot, by the protocol's own means. Call it after the last Sell and before
// CloseReceipt; drivers whose device wants the lines later keep them until then
// and answer OutcomeKept.
type LoyaltyText interface {
	PrintLoyalty(ctx context.Context, lines []LoyaltyLine) (Outcome, error)
}

// Shifts opens and closes shifts.
type Shifts interface {
	OpenShift(ctx context.Context, operator string) error
	// CloseShift prints the Z report.
	CloseShift(ctx context.Context) error
	// XReport prints the report that changes nothing.
	XReport(ctx context.Context) error
}

// CashInOut puts money into the till or takes it out; negative is out.
type CashInOut interface {
	CashInOut(ctx context.Context, amount int64) error
}

// FiscalPrinter is what the drivers of fiscal printers have in common.
type FiscalPrinter interface {
	Printer
	Identifier
	Receipts
	Documents
	LoyaltyText
	Shifts
}
