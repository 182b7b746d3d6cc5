package passthrough

import (
	"encoding/json"
	"fmt"
	"strings"

	"github.com/tillside/tillside/drivers/follow"
)

// line is a line of a receipt as the till's API wants it.
type line struct {
	SKU      string `json:"sku"`
	Name     string `json:"name,omitempty"`
	Category string `json:"category,omitempty"`
	Brand    string `json:"brand,omitempty"`
	Quantity string `json:"quantity"`
	Price    string `json:"price"`
	Amount   string `json:"amount"`
	Discount string `json:"discount,omitempty"`
	MinPrice string `json:"min_price"`
}

type tender struct {
	Kind   string `json:"kind"`
	Amount string `json:"amount"`
}

type basket struct {
	Member  string   `json:"member,omitempty"`
	Cashier string   `json:"cashier,omitempty"`
	Lines   []line   `json:"lines"`
	Tenders []tender `json:"tenders,omitempty"`
}

// floorAbove is how far above its price a line's floor stands. A floor at the
// price itself would leave rules the cents that rounding makes.
const floorAbove = 10_00

// maxText bounds names: a receipt's line has no more, a damaged one might.
const maxText = 120

// basketOf is a read receipt as the till is told it.
func basketOf(r *follow.Receipt, member string, goods *Goods) basket {
	b := basket{Member: member, Cashier: clip(r.Operator), Tenders: tenders(r)}
	for _, l := range r.Lines {
		if l.Discount < 0 { // a surcharge
			l.Amount, l.Discount = l.Amount-l.Discount, 0
		}
		x := line{Name: clip(l.Name), Quantity: decimal(l.Quantity, 3), Price: decimal(l.Price, 2), Amount: decimal(l.Amount, 2),
			MinPrice: decimal(l.Price+floorAbove, 2)}
		if l.Discount != 0 {
			x.Discount = decimal(l.Discount, 2)
		}
		if l.SKU != "" {
			x.SKU = clip(l.SKU)
		} else {
			x.SKU = key(x.Name)
		}
		if g, ok := goods.find(l.SKU, x.Name); ok {
			x.SKU, x.Category, x.Brand = g.SKU, g.Category, g.Brand
		}
		if x.SKU == "" {
			x.SKU = "?"
		}
		b.Lines = append(b.Lines, x)
	}
	return b
}

func tenders(r *follow.Receipt) (out []tender) {
	for _, p := range r.Payments {
		out = append(out, tender{p.Kind, decimal(p.Amount, 2)})
	}
	return out
}

func clip(s string) string {
	r := []rune(s)
	return string(r[:min(len(r), maxText)])
}

// decimal writes a whole number of the smallest units.
func decimal(v int64, places int) string {
	sign := ""
	if v < 0 {
		sign, v = "-", -v
	}
	unit := int64(1)
	for range places {
		unit *= 10
	}
	return fmt.Sprintf("%s%d.%0*d", sign, v/unit, places, v%unit)
}

// key is a name as names are compared: letters of one case, single blanks.
func key(name string) string { return strings.ToLower(strings.Join(strings.Fields(name), " ")) }

// same tells whether two baskets are one receipt; how it is paid may differ.
func same(a, b basket) bool {
	a.Tenders, b.Tenders = nil, nil
	x, err1 := json.Marshal(a)
	y, err2 := json.Marshal(b)
	return err1 == nil && err2 == nil && string(x) == string(y)
}
