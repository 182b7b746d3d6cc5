package loyalty

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

// A rulebook that says nothing of its receipt still says all that matters, as
// people of the language write it.
func TestReceiptBlockWithoutTexts(t *testing.T) {
	const doc = `{"programme": {"id": "p", "name": "Club", "version": 1, "currency": "EUR", "languages": ["en", "ru", "pl"]},
		"wallets": [{"id": "points", "point_value": "0.01"}], "redemption": [{"wallet": "points", "max_percent": "50"}],
		"counters": [{"id": "year", "of": "spend", "window": "12 months"}],
		"tiers": {"counter": "year", "levels": [{"id": "basic", "from": "0"}, {"id": "silver", "name": {"en": "Silver", "ru": "Серебряный", "pl": "Srebrny"}, "from": "500"}]},
		"stamp_cards": [{"id": "cups", "name": {"en": "Cups", "ru": "Чашки", "pl": "Kubki"}, "goal": 6}],
		"rules": [
			{"id": "base", "then": [{"points_percent": {"percent": "100"}}]},
			{"id": "cup", "then": [{"stamps": {"card": "cups"}}]},
			{"id": "next", "name": {"en": "Next time 5 % off", "ru": "В следующий раз −5 %", "pl": "Następnym razem −5 %"}, "audience": {"known": true}, "then": [{"coupon": {"for": "off", "prefix": "M", "valid_for": "14 days"}}]},
			{"id": "off", "when": {"coupon": {"issued": true}}, "then": [{"percent_off": {"percent": "5"}}]}]}`
	d, err := Decode([]byte(doc))
	if err != nil {
		t.Fatal(err)
	}
	rb, err := Compile(d)
	if err != nil {
		t.Fatal(err)
	}
	now := time.Date(2026, 11, 27, 14, 2, 0, 0, time.UTC)
	for lang, want := range map[string]string{
		"en": "Points used = 100|Points earned = 9|9 points: 100 % of 9.00|Balance = 49|as of 09:12|40 points end on 31 Jan 2027|491.00 more to Silver|Cups: 1 of 6",
		"ru": "Списано баллов = 100|Начислено баллов = 9|9 баллов: 100 % от 9,00|Баланс = 49|на 09:12|31.01.2027 сгорят 40 баллов|Ещё 491,00 до уровня «Серебряный»|Чашки: 1 из 6",
		"pl": "Wydane punkty = 100|Zdobyte punkty = 9|9 punktów: 100 % od 9,00|Saldo = 49|stan na 09:12|31.01.2027 wygasa 40 punktów|Jeszcze 491,00 do poziomu Srebrny|Kubki: 1 z 6",
	} {
		m := &Member{ID: 1, Wallets: map[string]Balance{"points": {Active: 14000, Expiring: 4000, Expires: "2027-01-31"}}, AsOf: now.Add(-4*time.Hour - 50*time.Minute)}
		res, err := rb.Price(Input{Receipt: &Receipt{Spend: "100", Lines: []Line{{SKU: "C", Quantity: 1000, Price: 10_000_000}}}, Member: m, Language: lang, Now: now})
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, l := range res.Print {
			s := l.Text
			if l.Right != "" {
				s += " = " + l.Right
			}
			got = append(got, s)
		}
		if s := strings.ReplaceAll(strings.Join(got, "|"), "\u00a0", " "); !strings.HasPrefix(s, want) {
			t.Errorf("%s:\n%s\nwant\n%s", lang, s, want)
		}
		if s := fmt.Sprint(res.Print); !strings.Contains(s, "{barcode M") || !strings.Contains(s, map[string]string{"en": "valid to", "ru": "действует до", "pl": "ważny do"}[lang]) {
			t.Errorf("%s: the coupon is not on the slip: %s", lang, s)
		}
	}
	old, err := rb.Price(Input{Receipt: &Receipt{Lines: []Line{{SKU: "X", Quantity: 1000, Price: 10_000_000}}}, Member: &Member{ID: 1, AsOf: now.AddDate(0, 0, -3)}, Language: "en", Now: now})
	if err != nil || !strings.Contains(fmt.Sprint(old.Print), "as of 24\u00a0Nov\u00a02026 14:02") {
		t.Errorf("%v %v", err, old.Print)
	}
}
