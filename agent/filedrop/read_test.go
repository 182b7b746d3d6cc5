package filedrop

import (
	"encoding/json"
	"errors"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/tillside/tillside/drivers/codepage"
)

func settings() *Settings {
	s := Settings{Location: time.UTC}.Defaults()
	return &s
}

// calls reads one file and gives its calls as one JSON text.
func calls(t testing.TB, name, body string, s *Settings) string {
	t.Helper()
	f, err := Read(name, []byte(body), s)
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	var out []string
	for _, d := range f.Requests {
		list, err := d.Calls(s, stem(name))
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		for _, c := range list {
			out = append(out, c.Name+" "+c.ID+" "+c.Key+" "+string(c.Body))
		}
	}
	return strings.Join(out, "\n")
}

const wantSale = `capture R-1 files:sale:R-1 {"cashier":"7","fiscal_number":"F1","receipt":{"cashier":"7","coupons":["A1","B2"],"currency":"GBP","customer":{"entry":"scan","input":"2000000125008"},` +
	`"lines":[{"attributes":{"colour":"red"},"name":"Tea \u0026 milk","price":"12.5","quantity":"2","sku":"7"},{"discount":"1","price":"1.2","quantity":"0.25","sku":"8"}],` +
	`"tenders":[{"amount":"20","kind":"cash"},{"amount":"4.3","kind":"card"}],"time":"2026-03-08T14:05:00Z"},"shift":"3"}`

// TestFormatsSayTheSame writes one receipt in each format; the calls are equal
// to the byte, so that a receipt sent twice in different formats is one.
func TestFormatsSayTheSame(t *testing.T) {
	mapped := settings()
	mapped.XML = XML{Receipt: "Checks/Check", Line: "Goods/Item", Tender: "Pay", Fields: map[string]string{
		"request": "@type", "id": "@no", "card": "Client/Card|Client/@card", "entry": "Client/@how", "currency": "Cur", "cashier": "Oper", "shift": "@shift",
		"fiscal_number": "Fd", "time": "@at", "coupons": "Coupons", "line.sku": "@code", "line.name": ".", "line.quantity": "@qty", "line.price": "@price", "line.discount": "@disc",
		"line.attributes.colour": "@colour", "tender.kind": "Kind", "tender.amount": "Sum"}}
	mapped.Words = map[string]string{"Продажа": "sale", "НАЛ": "cash", "Карта": "card"}
	table := settings()
	table.CSV.Fields = map[string]string{"request": "Тип", "id": "Чек", "card": "Карта", "entry": "Ввод", "currency": "Валюта", "cashier": "Кассир", "shift": "Смена", "fiscal_number": "ФД",
		"date": "Дата", "clock": "Время", "coupons": "Купоны", "line.sku": "Код", "line.name": "Товар", "line.quantity": "Кол", "line.price": "Цена", "line.discount": "Скидка", "line.attributes.colour": "Цвет",
		"tender.kind": "Оплата", "tender.amount": "Сумма"}
	table.Words = mapped.Words
	for _, c := range []struct {
		name, body string
		s          *Settings
	}{
		{"a.json", `{"request":"sale","id":"R-1","card":"2000000125008","entry":"scan","currency":"GBP","cashier":"7","shift":3,"fiscal_number":"F1","time":"2026-03-08T14:05:00Z",
			"coupons":["A1","B2"],"lines":[{"sku":"7","name":"Tea & milk","quantity":2,"price":12.50,"attributes":{"colour":"red"}},{"sku":"8","quantity":"0,250","price":"1.20","discount":1}],
			"tenders":[{"kind":"Cash","amount":"20"},{"kind":"card","amount":4.30}]}`, settings()},
		{"a.csv", "request;id;card;entry;currency;cashier;shift;fiscal_number;time;coupons;sku;name;quantity;price;discount;attributes.colour;tender;tender_amount\r\n" +
			"sale;R-1;2000000125008;scan;GBP;7;3;F1;08.03.2026 14:05;A1 B2;7;Tea & milk;2;12,50;;red;cash;20,00\r\n" +
			";R-1;;;;;;;;;8;;0,250;1,20;1,00;;card;4,30\r\n", settings()},
		{"b.txt", "request,id,card,entry,currency,cashier,shift,fiscal_number,time,coupons,sku,name,quantity,price,discount,attributes.colour\n" +
			"sale,R-1,2000000125008,scan,GBP,7,3,F1,2026-03-08 14:05,A1|B2,7,Tea & milk,2,12.50,,red\nsale,R-1,,,,,,,,,8,,0.25,1.2,1,\n", settings()},
		{"c.csv", "Лишнее;Тип;Чек;Карта;Ввод;Валюта;Кассир;Смена;ФД;Дата;Время;Купоны;Код;Товар;Кол;Цена;Скидка;Цвет;Оплата;Сумма\r\n" +
			"x;ПРОДАЖА;R-1;2000000125008;scan;GBP;7;3;F1;08.03.2026;14:05:00;A1,B2;7;Tea & milk;2;12,50;;red;нал;20\r\nx;;R-1;;;;;;;;;;8;;0,250;1,2;1;;карта;4,3\r\n", table},
		{"a.xml", `<?xml version="1.0"?><receipt request="sale" id="R-1" shift="3"><card>2000000125008</card><entry>scan</entry><currency>GBP</currency><cashier>7</cashier><fiscal_number>F1</fiscal_number>
			<time>2026-03-08T14:05:00Z</time><coupon>A1</coupon><coupon>B2</coupon>
			<line sku="7" quantity="2" price="12.50"><name>Tea &amp; milk</name><attributes colour="red"/></line><line><sku>8</sku><quantity>0,250</quantity><price>1.20</price><discount>1.00</discount></line>
			<tender kind="cash" amount="20"/><tender kind="card"><amount>4.30</amount></tender></receipt>`, settings()},
		{"b.xml", `<c:Checks xmlns:c="urn:x"><Check type="Продажа" no="R-1" shift="3" at="08.03.2026 14:05:00" other="ignored"><Client card="2000000125008" how="scan"/><Cur>GBP</Cur><Oper>7</Oper><Fd>F1</Fd>
			<Coupons>A1 B2</Coupons><Goods><Item code="7" qty="2" price="12,50" colour="red">Tea &amp; milk</Item><Item code="8" qty="0,250" price="1,20" disc="1"/></Goods>
			<Pay><Kind>НАЛ</Kind><Sum>20,00</Sum></Pay><Pay><Kind>карта</Kind><Sum>4,30</Sum></Pay></Check></c:Checks>`, mapped},
	} {
		want := wantSale
		if c.name == "b.txt" {
			a, b := strings.Index(want, `"tenders"`), strings.Index(want, `"time"`)
			want = want[:a] + want[b:]
		}
		if got := calls(t, c.name, c.body, c.s); got != want {
			t.Errorf("%s:\n%s\nwant\n%s", c.name, got, want)
		}
	}
}

func TestOtherRequests(t *testing.T) {
	for body, want := range map[string]string{
		`{"card":"2000000125008"}`:                                                                             `identify   {"input":"2000000125008"}`,
		`{"request":"identify","phone":"+48501002003"}`:                                                        `identify   {"phone":"+48501002003"}`,
		`{"request":"calculate","lines":[{"sku":"1","quantity":1,"price":1}]}`:                                 `calculate q  {"lines":[{"price":"1","quantity":"1","sku":"1"}]}`,
		`{"request":"return","id":"V1","original":"R-1","lines":[{"sku":"7","quantity":"-1,5"},{"id":"2"}]}`:   `return_capture  files:return:V1 {"lines":[{"quantity":"1.5","sku":"7"},{"id":"2","quantity":"0"}],"original":"R-1"}`,
		`{"request":"void","id":"R 1","reason":"x"}`:                                                           `void R 1 files:void:R%201 {"reason":"x"}`,
		`{"id":"R1","spend":"max","net":"1,00","columns":32,"lines":[{"sku":"1","quantity":"1","price":"2"}]}`: `authorise R1 files:hold:R1 {"expect":{"net":"1"},"lines":[{"price":"2","quantity":"1","sku":"1"}],"spend":"max"}` + "\n" + `capture R1 files:sale:R1 {"columns":32,"expect":{"net":"1"}}`,
		`[{"card":"1"},{"phone":"2"}]`:                                                                         "identify   {\"input\":\"1\"}\nidentify   {\"phone\":\"2\"}",
	} {
		if got := calls(t, "q.json", body, settings()); got != want {
			t.Errorf("%s:\n%s\nwant\n%s", body, got, want)
		}
	}
}

// TestProblemsSayWhatWouldDo: each refusal names the place and is torn only
// where more of the file may come.
func TestProblemsSayWhatWouldDo(t *testing.T) {
	for _, c := range []struct {
		name, body, want string
		torn             bool
	}{
		{"a.json", ``, "empty", true},
		{"a.json", `{"id":"R1","lines":[{"sku":"1"`, "ends in the middle", true},
		{"a.json", `{"id":"R1",}`, "line 1", false},
		{"a.json", `{"id":"R1","id":"R2"}`, "twice", false},
		{"a.json", `{"id":"R1"} {"id":"R2"}`, "more than one", false},
		{"a.json", `{"id":"R1","lnes":[]}`, `"lnes" is no field`, false},
		{"a.json", `{"id":"R1","lines":[{"price":"1,234","quantity":1,"sku":"1"}]}`, "thousands or thousandths", false},
		{"a.json", `{"id":"R1","lines":[{"price":1e3,"quantity":1,"sku":"1"}]}`, "no number", false},
		{"a.json", `{"id":"R1","lines":[{"price":"1.234,50","quantity":1,"sku":"1"}]}`, "more than one comma", false},
		{"a.json", `{"id":"R1","time":"03/04/2026 10:00","lines":[{"price":1,"quantity":1,"sku":"1"}]}`, "no moment", false},
		{"a.json", `{"lines":[{"price":1,"quantity":1,"sku":"1"}]}`, "needs a number of its own", false},
		{"a.json", `{"id":"R1","request":"sel","lines":[]}`, `"sel" is no request`, false},
		{"a.json", `{"id":"R1"}`, "neither a request", false},
		{"a.json", `{"id":"R1","card":"1","phone":"2","lines":[{"price":1,"quantity":1,"sku":"1"}]}`, "both", false},
		{"a.json", strings.Repeat(`[`, 60), "nested too deep", false},
		{"a.csv", "id;sku;quantity;price\nR1;1;2", "3 values for 4 columns", true},
		{"a.csv", "id;sku;quantity;price\nR1;1;2;3;4\n", "5 values", false},
		{"a.csv", "id;sku;cuantity\nR1;1;2\n", `"cuantity" is no field`, false},
		{"a.csv", "id;sku;sku\nR1;1;2\n", "twice", false},
		{"a.csv", "id;sku;quantity;price\n", "no row", true},
		{"a.csv", "id;name\nR1;\"half", "line 2", true},
		{"a.csv", "id;cashier;sku;quantity;price\nR1;7;1;1;1\nR1;8;1;1;1\n", `cashier is "8" here and "7" before`, false},
		{"a.csv", "id;sku;quantity;price\nR1;1;1;1\nR2;1;1;1\nR1;1;1;1\n", "stand apart", false},
		{"a.xml", `<receipt id="1"><line sku="1"`, "ends in the middle", true},
		{"a.xml", `<receipt id="1"></recipt>`, "line 1", false},
		{"a.xml", `<receipt id="1"><lin/></receipt>`, `"lin" is no field`, false},
		{"a.xml", `<!DOCTYPE x [<!ENTITY a "b">]><receipt id="1">&a;</receipt>`, "entities", false},
		{"a.xml", `<receipt id="1"/><receipt id="2"/>`, "more than one document", false},
	} {
		f, err := Read(c.name, []byte(c.body), settings())
		if err == nil {
			for _, d := range f.Requests {
				if _, err = d.Calls(settings(), "a"); err != nil {
					break
				}
			}
		}
		var p *Problem
		if !errors.As(err, &p) || !strings.Contains(p.Error(), c.want) || p.Torn != c.torn || p.Hint == "" {
			t.Errorf("%s %q: %v (torn %v), want %q", c.name, c.body, err, p != nil && p.Torn, c.want)
		}
	}
}

// TestEveryCutOfAFileIsTorn: whatever part of a document has arrived, it is
// never taken for the whole.
func TestEveryCutOfAFileIsTorn(t *testing.T) {
	for name, body := range map[string]string{
		"a.json": `{"request":"sale","id":"R-1","lines":[{"sku":"7","name":"Żółć","quantity":"2","price":"12.50"}],"tenders":[{"kind":"cash","amount":"25"}]}`,
		"a.xml":  `<?xml version="1.0"?><receipt id="R-1"><card>2000000125008</card><line sku="7" quantity="2" price="12.50"><name>Żółć</name></line></receipt>`,
	} {
		for i := 1; i < len(body); i++ {
			_, err := Read(name, []byte(body[:i]), settings())
			var p *Problem
			if !errors.As(err, &p) || !p.Torn {
				t.Errorf("%s cut at %d (%q): %v", name, i, body[max(0, i-12):i], err)
			}
		}
	}
}

var sentences = map[string][]string{
	"russian": {"Молоко «Простоквашино» 3,2%", "Хлеб Бородинский", "Сыр Российский, 45%", "Иванова Анна", "Ёлка", "Чай", "ПОДЪЕЗД № 5", "Съешь же ещё этих мягких французских булок"},
	"polish":  {"Chleb żytni", "Mleko łaciate", "Śmietana", "Żółć", "Zażółć gęślą jaźń", "MASŁO EKSTRA", "Bułka zwykła, 2 szt.", "Gość", "Źródło"},
}

// TestEncodingsAreFoundOut: the same words in every encoding come out the same,
// declared or not; where nobody can know, the file is refused and says between
// what.
func TestEncodingsAreFoundOut(t *testing.T) {
	pages := map[string][]string{"russian": {"windows-1251", "cp866", "koi8-r"}, "polish": {"windows-1250", "iso-8859-2", "mazovia", "cp852"}}
	for language, names := range pages {
		for _, text := range sentences[language] {
			for _, n := range names {
				p := codepage.Must(strings.Replace(n, "iso-8859", "iso8859", 1))
				if len(p.Lacks(text)) > 0 {
					continue
				}
				b := p.Encode(text)
				got, err := Decode(b, n)
				if err != nil || got.Text != text {
					t.Errorf("%s, declared %s: %q %v", text, n, got.Text, err)
				}
				got, err = Decode(b, "auto")
				if err != nil {
					t.Logf("%s in %s: refused: %v", text, n, err)
				} else if got.Text != text {
					t.Errorf("%s in %s: read as %q in %s", text, n, got.Text, got.Encoding)
				}
			}
			for _, u := range []struct {
				name string
				bom  bool
			}{{"utf-8", false}, {"utf-8", true}, {"utf-16le", true}, {"utf-16be", true}} {
				got, err := Decode(encode(text, u.name, u.bom), "auto")
				if err != nil || got.Text != text || got.Encoding != u.name || got.BOM != u.bom {
					t.Errorf("%s in %s, mark %v: %+v %v", text, u.name, u.bom, got, err)
				}
			}
		}
	}
	// A whole receipt is always found out.
	for language, names := range pages {
		for _, n := range names {
			p := codepage.Must(strings.Replace(n, "iso-8859", "iso8859", 1))
			var b []byte
			for _, s := range sentences[language] {
				b = append(append(b, p.Encode(s)...), "\r\n"...)
			}
			got, err := Decode(b, "auto")
			if err != nil || got.Encoding != n {
				t.Errorf("a file of %s in %s: found %q, %v", language, n, got.Encoding, err)
			}
		}
	}
	ascii, err := Decode([]byte("id;sku\r\nR1;7\r\n"), "auto")
	if err != nil || ascii.Encoding != "ascii" {
		t.Errorf("ascii: %+v %v", ascii, err)
	}
	if _, err := Decode([]byte("\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR"), "auto"); err == nil {
		t.Error("a picture was read as text")
	}
	if got, err := Decode(append([]byte(`<?xml version="1.0" encoding="windows-1251"?><a>`), 0xc8, 0xe2, 0xe0, 0xed), "auto"); err != nil || !strings.HasSuffix(got.Text, "Иван") {
		t.Errorf("declared by the document: %+v %v", got, err)
	}
	if _, err := Decode([]byte{0xff, 0xfe, 0x41}, "auto"); err == nil {
		t.Error("half a character of UTF-16")
	}
}

// TestAnswersSpeakTheRequestsLanguage renders one answer in every format and
// encoding and reads it again.
func TestAnswersSpeakTheRequestsLanguage(t *testing.T) {
	answer := json.RawMessage(`{"state":"captured","totals":{"net":"12.50"},"lines":[{"id":"1","net":"12.50"}],"print":["Zażółć; \"gęślą\"","Баланс"],"trace":["much"],"ok":true}`)
	results := []Result{{ID: "R<1>", Request: "sale", Status: 200, Answer: answer}, {ID: "R2", Request: "sale", Status: 409, Error: json.RawMessage(`{"code":"idempotency_conflict","message":"Zły"}`)}}
	for _, enc := range []string{"utf-8", "utf-16le", "windows-1250", "mazovia", "iso-8859-2", "cp866"} {
		for _, form := range []Format{JSON, Table, Tree} {
			f := &File{Text: Text{Encoding: enc}, Format: form, Separator: ';'}
			b := Render(f, settings(), results)
			got, err := Decode(b, enc)
			if err != nil {
				t.Fatalf("%s %s: %v", enc, form, err)
			}
			for _, want := range []string{"12.50", "idempotency_conflict"} {
				if !strings.Contains(got.Text, want) {
					t.Errorf("%s %s lacks %s:\n%s", enc, form, want, got.Text)
				}
			}
			if strings.Contains(got.Text, "much") && form != JSON {
				t.Errorf("%s holds the trace", form)
			}
			if enc != "cp866" && !strings.Contains(got.Text, "Zażółć") || enc == "cp866" && !strings.Contains(got.Text, "Zazolc") {
				t.Errorf("%s %s: letters:\n%s", enc, form, got.Text)
			}
			switch form {
			case JSON:
				var back []Result
				if err := json.Unmarshal([]byte(got.Text), &back); err != nil || len(back) != 2 {
					t.Errorf("%s: %v", enc, err)
				}
			case Tree:
				root, err := xmlTree(got.Text)
				if err != nil || len(root.kids) != 2 || root.kids[0].attrs["id"] != "R<1>" || root.kids[0].get("totals/net") != "12.50" {
					t.Errorf("%s: %v\n%s", enc, err, got.Text)
				}
			case Table:
				if !strings.Contains(got.Text, "R<1>;sale;totals.net;12.50\r\n") || !strings.Contains(got.Text, `R<1>;sale;print.1;"Za`) {
					t.Errorf("%s:\n%s", enc, got.Text)
				}
			}
		}
	}
}

func TestDecimals(t *testing.T) {
	for _, c := range []struct{ style, in, want string }{
		{"auto", "1 234,50", "1234.5"}, {"auto", "12.50", "12.5"}, {"auto", "-0,99", "-0.99"}, {"auto", ".5", "0.5"}, {"auto", "1000.000", "1000"}, {"auto", "1\u00a0000", "1000"},
		{"comma", "1.234,50", "1234.5"}, {"comma", "1,234", "1.234"}, {"point", "1,234.50", "1234.5"}, {"point", "1,234", "1234"}, {"auto", "+5", "5"}, {"auto", "−5", "-5"},
		{"auto", "1,234", ""}, {"auto", "1,2.3", ""}, {"comma", "12.34,5", ""}, {"point", "12,34", ""}, {"auto", "", ""}, {"auto", "-", ""}, {"auto", "1e5", ""}, {"auto", "0x10", ""}, {"auto", "--1", ""},
		{"auto", "12,", "12"},
	} {
		s := settings()
		s.Decimal = c.style
		got, err := s.decimal(c.in, true)
		if got != c.want || (err == nil) != (c.want != "") {
			t.Errorf("%s %q: %q %v, want %q", c.style, c.in, got, err, c.want)
		}
	}
}

func TestSettingsAreChecked(t *testing.T) {
	s := settings()
	s.XML.Fields = map[string]string{"idd": "@no", "line.attributes.colour": "@c"}
	s.CSV.Columns = []string{"id", "", "sku", "kwantity"}
	err := s.Check()
	if err == nil || !strings.Contains(err.Error(), `"idd"`) || !strings.Contains(err.Error(), `"kwantity"`) || strings.Contains(err.Error(), "colour\"") {
		t.Errorf("%v", err)
	}
	s = settings()
	s.CSV.Columns = []string{"id", "", "sku", "quantity", "price"}
	if err := s.Check(); err != nil {
		t.Error(err)
	}
	if got := calls(t, "a.csv", "R1;left out;7;1;2\n", s); !strings.Contains(got, `{"price":"2","quantity":"1","sku":"7"}`) {
		t.Error(got)
	}
}

// FuzzRead: whatever lies in the folder, reading ends in requests or in a
// Problem with a hint, the calls are JSON, and reading twice gives the same.
func FuzzRead(f *testing.F) {
	f.Add("a.json", []byte(`{"request":"sale","id":"R-1","lines":[{"sku":"7","quantity":2,"price":"12,50"}],"tenders":[{"kind":"cash","amount":25}]}`))
	f.Add("a.csv", []byte("id;sku;quantity;price\r\nR1;7;1;2,50\r\n"))
	f.Add("a.xml", []byte(`<receipt id="1"><line sku="1" quantity="1" price="1"/></receipt>`))
	f.Add("a.txt", []byte("\xff\xfe{\x00}\x00"))
	f.Add("a.csv", codepage.Must("cp866").Encode("id;name\nR1;Молоко"))
	mapped := settings()
	mapped.XML = XML{Receipt: "a/b", Line: "c", Fields: map[string]string{"id": "@id", "line.sku": ".|@a/b"}}
	f.Fuzz(func(t *testing.T, name string, b []byte) {
		for _, s := range []*Settings{settings(), mapped} {
			first, err := Read(name, b, s)
			second, err2 := Read(name, b, s)
			if (err == nil) != (err2 == nil) || !reflect.DeepEqual(first.Requests, second.Requests) {
				t.Fatalf("twice: %v, %v", err, err2)
			}
			var p *Problem
			if err != nil {
				if !errors.As(err, &p) || p.Text == "" {
					t.Fatalf("%T %v", err, err)
				}
				continue
			}
			var results []Result
			for _, d := range first.Requests {
				list, err := d.Calls(s, "x")
				if err != nil {
					if !errors.As(err, &p) || p.Hint == "" {
						t.Fatalf("%T %v", err, err)
					}
					continue
				}
				for _, c := range list {
					if !json.Valid(c.Body) || len(c.Key) > 200 {
						t.Fatalf("%+v", c)
					}
					results = append(results, Result{ID: c.ID, Status: 200, Answer: c.Body})
				}
			}
			first.Format = Tree
			if _, err := Decode(Render(first, s, results), first.Encoding); err != nil && first.Encoding != "ascii" {
				t.Fatalf("answer: %v", err)
			}
		}
	})
}

// FuzzEncoding: bytes become text or a Problem, never text with zeros.
func FuzzEncoding(f *testing.F) {
	for _, s := range append(sentences["russian"], sentences["polish"]...) {
		f.Add([]byte(s), uint8(0))
		f.Add(codepage.Must("cp1251").Encode(s), uint8(1))
	}
	names := append([]string{"auto", ""}, Encodings...)
	f.Fuzz(func(t *testing.T, b []byte, which uint8) {
		n := names[int(which)%len(names)]
		got, err := Decode(b, n)
		var p *Problem
		if err != nil && !errors.As(err, &p) {
			t.Fatalf("%T %v", err, err)
		}
		if err == nil && (strings.ContainsRune(got.Text, 0) || got.Encoding == "") {
			t.Fatalf("%q %+v", b, got)
		}
	})
}
