package wire

import (
	"bufio"
	"bytes"
	"crypto/ed25519"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

var writeVectors = flag.Bool("write-vectors", false, "write testdata/vectors anew; look at the difference before keeping it")

// A vector is one file: header lines "name: value", an empty line, the body
// in base64, 76 characters a line. The header tells what the body is and what
// a correct program does with it. See testdata/vectors/README.md.
type vector struct {
	name   string
	header [][2]string
	body   []byte
}

func (v vector) get(name string) string {
	for _, h := range v.header {
		if h[0] == name {
			return h[1]
		}
	}
	return ""
}

func (v vector) file() []byte {
	var b bytes.Buffer
	for _, h := range v.header {
		fmt.Fprintf(&b, "%s: %s\n", h[0], h[1])
	}
	b.WriteByte('\n')
	s := base64.StdEncoding.EncodeToString(v.body)
	for len(s) > 76 {
		b.WriteString(s[:76] + "\n")
		s = s[76:]
	}
	b.WriteString(s + "\n")
	return b.Bytes()
}

func readVector(path string) (vector, error) {
	raw, err := os.ReadFile(path)
	if err != nil {
		return vector{}, err
	}
	v := vector{name: filepath.Base(path)}
	sc := bufio.NewScanner(bytes.NewReader(raw))
	body, inBody := "", false
	for sc.Scan() {
		line := sc.Text()
		switch {
		case inBody:
			body += line
		case line == "":
			inBody = true
		default:
			name, value, ok := strings.Cut(line, ": ")
			if !ok {
				return v, fmt.Errorf("header line %q", line)
			}
			v.header = append(v.header, [2]string{name, value})
		}
	}
	v.body, err = base64.StdEncoding.DecodeString(body)
	return v, err
}

// judge does what the header asks for; nil is "accept".
func judge(v vector) error {
	switch kind := v.get("kind"); kind {
	case "record":
		r, err := DecodeRecord(v.body)
		if err != nil {
			return err
		}
		if want := v.get("hash"); want != HashOf(v.body).String() {
			return fmt.Errorf("hash %s", HashOf(v.body))
		}
		if want := v.get("seq"); want != fmt.Sprint(r.Seq) {
			return fmt.Errorf("seq %d", r.Seq)
		}
		return nil
	case "chain":
		prev := Head{}
		for _, line := range bytes.Split(v.body, []byte("\n")) {
			r, err := DecodeRecord(line)
			if err != nil {
				return err
			}
			if err := r.Follows(prev); err != nil {
				return err
			}
			prev = Head{Seq: r.Seq, Hash: HashOf(line)}
		}
		return nil
	case "text", "binary":
		f, err := DecodeFrame(v.body, kind == "binary")
		if err != nil {
			return err
		}
		if want := v.get("frame"); want != string(f.Kind()) {
			return fmt.Errorf("frame %s", f.Kind())
		}
		if u, unknown := f.(*Unknown); unknown != (v.get("unknown") == "yes") {
			return fmt.Errorf("unknown is %v", u)
		}
		if p, ok := f.(*Push); ok && v.get("public-key") != "" {
			pub, err := hex.DecodeString(v.get("public-key"))
			if err != nil {
				return err
			}
			_, epoch, _, _, _ := PeekSeq(p.Records[0])
			return VerifyPush(pub, v.get("device"), epoch, p.Last, p.Sig)
		}
		return nil
	case "hello":
		f, err := DecodeFrame(v.body, false)
		if err != nil {
			return err
		}
		h, ok := f.(*Hello)
		if !ok {
			return fmt.Errorf("frame %s", f.Kind())
		}
		if _, err := h.Body(); err != nil {
			return err
		}
		pub, err := hex.DecodeString(v.get("public-key"))
		if err != nil {
			return err
		}
		nonce, err := hex.DecodeString(v.get("nonce"))
		if err != nil {
			return err
		}
		return h.Verify(pub, nonce)
	case "bundle":
		var b Bundle
		if err := ReadItem(v.body, &b); err != nil {
			return err
		}
		pub, err := hex.DecodeString(v.get("public-key"))
		if err != nil {
			return err
		}
		return b.Verify([]PublicKey{{ID: KeyID(pub), Public: pub}})
	case "ref":
		key, err := hex.DecodeString(v.get("lookup-key"))
		if err != nil {
			return err
		}
		if got := CardRef(key, v.get("number-kind"), string(v.body)).String(); got != v.get("ref") {
			return fmt.Errorf("ref %s", got)
		}
		return nil
	case "code":
		got, ok := NormaliseCode(string(v.body))
		if !ok || got != v.get("code") {
			return fmt.Errorf("code %q", got)
		}
		return nil
	default:
		return fmt.Errorf("no such kind %q", kind)
	}
}

func TestVectors(t *testing.T) {
	dir := filepath.Join("testdata", "vectors")
	if *writeVectors {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			t.Fatal(err)
		}
		for _, v := range vectors(t) {
			if err := os.WriteFile(filepath.Join(dir, v.name), v.file(), 0o644); err != nil {
				t.Fatal(err)
			}
		}
	}
	files, err := filepath.Glob(filepath.Join(dir, "*.txt"))
	if err != nil {
		t.Fatal(err)
	}
	accept, refuse := 0, 0
	for _, path := range files {
		v, err := readVector(path)
		if err != nil {
			t.Errorf("%s: %v", path, err)
			continue
		}
		err = judge(v)
		switch v.get("expect") {
		case "accept":
			accept++
			if err != nil {
				t.Errorf("%s: refused: %v", v.name, err)
			}
		case "refuse":
			refuse++
			if err == nil {
				t.Errorf("%s: accepted", v.name)
			}
		default:
			t.Errorf("%s: expects %q", v.name, v.get("expect"))
		}
	}
	if accept < 15 || refuse < 25 {
		t.Errorf("%d accept and %d refuse cases; files are missing", accept, refuse)
	}
}

// vectors makes the files. Random frames are left out: the same program makes
// the same files every time.
func vectors(t *testing.T) []vector {
	var out []vector
	add := func(name, expect, kind, note string, body []byte, more ...string) {
		v := vector{name: name + ".txt", body: body, header: [][2]string{{"expect", expect}, {"kind", kind}, {"note", note}}}
		for i := 0; i+1 < len(more); i += 2 {
			v.header = append(v.header, [2]string{more[i], more[i+1]})
		}
		out = append(out, v)
	}
	must := func(b []byte, err error) []byte {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	pub := testKey.Public().(ed25519.PublicKey)
	pubHex := hex.EncodeToString(pub)

	// Records and chains.
	r1 := must(Encode(record(1, Hash{})))
	r2 := must(Encode(record(2, HashOf(r1))))
	r3 := must(Encode(record(3, HashOf(r2))))
	add("record-first", "accept", "record", "first record of an epoch, prev is zero", r1, "hash", HashOf(r1).String(), "seq", "1")
	add("record-second", "accept", "record", "carries the hash of the first", r2, "hash", HashOf(r2).String(), "seq", "2")
	future := record(3, HashOf(r2))
	future.Type = "TYPE_OF_THE_FUTURE"
	fb := must(Encode(future))
	add("record-unknown-type", "accept", "record", "a type nobody knows is a record all the same; the centre parks it", fb, "hash", HashOf(fb).String(), "seq", "3")
	spoil := func(name, note, from, to string) {
		bad := bytes.Replace(r2, []byte(from), []byte(to), 1)
		if bytes.Equal(bad, r2) {
			t.Fatalf("%s changes nothing", name)
		}
		add(name, "refuse", "record", note, bad, "hash", HashOf(bad).String(), "seq", "2")
	}
	spoil("record-white-space", "white space between parts", `,"seq"`, `, "seq"`)
	spoil("record-leading-zero", "a number with a leading zero", `"seq":2`, `"seq":02`)
	spoil("record-order", "fields in another order", `"epoch":1,"seq":2`, `"seq":2,"epoch":1`)
	spoil("record-extra-field", "a field that is not of this version", `"payload"`, `"extra":1,"payload"`)
	spoil("record-missing-field", "no clock state", `"clock":"good",`, ``)
	spoil("record-wall-precision", "time without milliseconds", `.123Z`, `Z`)
	spoil("record-wall-zone", "time not in UTC", `.123Z`, `.123+01:00`)
	spoil("record-hash-case", "hash in upper case", HashOf(r1).String(), strings.ToUpper(HashOf(r1).String()))
	spoil("record-escape", "an escape that is not needed", `S1/`, `S1\/`)
	spoil("record-device", "not a device id", `dev-0123456789`, `dev-012345678`)
	spoil("record-payload-array", "payload is not an object", `{"member":"00000000000000aa","points":"12.50"}`, `["a"]`)
	spoil("record-trailing", "something after the end", `"12.50"}}`, `"12.50"}} `)
	spoil("record-clock", "unknown clock state", `"good"`, `"fine"`)
	spoil("record-zero-prev", "only the first record has a zero prev", HashOf(r1).String(), strings.Repeat("0", 64))
	deep := strings.Replace(string(r2), `"points":"12.50"`, `"a":`+strings.Repeat("[", MaxDepth)+strings.Repeat("]", MaxDepth), 1)
	add("record-deep", "refuse", "record", "nested deeper than 32", []byte(deep), "hash", HashOf([]byte(deep)).String(), "seq", "2")
	lines := func(rs ...[]byte) []byte { return bytes.Join(rs, []byte("\n")) }
	add("chain", "accept", "chain", "three records, one a line", lines(r1, r2, r3))
	add("chain-gap", "refuse", "chain", "the second is missing", lines(r1, r3))
	add("chain-repeat", "refuse", "chain", "the second comes twice", lines(r1, r2, r2, r3))
	other := record(2, HashOf(r1))
	other.MonoMS++
	o2 := must(Encode(other))
	add("chain-fork", "refuse", "chain", "another second record than the third follows", lines(r1, o2, r3))

	// Frames.
	encode := func(f Frame) []byte { b, _, err := EncodeFrame(f); return must(b, err) }
	last := Head{2, HashOf(r2)}
	push := &Push{From: 1, Records: [][]byte{r1, r2}, Last: last, Sig: SignPush(testKey, "dev-0123456789", 1, last)}
	pm := encode(push)
	add("push", "accept", "binary", "two records, zstd, signed by the device", pm, "frame", "PUSH", "device", "dev-0123456789", "public-key", pubHex)
	one := *push
	one.Records, one.Last = [][]byte{r1}, Head{1, HashOf(r1)}
	one.Sig = SignPush(testKey, "dev-0123456789", 1, one.Last)
	add("push-one", "accept", "binary", "one record", encode(&one), "frame", "PUSH", "device", "dev-0123456789", "public-key", pubHex)
	forged := *push
	forged.Sig = SignPush(testKey, "dev-0123456789", 2, last)
	add("push-signature", "refuse", "binary", "signed for another epoch", encode(&forged), "frame", "PUSH", "device", "dev-0123456789", "public-key", pubHex)
	wrong := *push
	wrong.Last.Hash = HashOf(r1)
	add("push-last-hash", "refuse", "binary", "says another last hash than it carries", encode(&wrong), "frame", "PUSH")
	few := *push
	few.Last.Seq = 3
	add("push-count", "refuse", "binary", "says three records and carries two", encode(&few), "frame", "PUSH")
	none := *push
	none.Records = nil
	add("push-empty", "refuse", "binary", "no records", encode(&none), "frame", "PUSH")
	cut := pm[:len(pm)-7]
	add("push-cut", "refuse", "binary", "the end is missing", cut, "frame", "PUSH")
	flip := bytes.Clone(pm)
	flip[len(flip)/2] ^= 0x10
	add("push-flipped", "refuse", "binary", "one bit is another", flip, "frame", "PUSH", "device", "dev-0123456789", "public-key", pubHex)
	add("packed-format", "refuse", "binary", "a packed format of the future", append([]byte{3}, pm[1:]...), "frame", "PUSH")
	lying := binary.AppendUvarint([]byte{packZstd}, 100)
	_, n := binary.Uvarint(pm[1:])
	add("packed-length", "refuse", "binary", "inflates to more than it says", append(lying, pm[1+n:]...), "frame", "PUSH")
	bomb := binary.AppendUvarint([]byte{packZstd}, MaxInflated+1)
	bomb = zstdEncoder().EncodeAll(make([]byte, MaxInflated+1), bomb)
	add("packed-bomb", "refuse", "binary", "inflates to more than 8 MiB", bomb, "frame", "PUSH")
	feed := encode(&Feed{Lane: LaneUrgent, After: 3, Upto: 9, Items: []json.RawMessage{json.RawMessage(`{"do":"erase","member":"00000000000000aa","order":"e-1"}`)}, Includes: Mark{1, 2}})
	add("feed", "accept", "binary", "one erasure, plain because it is short", feed, "frame", "FEED")
	add("feed-as-text", "refuse", "text", "a packed frame as a text message", []byte(`{"kind":"FEED","lane":"urgent","after":3,"upto":9}`), "frame", "FEED")
	add("feed-backwards", "refuse", "binary", "cursor goes back", bytes.Replace(feed, []byte(`"upto":9`), []byte(`"upto":1`), 1), "frame", "FEED")
	add("ack", "accept", "text", "everything up to 2 is durable, 1 is parked", encode(&Ack{Seq: 2, Hash: last.Hash, Parked: []Parked{{1, "type not known"}}}), "frame", "ACK")
	add("ack-field-of-the-future", "accept", "text", "fields that are not known are ignored", []byte(`{"kind":"NACK","expected":3,"mood":"good"}`), "frame", "NACK")
	add("ask-receipt", "accept", "text", "a sale of another till is asked for", encode(&Ask{ID: 7, What: AskReceiptWhat, Body: must(AskBody(AskReceipt{Number: "R-1001", Store: "s1", Till: "2"})), BudgetMS: 2000}), "frame", "ASK")
	add("answer-receipt", "accept", "text", "the sale, and one return against it", encode(&Answer{ID: 7, Body: must(AskBody(AnswerReceipt{Known: true, Number: "R-1001",
		Device: "dev-0123456789", Mark: Mark{Epoch: 1, Seq: 2}, Store: "s1", Till: "2", At: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC), State: "partly_returned", Member: "00000000000000aa",
		Result: []byte(`{"rulebook":"demo@1"}`), Returns: []ReturnedPart{{"dev-9876543210", Mark{1, 9}, []byte(`{"whole":false}`)}}}))}), "frame", "ANSWER")
	add("grease", "accept", "text", "a frame nobody knows is ignored", encode(Grease(0xcafe)), "frame", "GREASE_CAFE", "unknown", "yes")
	add("frame-no-kind", "refuse", "text", "no kind", []byte(`{"seq":1}`), "frame", "ACK")
	add("frame-kind-case", "refuse", "text", "kinds are upper case", []byte(`{"kind":"ack","seq":1}`), "frame", "ACK")
	add("frame-number", "refuse", "text", "a negative place", []byte(`{"kind":"NACK","expected":-3}`), "frame", "NACK")
	add("frame-two", "refuse", "text", "two values in one message", []byte(`{"kind":"NACK","expected":3}{"kind":"NACK","expected":3}`), "frame", "NACK")

	// Identity.
	nonce := bytes.Repeat([]byte{0x5a}, NonceSize)
	h, err := SignHello(testKey, nonce, HelloBody{Version: 1, Device: "dev-0123456789", Epoch: 1, Last: last, SessionNo: 3, Boot: "boot-1",
		Agent: "1.0.0", Bundle: 12, Cursors: map[string]uint64{"member": 77}, SendMS: 1_764_000_000_123})
	if err != nil {
		t.Fatal(err)
	}
	hm := encode(h)
	add("hello", "accept", "hello", "signed over the nonce", hm, "nonce", hex.EncodeToString(nonce), "public-key", pubHex)
	add("hello-replayed", "refuse", "hello", "signed over another nonce", hm, "nonce", strings.Repeat("00", NonceSize), "public-key", pubHex)
	stranger := ed25519.NewKeyFromSeed(make([]byte, 32)).Public().(ed25519.PublicKey)
	add("hello-stranger", "refuse", "hello", "another device's key", hm, "nonce", hex.EncodeToString(nonce), "public-key", hex.EncodeToString(stranger))

	// Bundles, references, codes.
	b := &Bundle{Version: 7, Name: "demo", Issued: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC), Stores: []string{"S1"}, Payload: []byte(`{"rules":[]}`)}
	if err := b.Sign(testKey); err != nil {
		t.Fatal(err)
	}
	item := must(FeedItem(b))
	add("bundle", "accept", "bundle", "for one store, no end", item, "public-key", pubHex)
	add("bundle-version", "refuse", "bundle", "version changed after signing", bytes.Replace(item, []byte(`"version":7`), []byte(`"version":8`), 1), "public-key", pubHex)
	add("bundle-stores", "refuse", "bundle", "store changed after signing", bytes.Replace(item, []byte(`"S1"`), []byte(`"S2"`), 1), "public-key", pubHex)
	add("bundle-unsigned", "refuse", "bundle", "no signature", must(FeedItem(&Bundle{Version: 7, Name: "demo", Issued: b.Issued, Payload: b.Payload})), "public-key", pubHex)
	ours := *b
	ours.Tenant, ours.Signatures = "chain-1", nil
	if err := ours.Sign(testKey); err != nil {
		t.Fatal(err)
	}
	tenant := must(FeedItem(&ours))
	add("bundle-tenant", "accept", "bundle", "for one chain", tenant, "public-key", pubHex)
	add("bundle-tenant-other", "refuse", "bundle", "chain changed after signing", bytes.Replace(tenant, []byte("chain-1"), []byte("chain-2"), 1), "public-key", pubHex)
	add("bundle-tenant-none", "refuse", "bundle", "chain taken out after signing", bytes.Replace(tenant, []byte(`"tenant":"chain-1",`), nil, 1), "public-key", pubHex)
	add("bundle-stranger", "refuse", "bundle", "a key the till does not trust", item, "public-key", hex.EncodeToString(stranger))
	key := bytes.Repeat([]byte{3}, 32)
	for _, c := range [][3]string{{"ref-card", KindCard, "2000 0001-2500.8"}, {"ref-card-letters", KindCard, "ab12cd"}, {"ref-phone", KindPhone, "+48 601-234-567"}, {"ref-phone-00", KindPhone, "0048601234567"}} {
		add(c[0], "accept", "ref", "keyed reference of a number", []byte(c[2]), "lookup-key", hex.EncodeToString(key), "number-kind", c[1], "ref", CardRef(key, c[1], c[2]).String())
	}
	add("code-typed", "accept", "code", "as people type it", []byte("oil0 abcd-EFGH"), "code", "0110-ABCD-EFGH")
	add("code-short", "refuse", "code", "one character is missing", []byte("ABCD-EFGH-JKM"), "code", "ABCD-EFGH-JKM")
	add("code-letter", "refuse", "code", "U is not in the alphabet", []byte("ABCD-EFGH-JKMU"), "code", "ABCD-EFGH-JKMU")
	slices.SortFunc(out, func(a, b vector) int { return strings.Compare(a.name, b.name) })
	return out
}
