package loyalty

// The sentences the engine makes itself, in the languages of its tills. The
// words of a programme come from its rulebook.
var languages = map[string]*phrases{
	"en": {
		lang: "en", day: "2\u00a0Jan\u00a02006", point: ".", group: ",",
		index: 0, given: "given", off: [2]string{"", " off"},
		points:   must("en", "{points} {points, plural, one {point} other {points}}: {how} of {base}"),
		bare:     must("en", "{points} {points, plural, one {point} other {points}}"),
		excluded: must("en", "; {goods} {sum} earns nothing"),
		sumUp:    must("en", "{net} to pay of {gross}"), paidWith: must("en", "{redeemed} paid with points"), external: "the till's own discount",
		reasons: map[string]string{
			"schedule": "not at this time", "clock": "the till's clock cannot be trusted", "where": "not in this store", "no_member": "only with a card",
			"audience": "not for this customer", "tier": "not for this tier", "segment": "not for this group of customers",
			"card": "not with this card", "attribute": "the profile does not fit", "consent": "a consent is missing",
			"arm": "another arm of the test", "birthday": "not around the birthday", "joined": "not at this length of membership",
			"anniversary": "not around the anniversary", "language": "not in this language",
			"basket": "the basket is not there yet", "lines": "the goods are missing", "sets": "the set is not complete",
			"tender": "not with this means of payment", "coupon": "no coupon shown", "coupon_used": "the coupon is used up",
			"coupon_early": "the coupon is not valid yet", "coupon_late": "the coupon is no longer valid",
			"coupon_offline": "the coupon needs a connection", "event": "the event did not happen", "not_confirmed": "not confirmed",
			"counter": "the count is not reached", "visit": "not on this visit", "bought": "not bought before",
			"balance": "the balance does not fit", "stamps": "the stamps do not suffice", "fired": "another offer came first",
			"not_fired": "the other offer did not come", "limit": "the limit is reached", "budget": "the budget is used up",
			"none": "something rules it out", "not_with": "does not go with another offer", "exclusive": "an exclusive offer came first",
			"stopped": "an earlier offer ends the list", "not_best": "another offer gives more", "nothing": "nothing to give",
			"no_line": "no such goods in the basket", "card_blocked": "the card is blocked", "card_inactive": "the card is not active yet", "other_wallet": "points of another kind were used on this receipt", "offline": "not without a connection", "spending": "points were spent",
			"snapshot_old": "the balance here is too old; connect first", "lease": "that is all that was set aside for this store",
			"offline_points": "the most for one receipt without a connection", "offline_percent": "the most of a sum without a connection",
			"proof_needed": "ask for the phone number of the account, or another card of it", "offline_count": "used several times without a connection; connect first",
			"card_repeat": "the card was used here a moment ago", "day_count": "used often enough today without a connection",
			"card_typed": "a typed number cannot pay without a connection; read the card", "offline_too_long": "this till has had no connection for too long",
			"clock_untrusted": "the clock of this till is not to be trusted", "forked": "this till must be enrolled again",
			"disk_low": "the disk of this till is full", "reserved": "the points are set aside at other stores",
			"keeper_silent": "the till that keeps this store's points does not answer",
			"max_discount":  "the most discount is reached", "given": "given", "off": "switched off", "excluded": "excluded by law",
		},
		how: howTexts("en", "{percent} %", "{amount} off", "{points} per {step}", "{points} per {unit}", "× {times}"),
		receipt: receiptBlock("en", blockWords{saved: "You saved", used: "Points used", earned: "Points earned", balance: "Balance", asOf: "as of {as_of}",
			pending:  "Not yet active",
			expiring: "{expiring} {expiring, plural, one {point ends} other {points end}} on {expires_on}",
			next:     "{missing} more to {next_tier}", stamps: "{card}: {held} of {goal}", gift: "A gift: {gift}", until: "valid to {valid_to}"}),
	},
	"ru": {
		lang: "ru", day: "02.01.2006", point: ",", group: "\u00a0",
		index: 1, given: "дано", off: [2]string{"скидка ", ""},
		points:   must("ru", "{points} {points, plural, one {балл} few {балла} many {баллов} other {балла}}: {how} от {base}"),
		bare:     must("ru", "{points} {points, plural, one {балл} few {балла} many {баллов} other {балла}}"),
		excluded: must("ru", "; {goods} на {sum} — без баллов"),
		sumUp:    must("ru", "к оплате {net} из {gross}"), paidWith: must("ru", "{redeemed} оплачено баллами"), external: "скидка кассы",
		reasons: map[string]string{
			"schedule": "не в это время", "clock": "часам кассы нельзя верить", "where": "не в этом магазине", "no_member": "только с картой",
			"audience": "не для этого покупателя", "tier": "не для этого уровня", "segment": "не для этой группы покупателей",
			"card": "не с этой картой", "attribute": "анкета не подходит", "consent": "нет согласия",
			"arm": "другая ветвь теста", "birthday": "не около дня рождения", "joined": "не при этом сроке участия",
			"anniversary": "не около годовщины", "language": "не на этом языке",
			"basket": "сумма чека ещё не набрана", "lines": "нет нужных товаров", "sets": "набор не полный",
			"tender": "не с этим способом оплаты", "coupon": "купон не предъявлен", "coupon_used": "купон уже использован",
			"coupon_early": "купон ещё не действует", "coupon_late": "срок купона истёк",
			"coupon_offline": "для купона нужна связь", "event": "события не было", "not_confirmed": "не подтверждено",
			"counter": "счётчик не набран", "visit": "не в эту покупку", "bought": "раньше не покупали",
			"balance": "баланс не подходит", "stamps": "наклеек не хватает", "fired": "раньше сработала другая акция",
			"not_fired": "другая акция не сработала", "limit": "лимит исчерпан", "budget": "бюджет исчерпан",
			"none": "есть исключающее условие", "not_with": "не сочетается с другой акцией", "exclusive": "раньше сработала исключительная акция",
			"stopped": "предыдущая акция завершает список", "not_best": "другая акция выгоднее", "nothing": "давать нечего",
			"no_line": "таких товаров в чеке нет", "card_blocked": "карта заблокирована", "card_inactive": "карта ещё не активна", "other_wallet": "в этом чеке списаны баллы другого вида", "offline": "нужна связь", "spending": "списаны баллы",
			"snapshot_old": "баланс здесь устарел; нужна связь", "lease": "это всё, что отложено для этого магазина",
			"offline_points": "больше за один чек без связи нельзя", "offline_percent": "большую часть суммы без связи оплатить нельзя",
			"proof_needed": "попросите телефон участника или другую его карту", "offline_count": "уже списывали несколько раз без связи; нужна связь",
			"card_repeat": "картой здесь только что пользовались", "day_count": "на сегодня списаний без связи достаточно",
			"card_typed": "по набранному номеру без связи не списать; считайте карту", "offline_too_long": "касса слишком долго без связи",
			"clock_untrusted": "часам этой кассы нельзя верить", "forked": "кассу нужно подключить заново",
			"disk_low": "диск кассы заполнен", "reserved": "баллы отложены в других магазинах",
			"keeper_silent": "касса, хранящая баллы магазина, не отвечает",
			"max_discount":  "достигнута наибольшая скидка", "given": "дано", "off": "выключено", "excluded": "исключено законом",
		},
		how: howTexts("ru", "{percent} %", "скидка {amount}", "{points} за {step}", "{points} за {unit}", "× {times}"),
		receipt: receiptBlock("ru", blockWords{saved: "Вы сэкономили", used: "Списано баллов", earned: "Начислено баллов", balance: "Баланс", asOf: "на {as_of}",
			pending:  "Ещё не активны",
			expiring: "{expires_on} {expiring, plural, one {сгорит # балл} few {сгорят # балла} many {сгорят # баллов} other {сгорят # балла}}",
			next:     "Ещё {missing} до уровня «{next_tier}»", stamps: "{card}: {held} из {goal}", gift: "Подарок: {gift}", until: "действует до {valid_to}"}),
	},
	"pl": {
		lang: "pl", day: "02.01.2006", point: ",", group: "\u00a0",
		index: 2, given: "przyznano", off: [2]string{"rabat ", ""},
		points:   must("pl", "{points} {points, plural, one {punkt} few {punkty} many {punktów} other {punktu}}: {how} od {base}"),
		bare:     must("pl", "{points} {points, plural, one {punkt} few {punkty} many {punktów} other {punktu}}"),
		excluded: must("pl", "; {goods} za {sum} bez punktów"),
		sumUp:    must("pl", "do zapłaty {net} z {gross}"), paidWith: must("pl", "{redeemed} zapłacono punktami"), external: "rabat kasy",
		reasons: map[string]string{
			"schedule": "nie o tej porze", "clock": "zegar kasy jest niewiarygodny", "where": "nie w tym sklepie", "no_member": "tylko z kartą",
			"audience": "nie dla tego klienta", "tier": "nie dla tego poziomu", "segment": "nie dla tej grupy klientów",
			"card": "nie z tą kartą", "attribute": "profil nie pasuje", "consent": "brak zgody",
			"arm": "inna grupa testu", "birthday": "nie w okolicy urodzin", "joined": "nie przy tym stażu",
			"anniversary": "nie w okolicy rocznicy", "language": "nie w tym języku",
			"basket": "koszyk jeszcze za mały", "lines": "brak odpowiednich towarów", "sets": "zestaw niepełny",
			"tender": "nie przy tej formie płatności", "coupon": "nie okazano kuponu", "coupon_used": "kupon został wykorzystany",
			"coupon_early": "kupon jeszcze nieważny", "coupon_late": "kupon stracił ważność",
			"coupon_offline": "kupon wymaga połączenia", "event": "zdarzenie nie zaszło", "not_confirmed": "niepotwierdzone",
			"counter": "licznik nieosiągnięty", "visit": "nie przy tej wizycie", "bought": "wcześniej nie kupowano",
			"balance": "saldo nie pasuje", "stamps": "za mało naklejek", "fired": "wcześniej zadziałała inna promocja",
			"not_fired": "inna promocja nie zadziałała", "limit": "limit wyczerpany", "budget": "budżet wyczerpany",
			"none": "warunek wyklucza", "not_with": "nie łączy się z inną promocją", "exclusive": "wcześniej zadziałała promocja wyłączna",
			"stopped": "wcześniejsza promocja kończy listę", "not_best": "inna promocja daje więcej", "nothing": "nie ma czego dać",
			"no_line": "brak takich towarów w koszyku", "card_blocked": "karta zablokowana", "card_inactive": "karta jeszcze nieaktywna", "other_wallet": "na tym paragonie użyto punktów innego rodzaju", "offline": "wymaga połączenia", "spending": "wydano punkty",
			"snapshot_old": "saldo jest tu zbyt stare; potrzebne połączenie", "lease": "tyle odłożono dla tego sklepu",
			"offline_points": "najwięcej na jeden paragon bez połączenia", "offline_percent": "największa część sumy bez połączenia",
			"proof_needed": "poproś o telefon z konta albo inną jego kartę", "offline_count": "użyto już kilka razy bez połączenia; potrzebne połączenie",
			"card_repeat": "karty użyto tu przed chwilą", "day_count": "na dziś dość użyć bez połączenia",
			"card_typed": "wpisanym numerem nie zapłacisz bez połączenia; zeskanuj kartę", "offline_too_long": "kasa zbyt długo nie ma połączenia",
			"clock_untrusted": "zegar tej kasy jest niewiarygodny", "forked": "kasę trzeba podłączyć ponownie",
			"disk_low": "dysk kasy jest pełny", "reserved": "punkty odłożono w innych sklepach",
			"keeper_silent": "kasa przechowująca punkty sklepu nie odpowiada",
			"max_discount":  "osiągnięto największy rabat", "given": "przyznano", "off": "wyłączone", "excluded": "wykluczone przez prawo",
		},
		how: howTexts("pl", "{percent} %", "rabat {amount}", "{points} za {step}", "{points} za {unit}", "× {times}"),
		receipt: receiptBlock("pl", blockWords{saved: "Oszczędzasz", used: "Wydane punkty", earned: "Zdobyte punkty", balance: "Saldo", asOf: "stan na {as_of}",
			pending:  "Jeszcze nieaktywne",
			expiring: "{expires_on} {expiring, plural, one {wygasa # punkt} few {wygasają # punkty} many {wygasa # punktów} other {wygasa # punktu}}",
			next:     "Jeszcze {missing} do poziomu {next_tier}", stamps: "{card}: {held} z {goal}", gift: "Prezent: {gift}", until: "ważny do {valid_to}"}),
	},
}

func must(lang, s string) *template {
	t, err := parseTemplate(lang, s)
	if err != nil {
		panic(err)
	}
	return t
}

func howTexts(lang, percent, amount, step, unit, times string) map[string]*template {
	return map[string]*template{"percent": must(lang, percent), "amount": must(lang, amount),
		"step": must(lang, step), "unit": must(lang, unit), "times": must(lang, times)}
}

// blockWords are the words of the block below.
type blockWords struct{ saved, used, earned, balance, asOf, pending, expiring, next, stamps, gift, until string }

// receiptBlock is what a receipt says when the rulebook says nothing of its
// own: what was saved, used and earned and why, the balance and when it was
// that, what ends soon, the next goal, stamps, gifts, coupons, and the texts
// of the rules.
func receiptBlock(lang string, w blockWords) []ReceiptText {
	pair := func(left, right, name string) ReceiptText {
		return ReceiptText{Kind: "pair", Text: Text{lang: left}, Right: Text{lang: right}, If: []string{name}}
	}
	text := func(s string, names ...string) ReceiptText { return ReceiptText{Text: Text{lang: s}, If: names} }
	each := func(what, s string, names ...string) ReceiptText {
		l := text(s, names...)
		l.Each = what
		return l
	}
	balance := pair(w.balance, "{balance_after}", "member")
	balance.Bold = true
	asOf := text(w.asOf, "as_of")
	asOf.Align = "right" // under the balance
	coupon := each("coupon", "{name}")
	coupon.Bold, coupon.Align = true, "center"
	code := each("coupon", "{code}")
	code.Kind = "barcode"
	until := each("coupon", w.until, "valid_to")
	until.Align = "center"
	return []ReceiptText{pair(w.saved, "{discount}", "discount"),
		pair(w.used, "{spent}", "spent"), pair(w.earned, "{earned}", "earned"), each("rule", "{explain}", "points"),
		balance, asOf, pair(w.pending, "{pending}", "pending"), text(w.expiring, "expiring"),
		text(w.next, "missing", "next_tier"), each("stamp", w.stamps), each("gift", w.gift), each("privilege", "{name}"),
		coupon, code, until, each("message", "{message}")}
}

// walletLines is where the lines of receiptBlock that need a wallet stand.
var walletLines = [2]int{1, 8}

// Reason is what a machine word of a trace or of limited_by means, in a
// language of the engine; the word itself when it is not known.
func Reason(language, code string) string {
	l, ok := languages[language]
	if !ok {
		l = languages["en"]
	}
	if s, ok := l.reasons[code]; ok {
		return s
	}
	return code
}
