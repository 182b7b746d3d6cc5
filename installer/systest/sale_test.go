package systest

import (
	"encoding/json"
	"fmt"
	"os/exec"
	"strings"
	"testing"
	"time"
)

// atMost bounds each single wait; a machine under load is slow, not wrong.
const atMost = 90 * time.Second

// currency of the sample rulebook that the centre publishes here.
const currency = "GBP"

// card is that of the only member.
const card = "2000000125008"

// cashdesk is cash software: it calls an agent by curl, run by the words of
// via ("ip netns exec …" reaches into a machine).
type cashdesk struct {
	t       *testing.T
	via     []string
	till    string // address of the agent
	bench   string // address of the emulated devices
	token   string
	receipt int
	slip    string // the last one
}

// call makes one call; the status is 0 when nobody answered.
func (c *cashdesk) call(method, url, key, body string) (int, string) {
	args := append([]string{}, c.via...)
	args = append(args, "curl", "-s", "-m", "20", "-X", method, "-w", "\n%{http_code}", "-H", "Authorization: Bearer "+c.token, "-H", "Content-Type: application/json")
	if key != "" {
		args = append(args, "-H", "Idempotency-Key: "+key)
	}
	if body != "" {
		args = append(args, "-d", body)
	}
	out, err := exec.Command(args[0], append(args[1:], url)...).Output()
	text, code, _ := strings.Cut(string(out), "\n")
	if i := strings.LastIndexByte(string(out), '\n'); i >= 0 {
		text, code = string(out)[:i], string(out)[i+1:]
	}
	var status int
	if _, e := fmt.Sscan(code, &status); err != nil || e != nil {
		return 0, string(out)
	}
	return status, text
}

// healthy asks whether the till serves sales.
func (c *cashdesk) healthy() error {
	if status, text := c.call("GET", c.till+"/healthz", "", ""); status != 200 {
		return fmt.Errorf("healthz: %d %s", status, text)
	}
	return nil
}

// sell makes a whole sale for the member and waits for its slip. It gives the
// receipt's number.
func (c *cashdesk) sell() string {
	c.t.Helper()
	c.receipt++
	r := fmt.Sprintf("R%d", c.receipt)
	ask := func(path, key, body string) string {
		c.t.Helper()
		status, text := c.call("POST", c.till+path, key, body)
		if status != 200 && status != 201 {
			c.t.Fatalf("%s: %d %s", path, status, text)
		}
		return text
	}
	var who struct {
		Member struct {
			Token string `json:"token"`
		} `json:"member"`
		Known bool `json:"known"`
	}
	if err := json.Unmarshal([]byte(ask("/v1/identify", "", `{"input":"`+card+`"}`)), &who); err != nil || !who.Known || who.Member.Token == "" {
		c.t.Fatalf("identify: %+v %v", who, err)
	}
	basket := `{"member":"` + who.Member.Token + `","currency":"` + currency + `","lines":[{"sku":"7","name":"Coffee","category":"food/coffee","quantity":"2","price":"12.50"}]}`
	var priced struct {
		Totals struct {
			Net string `json:"net"`
		} `json:"totals"`
	}
	if err := json.Unmarshal([]byte(ask("/v1/receipts/"+r+"/calculate", "", basket)), &priced); err != nil || priced.Totals.Net == "" {
		c.t.Fatalf("calculate: %+v %v", priced, err)
	}
	ask("/v1/receipts/"+r+"/authorise", r+"-a", basket)
	ask("/v1/receipts/"+r+"/capture", r+"-c", `{"fiscal_number":"F-`+r+`","print":"agent","tenders":[{"kind":"cash","amount":"`+priced.Totals.Net+`"}]}`)
	c.must("the slip of "+r, c.printed)
	return r
}

// replug pulls the plugs of the emulated devices and puts them back. The lock a
// killed program leaves on a pseudo-terminal stays as long as its other end is
// open; that on a real port ends with the program.
func (c *cashdesk) replug() {
	c.t.Helper()
	for _, device := range []string{"scanner", "printer", "display"} {
		for _, act := range []string{"unplug", "plug"} {
			if status, text := c.call("POST", c.bench+"/"+act+"?device="+device, "", ""); status > 299 || status == 0 {
				c.t.Fatalf("%s %s: %d %s", act, device, status, text)
			}
		}
	}
}

// printed asks whether the emulated printer has printed a slip since the last
// time, and takes it off.
func (c *cashdesk) printed() error {
	status, text := c.call("GET", c.bench+"/text?device=printer&slip=last", "", "")
	if status != 200 || strings.TrimSpace(text) == "" {
		return fmt.Errorf("the printer: %d %q", status, text)
	}
	c.slip = text
	if status, text := c.call("POST", c.bench+"/clear?device=printer", "", ""); status > 299 {
		return fmt.Errorf("tear off the slip: %d %s", status, text)
	}
	return nil
}

// must asks until there is no error, or too late.
func (c *cashdesk) must(what string, ask func() error) {
	c.t.Helper()
	end := time.Now().Add(atMost)
	for {
		err := ask()
		if err == nil {
			return
		}
		if time.Now().After(end) {
			c.t.Fatalf("%s: %v", what, err)
		}
		time.Sleep(20 * time.Millisecond)
	}
}
