package agent

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/tillside/tillside/agent/passthrough"
	"github.com/tillside/tillside/configs"
	"github.com/tillside/tillside/drivers"
	"github.com/tillside/tillside/drivers/escpos"
	"github.com/tillside/tillside/drivers/follow"
	"github.com/tillside/tillside/drivers/line"
	"github.com/tillside/tillside/drivers/relay"
)

// passPrinter is the printer of a pass-through as the drivers know it.
func passPrinter(reg *drivers.Registry, p configs.Passthrough) (drivers.Config, error) {
	cfg, _, err := reg.Resolve(deviceConfig(configs.Device{Name: "passthrough", Model: p.Model, Driver: p.Driver, Port: p.Printer, Line: p.Line, Options: p.Options}))
	if err != nil {
		return cfg, err
	}
	if !slices.Contains([]string{"escpos", "shtrih", "posnet"}, cfg.Driver) {
		return cfg, fmt.Errorf("passthrough: a printer of driver %q cannot be followed; want escpos, shtrih or posnet", cfg.Driver)
	}
	return cfg, nil
}

// RelayConfig is the relay of the settings: its two sides and its timer.
func RelayConfig(reg *drivers.Registry, p configs.Passthrough) (relay.Config, error) {
	if p.Till == "" {
		return relay.Config{}, errors.New("the settings have no [passthrough] with a till and a printer; see agent/docs/passthrough.md")
	}
	cfg, err := passPrinter(reg, p)
	if err != nil {
		return relay.Config{}, err
	}
	return relay.Config{Till: p.Till, TillLine: line.Settings{Baud: p.TillLine.Baud, DataBits: p.TillLine.DataBits, Parity: p.TillLine.Parity, StopBits: p.TillLine.StopBits},
		Printer: p.Printer, PrinterLine: cfg.Line, Hold: time.Duration(p.Hold)}, nil
}

// Follower makes a follower of the till's protocol.
func Follower(reg *drivers.Registry, p configs.Passthrough) (follow.Follower, error) {
	cfg, err := passPrinter(reg, p)
	if err != nil {
		return nil, err
	}
	switch o := cfg.Options; cfg.Driver {
	case "shtrih":
		t := p.Tenders
		if len(t) == 0 {
			t = payments(o.Text("payments"))
		}
		return follow.NewShtrih(follow.ShtrihSettings{Columns: o.Int("columns"), Tenders: t}), nil
	case "posnet":
		page := p.CodePage
		if page == "" {
			page = o.Text("codepage")
		}
		return follow.NewPosnet(follow.PosnetSettings{Columns: o.Int("columns"), CodePage: page})
	default:
		prof, err := escpos.ProfileOf(o)
		if err != nil {
			return nil, err
		}
		t := p.Patterns
		f, err := follow.NewESCPOS(follow.ESCPOSSettings{Profile: prof, Page: p.CodePage, Ends: p.Ends, Text: follow.TextPatterns{
			Item: t.Item, Discount: t.Discount, Total: t.Total, Subtotal: t.Subtotal, Payment: t.Payment, Change: t.Change, Number: t.Number,
			Cashier: t.Cashier, Cancel: t.Cancel, Copy: t.Copy, Refund: t.Refund, Tax: t.Tax, Skip: t.Skip}})
		if err != nil {
			return nil, fmt.Errorf("passthrough.patterns: %w", err)
		}
		return f, nil
	}
}

// payments reads "cash=1,card=2" into names by place.
func payments(s string) (out []string) {
	for _, f := range strings.Split(s, ",") {
		name, num, _ := strings.Cut(strings.TrimSpace(f), "=")
		n, err := strconv.Atoi(num)
		if err != nil || n < 1 || n > 16 {
			continue
		}
		for len(out) < n {
			out = append(out, "other")
		}
		out[n-1] = name
	}
	return out
}

// CheckPassthrough checks what only the drivers and the file of goods know.
func CheckPassthrough(reg *drivers.Registry, p configs.Passthrough) error {
	if err := checkPass(reg, p); err != nil {
		return err
	}
	_, err := passthrough.OpenGoods(p.Goods)
	return err
}

// checkPass leaves the file of goods out: one that is missing is no reason not
// to start.
func checkPass(reg *drivers.Registry, p configs.Passthrough) error {
	if p.Till == "" {
		return nil
	}
	c, err := RelayConfig(reg, p)
	if err != nil {
		return err
	}
	if _, err := relay.New(c); err != nil {
		return fmt.Errorf("passthrough: %w", err)
	}
	_, err = Follower(reg, p)
	return err
}

// passthrough reads along with a till; nil when the settings have none.
func (a *Agent) passthrough() (*passthrough.Passthrough, error) {
	p := a.o.Settings.Passthrough
	if p.Till == "" {
		return nil, nil
	}
	return passthrough.New(passthrough.Config{Folder: a.dir, Till: a.till, Card: time.Duration(p.Card), Goods: p.Goods, Health: a.health,
		Log: a.log.With("part", "passthrough"), Now: a.o.Now, Follow: func() (follow.Follower, error) { return Follower(a.o.Registry, p) }})
}
