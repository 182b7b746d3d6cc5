package store

import (
	"bytes"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/tillside/tillside/agent/loyalty"
	"github.com/tillside/tillside/sync/wire"
)

// listWords is a dictionary in memory.
type listWords []string

func (l *listWords) number(w string) (uint64, error) {
	for i, x := range *l {
		if x == w {
			return uint64(i + 1), nil
		}
	}
	*l = append(*l, w)
	return uint64(len(*l)), nil
}

func (l *listWords) word(n uint64) (string, error) {
	if n > uint64(len(*l)) {
		return "", errors.New("no such word")
	}
	return (*l)[n-1], nil
}

// fill gives every field of a value something that is not zero, so that a
// field added to loyalty.Member and forgotten in the codec fails the test.
func fill(v reflect.Value, seed *int, name string) {
	*seed++
	switch {
	case v.Type() == reflect.TypeFor[time.Time]():
		v.Set(reflect.ValueOf(time.UnixMilli(1_700_000_000_000 + int64(*seed)).UTC()))
	case v.Kind() == reflect.String:
		switch name {
		case "TierSince", "TierUntil", "Joined", "Expires", "From", "To", "day":
			v.SetString(time.Unix(int64(*seed)*86400, 0).UTC().Format(time.DateOnly))
		case "Birthday":
			v.SetString("03-08")
		default:
			v.SetString(fmt.Sprintf("%s-%d", name, *seed))
		}
	case v.CanInt():
		v.SetInt(int64(*seed) * 7)
	case v.CanUint():
		v.SetUint(uint64(*seed) * 7)
	case v.Kind() == reflect.Bool:
		v.SetBool(true)
	case v.Kind() == reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 2, 2))
		fill(v.Index(0), seed, name)
		fill(v.Index(1), seed, name)
	case v.Kind() == reflect.Map:
		v.Set(reflect.MakeMap(v.Type()))
		key := "key"
		if name == "inner" || v.Type() == reflect.TypeFor[map[string]int64]() && name == "Counters" {
			key = "day"
		}
		for range 2 {
			k, e := reflect.New(v.Type().Key()).Elem(), reflect.New(v.Type().Elem()).Elem()
			fill(k, seed, key)
			fill(e, seed, name)
			v.SetMapIndex(k, e)
		}
	case v.Kind() == reflect.Struct:
		for i := range v.NumField() {
			fill(v.Field(i), seed, v.Type().Field(i).Name)
		}
	default:
		panic("teach the test about " + v.Type().String())
	}
}

func TestEveryFieldSurvives(t *testing.T) {
	var m loyalty.Member
	seed := 0
	fill(reflect.ValueOf(&m).Elem(), &seed, "")
	m.Card.Ref = "" // stands above the record
	m.Counters["rule:a:money@card=0a1b2c3d"] = map[string]int64{"2026-11-01": 5}
	m.Counters["coupon:REF-77"] = map[string]int64{"2026-11-01": 1000}
	dict := &listWords{}
	b, err := appendSnapshot(nil, Snapshot{&m, wire.Mark{Epoch: 3, Seq: 99}}, dict)
	if err != nil {
		t.Fatal(err)
	}
	got, err := readSnapshot(b, dict)
	if err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(got.Member, &m) {
		t.Errorf("wrote %+v\nread  %+v", m, *got.Member)
	}
	// What is one card's or one code's own does not fill the dictionary.
	for _, w := range *dict {
		if strings.Contains(w, "0a1b2c3d") || strings.Contains(w, "REF-77") {
			t.Errorf("the dictionary knows %q", w)
		}
	}
	if got.Includes != (wire.Mark{Epoch: 3, Seq: 99}) {
		t.Errorf("mark %+v", got.Includes)
	}
	for i := range b {
		if _, err := readSnapshot(b[:i], dict); err == nil {
			t.Errorf("cut to %d of %d bytes: no error", i, len(b))
		}
	}
}

func TestZeroMemberIsSmall(t *testing.T) {
	dict := &listWords{}
	m := &loyalty.Member{ID: 1, FirstName: "Anna", Tier: "silver", AsOf: time.UnixMilli(1_790_000_000_000).UTC(),
		Wallets: map[string]loyalty.Balance{"main": {Active: 123456}}}
	b, err := appendSnapshot(nil, Snapshot{Member: m}, dict)
	if err != nil {
		t.Fatal(err)
	}
	if len(b) > 48 {
		t.Errorf("an ordinary member takes %d bytes", len(b))
	}
	if got, err := readSnapshot(b, dict); err != nil || !reflect.DeepEqual(got.Member, m) {
		t.Errorf("%v %+v", err, got)
	}
}

func FuzzReadSnapshot(f *testing.F) {
	var m loyalty.Member
	seed := 0
	fill(reflect.ValueOf(&m).Elem(), &seed, "")
	dict := &listWords{}
	b, _ := appendSnapshot(nil, Snapshot{Member: &m}, dict)
	f.Add(b)
	f.Add([]byte{0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0})
	f.Fuzz(func(t *testing.T, data []byte) {
		s, err := readSnapshot(data, dict)
		if err != nil {
			return
		}
		again, err := appendSnapshot(nil, *s, dict)
		if err != nil {
			t.Fatalf("read but cannot be written: %v", err)
		}
		s2, err := readSnapshot(again, dict)
		if err != nil {
			t.Fatalf("what was written cannot be read: %v", err)
		}
		if third, err := appendSnapshot(nil, *s2, dict); err != nil || !bytes.Equal(again, third) {
			t.Errorf("changed by writing and reading: %v", err)
		}
	})
}
