package card

import "testing"

func TestCheckDigits(t *testing.T) {
	for in, want := range map[string]byte{"400638133393": '1', "460123456789": '3', "200000012500": '8', "9638507": '4', "03600029145": '2'} {
		if got := EANCheck(in); got != want {
			t.Errorf("EAN %s: got %c, want %c", in, got, want)
		}
	}
	for s, want := range map[string]bool{"4006381333931": true, "4006381333932": false, "96385074": true, "036000291452": true, "123": false, "": false, "40063813339x1": false} {
		if EAN(s) != want {
			t.Errorf("EAN(%q) is %v", s, !want)
		}
	}
	for s, want := range map[string]bool{"4000001234567899": true, "4000001234567898": false, "": false, "0": false} {
		if Luhn(s) != want {
			t.Errorf("Luhn(%q) is %v", s, !want)
		}
	}
}

func TestBank(t *testing.T) {
	for s, want := range map[string]bool{
		"4000001234567899": true, "778000001234": false, "2000000125008": false, "9000001234567899": false,
		"40000012345678990000": false,
	} {
		if Bank(s) != want {
			t.Errorf("Bank(%q) is %v", s, !want)
		}
	}
}

func TestGlued(t *testing.T) {
	for s, want := range map[string]bool{
		"20000001250084006381333931": true, "9638507496385074": true, "2000000125008": false,
		"20000001250084006381333932": false, "200000012500896385074": true, "": false,
	} {
		if Glued(s) != want {
			t.Errorf("Glued(%q) is %v", s, !want)
		}
	}
}

func TestMasks(t *testing.T) {
	ms, err := ParseMasks([]string{`2\d{12}`, `;?778(\d{9})=.*`})
	if err != nil {
		t.Fatal(err)
	}
	for read, want := range map[string]string{
		"2000000125008": "2000000125008", ";778000001234=2912": "000001234",
		"20000001250082000000125008": "", "x2000000125008": "", "": "",
	} {
		if got, ok := ms.Find(read); got != want || ok != (want != "") {
			t.Errorf("%q: got %q %v, want %q", read, got, ok, want)
		}
	}
	if _, err := ParseMasks([]string{"(", "[", "ok"}); err == nil {
		t.Error("broken masks were taken")
	}
}
