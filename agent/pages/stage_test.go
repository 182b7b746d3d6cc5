package pages

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gorilla/websocket"

	"github.com/tillside/tillside/agent/loyalty"
	"github.com/tillside/tillside/agent/receipt"
)

// stage answers as an agent does, with invented members and a pocket-size
// programme, so that every state of the pages can be put before the eye
// without a rulebook, a centre or devices. The test against the real agent is
// in agent_test.go; this one is for what is hard to bring about there.
type stage struct {
	server *httptest.Server

	mu       sync.Mutex
	token    string
	mode     string
	language string
	devices  []device
	goods    []good
	members  map[string]map[string]any // by card number or phone
	receipts map[string]*loyalty.Receipt
	tokens   map[string]string // receipt -> member token
	wishes   map[string]string // receipt -> the cashier's choice of points
	keys     map[string]string // Idempotency-Key -> call, to see what was sent twice
	lang     string            // of what a programme says; "" is English
	slow     time.Duration     // before each answer
	lose     string            // path ending whose next answer is lost on the way
	conns    []*websocket.Conn
	calls    []string
}

type device struct {
	Name   string `json:"name"`
	Kind   string `json:"kind"`
	State  string `json:"state"`
	Detail string `json:"detail,omitempty"`
}

type good struct {
	SKU      string `json:"sku"`
	Name     string `json:"name"`
	Category string `json:"category,omitempty"`
	Price    string `json:"price"`
}

// stageWords are what the invented programme says in Russian and Polish.
var stageWords = map[string][2]string{
	"Coffee beans 1 kg": {"Кофе в зёрнах 1 кг", "Kawa ziarnista 1 kg"}, "Green tea": {"Зелёный чай", "Zielona herbata"}, "Milk 1 l": {"Молоко 1 л", "Mleko 1 l"},
	"Rye bread": {"Хлеб ржаной", "Chleb żytni"}, "Apples 1 kg": {"Яблоки 1 кг", "Jabłka 1 kg"}, "Dark chocolate": {"Горький шоколад", "Gorzka czekolada"},
	"White hanging heart T-light holder": {"Подсвечник «Сердце», белый, подвесной", "Biały wiszący świecznik w kształcie serca"},
	"Tea towel":                          {"Кухонное полотенце", "Ścierka kuchenna"}, "Enamel mug": {"Эмалированная кружка", "Kubek emaliowany"}, "Cigarettes": {"Сигареты", "Papierosy"},
	"Red wine": {"Красное вино", "Czerwone wino"}, "Gift card 25": {"Подарочная карта 25", "Karta podarunkowa 25"},
	"Anna": {"Анна", "Anna"}, "Gold": {"Золотой", "Złoty"}, "Silver": {"Серебряный", "Srebrny"}, "Platinum": {"Платиновый", "Platynowy"},
	"Her e-mail address is missing: 50 points for it.": {"Нет её электронной почты: за неё 50 баллов.", "Brakuje jej adresu e-mail: 50 punktów za podanie."},
	"Green tea earns you double points this week.":     {"На этой неделе за зелёный чай вдвое больше баллов.", "W tym tygodniu za zieloną herbatę podwójne punkty."},
	"Gold members": {"Золотой уровень", "Złoty poziom"}, "Coffee card": {"Кофейная карта", "Karta kawowa"}, "A point per euro": {"Балл за евро", "Punkt za euro"},
	"Gold members get 5 % off everything but tobacco and gift cards.": {"Золотым участникам скидка 5 % на всё, кроме табака и подарочных карт.", "Złoty poziom: 5 % rabatu na wszystko oprócz tytoniu i kart podarunkowych."},
	"One point for every whole euro.":                                 {"Один балл за каждый полный евро.", "Jeden punkt za każde pełne euro."},
	"Happy morning":                                                   {"Доброе утро", "Dobry poranek"}, "not at this time": {"не в это время", "nie o tej porze"},
	"From 50 euro: a mug": {"От 50 евро: кружка", "Od 50 euro: kubek"}, "3.40 more for a free mug": {"ещё 3,40 — и кружка в подарок", "jeszcze 3,40 i kubek gratis"},
}

// said is a text of the invented programme in its language.
func (s *stage) said(text string) string {
	if w, ok := stageWords[text]; ok && s.lang != "" && s.lang != "en" {
		return w[map[string]int{"ru": 0, "pl": 1}[s.lang]]
	}
	return text
}

// told is a member as the invented programme speaks of her.
func (s *stage) told(m map[string]any) map[string]any {
	out := map[string]any{}
	for k, v := range m {
		switch v := v.(type) {
		case string:
			out[k] = s.said(v)
		case []string:
			var list []string
			for _, t := range v {
				list = append(list, s.said(t))
			}
			out[k] = list
		default:
			out[k] = v
		}
	}
	return out
}

const stageToken = "stage-token"

func newStage(t *testing.T) *stage {
	t.Helper()
	asOf := time.Now().Add(-7 * time.Minute).UTC().Format(time.RFC3339)
	balance := func(active, expiring, later string) []any {
		return []any{map[string]any{"wallet": "points", "active": active, "pending": "0.00", "expiring": expiring,
			"expires_on": "2027-01-31", "to_be_credited": later, "as_of": asOf}}
	}
	s := &stage{
		token: stageToken, mode: "online",
		devices: []device{{"scanner", "reader", "ok", ""}, {"printer", "printer", "ok", ""}, {"display", "display", "ok", ""}},
		goods: []good{
			{"1001", "Coffee beans 1 kg", "food/coffee", "18.90"}, {"1002", "Green tea", "food/tea", "4.25"}, {"1003", "Milk 1 l", "food/dairy", "1.19"},
			{"1004", "Rye bread", "food/bakery", "2.40"}, {"1005", "Apples 1 kg", "food/fruit", "2.99"}, {"1006", "Dark chocolate", "food/sweets", "3.15"},
			{"2001", "White hanging heart T-light holder", "home", "2.55"}, {"2002", "Tea towel", "home", "5.00"}, {"2003", "Enamel mug", "home", "7.80"},
			{"9001", "Cigarettes", "tobacco", "8.20"}, {"9002", "Red wine", "alcohol", "11.50"}, {"9003", "Gift card 25", "gift_card", "25.00"},
		},
		receipts: map[string]*loyalty.Receipt{}, tokens: map[string]string{}, wishes: map[string]string{}, keys: map[string]string{},
	}
	s.members = map[string]map[string]any{
		"2000000125008": {"token": "m-anna", "first_name": "Anna", "tier": "gold", "tier_name": "Gold", "card_status": "active", "balances": balance("1240.50", "200.00", "0.00"),
			"prompts": []string{"Her e-mail address is missing: 50 points for it."}, "say": "Green tea earns you double points this week."},
		"2000000000022": {"token": "m-jan", "first_name": "Jan", "tier_name": "Silver", "card_status": "inactive", "balances": balance("22.00", "0.00", "5.00"), "birthday": true},
		"2000000000039": {"token": "m-olga", "first_name": "Ольга", "tier_name": "Silver", "card_status": "blocked", "balances": balance("311.00", "0.00", "0.00")},
		"2000000000046": {"token": "m-lost", "first_name": "Łucja", "tier_name": "Gold", "card_status": "lost", "balances": balance("5.00", "0.00", "0.00")},
		"2000000000053": {"token": "m-evil", "first_name": `<img src=x onerror="document.title='owned'">`, "tier_name": "<b>Gold</b>", "card_status": "active",
			"balances": balance("1.00", "0.00", "0.00"), "greeting": `Hello, <img src=x onerror="document.title='owned'">!`, "say": "<script>document.title='owned'</script>", "prompts": []string{"<a href=javascript:alert(1)>x</a>"}},
		"2000000000060": {"token": "m-long", "first_name": "Wolfeschlegelsteinhausenbergerdorff-Kwiatkowska", "tier_name": "Platinum Ambassador Circle", "card_status": "active",
			"balances": []any{balance("98765432.10", "1234567.00", "250.00")[0], map[string]any{"wallet": "miles", "name": "Partner miles", "active": "12.50", "as_of": asOf}},
			"prompts":  []string{"Her postal address came back: please ask for the new one and say what it is for.", "Offer the autumn catalogue.", "Ask whether the delivery of last week arrived in good order."},
			"say":      "As one of our most loyal customers you may choose a present today: a mug, a tea towel or a bag of coffee."},
	}
	s.members["+48601234567"] = s.members["2000000125008"]
	mux := http.NewServeMux()
	mux.Handle("/", Handler())
	mux.HandleFunc("/v1/", s.serve)
	s.server = httptest.NewServer(mux)
	t.Cleanup(func() {
		s.cut()
		s.server.Close()
	})
	return s
}

// url is the address of a page with the token, as `tillside page` prints it.
func (s *stage) url(page string) string { return s.server.URL + "/" + page + "#token=" + stageToken }

// cut drops all event streams.
func (s *stage) cut() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, c := range s.conns {
		c.Close()
	}
	s.conns = nil
}

// tell sends an event to every page.
func (s *stage) tell(event map[string]any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.tellLocked(event)
}

func (s *stage) tellLocked(event map[string]any) {
	event["at"] = time.Now().UTC().Format(time.RFC3339Nano)
	for _, c := range s.conns {
		c.WriteJSON(event) // a page that has gone is dropped by its reader
	}
}

func (s *stage) set(f func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	f()
}

// link tells the pages that the way to head office is as said.
func (s *stage) link(mode string) {
	s.set(func() { s.mode = mode })
	s.tell(map[string]any{"type": "link", "mode": mode, "since": time.Now().UTC().Format(time.RFC3339)})
}

// device changes the state of one device and tells the pages.
func (s *stage) device(name, state string) {
	s.set(func() {
		for i, d := range s.devices {
			if d.Name == name {
				s.devices[i].State = state
				s.tellLocked(map[string]any{"type": "device", "device": s.devices[i]})
			}
		}
	})
}

// scan is a card held before the scanner.
func (s *stage) scan(number string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.tellLocked(map[string]any{"type": "card", "device": "scanner"})
	s.tellLocked(s.identify(number))
}

func (s *stage) identify(number string) map[string]any {
	m := s.members[number]
	if m == nil {
		return map[string]any{"type": "member", "known": false, "mode": s.mode, "member": map[string]any{"token": "u-" + number, "card_status": "unknown"}}
	}
	return map[string]any{"type": "member", "known": true, "mode": s.mode, "member": s.told(m)}
}

// basket is the cash software pricing a basket of these articles, for the
// member with this token.
func (s *stage) basket(id, member string, skus ...string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	r := &loyalty.Receipt{ID: id}
	for _, sku := range skus {
		i := slices.IndexFunc(s.goods, func(g good) bool { return g.SKU == sku })
		p, _ := loyalty.ParsePrice(s.goods[i].Price)
		r.Lines = append(r.Lines, loyalty.Line{ID: fmt.Sprint(len(r.Lines) + 1), SKU: sku, Name: s.said(s.goods[i].Name), Category: s.goods[i].Category, Quantity: 1000, Price: p})
	}
	s.receipts[id], s.tokens[id] = r, member
	s.tellReceipt(id, "open")
}

// state moves a receipt on and tells the pages.
func (s *stage) state(id, state string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.tellReceipt(id, state)
}

func (s *stage) tellReceipt(id, state string) {
	s.tellLocked(map[string]any{"type": "receipt", "receipt": id, "state": state, "result": s.price(id), "to_be_credited": s.mode == "offline"})
}

// price is the pocket-size programme: 5 % for gold, half off the second mug,
// a point for every whole 1.00, points worth 0.01 up to half of what is to
// pay, never on tobacco and gift cards.
func (s *stage) price(id string) *loyalty.Result {
	r, token := s.receipts[id], s.tokens[id]
	var m map[string]any
	for _, x := range s.members {
		if x["token"] == token {
			m = x
		}
	}
	status, _ := m["card_status"].(string)
	res := &loyalty.Result{Receipt: id, Rulebook: "stage@1", Currency: "EUR", Lines: []loyalty.LineResult{}}
	var gold, base, payable loyalty.Money
	for _, l := range r.Lines {
		gross := loyalty.Money(int64(l.Price) / 10000 * int64(l.Quantity) / 1000)
		lr := loyalty.LineResult{ID: l.ID, SKU: l.SKU, Quantity: l.Quantity, Gross: gross, Net: gross}
		free := l.Category != "tobacco" && l.Category != "gift_card"
		if m != nil && m["tier_name"] == "Gold" && free {
			d := gross * 5 / 100
			lr.Discounts, lr.Net = []loyalty.LineDiscount{{Rule: "gold", Amount: d}}, gross-d
			gold += d
		}
		if free {
			base += lr.Net
			payable += lr.Net / 2
		}
		res.Totals.Gross += gross
		res.Totals.Discount += gross - lr.Net
		res.Totals.Net += lr.Net
		res.Lines = append(res.Lines, lr)
	}
	if gold > 0 {
		res.Rules = append(res.Rules, loyalty.RuleEffect{Rule: "gold", Name: s.said("Gold members"), Discount: gold, Explain: s.said("Gold members get 5 % off everything but tobacco and gift cards.")})
	}
	if m != nil && status == "active" {
		res.Spend = &loyalty.Spending{Wallet: "points"}
		if s.mode == "offline" {
			res.Spend.LimitedBy = "offline"
		} else {
			active, _ := loyalty.ParsePoints(m["balances"].([]any)[0].(map[string]any)["active"].(string))
			most := min(loyalty.Points(payable)*100, active)
			res.Spend.Max, res.Spend.MaxValue = most, loyalty.Money(most/100)
			use := loyalty.Points(0)
			wish := r.Spend
			if wish == "" {
				wish = s.wishes[id]
			}
			if wish == "max" {
				use = most
			} else if wish != "" {
				use, _ = loyalty.ParsePoints(wish)
				use = min(use, most)
			}
			res.Spend.Points, res.Spend.Value = use, loyalty.Money(use/100)
			res.Totals.Redeemed = res.Spend.Value
			res.Totals.Net -= res.Spend.Value
			base -= res.Spend.Value
		}
	}
	if token != "" {
		if p := loyalty.Points(base / 100 * 100); p > 0 {
			res.Rules = append(res.Rules, loyalty.RuleEffect{Rule: "base", Name: s.said("A point per euro"), Points: p, Wallet: "points", Explain: s.said("One point for every whole euro.")})
			res.Earned = []loyalty.Earning{{Rule: "base", Wallet: "points", Points: p}}
		}
	}
	if m != nil {
		res.Tier = &loyalty.TierMove{Before: "gold", After: "gold", Next: s.said("Platinum"), Missing: "120.00", Unit: "points"}
		res.Stamps = []loyalty.StampMove{{Card: s.said("Coffee card"), Added: 1, Held: 4, Goal: 6}}
	}
	return res
}

func (s *stage) serve(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	slow := s.slow
	s.mu.Unlock()
	time.Sleep(slow) // a slow answer is what is being tested
	if r.URL.Path == "/v1/events" {
		s.events(w, r)
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if r.Header.Get("Authorization") != "Bearer "+s.token {
		s.fail(w, 401, "unauthorised", "The key is not accepted.")
		return
	}
	call := r.Method + " " + strings.TrimPrefix(r.URL.Path, "/v1/")
	s.calls = append(s.calls, call)
	if r.Method == "POST" {
		key := r.Header.Get("Idempotency-Key")
		if key == "" || s.keys[key] != "" && s.keys[key] != call {
			s.fail(w, 400, "idempotency_key", fmt.Sprintf("key %q", key))
			return
		}
		s.keys[key] = call
	}
	answer, status := s.answer(r)
	if s.lose != "" && strings.HasSuffix(r.URL.Path, s.lose) {
		s.lose = ""
		// The work is done, the answer breaks off on its way. (A connection cut
		// before any byte of it is tried again by the browser itself.)
		if conn, _, err := http.NewResponseController(w).Hijack(); err == nil {
			fmt.Fprint(conn, "HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n{")
			conn.Close()
		}
		return
	}
	if status != 200 {
		s.fail(w, status, answer.(string), answer.(string))
		return
	}
	w.Header().Set("Content-Type", "application/json")
	json.NewEncoder(w).Encode(answer)
}

func (s *stage) fail(w http.ResponseWriter, status int, code, message string) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	json.NewEncoder(w).Encode(map[string]any{"error": map[string]string{"code": code, "message": message}})
}

func (s *stage) answer(r *http.Request) (any, int) {
	switch r.Method + " " + r.URL.Path {
	case "GET /v1/status":
		return map[string]any{"store": "7", "till": "2", "mode": s.mode, "language": s.language, "devices": s.devices, "practice": true}, 200
	case "GET /v1/practice/goods":
		if s.goods == nil {
			return "not_found", 404
		}
		goods := []good{}
		for _, g := range s.goods {
			g.Name = s.said(g.Name)
			goods = append(goods, g)
		}
		return map[string]any{"currency": "EUR", "goods": goods}, 200
	case "POST /v1/identify":
		var q struct{ Input, Phone string }
		json.NewDecoder(r.Body).Decode(&q)
		e := s.identify(q.Input + q.Phone)
		s.tellLocked(e)
		return e, 200
	}
	parts := strings.Split(r.URL.Path, "/")
	if r.Method == "GET" && len(parts) == 4 && parts[2] == "receipts" && s.receipts[parts[3]] != nil {
		return map[string]any{"state": "open", "result": s.price(parts[3]), "explanation": loyalty.Explanation{Not: []loyalty.Sentence{
			{Rule: "morning", Name: s.said("Happy morning"), Text: s.said("not at this time")}, {Rule: "mug", Name: s.said("From 50 euro: a mug"), Text: s.said("3.40 more for a free mug")}}}}, 200
	}
	if r.Method != "POST" || len(parts) != 5 || parts[2] != "receipts" {
		return "not_found", 404
	}
	id := parts[3]
	switch parts[4] {
	case "calculate", "authorise":
		var q struct {
			loyalty.Receipt
			Member string
			Expect *struct{ Net loyalty.Money }
		}
		if err := json.NewDecoder(r.Body).Decode(&q); err != nil {
			return err.Error(), 400
		}
		if s.receipts[id] != nil && s.wishes[id] == "" && q.Spend != "" {
			s.wishes[id] = q.Spend
		}
		s.receipts[id], s.tokens[id] = &q.Receipt, q.Member
		res := s.price(id)
		if q.Expect != nil && q.Expect.Net != res.Totals.Net {
			return "price_changed", 409
		}
		state := "open"
		if parts[4] == "authorise" {
			state = "held"
		}
		s.tellReceipt(id, state)
		return struct {
			*loyalty.Result
			State string `json:"state"`
			Later bool   `json:"to_be_credited"`
		}{res, state, s.mode == "offline"}, 200
	case "spend":
		var q struct{ Spend string }
		json.NewDecoder(r.Body).Decode(&q)
		if s.receipts[id] == nil {
			return "no such receipt", 404
		}
		s.wishes[id] = q.Spend
		s.receipts[id].Spend = q.Spend
		s.tellLocked(map[string]any{"type": "spend", "receipt": id, "spend": q.Spend})
		s.tellReceipt(id, "open")
		return s.price(id), 200
	case "capture":
		s.tellReceipt(id, "captured")
		res := s.price(id)
		return map[string]any{"state": "captured", "result": res, "to_be_credited": s.mode == "offline", "slip": "printed",
			"print": s.slip(res)}, 200
	case "void":
		s.tellReceipt(id, "voided")
		return map[string]any{"state": "voided"}, 200
	}
	return "not_found", 404
}

// slip is what the invented programme prints, laid out as the agent does.
func (s *stage) slip(res *loyalty.Result) []string {
	lang := s.lang
	if lang == "" {
		lang = "en"
	}
	words := map[string][5]string{"en": {"thank you!", "To pay", "Balance", "as of 14:02", "120 more to Platinum"},
		"ru": {"спасибо!", "К оплате", "Баланс", "на 14:02", "Ещё 120 до уровня «Платиновый»"}, "pl": {"dziękujemy!", "Do zapłaty", "Saldo", "stan na 14:02", "Jeszcze 120 do poziomu Platynowy"}}[lang]
	return receipt.Text(receipt.Layout([]loyalty.PrintLine{{Kind: "rule"}, {Text: s.said("Anna") + ", " + words[0], Align: "center"},
		{Kind: "pair", Text: words[1], Right: receipt.Amount(lang, res.Totals.Net)}, {Kind: "pair", Text: words[2], Right: receipt.Number(lang, "1240.50")},
		{Text: words[3], Align: "right"}, {Text: words[4]}, {Kind: "rule"}}, 32))
}

func (s *stage) events(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !slices.Contains(websocket.Subprotocols(r), "bearer."+s.token) {
		s.fail(w, 401, "unauthorised", "The key is not accepted.")
		return
	}
	up := websocket.Upgrader{Subprotocols: []string{"tillside.v1"}}
	c, err := up.Upgrade(w, r, nil)
	if err != nil {
		return
	}
	s.conns = append(s.conns, c)
	c.WriteJSON(map[string]any{"type": "link", "mode": s.mode})
	for _, d := range s.devices {
		c.WriteJSON(map[string]any{"type": "device", "device": d})
	}
	go func() { // ends when the page goes or the stage cuts it
		for {
			if _, _, err := c.ReadMessage(); err != nil {
				c.Close()
				return
			}
		}
	}()
}
