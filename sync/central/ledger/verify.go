package ledger

import (
	"database/sql"
	"fmt"

	"github.com/tillside/tillside/agent/loyalty"
	"github.com/tillside/tillside/sync/central/db"
)

// Report is the outcome of Verify.
type Report struct {
	Members  int64    `json:"members"` // with a balance
	Balances int64    `json:"balances"`
	Entries  int64    `json:"entries"`
	Receipts int64    `json:"receipts"`
	Problems []string `json:"problems"` // at most 1,000
	Broken   int64    `json:"broken"`   // how many there are in all
}

// OK tells whether nothing is wrong.
func (r *Report) OK() bool { return r.Broken == 0 }

func (r *Report) add(format string, args ...any) {
	r.Broken++
	if len(r.Problems) < 1000 {
		r.Problems = append(r.Problems, fmt.Sprintf(format, args...))
	}
}

// Verify recomputes every balance from the entries and holds it against what
// is stored: sums of zero (I1), nothing below zero (I2), holds and lots
// covered, chains whole. It reads one view and changes nothing.
func Verify(tx *db.Tx) (*Report, error) {
	r := &Report{Problems: []string{}}
	type tip struct {
		b    Balance
		last int64
	}
	sums := map[account]*tip{}
	var previous int64
	err := tx.Rows(`SELECT id, prev, member, wallet, debit, credit, points FROM entry ORDER BY id`, nil, func(rows *sql.Rows) error {
		var id, prev, points int64
		var k account
		var from, to Account
		if err := rows.Scan(&id, &prev, &k.member, &k.wallet, &from, &to, &points); err != nil {
			return err
		}
		r.Entries++
		if id != previous+1 {
			r.add("entry %d follows entry %d", id, previous)
		}
		previous = id
		t := sums[k]
		if t == nil {
			t = &tip{}
			sums[k] = t
		}
		if prev != t.last {
			r.add("entry %d of member %s, wallet %s names %d as the one before, which is %d", id, k.member, k.wallet, prev, t.last)
		}
		t.last = id
		if err := t.b.move(from, to, loyalty.Points(points)); err != nil {
			r.add("entry %d of member %s, wallet %s: %v", id, k.member, k.wallet, err)
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("read entries: %w", err)
	}
	seen := map[loyalty.MemberID]bool{}
	stored := map[account]Balance{}
	err = tx.Rows(`SELECT member, wallet, available, pending, held, leased, spent, expired, issued, lost, last FROM balance`, nil, func(rows *sql.Rows) error {
		var k account
		var b Balance
		if err := rows.Scan(&k.member, &k.wallet, &b.Available, &b.Pending, &b.Held, &b.Leased, &b.Spent, &b.Expired, &b.Issued, &b.Lost, &b.last); err != nil {
			return err
		}
		r.Balances++
		seen[k.member] = true
		stored[k] = b
		if p := b.sound(); p != "" {
			r.add("member %s, wallet %s: %s", k.member, k.wallet, p)
		}
		t := sums[k]
		if t == nil {
			r.add("member %s, wallet %s: a balance without entries", k.member, k.wallet)
			return nil
		}
		delete(sums, k)
		t.b.last = t.last
		if t.b != b {
			r.add("member %s, wallet %s: stored %+v, entries add up to %+v", k.member, k.wallet, b, t.b)
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("read balances: %w", err)
	}
	r.Members = int64(len(seen))
	for k := range sums {
		r.add("member %s, wallet %s: entries without a balance", k.member, k.wallet)
	}
	if err := verifyCover(tx, r, stored); err != nil {
		return nil, err
	}
	_, err = tx.Row(`SELECT COUNT(*) FROM receipt`, nil, &r.Receipts)
	return r, err
}

// verifyCover holds open holds and lots against the accounts.
func verifyCover(tx *db.Tx, r *Report, stored map[account]Balance) error {
	held := map[account]loyalty.Points{}
	err := tx.Rows(`SELECT member, wallet, points FROM hold WHERE state IN ('open', 'unresolved') AND lease = ''`, nil, func(rows *sql.Rows) error {
		var k account
		var p loyalty.Points
		err := rows.Scan(&k.member, &k.wallet, &p)
		held[k] += p
		return err
	})
	if err != nil {
		return fmt.Errorf("read holds: %w", err)
	}
	for k, b := range stored {
		if held[k] != b.Held {
			r.add("member %s, wallet %s: holds add up to %s, the account has %s", k.member, k.wallet, held[k], b.Held)
		}
		delete(held, k)
	}
	for k, p := range held {
		r.add("member %s, wallet %s: holds of %s without a balance", k.member, k.wallet, p)
	}
	leases := map[account]loyalty.Points{}
	err = tx.Rows(`SELECT member, wallet, remaining FROM lease`, nil, func(rows *sql.Rows) error {
		var k account
		var p loyalty.Points
		err := rows.Scan(&k.member, &k.wallet, &p)
		leases[k] += p
		return err
	})
	if err != nil {
		return fmt.Errorf("read leases: %w", err)
	}
	for k, b := range stored {
		if leases[k] != b.Leased {
			r.add("member %s, wallet %s: leases add up to %s, the account has %s", k.member, k.wallet, leases[k], b.Leased)
		}
	}
	active, pending := map[account]loyalty.Points{}, map[account]loyalty.Points{}
	err = tx.Rows(`SELECT member, wallet, state, remaining FROM lot WHERE state <> 'done'`, nil, func(rows *sql.Rows) error {
		var k account
		var state string
		var p loyalty.Points
		if err := rows.Scan(&k.member, &k.wallet, &state, &p); err != nil {
			return err
		}
		if state == "pending" {
			pending[k] += p
		} else {
			active[k] += p
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("read lots: %w", err)
	}
	for k, b := range stored {
		if pending[k] != b.Pending {
			r.add("member %s, wallet %s: lots to come add up to %s, the account has %s", k.member, k.wallet, pending[k], b.Pending)
		}
		if active[k] > b.Available+b.Held+b.Leased {
			r.add("member %s, wallet %s: lots of %s, the accounts have %s", k.member, k.wallet, active[k], b.Available+b.Held+b.Leased)
		}
	}
	return nil
}

// Totals is what the whole programme gave and took in one wallet.
type Totals struct {
	Wallet    string         `json:"wallet"`
	Earned    loyalty.Points `json:"earned"`   // by receipts and events, also those still unclaimed
	Spent     loyalty.Points `json:"spent"`    // used on receipts
	Reversed  loyalty.Points `json:"reversed"` // earned points taken back
	Restored  loyalty.Points `json:"restored"` // spent points given back
	Expired   loyalty.Points `json:"expired"`
	Adjusted  loyalty.Points `json:"adjusted"`  // opening balances and corrections, net
	Unclaimed loyalty.Points `json:"unclaimed"` // part of Earned: of cards nobody knows yet
	Lost      loyalty.Points `json:"lost"`      // borne by the shops
	Available loyalty.Points `json:"available"`
	Pending   loyalty.Points `json:"pending"`
	Held      loyalty.Points `json:"held"`
	Leased    loyalty.Points `json:"leased"`
}

// Summary is the whole ledger in figures.
type Summary struct {
	Members   int64    `json:"members"`
	Receipts  int64    `json:"receipts"` // sales
	Returns   int64    `json:"returns"`
	Voided    int64    `json:"voided"`
	Entries   int64    `json:"entries"`
	Parked    int64    `json:"parked"`          // records waiting for a person
	Waiting   int64    `json:"waiting"`         // returns whose sale has not arrived
	Unclaimed int64    `json:"unclaimed_cards"` // cards nobody knows yet
	Findings  int64    `json:"findings"`
	Records   int64    `json:"records"` // received from all tills in all epochs
	Wallets   []Totals `json:"wallets"`
}

// Sum adds up the ledger from its entries and balances, not from any total
// kept beside them.
func Sum(tx *db.Tx) (*Summary, error) {
	s := &Summary{Wallets: []Totals{}}
	at := map[string]int{}
	in := func(wallet string) *Totals {
		i, ok := at[wallet]
		if !ok {
			i = len(s.Wallets)
			at[wallet] = i
			s.Wallets = append(s.Wallets, Totals{Wallet: wallet})
		}
		return &s.Wallets[i]
	}
	err := tx.Rows(`SELECT wallet, available, pending, held, leased, lost FROM (
			SELECT wallet, SUM(available) AS available, SUM(pending) AS pending, SUM(held) AS held, SUM(leased) AS leased, -SUM(lost) AS lost
			FROM balance GROUP BY wallet) AS b ORDER BY wallet`, nil, func(r *sql.Rows) error {
		var t Totals
		if err := r.Scan(&t.Wallet, &t.Available, &t.Pending, &t.Held, &t.Leased, &t.Lost); err != nil {
			return err
		}
		*in(t.Wallet) = t
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("add up balances: %w", err)
	}
	err = tx.Rows(`SELECT wallet, kind, debit, SUM(points) FROM entry GROUP BY wallet, kind, debit ORDER BY wallet, kind`, nil, func(r *sql.Rows) error {
		var wallet string
		var kind Kind
		var from Account
		var p loyalty.Points
		if err := r.Scan(&wallet, &kind, &from, &p); err != nil {
			return err
		}
		t := in(wallet)
		switch kind {
		case Earn:
			t.Earned += p
		case Spend:
			t.Spent += p
		case TakeBack:
			t.Reversed += p
		case GiveBack:
			t.Restored += p
		case Expire:
			t.Expired += p
		case Adjust:
			if from == Issued {
				t.Adjusted += p
			} else {
				t.Adjusted -= p
			}
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("add up entries: %w", err)
	}
	err = tx.Rows(`SELECT wallet, SUM(earned) FROM unclaimed WHERE wallet <> '' GROUP BY wallet ORDER BY wallet`, nil, func(r *sql.Rows) error {
		var wallet string
		var p loyalty.Points
		if err := r.Scan(&wallet, &p); err != nil {
			return err
		}
		in(wallet).Unclaimed += p
		in(wallet).Earned += p
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("add up unclaimed: %w", err)
	}
	c, err := Counts(tx)
	if err != nil {
		return nil, err
	}
	c.Wallets = s.Wallets
	return c, nil
}

// Counts is Sum without the wallets, cheap enough for a page.
func Counts(tx *db.Tx) (*Summary, error) {
	s := &Summary{}
	for _, q := range []struct {
		sql  string
		dest *int64
	}{
		{`SELECT COUNT(*) FROM member`, &s.Members},
		{`SELECT COUNT(DISTINCT ref) FROM unclaimed`, &s.Unclaimed},
		{`SELECT COUNT(*) FROM receipt WHERE kind = 'sale'`, &s.Receipts},
		{`SELECT COUNT(*) FROM receipt WHERE kind = 'return'`, &s.Returns},
		{`SELECT COUNT(*) FROM receipt WHERE state = 'voided'`, &s.Voided},
		{`SELECT COUNT(*) FROM entry`, &s.Entries},
		{`SELECT COUNT(*) FROM parked WHERE resolved = 0`, &s.Parked},
		{`SELECT COUNT(*) FROM waiting`, &s.Waiting},
		{`SELECT COUNT(*) FROM finding`, &s.Findings},
		{`SELECT COALESCE(SUM(to_seq - from_seq + 1), 0) FROM journal`, &s.Records},
	} {
		if _, err := tx.Row(q.sql, nil, q.dest); err != nil {
			return nil, fmt.Errorf("count: %w", err)
		}
	}
	return s, nil
}
