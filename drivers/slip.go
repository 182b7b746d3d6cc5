package drivers

import (
	"image"
	"log/slog"
	"time"
)

// Slip is something to print, in blocks from top to bottom. The text comes
// laid out: lines, columns and languages are the caller's business; letters
// the printer's code page lacks are the driver's.
type Slip struct {
	// ID names the slip in logs and errors.
	ID string
	// CopyMark, when not empty, is printed first: a repeated slip says so.
	CopyMark string
	Blocks   []Block
}

// Block is one of Text, Barcode, QR, Image, Feed, Cut, Rule.
type Block interface{ block() }

// Align is where a block stands on the paper.
type Align string

// The alignments; the zero value is left.
const (
	Left   Align = ""
	Centre Align = "centre"
	Right  Align = "right"
)

// Text is one line. A line longer than the paper is wrapped by the printer,
// not by the driver; a "\n" inside starts a new line.
type Text struct {
	Text      string `json:"text"`
	Align     Align  `json:"align,omitempty"`
	Bold      bool   `json:"bold,omitempty"`
	Underline bool   `json:"underline,omitempty"`
	Inverse   bool   `json:"inverse,omitempty"`
	Small     bool   `json:"small,omitempty"` // font B where the model has one
	// Width and Height multiply the letter, 1 to 8; 0 means 1.
	Width  int `json:"width,omitempty"`
	Height int `json:"height,omitempty"`
}

// Symbology is a kind of linear barcode.
type Symbology string

// The symbologies a driver may be asked for.
const (
	EAN13   Symbology = "ean13"
	EAN8    Symbology = "ean8"
	UPCA    Symbology = "upca"
	UPCE    Symbology = "upce"
	Code39  Symbology = "code39"
	Code93  Symbology = "code93"
	Code128 Symbology = "code128"
	ITF     Symbology = "itf"
	Codabar Symbology = "codabar"
	GS1128  Symbology = "gs1-128"
)

// Barcode is a linear code. EAN and UPC data may come with or without the
// check digit; a wrong check digit is an error (BadData), since printers
// silently print nothing then.
type Barcode struct {
	Symbology Symbology `json:"symbology"`
	Data      string    `json:"data"`
	Align     Align     `json:"align,omitempty"`
	Height    int       `json:"height,omitempty"` // dots; 0 means 64
	Module    int       `json:"module,omitempty"` // dots of the thinnest bar, 2 to 6; 0 means 2
	HideText  bool      `json:"hide_text,omitempty"`
}

// QR is a QR code, model 2.
type QR struct {
	Data  string `json:"data"`
	Align Align  `json:"align,omitempty"`
	Dot   int    `json:"dot,omitempty"`   // dots per module, 1 to 16; 0 means 6
	Level byte   `json:"level,omitempty"` // 'L', 'M', 'Q', 'H'; 0 means M
}

// Image is a black and white picture; dark pixels are printed.
type Image struct {
	Image image.Image `json:"-"`
	Align Align       `json:"align,omitempty"`
}

// Feed moves the paper by lines.
type Feed struct {
	Lines int `json:"lines"`
}

// Cut feeds to the cutter and cuts. Printers without a cutter feed only.
type Cut struct {
	Partial bool `json:"partial,omitempty"`
}

// Rule is a horizontal line across the paper.
type Rule struct {
	// Double asks for the heavier line.
	Double bool `json:"double,omitempty"`
}

func (Text) block()    {}
func (Barcode) block() {}
func (QR) block()      {}
func (Image) block()   {}
func (Feed) block()    {}
func (Cut) block()     {}
func (Rule) block()    {}

// Lines makes a slip of plain lines and a cut.
func Lines(id string, lines ...string) Slip {
	s := Slip{ID: id}
	for _, l := range lines {
		s.Blocks = append(s.Blocks, Text{Text: l})
	}
	s.Blocks = append(s.Blocks, Cut{})
	return s
}

// Source is what a reading was made with.
type Source string

// The sources.
const (
	FromBarcode  Source = "barcode"
	FromMagnetic Source = "magstripe"
	FromRFID     Source = "rfid"
	FromKeyboard Source = "keyboard"
)

// Scan is one reading. It masks itself wherever it is printed or logged; only
// Text gives what was read.
type Scan struct {
	Reader string    // Config.Name of the reader
	Source Source    // how it was read
	At     time.Time // when the last byte came
	// Text is what was read, cleaned: without prefix, suffix, AIM identifier.
	Text string
	// AIM is the symbology identifier when the reader sends it ("]E0").
	AIM string
	// Symbology is a plain name when known: "ean13", "qr", "code128", "em4100".
	Symbology string
	// Elements are the GS1 element strings, application identifier to value,
	// when the code is a GS1 one and parses.
	Elements map[string]string
	// Tracks are the magnetic tracks that were read, by number.
	Tracks map[int]string
	// Card is the card number the reader's masks made of it; "" when no mask
	// matched or none is set.
	Card string
}

// String hides what was read but for its length and last two characters.
func (s Scan) String() string { return string(s.Source) + " " + Mask(s.Text) }

// LogValue hides what was read.
func (s Scan) LogValue() slog.Value {
	return slog.GroupValue(slog.String("reader", s.Reader), slog.String("source", string(s.Source)),
		slog.String("text", Mask(s.Text)))
}

// GoString keeps %#v from telling either.
func (s Scan) GoString() string { return s.String() }

// Mask hides all but the last two of a card number longer than six characters.
func Mask(s string) string {
	r := []rune(s)
	for i := range r {
		if len(r) <= 6 || i < len(r)-2 {
			r[i] = '*'
		}
	}
	if len(r) > 24 {
		r = append([]rune("…"), r[len(r)-24:]...)
	}
	return string(r)
}
