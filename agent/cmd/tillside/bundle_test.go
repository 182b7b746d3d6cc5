package main

import (
	"archive/zip"
	"encoding/json"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestBundleTellsNothingOfAPerson works with a till whose log is told
// everything, and looks for what must not be in a bundle.
func TestBundleTellsNothingOfAPerson(t *testing.T) {
	dir, token := testFolder(t)
	logs := t.TempDir()
	settings := "version = 1\n[log]\nlevel = \"debug\"\nfile = " + quote(filepath.Join(logs, "agent.log")) + "\n"
	if err := os.WriteFile(filepath.Join(dir, "till.toml"), []byte(settings), 0o600); err != nil {
		t.Fatal(err)
	}
	p := start(t, dir)
	post := func(path, key, body string) string {
		req, err := http.NewRequest(http.MethodPost, p.addr+path, strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Authorization", "Bearer "+token)
		req.Header.Set("Content-Type", "application/json")
		if key != "" {
			req.Header.Set("Idempotency-Key", key)
		}
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		b, _ := io.ReadAll(resp.Body)
		return string(b)
	}
	var who struct{ Member struct{ Token string } }
	if err := json.Unmarshal([]byte(post("/v1/identify", "", `{"input":"`+card+`"}`)), &who); err != nil || who.Member.Token == "" {
		t.Fatal("no member")
	}
	const phone = "48501002003"
	post("/v1/identify", "", `{"phone":"+`+phone+`"}`)
	post("/v1/identify", "", `{"input":"`+card+`X"}`)
	post("/v1/receipts/R1/capture", "k1", `{"receipt":{"member":"`+who.Member.Token+`","lines":[{"sku":"1","quantity":"1","price":"5.00"}]}}`)
	post("/v1/receipts/R2/capture", "k2", `{"receipt":{"member":"`+who.Member.Token+`x","lines":[]}}`)
	// Somebody wrote into the log what the agent never would.
	f, err := os.OpenFile(filepath.Join(logs, "agent.log"), os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	_, _ = f.WriteString("time=2026-01-02T03:04:05Z card " + card + " of anna@example.com, phone +48 501 002 003, token=" + token + " first_name=\"Anna\" code 7K2M-9QXT-4WDH\n")
	f.Close()

	look := func(want ...string) {
		t.Helper()
		to := t.TempDir()
		code, out, errs := run("bundle", "--data", dir, "--to", to, "--json")
		var made struct{ ID, File string }
		if code != 0 || json.Unmarshal([]byte(out), &made) != nil || len(made.ID) != 8 {
			t.Fatalf("bundle: %d %s %s", code, out, errs)
		}
		z, err := zip.OpenReader(made.File)
		if err != nil {
			t.Fatal(err)
		}
		defer z.Close()
		there := map[string]string{}
		for _, f := range z.File {
			r, err := f.Open()
			if err != nil {
				t.Fatal(err)
			}
			b, err := io.ReadAll(r)
			r.Close()
			if err != nil {
				t.Fatal(err)
			}
			name := strings.TrimPrefix(f.Name, "tillside-"+made.ID+"/")
			there[name] = string(b)
			for _, secret := range []string{card, phone, "501 002 003", "Anna", "anna@", token, who.Member.Token, "7K2M-9QXT"} {
				if strings.Contains(string(b), secret) {
					t.Errorf("%s tells %q", name, secret)
				}
			}
		}
		for _, name := range want {
			if there[name] == "" {
				t.Errorf("the bundle lacks %s: it has %d files", name, len(there))
			}
		}
		if !strings.Contains(there["log/agent.log"], "2026-01-02T03:04:05Z") {
			t.Error("a time was taken for a number")
		}
	}
	look("about.json", "doctor.json", "status.json", "metrics.txt", "settings.toml", "folder.txt", "log/agent.log")
	p.stop()
	look("about.json", "doctor.json", "journal.json", "settings.toml", "folder.txt", "log/agent.log")
}

func quote(s string) string {
	b, _ := json.Marshal(s)
	return string(b)
}

func TestDoctorCommand(t *testing.T) {
	dir, _ := testFolder(t)
	code, out, _ := run("doctor", "--data", dir)
	if code != exitUnwell || !strings.Contains(out, "[agent_stopped]") || !strings.Contains(out, "do: tillside service start") || !strings.Contains(out, "[link_tcp]") {
		t.Errorf("%d\n%s", code, out)
	}
	var told struct {
		Worst    string
		Findings []struct{ Check, Level, Code string }
	}
	if code, out, _ := run("doctor", "--data", dir, "--json"); code != exitUnwell || json.Unmarshal([]byte(out), &told) != nil || told.Worst != "fail" || len(told.Findings) < 10 {
		t.Errorf("%d\n%s", code, out)
	}
	bad := filepath.Join(t.TempDir(), "bad.toml")
	if err := os.WriteFile(bad, []byte("version = 1\nlanguage = \"xx\"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if code, out, _ := run("doctor", "--config", bad, "--data", dir); code != exitUnwell || !strings.Contains(out, "bad.toml:2") {
		t.Errorf("%d\n%s", code, out)
	}
}
