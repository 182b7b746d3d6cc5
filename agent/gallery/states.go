package gallery

import (
	"fmt"
	"time"

	"github.com/tillside/tillside/agent/loyalty"
	"github.com/tillside/tillside/agent/receipt"
	"github.com/tillside/tillside/configs/rulebooks"
)

// shopDay is the day of all slips, shortly before six in the evening.
var shopDay = time.Date(2026, 11, 27, 17, 40, 0, 0, time.FixedZone("shop", 3600))

// said picks a text of a language.
func said(lang, en, ru, pl string) string {
	return map[string]string{"en": en, "ru": ru, "pl": pl}[lang]
}

// price prices a basket with a sample rulebook.
func price(book, lang string, r *loyalty.Receipt, m *loyalty.Member, offline bool) (*loyalty.Result, error) {
	data, err := rulebooks.Get(book)
	if err != nil {
		return nil, err
	}
	doc, err := loyalty.Decode(data)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", book, err)
	}
	rb, err := loyalty.Compile(doc)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", book, err)
	}
	budgets := map[string]*loyalty.Quota{}
	for _, b := range doc.Budgets {
		budgets[b.ID] = &loyalty.Quota{Money: 1_000_000, Points: 100_000_000, Count: 1000}
	}
	r.Time = shopDay
	res, err := rb.Price(loyalty.Input{Receipt: r, Member: m, Language: lang, Now: shopDay, Offline: offline, Budgets: budgets})
	if err != nil {
		return nil, fmt.Errorf("%s: %w", book, err)
	}
	res.Receipt = r.ID
	return res, nil
}

func line(sku, name, category string, quantity loyalty.Quantity, price string) loyalty.Line {
	p, err := loyalty.ParsePrice(price)
	if err != nil {
		panic(err) // a slip of the pen in this file
	}
	return loyalty.Line{SKU: sku, Name: name, Category: category, Quantity: quantity, Price: p}
}

// groceries is a basket of a corner shop.
func groceries(lang string) *loyalty.Receipt {
	return &loyalty.Receipt{ID: "R-1042", Lines: []loyalty.Line{
		line("1", said(lang, "Coffee, ground, medium roast, 250 g", "Кофе молотый средней обжарки, 250 г", "Kawa mielona średnio palona, 250 g"), "food/coffee", 2000, "8.50"),
		line("2", said(lang, "Milk 3.2 %, 1 l", "Молоко 3,2 %, 1 л", "Mleko 3,2 %, 1 l"), "food/dairy", 3000, "1.19"),
		line("3", said(lang, "Apples", "Яблоки", "Jabłka"), "food/fruit", 1250, "2.10"),
		line("4", said(lang, "Dinner service for twelve", "Сервиз столовый на 12 персон", "Serwis obiadowy na 12 osób"), "home", 1000, "89.90"),
	}, Tenders: []loyalty.Tender{{Kind: "card", Amount: 100_00}}}
}

func anna(lang string) *loyalty.Member {
	return &loyalty.Member{ID: 1, FirstName: said(lang, "Anna", "Анна", "Łucja"), Language: lang, Tier: "basic", AsOf: shopDay.Add(-8*time.Hour - 28*time.Minute),
		Wallets:  map[string]loyalty.Balance{"points": {Active: 14050, Pending: 1200, Expiring: 3500, Expires: "2027-01-31"}},
		Counters: map[string]map[string]int64{"year": {"2026-10-02": 275_000}}}
}

// States are all slips in one language.
func States(lang string) ([]Slip, error) {
	var out []Slip
	add := func(name, title string, lines []loyalty.PrintLine) {
		out = append(out, Slip{Name: name, Title: title, Lines: lines})
	}
	head := []loyalty.PrintLine{
		{Text: said(lang, "Corner Club, Mill Lane 7", "Магазин «У дома», ул. Садовая, 7", "Sklep Za Rogiem, ul. Młyńska 7"), Align: "center"}, {Kind: "rule"}}

	// Of a sale.
	r := groceries(lang)
	r.Spend = "20"
	sale, err := price("grocer", lang, r, anna(lang), false)
	if err != nil {
		return nil, err
	}
	block := append(head[:2:2], sale.Print...)
	add("sale", "a sale with points used and earned", block)
	r.Tenders = []loyalty.Tender{{Kind: "card", Amount: sale.Totals.Net}}
	add("sale-whole", "the same with goods and sums", append(head[:1:1], receipt.Paragraphs(lang, r, sale)...))
	out = append(out, Slip{Name: "copy", Title: "printed again", CopyMark: receipt.CopyMark(lang), Lines: block})

	stranger, err := price("grocer", lang, groceries(lang), nil, false)
	if err != nil {
		return nil, err
	}
	add("stranger", "without a card", append(head[:2:2], stranger.Print...))

	off, err := price("grocer", lang, groceries(lang), anna(lang), true)
	if err != nil {
		return nil, err
	}
	var sum loyalty.Points
	for _, e := range off.Earned {
		sum += e.Points
	}
	add("offline", "without a link: to be credited", append(append(head[:2:2], off.Print...), receipt.Credited(lang, sum), receipt.Offline(lang)))
	add("offline-spent", "without a link: points of this till's right", append(append(head[:2:2], off.Print...), receipt.Credited(lang, sum),
		receipt.SpentOffline(lang, 30000, 100000), receipt.Reserved(lang, 60000, []string{"A", said(lang, "B", "Б", "B")}), receipt.Offline(lang)))
	add("card-only", "a card this till does not know", append(append(head[:2:2], loyalty.PrintLine{Text: receipt.Card(lang)}), receipt.Credited(lang, sum)))

	silver := anna(lang)
	silver.Counters["year"]["2026-10-02"] = 460_000
	up, err := price("grocer", lang, groceries(lang), silver, false)
	if err != nil {
		return nil, err
	}
	add("tier-up", "a new level is reached", append(head[:2:2], up.Print...))

	big := groceries(lang)
	big.Lines[3] = line("4", big.Lines[3].Name, "home", 1000, "129.90")
	coupon, err := price("drugstore", lang, big, anna(lang), false)
	if err != nil {
		return nil, err
	}
	add("coupon-given", "a sale that gives a coupon", coupon.Print)

	cups := anna(lang)
	cups.Stamps = map[string]int64{"cups": 6}
	stamps, err := price("coffee", lang, &loyalty.Receipt{ID: "R-7", Lines: []loyalty.Line{line("LATTE", "Latte", "coffee/milk", 2000, "3.50")}}, cups, false)
	if err != nil {
		return nil, err
	}
	add("stamps", "stamps of a sale", stamps.Print)

	miles := anna(lang)
	miles.Wallets = map[string]loyalty.Balance{"miles": {Active: 1250000}, "status": {Active: 180000}}
	flight, err := price("airline", lang, &loyalty.Receipt{ID: "R-8", Lines: []loyalty.Line{line("F", "WAW-LHR", "flight", 1000, "199.00")}}, miles, false)
	if err != nil {
		return nil, err
	}
	add("wallets", "several wallets", flight.Print)

	// Of goods that come back.
	back := receipt.Back{Names: map[string]string{}, Result: &loyalty.ReturnResult{Receipt: "R-1042", Currency: sale.Currency,
		Lines:  []loyalty.ReturnedLine{{ID: "2", SKU: "2", Quantity: 2000, Net: 226}, {ID: "3", SKU: "3", Quantity: 750, Net: 158}},
		Totals: loyalty.Totals{Net: 384}, PointsTaken: []loyalty.Earning{{Wallet: "points", Points: 50}}}}
	for i, l := range r.Lines {
		back.Names[fmt.Sprint(i+1)] = l.Name
	}
	add("return", "some goods come back", append(head[:2:2], receipt.Return(lang, back)...))
	whole := back
	result := *back.Result
	result.Whole, result.Totals.Net = true, sale.Totals.Net
	result.PointsBack = []loyalty.WalletPoints{{Wallet: "points", Points: 2000}}
	result.PointsTaken = []loyalty.Earning{{Wallet: "points", Points: 500}}
	result.Coupons = []loyalty.CouponUse{{Code: "MINT15", State: "freed"}, {Code: "M7YPTGJGBN6", State: "revoked"}}
	result.Gifts = []loyalty.Gift{{SKU: "MUG", Name: said(lang, "Enamel mug", "Кружка эмалированная", "Kubek emaliowany"), Quantity: 1000}}
	whole.Result, whole.Offline, whole.Shortfall = &result, true, []loyalty.WalletPoints{{Wallet: "points", Points: 300}}
	add("return-whole", "all comes back, offline, points were used", append(head[:2:2], receipt.Return(lang, whole)...))
	tea := &loyalty.Receipt{ID: "R-1043", Lines: []loyalty.Line{line("5", said(lang, "Green tea, 100 g", "Чай зелёный, 100 г", "Herbata zielona, 100 g"), "food/tea", 1000, "4.25")}}
	other, err := price("grocer", lang, tea, anna(lang), false)
	if err != nil {
		return nil, err
	}
	add("exchange", "an exchange, something to pay", append(head[:2:2], receipt.Exchange(lang, back, tea, other, 41)...))
	add("exchange-refund", "an exchange, something to give back", append(head[:2:2], receipt.Exchange(lang, whole, tea, other, -9187)...))

	// Of their own.
	club := said(lang, "Corner Club", "Клуб «У дома»", "Klub Za Rogiem")
	add("coupon", "a coupon", receipt.CouponSlip(lang, receipt.Coupon{Programme: club, Code: "2000000125008", From: "2026-11-28", To: "2026-12-11",
		Name: said(lang, "10.00 off your next visit from 40.00", "10,00 на следующую покупку от 40,00", "10,00 na następne zakupy od 40,00"),
		Why:  said(lang, "For a purchase over 100.00", "За покупку больше 100,00", "Za zakupy powyżej 100,00")}))
	add("coupon-long", "a coupon whose code is too long for bars", receipt.CouponSlip(lang, receipt.Coupon{Programme: club, Code: "FRIEND-OF-WOLFESCHLEGEL-2026-0000123456", To: "2026-12-11",
		Name: said(lang, "For a friend", "Для друга", "Dla znajomego")}))
	card := said(lang, "Coffee card", "Кофейная карта", "Karta kawowa")
	var cards []loyalty.PrintLine
	for _, held := range []int64{0, 4, 7, 8, 9} {
		cards = append(append(cards, receipt.StampCard(lang, card, held, 9)...), loyalty.PrintLine{Kind: "blank"})
	}
	add("stamp-card", "a stamp card on its way", cards)
	join := receipt.Joining{Programme: club, FirstName: said(lang, "Anna", "Анна", "Łucja"), Card: "2000000125008", Present: 5000, Terms: "2026-09",
		Consents: []string{said(lang, "e-mail", "письма", "e-mail"), said(lang, "text messages", "СМС", "SMS"), said(lang, "personal offers", "личные предложения", "oferty osobiste")}}
	add("join", "a new member", receipt.Join(lang, join))
	join.Offline, join.Consents, join.Present = true, join.Consents[:1], 100
	add("join-offline", "a new member, without a link", receipt.Join(lang, join))
	add("welcome", "a member's first visit", receipt.FirstVisit(lang, receipt.Greeted{Programme: club, FirstName: join.FirstName, Tier: said(lang, "Basic", "Базовый", "Podstawowy"),
		Earned: 500, Balance: 5500, Next: said(lang, "120.00 more to Silver", "Ещё 120,00 до уровня «Серебряный»", "Jeszcze 120,00 do poziomu Srebrny")}))

	// What nobody hopes for.
	add("hard", "long words, pictures, other scripts", []loyalty.PrintLine{
		{Kind: "big", Text: "Wolfeschlegelsteinhausen"},
		{Text: said(lang, "Dear Wolfeschlegelsteinhausenbergerdorff-Kwiatkowska, ", "Уважаемая Вольфешлегельштайнхаузенбергердорф-Квятковская, ", "Szanowna Pani Wolfeschlegelsteinhausenbergerdorff-Kwiatkowska, ") + "🎂🎉 ❤️ 👨‍👩‍👧 👍🏽!"},
		{Kind: "pair", Text: said(lang, "Points for the anniversary campaign “Two years together”", "Баллы по юбилейной акции «Два года вместе»", "Punkty z akcji jubileuszowej „Dwa lata razem”"), Right: receipt.Number(lang, "1234567.50")},
		{Kind: "pair", Text: "東京 ＡＢＣ１２３", Right: "12,50 €"},
		{Text: "Ελένη, თამარ, Գոհար, İpek, Đorđe, Žofie, Оксана Їжак, Қарлығаш"},
		{Text: "e\u0301te\u0301 · а\u0301ист · ½ × 3 → 1,5 — № 5 ™ ₽ ₴ zł"},
		{Text: "https://account.example.org/terms-and-conditions/2026-09/personal-offers"}})
	return out, nil
}
