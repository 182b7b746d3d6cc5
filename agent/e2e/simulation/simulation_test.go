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
					t.Errorf("seed %d:\n%s", seed, strings.Join(failures, "\n"))
					lines := strings.Split(out.String(), "\n")
					t.Log(strings.Join(lines[max(0, len(lines)-60):], "\n"))
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
