package simulation

import (
	"bytes"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/tillside/tillside/sync/wire"
)

var (
	seeds = flag.Int("seeds", 12, "how many stories TestSeeds plays")
	first = flag.Uint64("first", 1, "the first seed")
	steps = flag.Int("steps", 150, "events of a story")
	tale  = flag.Bool("tale", false, "print the stories as they are played")
	short = flag.Bool("shorten", true, "look for a shorter story when one fails")
)

// chain is the template of this test run.
var chain = sync.OnceValues(func() (*template, error) {
	// What is made once for a process must not be made inside a bubble.
	warm, err := wire.FeedItem(map[string]string{"text": strings.Repeat("warm ", 2000)})
	if err != nil {
		return nil, err
	}
	if msg, _, err := wire.EncodeFrame(&wire.Feed{Lane: wire.LaneMember, Upto: 1, Items: []json.RawMessage{warm}}); err != nil {
		return nil, err
	} else if _, err := wire.DecodeFrame(msg, true); err != nil {
		return nil, err
	}
	document, err := os.ReadFile("testdata/rulebook.json")
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp(scratch(), "chain")
	if err != nil {
		return nil, err
	}
	return Template(context.Background(), dir, document)
})

// scratch is a folder in memory where there is one: the disks of a story are
// copied often, and no power is cut here.
func scratch() string {
	if st, err := os.Stat("/dev/shm"); err == nil && st.IsDir() {
		return "/dev/shm"
	}
	return ""
}

func TestMain(m *testing.M) {
	flag.Parse()
	code := m.Run()
	if c, err := chain(); err == nil {
		_ = os.RemoveAll(c.dir)
	}
	os.Exit(code)
}

// run plays a story in a bubble of its own.
func run(t *testing.T, seed uint64, story Story, out io.Writer) (failures []string, c *counts) {
	t.Helper()
	tpl, err := chain()
	if err != nil {
		t.Fatal(err)
	}
	dir, err := os.MkdirTemp(scratch(), "story")
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(dir)
	log := slog.New(slog.DiscardHandler)
	if *tale {
		log = slog.New(slog.NewTextHandler(out, nil))
	}
	synctest.Test(t, func(t *testing.T) { failures, c = Play(tpl, filepath.Join(dir, "world"), seed, story, out, log) })
	return failures, c
}

// TestSeeds plays stories and prints what they were made of.
func TestSeeds(t *testing.T) {
	var mu sync.Mutex
	var sum counts
	t.Run("seeds", func(t *testing.T) {
		for i := range *seeds {
			seed := *first + uint64(i)
			t.Run(fmt.Sprint(seed), func(t *testing.T) {
				t.Parallel()
				story := Generate(seed, *steps)
				var out bytes.Buffer
				var to io.Writer = &out
				if *tale {
					to = os.Stderr
				}
				failures, c := run(t, seed, story, to)
				mu.Lock()
				sum.plus(c)
				mu.Unlock()
				if len(failures) > 0 {
					t.Errorf("seed %d: %s", seed, strings.Join(failures, "\n"))
					if *short {
						report(t, seed, story)
					}
				}
			})
		}
	})
	t.Log(sum.String())
}

// TestSameSeedSameStory: a story played twice is the same to the last answer,
// so a failing seed fails again.
func TestSameSeedSameStory(t *testing.T) {
	for seed := *first; seed < *first+uint64(max(4, *seeds/4)); seed++ {
		story := Generate(seed, *steps)
		var one, two bytes.Buffer
		run(t, seed, story, &one)
		run(t, seed, story, &two)
		if one.String() == two.String() {
			continue
		}
		a, b := strings.Split(one.String(), "\n"), strings.Split(two.String(), "\n")
		for i := range a {
			if i >= len(b) || a[i] != b[i] {
				t.Errorf("seed %d differs in line %d:\n%s\n%s", seed, i, a[i], append(b, "")[min(i, len(b))])
				break
			}
		}
	}
}

// report looks for a short story that fails too, and prints it as it is told.
func report(t *testing.T, seed uint64, story Story) {
	const tries = 300
	n := 0
	story = Shrink(story, func(s Story) bool {
		if n++; n > tries {
			return false
		}
		failures, _ := run(t, seed, s, io.Discard)
		return len(failures) > 0
	})
	var out bytes.Buffer
	run(t, seed, story, &out)
	t.Logf("a story of %d events is enough:\n%s", len(story), out.String())
}

// TestShrink: what is left is what matters.
func TestShrink(t *testing.T) {
	story := Generate(7, 400)
	story[50].Do, story[300].Do = "clone", "revoke"
	fails := func(s Story) bool {
		clone := slices.IndexFunc(s, func(e Event) bool { return e.Do == "clone" })
		return clone >= 0 && slices.ContainsFunc(s[clone:], func(e Event) bool { return e.Do == "revoke" })
	}
	got := Shrink(story, fails)
	if len(got) != 2 || got[0].Do != "clone" || got[1].Do != "revoke" {
		t.Fatalf("left:\n%s", got)
	}
}
