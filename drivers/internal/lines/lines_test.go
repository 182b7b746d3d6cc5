package lines

import (
	"errors"
	"slices"
	"testing"

	"github.com/tillside/tillside/drivers"
)

func plain(s string) string { return s }

func TestBreak(t *testing.T) {
	for _, c := range []struct {
		text string
		a    drivers.Align
		want []string
	}{
		{"abc", drivers.Left, []string{"abc"}}, {"abc", drivers.Right, []string{"  abc"}}, {"ab", drivers.Centre, []string{" ab"}},
		{"abcdefg", drivers.Right, []string{"abcde", "   fg"}}, {"a\n\nб", drivers.Left, []string{"a", "", "б"}}, {"abcde", drivers.Left, []string{"abcde"}},
	} {
		if got := Break(c.text, 5, c.a, plain); !slices.Equal(got, c.want) {
			t.Errorf("%q %s: %q, want %q", c.text, c.a, got, c.want)
		}
	}
}

func TestSpread(t *testing.T) {
	for _, c := range []struct{ label, value, want string }{
		{"ab", "12", "ab    12"}, {"", "12", "12"}, {"ab", "", "ab"}, {"abcdef", "12", "abcdef 12"}, {"abcde", "12", "abcde 12"},
	} {
		if got := Spread(c.label, c.value, 8, plain); got != c.want {
			t.Errorf("%q %q: %q, want %q", c.label, c.value, got, c.want)
		}
	}
}

func TestBarcode(t *testing.T) {
	for _, c := range []struct {
		kind     drivers.Symbology
		in, want string
	}{
		{drivers.EAN13, "4006381333931", "4006381333931"}, {drivers.EAN13, "400638133393", "4006381333931"}, {drivers.EAN13, "4006381333932", ""},
		{drivers.EAN8, "73513537", "73513537"}, {drivers.EAN8, "7351353", "73513537"}, {drivers.UPCA, "036000291452", "036000291452"},
		{drivers.EAN13, "40063813339", ""}, {drivers.EAN13, "40063813339a", ""}, {drivers.Code128, "A-1 z", "A-1 z"}, {drivers.Code128, "a\nb", ""}, {drivers.Code39, "", ""},
	} {
		got, err := Barcode(drivers.Barcode{Symbology: c.kind, Data: c.in})
		if got != c.want || (err == nil) != (c.want != "") || err != nil && !errors.Is(err, drivers.BadData) {
			t.Errorf("%s %q: %q, %v; want %q", c.kind, c.in, got, err, c.want)
		}
	}
}
