package retail

import (
	"testing"
	"time"
)

func TestReceipts(t *testing.T) {
	all, err := Receipts()
	if err != nil {
		t.Fatal(err)
	}
	count := map[Kind]int{}
	lines, longest := 0, 0
	for _, r := range all {
		count[r.Kind]++
		lines += len(r.Lines)
		longest = max(longest, len(r.Lines))
		if r.Kind == WriteOff {
			continue
		}
		for _, l := range r.Lines {
			if l.Quantity <= 0 || l.Price < 0 {
				t.Errorf("%s %s: quantity %v, price %v", r.Kind, r.ID, l.Quantity, l.Price)
			}
		}
	}
	if len(all) != 2025 || lines != 42481 || count[Sale] != 1629 || count[Return] != 326 || count[WriteOff] != 70 {
		t.Errorf("%d receipts, %d lines, %v", len(all), lines, count)
	}
	if longest != 675 {
		t.Errorf("longest receipt has %d lines", longest)
	}
}

func TestMembersAndProducts(t *testing.T) {
	members, err := Members()
	if err != nil || len(members) != 948 {
		t.Errorf("%d members, %v", len(members), err)
	}
	products, err := Products()
	if err != nil || len(products) != 2822 {
		t.Errorf("%d products, %v", len(products), err)
	}
}

func TestCardHasRightCheckDigit(t *testing.T) {
	// 200000012500 has the check digit 8 (EAN-13, odd places once, even thrice).
	if got := Card("12500"); got != "2000000125008" {
		t.Errorf("Card = %s", got)
	}
}

func TestRecentKeepsWeekdayAndHour(t *testing.T) {
	then, err := Receipts()
	if err != nil {
		t.Fatal(err)
	}
	now := time.Date(2031, 5, 6, 12, 0, 0, 0, time.UTC)
	moved, err := Recent(now)
	if err != nil {
		t.Fatal(err)
	}
	for i, r := range moved {
		if r.Time.Weekday() != then[i].Time.Weekday() || r.Time.Hour() != then[i].Time.Hour() || r.Time.After(now) {
			t.Fatalf("receipt %s moved from %v to %v", r.ID, then[i].Time, r.Time)
		}
	}
	if last := moved[len(moved)-1].Time; now.Sub(last) >= 7*24*time.Hour {
		t.Errorf("the last receipt is of %v, more than a week before %v", last, now)
	}
}
