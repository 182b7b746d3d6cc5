package options

import (
	"errors"
	"testing"

	"github.com/tillside/tillside/drivers"
)

func TestWith(t *testing.T) {
	o := With([]drivers.Setting{{Name: "a", Default: "1"}, {Name: "b", Default: "2"}, {Name: "c"}}, drivers.Options{"b": 3})
	if o.Int("a") != 1 || o.Int("b") != 3 || o.Has("c") {
		t.Errorf("%v", o)
	}
}

func TestPayments(t *testing.T) {
	p, err := ParsePayments("cash=1, card=2", 1, 9)
	if err != nil {
		t.Fatal(err)
	}
	for kind, want := range map[string]int{"cash": 1, "card": 2, "7": 7} {
		if n, err := p.Number(kind); n != want || err != nil {
			t.Errorf("%s: %d, %v", kind, n, err)
		}
	}
	for _, kind := range []string{"bitcoin", "0", "10", ""} {
		if n, err := p.Number(kind); !errors.Is(err, drivers.BadData) {
			t.Errorf("%s: %d, %v", kind, n, err)
		}
	}
	for _, s := range []string{"", "cash", "cash=0", "cash=x"} {
		if _, err := ParsePayments(s, 1, 9); err == nil {
			t.Errorf("%q was taken", s)
		}
	}
}
