package fiscal

import (
	"encoding/hex"
	"image"
	"image/color"

	"github.com/tillside/tillside/drivers/emulator/paper"
)

// Paper is the roll as a picture can be made of it.
func (b *Base) Paper() *paper.Roll {
	b.Mu.Lock()
	defer b.Mu.Unlock()
	return b.paperRoll()
}

func (b *Base) paperRoll() *paper.Roll {
	if b.sheet == nil {
		columns := b.Columns
		if columns == 0 {
			columns = 42
		}
		b.sheet = paper.NewRoll(columns, 0)
	}
	return b.sheet
}

// item is a line as paper shows it.
func (l Line) item() paper.Item {
	switch l.Kind {
	case "":
		return paper.Line{Spans: []paper.Span{{Text: l.Text, Bold: l.Bold, Width: l.Width, Height: l.Height}}}
	case "cut":
		return paper.Cut{}
	case "barcode":
		c := paper.Code{Kind: "code128", Data: l.Text, Height: 64, Module: 2, Below: true, Align: paper.Centre}
		if n := len(l.Text); n == 12 || n == 13 {
			c.Kind = "ean13"
			for _, r := range l.Text {
				if r < '0' || r > '9' {
					c.Kind = "code128"
				}
			}
		}
		return c
	case "image":
		return paper.Picture{Image: row(l.Text)}
	}
	return paper.Code{Kind: l.Kind, Data: l.Text, Module: 4, Align: paper.Centre}
}

// row is one line of dots, in hexadecimal, least significant bit left.
func row(s string) *image.Gray {
	dots, err := hex.DecodeString(s)
	if err != nil || len(dots) == 0 {
		return image.NewGray(image.Rect(0, 0, 1, 1))
	}
	img := image.NewGray(image.Rect(0, 0, len(dots)*8, 1))
	for x := range len(dots) * 8 {
		if dots[x/8]&(1<<(x%8)) == 0 {
			img.SetGray(x, 0, color.Gray{Y: 255})
		}
	}
	return img
}

// Condition is how the device is.
func (b *Base) Condition() Condition {
	b.Mu.Lock()
	defer b.Mu.Unlock()
	c := Condition{Paper: "ok", Cover: "closed", Shift: "ok", Memory: "ok", Busy: b.holds[Busy],
		Silent: b.always == Deaf, Noise: b.always == Garbage, Hang: b.hang}
	if b.holds[PaperNear] {
		c.Paper = "near"
	}
	if b.holds[PaperOut] {
		c.Paper = "out"
	}
	if b.holds[CoverOpen] {
		c.Cover = "open"
	}
	if b.holds[ShiftOld] {
		c.Shift = "old"
	}
	if b.holds[MemFull] {
		c.Memory = "full"
	}
	return c
}

// SetCondition changes it.
func (b *Base) SetCondition(c Condition) {
	b.Mu.Lock()
	defer b.Mu.Unlock()
	for f, on := range map[Fault]bool{PaperOut: c.Paper == "out", PaperNear: c.Paper == "near", CoverOpen: c.Cover == "open",
		ShiftOld: c.Shift == "old", MemFull: c.Memory == "full", Busy: c.Busy} {
		if on {
			b.hold(f)
		} else {
			delete(b.holds, f)
		}
	}
	b.hang = c.Hang
	switch {
	case c.Silent:
		b.always = Deaf
	case c.Noise:
		b.always = Garbage
	default:
		b.always = ""
	}
}
