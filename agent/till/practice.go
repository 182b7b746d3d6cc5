package till

import (
	_ "embed"
	"encoding/json"

	"github.com/tillside/tillside/agent/loyalty"
)

//go:embed goods.json
var goodsJSON []byte

// Good is one article of the practice till.
type Good struct {
	SKU      string        `json:"sku"`
	Name     string        `json:"name"`
	Category string        `json:"category"`
	Price    loyalty.Price `json:"price"`
	Unit     string        `json:"unit,omitempty"`
}

type goodsAnswer struct {
	Currency string `json:"currency"`
	Goods    []Good `json:"goods"`
}

// goods is the list of the practice till in the till's language.
func (t *Till) goods() (any, error) {
	if !t.c.Practice {
		return nil, refuse("not_found")
	}
	var list []struct {
		Good
		Names map[string]string `json:"names"`
	}
	if err := json.Unmarshal(goodsJSON, &list); err != nil {
		return nil, err
	}
	a := goodsAnswer{Goods: []Good{}}
	if r := t.c.Rules(); r != nil {
		a.Currency = r.Currency()
	}
	for _, g := range list {
		g.Name = g.Names[t.c.Language]
		if g.Name == "" {
			g.Name = g.Names["en"]
		}
		a.Goods = append(a.Goods, g.Good)
	}
	return a, nil
}
