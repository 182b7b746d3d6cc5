package configs

import (
	"strings"
	"time"
)

// Passthrough is a till whose software cannot be changed: a relay stands
// between it and its printer, and the agent reads along
// (agent/docs/passthrough.md).
type Passthrough struct {
	// Till is where the cash software's printer port ends: a serial port,
	// "pty:/absolute/path" (Linux), "tcp:127.0.0.1:9100". Empty: no relay.
	Till string `toml:"till"`
	// TillLine is how a serial port on the till's side stands.
	TillLine DeviceLine `toml:"till_line"`
	// Printer is the port of the printer, as of a device.
	Printer string `toml:"printer"`
	// Model, Driver, Line and Options say what printer it is, as of a device.
	Model   string            `toml:"model"`
	Driver  string            `toml:"driver"` // escpos, shtrih, posnet
	Line    DeviceLine        `toml:"line"`
	Options map[string]string `toml:"options"`
	// Hold is the most a byte of the till waits for the agent; the relay's
	// own timer. At most 20ms.
	Hold Duration `toml:"hold"`
	// Card is how long a card that was read counts for the next receipt.
	Card Duration `toml:"card"`
	// Goods is a file of the names on receipts and the programme's SKUs;
	// absolute. Empty: the name is the SKU.
	Goods string `toml:"goods"`
	// CodePage of the till's text before it chooses one. Empty: the printer's.
	CodePage string `toml:"code_page"`
	// Ends are the commands that end a plain receipt: cut, feed, drawer.
	Ends []string `toml:"ends"`
	// Tenders name the payment types of a Shtrih-M register, cash first.
	Tenders []string `toml:"tenders"`
	// Patterns replace single lists of line patterns of plain receipts.
	Patterns PassPatterns `toml:"patterns"`
}

// PassPatterns are regular expressions for the lines of plain receipts. A list
// that is not here takes the defaults; ["none"] switches it off.
type PassPatterns struct {
	Item     []string `toml:"item"`
	Discount []string `toml:"discount"`
	Total    []string `toml:"total"`
	Subtotal []string `toml:"subtotal"`
	Payment  []string `toml:"payment"`
	Change   []string `toml:"change"`
	Number   []string `toml:"number"`
	Cashier  []string `toml:"cashier"`
	Cancel   []string `toml:"cancel"`
	Copy     []string `toml:"copy"`
	Refund   []string `toml:"refund"`
	Tax      []string `toml:"tax"`
	Skip     []string `toml:"skip"`
}

func defaultPassthrough() Passthrough {
	return Passthrough{Hold: Duration(12 * time.Millisecond), Card: Duration(3 * time.Minute)}
}

func (p *Passthrough) check(bad func(field, found, remedy string)) {
	if p.Till == "" {
		if p.Printer != "" {
			bad("passthrough.till", "", "want where the cash software's printer port ends: \"COM5\", \"pty:/run/tillside/printer\", \"tcp:127.0.0.1:9100\"")
		}
		return
	}
	if p.Printer == "" {
		bad("passthrough.printer", "", "want the printer's port: \"COM3\", \"/dev/serial/by-id/…\", \"tcp:192.168.1.20:9100\"")
	} else if p.Printer == p.Till {
		bad("passthrough.printer", show(p.Printer), "both sides are one port")
	}
	if p.Model == "" && p.Driver == "" {
		bad("passthrough.model", "", "name a model (tillside devices models), or driver: escpos, shtrih, posnet")
	}
	if d := time.Duration(p.Hold); d < time.Millisecond || d > 20*time.Millisecond {
		bad("passthrough.hold", d.String(), "want 1ms to 20ms")
	}
	if d := time.Duration(p.Card); d < time.Second || d > time.Hour {
		bad("passthrough.card", d.String(), "want 1s to 1h")
	}
	if p.Goods != "" && !absolute(p.Goods) {
		bad("passthrough.goods", show(p.Goods), "want an absolute path")
	}
	for i, e := range p.Ends {
		oneOf(bad, "passthrough.ends["+string(rune('0'+i%10))+"]", e, []string{"cut", "feed", "drawer"})
	}
}

// LoadRelay reads what a relay needs of a settings file. What is wrong
// elsewhere in the file is returned beside it: selling does not wait until
// somebody has mended the spelling of another setting.
func LoadRelay(file string) (s *Agent, elsewhere Problems, err error) {
	data, err := readFile(file)
	if err != nil {
		return nil, nil, err
	}
	a := DefaultAgent()
	d := decode(file, data, &a)
	a.check(d.add)
	var here Problems
	for _, p := range d.found {
		if strings.HasPrefix(p.Field, "passthrough") || p.Field == "data" || p.Field == "" || strings.HasPrefix(p.Remedy, "not TOML") {
			here = append(here, p)
		} else {
			elsewhere = append(elsewhere, p)
		}
	}
	if len(here) > 0 {
		return nil, elsewhere, here
	}
	return &a, elsewhere, nil
}
