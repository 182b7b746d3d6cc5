package loyalty

import (
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"
)

// Money is kept in hundredths in every currency. One without minor units, such
// as the yen, has whole hundreds of them only: amounts, shares, taxes and parts
// of a return are whole units, and an amount that is not is refused. A currency
// with three digits would need thousandths and is refused altogether.

// wholeCurrencies have no minor unit; fineCurrencies have three digits or four.
var (
	wholeCurrencies = []string{"BIF", "CLP", "DJF", "GNF", "ISK", "JPY", "KMF", "KRW", "PYG", "RWF", "UGX", "UYI", "VND", "VUV", "XAF", "XOF", "XPF"}
	fineCurrencies  = []string{"BHD", "CLF", "IQD", "JOD", "KWD", "LYD", "OMR", "TND", "UYW"}
)

// smallest is the smallest amount of a currency, in hundredths.
func smallest(currency string) int64 {
	if slices.Contains(wholeCurrencies, currency) {
		return oneMoney
	}
	return 1
}

// currency checks that the programme's money can be kept exactly.
func (c *compiler) currency() {
	p := &c.doc.Programme
	if slices.Contains(fineCurrencies, p.Currency) {
		c.bad("programme.currency", "unsupported", strconv.Quote(p.Currency), "it has more than two digits after the point, and money is kept with two",
			"a programme in this currency cannot be kept exactly; use one with two digits or none")
	}
	unit := smallest(p.Currency)
	if unit == 1 {
		return
	}
	walkMoney(reflect.ValueOf(c.doc).Elem(), "", func(path string, m Money) {
		// What a point is worth may be a part of a unit.
		if int64(m)%unit != 0 && !strings.HasSuffix(path, ".point_value") && !strings.HasSuffix(path, ".worth") {
			c.bad(path, "fraction", m.String(), p.Currency+" has no parts of a unit", "write a whole amount")
		}
	})
}

// walkMoney visits every amount of the document but those of test vectors,
// which speak for themselves.
func walkMoney(v reflect.Value, path string, visit func(string, Money)) {
	switch v.Kind() {
	case reflect.Pointer:
		if !v.IsNil() {
			walkMoney(v.Elem(), path, visit)
		}
	case reflect.Struct:
		for i := range v.NumField() {
			f := v.Type().Field(i)
			name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
			if !f.IsExported() || name == "vectors" {
				continue
			}
			at := path
			if !f.Anonymous {
				at = strings.TrimPrefix(path+"."+name, ".")
			}
			walkMoney(v.Field(i), at, visit)
		}
	case reflect.Slice:
		for i := range v.Len() {
			walkMoney(v.Index(i), fmt.Sprintf("%s[%d]", path, i), visit)
		}
	case reflect.Int64:
		if m, ok := v.Interface().(Money); ok {
			visit(path, m)
		}
	}
}

// whole rounds an amount down to the currency's smallest unit.
func (s *settings) whole(m Money) Money {
	if s.unit == 1 {
		return m
	}
	return m - m%Money(s.unit)
}

// mulUnits is a*b/d, rounded to the currency's smallest unit.
func (s *settings) mulUnits(a, b, d int64, mode Mode) (int64, bool) {
	n, ok := mulDiv(a, b, d*s.unit, mode)
	return n * s.unit, ok
}
