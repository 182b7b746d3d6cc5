package till

import (
	"fmt"
	"net/http"
	"strings"
)

// Error is a refusal as the caller gets it: a stable code, a message and a
// hint in the till's language, and the field that is meant.
type Error struct {
	Status  int    `json:"-"`
	Code    string `json:"code"`
	Message string `json:"message"`
	Hint    string `json:"hint,omitempty"`
	Field   string `json:"field,omitempty"`

	args []any
}

func (e *Error) Error() string { return e.Code + ": " + fmt.Sprintf(codes[e.Code].en.text, e.args...) }

// refuse makes an Error of the catalogue; the language is filled in when it
// is written.
func refuse(code string, args ...any) *Error {
	c, ok := codes[code]
	if !ok {
		panic("till: error code " + code + " is not in the catalogue")
	}
	return &Error{Status: c.status, Code: code, args: args}
}

// BadReceipt is the refusal of a receipt that cannot be priced, for Rules.
func BadReceipt(field, text string) *Error { return refuse("bad_receipt", text).at(field) }

// at names the field that is meant.
func (e *Error) at(field string) *Error { e.Field = field; return e }

// in returns the error with its words in a language.
func (e *Error) in(lang string) *Error {
	c := codes[e.Code]
	w := c.en
	switch lang {
	case "ru":
		w = c.ru
	case "pl":
		w = c.pl
	}
	out := *e
	out.Message = w.text
	if strings.Contains(w.text, "%") {
		out.Message = fmt.Sprintf(w.text, e.args...)
	}
	out.Hint = w.hint
	return &out
}

type wording struct{ text, hint string }

type entry struct {
	status     int
	en, ru, pl wording
}

// codes is every refusal of the local API. Codes are a promise; words are not.
var codes = map[string]entry{
	"bad_host": {http.StatusForbidden,
		wording{"The address in the request is not this agent's", "call 127.0.0.1 or localhost with the agent's port"},
		wording{"Адрес в запросе не принадлежит этому агенту", "обращайтесь к 127.0.0.1 или localhost и порту агента"},
		wording{"Adres w żądaniu nie należy do tego agenta", "użyj 127.0.0.1 lub localhost i portu agenta"}},
	"bad_origin": {http.StatusForbidden,
		wording{"This web page may not call the agent", "add its origin to api.origins if it is your cash program"},
		wording{"Этой веб-странице нельзя обращаться к агенту", "если это ваша кассовая программа, добавьте её адрес в api.origins"},
		wording{"Ta strona nie może wywoływać agenta", "jeśli to program kasowy, dodaj jej adres do api.origins"}},
	"unauthorised": {http.StatusUnauthorized,
		wording{"A program token is needed", "make one with: tillside token add NAME"},
		wording{"Нужен ключ программы", "создайте его: tillside token add ИМЯ"},
		wording{"Potrzebny jest token programu", "utwórz go: tillside token add NAZWA"}},
	"not_allowed": {http.StatusForbidden,
		wording{"The program %s may only make the call %s", "make another token for other calls"},
		wording{"Программе %s разрешён только вызов %s", "для других вызовов создайте другой ключ"},
		wording{"Program %s może użyć tylko wywołania %s", "do innych wywołań utwórz inny token"}},
	"no_reader": {http.StatusNotFound,
		wording{"There is no keyboard scanner %s on port \"session\"", "add it to the settings: driver = \"wedge\", port = \"session\""},
		wording{"Нет сканера-клавиатуры %s с портом \"session\"", "добавьте его в настройки: driver = \"wedge\", port = \"session\""},
		wording{"Nie ma skanera klawiaturowego %s na porcie \"session\"", "dodaj go w ustawieniach: driver = \"wedge\", port = \"session\""}},
	"not_found": {http.StatusNotFound,
		wording{"There is no such call", "see /v1/openapi.json"},
		wording{"Такого вызова нет", "см. /v1/openapi.json"},
		wording{"Nie ma takiego wywołania", "zobacz /v1/openapi.json"}},
	"method_not_allowed": {http.StatusMethodNotAllowed,
		wording{"This call is made by %s", ""},
		wording{"Этот вызов делается методом %s", ""},
		wording{"To wywołanie wymaga metody %s", ""}},
	"not_json": {http.StatusUnsupportedMediaType,
		wording{"The body must be JSON", "send Content-Type: application/json"},
		wording{"Тело запроса должно быть в JSON", "передайте Content-Type: application/json"},
		wording{"Treść musi być w formacie JSON", "wyślij Content-Type: application/json"}},
	"too_large": {http.StatusRequestEntityTooLarge,
		wording{"The request has more than %d bytes", ""},
		wording{"Запрос больше %d байт", ""},
		wording{"Żądanie ma ponad %d bajtów", ""}},
	"bad_request": {http.StatusBadRequest,
		wording{"The request cannot be read: %s", "see /v1/openapi.json"},
		wording{"Запрос не читается: %s", "см. /v1/openapi.json"},
		wording{"Nie można odczytać żądania: %s", "zobacz /v1/openapi.json"}},
	"key_missing": {http.StatusBadRequest,
		wording{"Idempotency-Key is missing or not 1 to 200 printable characters", "send a UUID, or till, shift and receipt number"},
		wording{"Нет заголовка Idempotency-Key, или в нём не от 1 до 200 печатных знаков", "передайте UUID либо кассу, смену и номер чека"},
		wording{"Brak nagłówka Idempotency-Key albo nie ma od 1 do 200 znaków drukowalnych", "wyślij UUID albo kasę, zmianę i numer paragonu"}},
	"idempotency_conflict": {http.StatusConflict,
		wording{"This Idempotency-Key was used for another request", "take a new key for a new request"},
		wording{"Этот Idempotency-Key уже был у другого запроса", "для нового запроса возьмите новый ключ"},
		wording{"Ten Idempotency-Key był użyty w innym żądaniu", "do nowego żądania użyj nowego klucza"}},
	"not_enrolled": {http.StatusServiceUnavailable,
		wording{"This till is not enrolled with a centre", "run: tillside enrol --server URL --code CODE"},
		wording{"Эта касса не подключена к центру", "выполните: tillside enrol --server URL --code КОД"},
		wording{"Ta kasa nie jest podłączona do centrali", "uruchom: tillside enrol --server URL --code KOD"}},
	"no_rulebook": {http.StatusServiceUnavailable,
		wording{"There is no rulebook yet", "sell without loyalty; it comes with the first contact to the centre"},
		wording{"Правил программы ещё нет", "продавайте без программы; правила придут при первой связи с центром"},
		wording{"Nie ma jeszcze regulaminu programu", "sprzedawaj bez programu; reguły przyjdą przy pierwszym połączeniu z centralą"}},
	"no_card": {http.StatusUnprocessableEntity,
		wording{"This is not a card or phone number", "scan again or type the number"},
		wording{"Это не номер карты или телефона", "считайте ещё раз или введите номер"},
		wording{"To nie jest numer karty ani telefonu", "zeskanuj ponownie albo wpisz numer"}},
	"bad_member": {http.StatusUnprocessableEntity,
		wording{"The member token is not of this agent or too old", "identify the customer again"},
		wording{"Ключ покупателя чужой или устарел", "определите покупателя ещё раз"},
		wording{"Token klienta jest obcy lub nieaktualny", "rozpoznaj klienta ponownie"}},
	"bad_proof": {http.StatusUnprocessableEntity,
		wording{"This number does not belong to the member", "ask for the phone number of the account, or read another card of it"},
		wording{"Этот номер не принадлежит участнику", "спросите телефон участника или считайте другую его карту"},
		wording{"Ten numer nie należy do uczestnika", "zapytaj o telefon z konta albo zeskanuj inną jego kartę"}},
	"bad_receipt": {http.StatusUnprocessableEntity,
		wording{"The receipt cannot be priced: %s", ""},
		wording{"Чек нельзя рассчитать: %s", ""},
		wording{"Nie można przeliczyć paragonu: %s", ""}},
	"unknown_receipt": {http.StatusNotFound,
		wording{"This till does not know the receipt", "send the receipt with the call, or authorise it first"},
		wording{"Эта касса не знает такого чека", "передайте чек в вызове или сначала авторизуйте его"},
		wording{"Ta kasa nie zna tego paragonu", "prześlij paragon w wywołaniu albo najpierw go autoryzuj"}},
	"receipt_elsewhere": {http.StatusConflict,
		wording{"The receipt is not of this till and the centre cannot be asked now", "take the goods back when the till is online, or without points"},
		wording{"Чек не этой кассы, а спросить центр сейчас нельзя", "примите возврат, когда будет связь, или без баллов"},
		wording{"Paragon nie jest z tej kasy, a centrali nie można teraz zapytać", "przyjmij zwrot, gdy kasa będzie online, albo bez punktów"}},
	"receipt_ambiguous": {http.StatusConflict,
		wording{"Several tills have a receipt of this number", "name store and till of the receipt"},
		wording{"Чек с таким номером есть на нескольких кассах", "укажите магазин и кассу чека"},
		wording{"Paragon o tym numerze jest na kilku kasach", "podaj sklep i kasę paragonu"}},
	"wrong_state": {http.StatusConflict,
		wording{"The receipt is %s", "see GET /v1/receipts/{id}"},
		wording{"Состояние чека: %s", "см. GET /v1/receipts/{id}"},
		wording{"Stan paragonu: %s", "zobacz GET /v1/receipts/{id}"}},
	"price_changed": {http.StatusConflict,
		wording{"The price is not what you expect: net %s, discount %s, points %s", "calculate again and show the customer"},
		wording{"Цена другая: итого %s, скидка %s, баллами %s", "пересчитайте и покажите покупателю"},
		wording{"Cena się zmieniła: razem %s, rabat %s, punktami %s", "przelicz ponownie i pokaż klientowi"}},
	"authorise_first": {http.StatusConflict,
		wording{"A receipt that spends points must be authorised before it is captured", ""},
		wording{"Чек с оплатой баллами сначала нужно авторизовать", ""},
		wording{"Paragon z płatnością punktami trzeba najpierw autoryzować", ""}},
	"unknown_operation": {http.StatusNotFound,
		wording{"No call with this key had an effect here", "the same call may be made again"},
		wording{"Вызов с таким ключом здесь ничего не изменил", "тот же вызов можно повторить"},
		wording{"Wywołanie z tym kluczem niczego tu nie zmieniło", "to samo wywołanie można powtórzyć"}},
	"return_refused": {http.StatusUnprocessableEntity,
		wording{"The return cannot be made: %s", ""},
		wording{"Возврат невозможен: %s", ""},
		wording{"Zwrot nie jest możliwy: %s", ""}},
	"no_printer": {http.StatusConflict,
		wording{"The agent has no printer", "leave out \"print\", or add a printer to the settings"},
		wording{"У агента нет принтера", "уберите \"print\" или добавьте принтер в настройки"},
		wording{"Agent nie ma drukarki", "pomiń \"print\" albo dodaj drukarkę w ustawieniach"}},
	"no_fiscal_printer": {http.StatusConflict,
		wording{"The agent has no fiscal printer", "add one to the settings"},
		wording{"У агента нет фискального регистратора", "добавьте его в настройки"},
		wording{"Agent nie ma drukarki fiskalnej", "dodaj ją w ustawieniach"}},
	"no_drawer": {http.StatusConflict,
		wording{"The agent's printer has no drawer", ""},
		wording{"У принтера агента нет денежного ящика", ""},
		wording{"Drukarka agenta nie ma szuflady", ""}},
	"printer_not_ready": {http.StatusServiceUnavailable,
		wording{"The fiscal printer is not ready: %s", "nothing was printed; make the same call again"},
		wording{"Фискальный регистратор не готов: %s", "ничего не напечатано; повторите тот же вызов"},
		wording{"Drukarka fiskalna nie jest gotowa: %s", "nic nie wydrukowano; powtórz to samo wywołanie"}},
	"fiscal_failed": {http.StatusConflict,
		wording{"The fiscal printer refused: %s", "nothing is booked on it; correct this and make the call again"},
		wording{"Фискальный регистратор отказал: %s", "на нём ничего не проведено; устраните причину и повторите вызов"},
		wording{"Drukarka fiskalna odmówiła: %s", "nic na niej nie zapisano; usuń przyczynę i powtórz wywołanie"}},
	"fiscal_unknown": {http.StatusServiceUnavailable,
		wording{"Nobody knows whether the receipt was printed: %s", "make the call again; if it stays so, look at the paper and add \"resolve\": \"printed\" or \"not_printed\""},
		wording{"Неизвестно, напечатан ли чек: %s", "повторите вызов; если не поможет, посмотрите на ленту и добавьте \"resolve\": \"printed\" или \"not_printed\""},
		wording{"Nie wiadomo, czy paragon został wydrukowany: %s", "powtórz wywołanie; jeśli to nie pomoże, sprawdź papier i dodaj \"resolve\": \"printed\" albo \"not_printed\""}},
	"fiscal_done": {http.StatusConflict,
		wording{"The fiscal receipt is printed already, number %s", "see GET /v1/operations of the call that printed it"},
		wording{"Фискальный чек уже напечатан, номер %s", "см. GET /v1/operations вызова, который его напечатал"},
		wording{"Paragon fiskalny jest już wydrukowany, numer %s", "zobacz GET /v1/operations wywołania, które go wydrukowało"}},
	"fiscal_open": {http.StatusConflict,
		wording{"Another receipt is open on the fiscal printer", "end it where it was begun, or POST /v1/fiscal {\"do\":\"cancel\"}"},
		wording{"На фискальном регистраторе открыт другой чек", "завершите его там, где начали, или POST /v1/fiscal {\"do\":\"cancel\"}"},
		wording{"Na drukarce fiskalnej otwarty jest inny paragon", "zakończ go tam, gdzie go rozpoczęto, albo POST /v1/fiscal {\"do\":\"cancel\"}"}},
	"fiscal_nothing": {http.StatusUnprocessableEntity,
		wording{"There is nothing to print", "send lines, or authorise the receipt first"},
		wording{"Печатать нечего", "передайте строки или сначала авторизуйте чек"},
		wording{"Nie ma czego drukować", "prześlij pozycje albo najpierw autoryzuj paragon"}},
	"fiscal_unpaid": {http.StatusUnprocessableEntity,
		wording{"The receipt is over %s, the tenders are %s", ""},
		wording{"Сумма чека %s, оплачено %s", ""},
		wording{"Paragon na %s, zapłacono %s", ""}},
	"fiscal_sum": {http.StatusConflict,
		wording{"The fiscal printer adds up %[2]s, the receipt is over %[1]s; it was cancelled", "check prices, quantities and discounts"},
		wording{"Фискальный регистратор насчитал %[2]s, а чек на %[1]s; чек аннулирован", "проверьте цены, количества и скидки"},
		wording{"Drukarka fiskalna naliczyła %[2]s, a paragon jest na %[1]s; anulowano go", "sprawdź ceny, ilości i rabaty"}},
	"bad_file": {http.StatusUnprocessableEntity,
		wording{"The file cannot be read: %s", "correct it and write it again; see files.md"},
		wording{"Файл не читается: %s", "исправьте его и запишите ещё раз; см. files.md"},
		wording{"Nie można odczytać pliku: %s", "popraw go i zapisz ponownie; zobacz files.md"}},
	"busy": {http.StatusTooManyRequests,
		wording{"Too many calls at once", "wait a moment"},
		wording{"Слишком много вызовов сразу", "подождите немного"},
		wording{"Za dużo wywołań naraz", "poczekaj chwilę"}},
	"try_again": {http.StatusServiceUnavailable,
		wording{"The disk did not confirm the write", "make the same call again with the same key"},
		wording{"Диск не подтвердил запись", "повторите тот же вызов с тем же ключом"},
		wording{"Dysk nie potwierdził zapisu", "powtórz to samo wywołanie z tym samym kluczem"}},
	"disk_full": {http.StatusInsufficientStorage,
		wording{"The till's disk is full: receipts that are open can be closed, new ones are not taken", "sell without loyalty and tell the technician; the sale can be claimed later"},
		wording{"Диск кассы заполнен: открытые чеки можно закрыть, новые не принимаются", "продавайте без программы и сообщите технику; покупку можно заявить позже"},
		wording{"Dysk kasy jest pełny: otwarte paragony można zamknąć, nowych nie przyjmuje", "sprzedawaj bez programu i powiadom technika; zakup można zgłosić później"}},
	"internal": {http.StatusInternalServerError,
		wording{"The agent made a mistake", "sell without loyalty and tell the technician"},
		wording{"Ошибка агента", "продавайте без программы и сообщите технику"},
		wording{"Błąd agenta", "sprzedawaj bez programu i powiadom technika"}},
}
