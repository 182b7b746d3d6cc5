package simulation

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"github.com/tillside/tillside/agent"
	"github.com/tillside/tillside/agent/loyalty"
	"github.com/tillside/tillside/agent/till"
	"github.com/tillside/tillside/configs"
	"github.com/tillside/tillside/sync/central"
	"github.com/tillside/tillside/sync/central/db"
	"github.com/tillside/tillside/sync/central/fleet"
	"github.com/tillside/tillside/sync/central/keys"
	"github.com/tillside/tillside/sync/central/members"
	"github.com/tillside/tillside/sync/central/rulebook"
	"github.com/tillside/tillside/sync/wire"
)

// template is a chain that was set up by the product itself: rulebook
// published, members added, tills enrolled. Each story begins with a copy.
type template struct {
	dir     string
	places  []place
	members []loyalty.MemberID
	made    time.Time
}

// Template sets a chain up in dir.
func Template(ctx context.Context, dir string, document []byte) (_ *template, err error) {
	t := &template{dir: dir, made: time.Now().Truncate(time.Second)}
	home := filepath.Join(dir, "centre")
	s, err := central.Open(ctx, central.Config{Dir: home, Version: "simulated", Zone: time.UTC})
	if err != nil {
		return nil, err
	}
	defer func() {
		if e := s.Close(context.WithoutCancel(ctx)); err == nil {
			err = e
		}
	}()
	key, err := keys.Load(central.KeyFile(home))
	if err != nil {
		return nil, err
	}
	var codes []string
	err = s.DB().Write(ctx, func(tx *db.Tx) error {
		if _, _, err := rulebook.Publish(tx, document, "", 0, key, t.made, central.NewEngine(s.DB()).Check); err != nil {
			return err
		}
		for _, card := range cards {
			id, err := s.Members().Add(tx, members.Person{FirstName: "Ada"})
			if err != nil {
				return err
			}
			if err := s.Members().AddCard(tx, id, wire.KindCard, card, "", "active"); err != nil {
				return err
			}
			if _, err := s.Ledger().AdjustBy(tx, id, wallet, opening, "", ""); err != nil {
				return err
			}
			t.members = append(t.members, id)
		}
		for i, shop := range shops {
			code, _, err := fleet.NewCode(tx, shop, fmt.Sprint(i+1), t.made, nil)
			if err != nil {
				return err
			}
			codes = append(codes, code)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	for i, shop := range shops {
		disk := filepath.Join(dir, fmt.Sprintf("%s-%d", shop, i+1))
		if err := os.MkdirAll(disk, 0o700); err != nil {
			return nil, err
		}
		id, err := agent.Enrol(ctx, agent.Enrolment{Dir: disk, Server: s.URL(), Code: codes[i], Version: "simulated"})
		if err != nil {
			return nil, err
		}
		token, err := till.OpenPrograms(disk).Add("cash", 1, t.made)
		if err != nil {
			return nil, err
		}
		p := place{shop, fmt.Sprint(i + 1), id.Device, token}
		t.places = append(t.places, p)
		if err := history(ctx, disk, p); err != nil {
			return nil, fmt.Errorf("first day of till %s: %w", p, err)
		}
	}
	return t, nil
}

// history is the first day of a till, with the real clock and a real port:
// every member buys something there, so that the centre knows where they shop.
func history(ctx context.Context, disk string, p place) error {
	s := configs.DefaultAgent()
	s.Data, s.API.Listen = disk, "127.0.0.1:0"
	a, err := agent.Open(agent.Options{Settings: s, Version: "simulated"})
	if err != nil {
		return err
	}
	run, stop := context.WithCancel(ctx)
	ended := make(chan error, 1)
	go func() { ended <- a.Run(run) }()
	defer func() {
		stop()
		<-ended
		_ = a.Close()
	}()
	call := func(method, path, key, body string) (int, []byte) {
		return ask(a.Till().Handler(nil), a.Addr().String(), p.Token, method, path, key, []byte(body))
	}
	var st struct{ Journal struct{ Seq, Acked uint64 } }
	wait := func(what string, ok func() bool) error {
		for range 3000 {
			if _, b := call("GET", "/v1/status", "", ""); json.Unmarshal(b, &st) == nil && ok() {
				return nil
			}
			time.Sleep(10 * time.Millisecond)
		}
		return errors.New(what)
	}
	for i, card := range cards {
		id := fmt.Sprintf("first-%s-%d", p.Till, i)
		var status int
		var answer []byte
		err := wait("nothing is sold", func() bool { // until rulebook and member have come
			var who struct{ Member struct{ Token string } }
			_, b := call("POST", "/v1/identify", "", `{"input":"`+card+`","entry":"scan"}`)
			if json.Unmarshal(b, &who) != nil || who.Member.Token == "" {
				return false
			}
			sale := `{"receipt":{"member":"` + who.Member.Token + `","lines":[{"sku":"100","quantity":"1","price":"1.00"}]}}`
			status, answer = call("POST", "/v1/receipts/"+id+"/capture", id, sale)
			return status == http.StatusOK
		})
		if err != nil {
			return fmt.Errorf("%w: %d %s", err, status, answer)
		}
	}
	return wait("the journal does not drain", func() bool { return st.Journal.Seq > 6 && st.Journal.Seq == st.Journal.Acked })
}
