package barcode

import (
	"errors"
	"testing"

	"github.com/tillside/tillside/drivers/card"
)

// In-store EAN-13 codes that happen to pass Luhn are loyalty cards, not bank cards.
func TestInStoreCodeThatPassesLuhn(t *testing.T) {
	const code = "2000000162188"
	if !card.Luhn(code) || !card.EAN(code) {
		t.Fatal("the example must pass both checks")
	}
	if s, err := (Rules{}).Read([]byte(code)); err != nil || s.Text != code {
		t.Errorf("Read(%s) = %q, %v", code, s.Text, err)
	}
	if _, err := (Rules{}).Read([]byte("4000001234567899")); !errors.Is(err, ErrBankCard) {
		t.Errorf("a bank card gave %v", err)
	}
}
