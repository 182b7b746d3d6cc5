// Package retail holds 2,025 real receipts of a UK gift shop, as dirty as real
// data is, and hands them out in the shapes a till works with. The demo and the
// stories in agent/e2e replay them. Source and licence: data/SOURCE.md.
package retail

import (
	"compress/gzip"
	"embed"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/tillside/tillside/agent/loyalty"
)

//go:embed data/*.gz
var files embed.FS

// Kind tells what a document of the source is at a till.
type Kind string

const (
	// Sale is a purchase: every quantity is positive.
	Sale Kind = "sale"
	// Return is goods brought back: every quantity was negative in the source
	// and is positive here.
	Return Kind = "return"
	// WriteOff is a stock correction that got among the receipts: negative
	// quantities at price zero. A till is expected to refuse it.
	WriteOff Kind = "write-off"
)

// Receipt is one document of the source.
type Receipt struct {
	ID     string
	Kind   Kind
	Member string // customer number, empty for none
	Time   time.Time
	Lines  []loyalty.Line
}

// Member is one customer of the source.
type Member struct {
	ID        string
	Country   string
	FirstSeen time.Time
}

// Product is one SKU of the source.
type Product struct {
	SKU   string
	Name  string
	Kind  string // product, postage, manual, carriage, fee, discount, samples, giftvoucher
	Price loyalty.Price
}

// Card is the number on the loyalty card of a customer: EAN-13 of the range
// that shops keep for themselves.
func Card(member string) string {
	digits := fmt.Sprintf("20%010s", member)
	sum := 0
	for i, c := range digits {
		sum += int(c-'0') * (1 + 2*(i%2))
	}
	return fmt.Sprintf("%s%d", digits, (10-sum%10)%10)
}

// Recent gives every document as if the shop had sold in the weeks before now:
// moved by whole weeks, so that weekday and hour stay, the last one before now.
// Points of 2010 would long have expired.
func Recent(now time.Time) ([]Receipt, error) {
	all, err := Receipts()
	if err != nil || len(all) == 0 {
		return nil, err
	}
	const week = 7 * 24 * time.Hour
	weeks := now.Sub(all[len(all)-1].Time) / week
	for i := range all {
		all[i].Time = all[i].Time.Add(weeks * week)
	}
	return all, nil
}

// Receipts gives every document in the order of the source, which is the
// order of time.
func Receipts() ([]Receipt, error) {
	names, err := productNames()
	if err != nil {
		return nil, err
	}
	var all []Receipt
	err = each("data/receipts.csv.gz", func(get func(string) string) error {
		id := get("receipt_id")
		if len(all) == 0 || all[len(all)-1].ID != id {
			at, err := time.Parse("2006-01-02T15:04:05", get("time"))
			if err != nil {
				return fmt.Errorf("receipt %s: %w", id, err)
			}
			all = append(all, Receipt{ID: id, Kind: Kind(get("type")), Member: get("member_id"), Time: at})
		}
		r := &all[len(all)-1]
		line, err := readLine(get)
		if err != nil {
			return fmt.Errorf("receipt %s line %s: %w", id, get("line_no"), err)
		}
		line.Name = names[line.SKU].Name
		switch {
		case r.Kind == Return:
			line.Quantity = -line.Quantity
		case line.Quantity < 0:
			r.Kind = WriteOff
		}
		r.Lines = append(r.Lines, line)
		return nil
	})
	return all, err
}

func readLine(get func(string) string) (loyalty.Line, error) {
	q, err := loyalty.ParseQuantity(get("qty"))
	if err != nil {
		return loyalty.Line{}, err
	}
	p, err := loyalty.ParsePrice(get("unit_price"))
	if err != nil {
		return loyalty.Line{}, err
	}
	return loyalty.Line{ID: get("line_no"), SKU: get("sku"), Category: get("line_type"), Quantity: q, Price: p}, nil
}

// Members gives every customer in the order of the source.
func Members() ([]Member, error) {
	var all []Member
	err := each("data/members.csv.gz", func(get func(string) string) error {
		at, err := time.Parse("2006-01-02T15:04:05", get("first_seen"))
		all = append(all, Member{ID: get("member_id"), Country: get("country"), FirstSeen: at})
		return err
	})
	return all, err
}

// Products gives every SKU in the order of the source.
func Products() ([]Product, error) {
	var all []Product
	err := each("data/products.csv.gz", func(get func(string) string) error {
		var p loyalty.Price // zero for goods that were only ever written off
		var err error
		if median := get("median_price"); median != "" {
			p, err = loyalty.ParsePrice(median)
		}
		all = append(all, Product{SKU: get("sku"), Name: strings.TrimSpace(get("name")), Kind: get("line_type"), Price: p})
		return err
	})
	return all, err
}

func productNames() (map[string]Product, error) {
	all, err := Products()
	m := make(map[string]Product, len(all))
	for _, p := range all {
		m[p.SKU] = p
	}
	return m, err
}

// each calls f for every row of a compressed table with a getter by column.
func each(name string, f func(get func(string) string) error) error {
	file, err := files.Open(name)
	if err != nil {
		return err
	}
	defer file.Close()
	plain, err := gzip.NewReader(file)
	if err != nil {
		return fmt.Errorf("open %s: %w", name, err)
	}
	rows := csv.NewReader(plain)
	rows.ReuseRecord = true
	head, err := rows.Read()
	if err != nil {
		return fmt.Errorf("read header of %s: %w", name, err)
	}
	column := make(map[string]int, len(head))
	for i, h := range head {
		column[strings.Clone(h)] = i
	}
	for {
		row, err := rows.Read()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("read %s: %w", name, err)
		}
		if err := f(func(c string) string { return strings.Clone(row[column[c]]) }); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
	}
}
