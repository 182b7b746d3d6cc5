package faults

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/tillside/tillside/agent"
	"github.com/tillside/tillside/agent/store"
	"github.com/tillside/tillside/configs"
)

// hurt is what was done to one file of a data folder.
type hurt struct {
	File string
	// Examined: the last stop was not clean, so the start looks at the files.
	Examined bool
	Digest   string // of the file as it was hurt
	// Balances is what the cards' owners had before, as identify told it.
	Balances []string
}

// examineInChild is what the program does at a start after an unclean stop.
func examineInChild(path string) error {
	cmd := exec.Command(os.Args[0], path)
	cmd.Env = append(os.Environ(), roleVar+"=examine")
	out, err := cmd.CombinedOutput()
	var code *exec.ExitError
	if errors.As(err, &code) {
		return fmt.Errorf("%w: %.200s", store.ErrDamaged, out)
	}
	return nil
}

func examiner(args []string) int {
	if len(args) != 1 {
		return 2
	}
	if err := store.Examine(args[0]); errors.Is(err, store.ErrDamaged) {
		fmt.Println(err)
		return 1
	}
	return 0
}

// balance is what identify tells of a card, without what changes each time.
func balance(answer string) string {
	var a struct {
		Member struct {
			FirstName string `json:"first_name"`
			Balances  []struct {
				Wallet  string `json:"wallet"`
				Active  string `json:"active"`
				Pending string `json:"pending"`
				ToBe    string `json:"to_be_credited"`
			} `json:"balances"`
		} `json:"member"`
	}
	_ = json.Unmarshal([]byte(answer), &a)
	return a.Member.FirstName + fmt.Sprint(a.Member.Balances)
}

// verifyHurt starts the agent on a folder with one hurt file. Nothing wrong
// may be told: an answer is the one that was given, or none.
func (j *job) verifyHurt(calls []*call) error {
	s := configs.DefaultAgent()
	s.Data, s.API.Listen = j.Dir, "127.0.0.1:0"
	o := agent.Options{Settings: s, Version: "test", Log: slog.New(slog.DiscardHandler), Check: examineInChild}
	a, err := agent.Open(o)
	if err != nil {
		switch j.Hurt.File {
		case store.JournalFile, store.CacheFile, store.JournalFile + ".mirror":
			return fmt.Errorf("the agent does not start: %w", err)
		}
		return nil // a plain error is all that can be said of a lost identity
	}
	defer a.Close()
	h := a.Till().Handler(http.NotFoundHandler())
	ask := func(path, key, body string) (int, string) {
		r := httptest.NewRequest(http.MethodPost, "http://"+a.Addr().String()+path, strings.NewReader(body))
		r.Header.Set("Authorization", "Bearer "+j.Token)
		r.Header.Set("Content-Type", "application/json")
		r.Header.Set("Idempotency-Key", key)
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		return w.Code, w.Body.String()
	}
	if err := a.Till().Start(context.Background()); err != nil && (j.Hurt.Examined || !errors.Is(err, store.ErrDamaged)) {
		return fmt.Errorf("settle what was open: %w", err)
	}
	for i, c := range cards {
		status, answer := ask("/v1/identify", "", fmt.Sprintf(`{"input":%q}`, c))
		if got := balance(answer); status == http.StatusOK && strings.Contains(got, "Anna") && got != j.Hurt.Balances[i] && !j.asideThere() {
			return fmt.Errorf("card %d had %s and now has %s", i, j.Hurt.Balances[i], got)
		}
	}
	if j.asideThere() {
		if j.Hurt.File != store.JournalFile {
			return errors.New("the journal was set aside although another file was hurt")
		}
		j.Aside = j.Hurt.Digest
		if err := j.asideIs(); err != nil {
			return err
		}
	} else {
		for _, c := range calls {
			status, answer := ask(c.Path, c.Key, c.Body)
			if status == http.StatusOK && digest(answer) != c.Answer {
				return fmt.Errorf("%s of %s is answered with something else: %.300s", c.Does, c.Receipt, answer)
			}
			if status != http.StatusOK && j.Hurt.Examined && j.Hurt.File == store.JournalFile {
				return fmt.Errorf("the start found nothing, and %s of %s is now answered %d %.200s", c.Does, c.Receipt, status, answer)
			}
		}
	}
	status, answer := ask("/v1/receipts/AFTER/capture", "after", `{"receipt":{"currency":"GBP","lines":[{"sku":"1","quantity":"1","price":"1.00"}]}}`)
	if status != http.StatusOK && j.Hurt.Examined && j.Hurt.File == store.JournalFile {
		return fmt.Errorf("no sale after the start: %d %.200s", status, answer)
	}
	return nil
}

func (j *job) asideThere() bool {
	set, _ := filepath.Glob(filepath.Join(j.Dir, store.JournalFile+".damaged-*"))
	return len(set) > 0
}

// TestDamageEverywhere (F5) hurts each file of a till's data folder, region by
// region: a flipped bit, a sector of zeros, a sector of another place, the end
// torn off. The start, with and without an examination, must tell nothing
// wrong and lose nothing.
func TestDamageEverywhere(t *testing.T) {
	s := newShop(t, nil)
	if err := s.start(); err != nil {
		t.Fatal(err)
	}
	for _, i := range []int{1, 2, 3, 4, 8, 9, 10, 12} {
		s.receipt(i)
	}
	h := hurt{}
	for _, c := range cards {
		_, answer := s.post("/v1/identify", "", fmt.Sprintf(`{"input":%q}`, c))
		h.Balances = append(h.Balances, balance(answer))
	}
	s.stop()
	good := filepath.Join(scratch(t), "good")
	if err := os.Mkdir(good, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := s.disk.CopyTo(good); err != nil {
		t.Fatal(err)
	}
	r := rand.New(rand.NewPCG(*firstSeed, 5))
	seen := map[string]int{}
	c := newCrew(t, "verify", s.calls, workers)
	base := scratch(t)
	end := time.Now().Add(share(6))
	files := []string{store.JournalFile, store.CacheFile, store.JournalFile + ".mirror", agent.IdentityFile, "tokens", "secret"}
	kinds := []string{"bit", "zeros", "other place", "torn"}
	regions := 0
	for _, file := range files {
		whole, err := os.ReadFile(filepath.Join(good, file))
		if err != nil {
			t.Fatal(err)
		}
		step := sectorOf(len(whole), pick(16/sparsely, 4096))
		for at := 0; at < len(whole) && time.Now().Before(end); at += step {
			regions++
			for k, kind := range kinds {
				if *long == 0 && (at/step)%len(kinds) != k {
					continue
				}
				bad := []byte(string(whole))
				to := min(at+512, len(bad))
				switch kind {
				case "bit":
					bad[at+r.IntN(to-at)] ^= 1 << r.IntN(8)
				case "zeros":
					clear(bad[at:to])
				case "other place":
					from := r.IntN(max(len(bad)-512, 1)) / 512 * 512
					copy(bad[at:to], whole[from:])
				case "torn":
					bad = bad[:at]
				}
				one := h
				one.File, one.Examined, one.Digest = file, (at/step+k)%2 == 0, digest(string(bad))
				j := job{Token: s.token, Hurt: &one}
				where := fmt.Sprintf("%s at %d of %s, examined %v", kind, at, file, one.Examined)
				seen[file]++
				c.work <- func(ch *child, worker int) {
					j.Dir = imageDir(base, worker)
					c.note(where, hurtAndLook(ch, j, good, bad))
				}
			}
		}
	}
	c.end()
	for _, b := range c.bad {
		t.Error(b)
	}
	did := fmt.Sprintf("%d regions, %d hurt folders: %v", regions, c.tried, seen)
	rows.add("F5", "a bit, a sector or the end of each file of a till", did, c.nbad)
	t.Log(did)
}

// sectorOf is how far regions are apart: a sector, or more where a file has
// more of them than are wanted.
func sectorOf(size, most int) int {
	return max(1, (size/512+most-1)/most) * 512
}

func hurtAndLook(ch *child, j job, good string, bad []byte) verdict {
	err := os.RemoveAll(j.Dir)
	if err == nil {
		err = os.CopyFS(j.Dir, os.DirFS(good))
	}
	if err == nil {
		err = os.WriteFile(filepath.Join(j.Dir, j.Hurt.File), bad, 0o600)
	}
	if err == nil && j.Hurt.Examined {
		err = os.WriteFile(filepath.Join(j.Dir, "running"), nil, 0o600)
	}
	if err != nil {
		return verdict{Bad: err.Error()}
	}
	v := ch.look(j)
	if strings.HasPrefix(v.Bad, died) && !j.Hurt.Examined {
		// The worst a damaged file can do is to end the program. The service
		// manager starts it again, and that start knows to look first.
		j.Hurt.Examined = true
		return ch.look(j)
	}
	return v
}
