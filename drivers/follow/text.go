package follow

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"unicode"
)

// TextPatterns say how the lines of a plain receipt look: regular expressions
// (RE2) matched against a line without the blanks at its ends, letters of
// either case. Groups with a name give the parts: name, sku, qty, price,
// amount, kind, number. An empty list takes the defaults, which know receipts in
// English, Russian, Polish, German, Ukrainian and Czech; "none" switches a list off.
type TextPatterns struct {
	// Item is a line of goods, the first that fits. Without a name the text of
	// the line above is taken.
	Item []string
	// Discount takes an amount off the goods above it, or off the receipt when
	// it stands under a subtotal.
	Discount []string
	// Total is what the receipt comes to. Payment and Change stand below it.
	Total    []string
	Subtotal []string
	Payment  []string
	Change   []string
	// Number is the receipt's number, Cashier who sold.
	Number  []string
	Cashier []string
	// Cancel, Copy and Refund say that this is no sale.
	Cancel []string
	Copy   []string
	Refund []string
	// Tax is a tax on top of the goods, or inside: the total tells which.
	Tax []string
	// Skip is never read.
	Skip []string
}

// The pieces the defaults are made of. {m} is an amount of money with two
// decimals, {q} a quantity, {c} what may stand around an amount: a currency, a
// tax letter.
var pieces = strings.NewReplacer(
	"{m}", `-?[=≡*]?\s*-?(?:\d{1,3}(?:[ '\x{a0}.,]\d{3})+|\d+)[.,]\d{2}-?`,
	"{q}", `\d+(?:[.,]\d{1,3})?`,
	"{u}", `(?:\s*(?:szt|pcs|pc|st|шт|кг|kg|л|l|g|г|opak|op|ea|ks)\.?)?`,
	"{x}", `\s*[x×*@хХ]\s*`,
	"{c}", `(?:\s*(?:[$€£₽₴]|zł|pln|eur|usd|gbp|rub|руб\.?|р\.|грн\.?|kč|czk))?`,
	"{t}", `(?:\s*[*_]?[A-HА-ЕT]?\d?)?`,
)

var defaultPatterns = TextPatterns{
	Item: []string{
		// Milk 1L   2 x 3.50   7.00 A
		`^(?P<name>.*?\S)\s+(?P<qty>{q}){u}{x}(?P<price>{m}){c}\s*=?\s*(?P<amount>{m}){c}{t}$`,
		// 2 x 3.50   7.00, the name above
		`^(?P<qty>{q}){u}{x}(?P<price>{m}){c}\s*=?\s*(?P<amount>{m}){c}{t}$`,
		// 3.50 x 2   7.00
		`^(?P<price>{m}){c}{x}(?P<qty>{q}){u}\s*=?\s*(?P<amount>{m}){c}{t}$`,
		// Milk 1L     3.50 A
		`^(?P<name>.*?\S)(?:\s{2,}|\s*[.·]{3,}\s*|\s*\t\s*|\s+=\s*)[$€£]?(?P<amount>{m}){c}{t}$`,
	},
	Discount: []string{`^(?:.*\b)?(?:discount|rabat|rabatt|upust|opust|скидка|знижка|sleva|promo\w*|coupon|kupon|купон|save|savings)(?:[^0-9%]*\d+(?:[.,]\d+)?\s*%)?.*?\s[$€£]?(?P<amount>{m}){c}{t}$`},
	Total: []string{`^(?:grand\s+)?(?:total|amount\s+due|balance\s+due|to\s+pay|suma(?:\s+pln)?|razem|do\s+zap[łl]aty|ит[оo]г[оo]?|всего|к\s+оплате|сума|всього|до\s+сплати|summe|gesamt(?:betrag)?|celkem)\b*[\s:.=]*` +
		`(?:(?:к\s+оплате|due|amount|pln|eur|usd|gbp|zł|руб\.?|грн\.?|czk|kč|[$€£₽])[\s:.=]*){0,2}(?P<amount>{m}){c}$`},
	Subtotal: []string{`^(?:sub[\s-]*total|podsuma|suma\s+cz[ęe][śs]ciowa|подытог|подитог|промежуточный\s+итог|проміжна\s+сума|zwischensumme|mezisou[čc]et)\b.*$`},
	Payment: []string{
		`^(?P<kind>cash|got[óo]wka|наличны(?:е|ми)|налич\.?|готівка|bar|hotov[ěe]?[ \w]*)[\s:.=]*(?:pln|eur|usd|gbp|zł)?[\s:.=$€£]*(?P<amount>{m}){c}$`,
		`^(?P<kind>(?:credit|debit|bank)?\s*card|visa|mastercard|karta(?:\s+p[łl]atnicza)?|карт(?:а|ой)|безналичны(?:е|ми)|електронними|картка|ec[\s-]*karte|kreditkarte|kart[ao]u?)\b.*?[\s:.=$€£](?P<amount>{m}){c}$`,
		`^(?P<kind>voucher|gift\s*card|bon|talon|сертификат|gutschein)\b.*?[\s:.=$€£](?P<amount>{m}){c}$`,
	},
	Change:  []string{`^(?:change(?:\s+due)?|reszta|сдача|решта|r[üu]ckgeld|wechselgeld|vr[áa]ceno)\b*.*?(?P<amount>{m}){c}$`},
	Number:  []string{`^.*?\b(?:receipt|bill|ticket|invoice|paragon|rachunek|чек|beleg|bon|[úu][čc]tenka)\s*(?:no\.?|nr\.?|number|#|№|[čc]\.?)*\s*[:#№]?\s*(?P<number>[A-Z0-9][A-Z0-9/-]*\d[A-Z0-9/-]*).*$`},
	Cashier: []string{`^(?:cashier|clerk|served\s+by|kasjer|кассир|касир|kassierer|pokladn[íi])[\s:]+(?P<name>\S+(?:\s\S+)*)(?:\s{2,}.*)?$`},
	Cancel:  []string{`^\W*(?:receipt\s+)?(?:cancel+ed|void(?:ed)?|transaction\s+void|paragon\s+anulowany|anulowan[yoa]|чек\s+аннулирован|аннулирован[оа]?|storniert|stornov[áa]no)\W*$`},
	Copy:    []string{`^\W*(?:copy|duplicate|reprint|kopia|duplikat|копия|дубликат|копія|kopie)\b.*$`},
	Refund:  []string{`^\W*(?:refund|return|zwrot|возврат(?:\s+\S+)?|повернення|r[üu]ckgabe|vr[áa]cen[íi])\W*$`},
	Tax:     []string{`^(?:(?:incl\.?|sales|plus|w\s+tym|в\s+т\.?\s*ч\.?)\s+)*(?:tax|vat|gst|hst|ptu|podatek|ндс|пдв|mwst|dph)\b.*?\s[$€£]?(?P<amount>{m}){c}{t}$`},
	Skip:    []string{`^[\s\-=_*.#~+|]*$`},
}

// reader reads the lines of a receipt.
type reader struct {
	item, discount, total, subtotal, payment, change, number, cashier, cancel, copies, refund, tax, skip []*regexp.Regexp

	usual bool // the defaults
}

// usual is the reader of the defaults; making it takes milliseconds.
var usual = sync.OnceValues(func() (*reader, error) { return makeReader(TextPatterns{}) })

func newReader(p TextPatterns) (*reader, error) {
	if p.none() {
		return usual()
	}
	return makeReader(p)
}

// none tells whether every list is left to the defaults.
func (p TextPatterns) none() bool {
	return len(p.Item) == 0 && len(p.Discount) == 0 && len(p.Total) == 0 && len(p.Subtotal) == 0 && len(p.Payment) == 0 && len(p.Change) == 0 && len(p.Number) == 0 &&
		len(p.Cashier) == 0 && len(p.Cancel) == 0 && len(p.Copy) == 0 && len(p.Refund) == 0 && len(p.Tax) == 0 && len(p.Skip) == 0
}

func makeReader(p TextPatterns) (*reader, error) {
	rd := &reader{usual: p.none()}
	for _, l := range []struct {
		name     string
		to       *[]*regexp.Regexp
		set, def []string
		must     string
	}{
		{"item", &rd.item, p.Item, defaultPatterns.Item, "amount"}, {"discount", &rd.discount, p.Discount, defaultPatterns.Discount, "amount"},
		{"total", &rd.total, p.Total, defaultPatterns.Total, "amount"}, {"subtotal", &rd.subtotal, p.Subtotal, defaultPatterns.Subtotal, ""},
		{"payment", &rd.payment, p.Payment, defaultPatterns.Payment, "amount"}, {"change", &rd.change, p.Change, defaultPatterns.Change, "amount"},
		{"number", &rd.number, p.Number, defaultPatterns.Number, "number"}, {"cashier", &rd.cashier, p.Cashier, defaultPatterns.Cashier, "name"},
		{"cancel", &rd.cancel, p.Cancel, defaultPatterns.Cancel, ""}, {"copy", &rd.copies, p.Copy, defaultPatterns.Copy, ""},
		{"refund", &rd.refund, p.Refund, defaultPatterns.Refund, ""}, {"tax", &rd.tax, p.Tax, defaultPatterns.Tax, "amount"}, {"skip", &rd.skip, p.Skip, defaultPatterns.Skip, ""},
	} {
		list := l.set
		if len(list) == 0 {
			list = l.def
		}
		if len(list) == 1 && list[0] == "none" {
			continue
		}
		for i, s := range list {
			re, err := regexp.Compile(`(?i)` + fixEdges(pieces.Replace(s)))
			if err != nil {
				return nil, fmt.Errorf("%s[%d]: %w", l.name, i, err)
			}
			if l.must != "" && re.SubexpIndex(l.must) < 0 {
				return nil, fmt.Errorf("%s[%d]: found %q, want a group (?P<%s>…) in it", l.name, i, s, l.must)
			}
			*l.to = append(*l.to, re)
		}
	}
	return rd, nil
}

// fixEdges replaces \b, which knows no letters but ASCII's, where the defaults
// mean the end of a word in any alphabet.
func fixEdges(s string) string {
	s = strings.ReplaceAll(s, `\b*`, ``)
	return strings.ReplaceAll(s, `\b`, `(?:^|$|[^\pL\pN]|\b)`)
}

func match(list []*regexp.Regexp, s string) (groups map[string]string, ok bool) {
	for _, re := range list {
		m := re.FindStringSubmatch(s)
		if m == nil {
			continue
		}
		groups = map[string]string{}
		for i, n := range re.SubexpNames() {
			if n != "" && m[i] != "" {
				groups[n] = strings.TrimSpace(m[i])
			}
		}
		return groups, true
	}
	return nil, false
}

// amountOf reads money with two decimals, whatever stands for the point.
func amountOf(s string) (int64, bool) {
	neg := strings.Contains(s, "-")
	var digits strings.Builder
	for _, r := range s {
		if unicode.IsDigit(r) && r < 0x80 {
			digits.WriteRune(r)
		}
	}
	d := digits.String()
	if len(d) < 3 || len(d) > 13 {
		return 0, false
	}
	n, err := strconv.ParseInt(d, 10, 64)
	if neg {
		n = -n
	}
	return n, err == nil
}

// tenderOf brings what a receipt calls a payment to our names.
func tenderOf(s string) string {
	s = strings.ToLower(s)
	for _, t := range []struct{ kind, starts string }{{"cash", "cash got налич готів bar hotov"}, {"voucher", "voucher bon talon сертиф gutschein gift"}} {
		for _, p := range strings.Fields(t.starts) {
			if strings.HasPrefix(s, p) {
				return t.kind
			}
		}
	}
	return "card"
}
