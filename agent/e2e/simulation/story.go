package simulation

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"time"
)

// Event is one thing that happens. It stands for itself: leaving out others
// leaves its meaning, so a story can be shortened. What does not apply when
// its turn comes (a till that is off cannot serve) does nothing.
type Event struct {
	Do   string
	Till int           // which till, counted round
	N    int           // which member, receipt or byte, counted round
	Sum  int           // of the basket, in hundredths
	Wait time.Duration // before the next event
}

func (e Event) String() string {
	s := fmt.Sprintf("%-8s till %d, n %d", e.Do, e.Till, e.N)
	if e.Sum > 0 {
		s += fmt.Sprintf(", sum %d.%02d", e.Sum/100, e.Sum%100)
	}
	return fmt.Sprintf("%s; then %s", s, e.Wait)
}

// Story is the list of what happens.
type Story []Event

func (s Story) String() string {
	var b strings.Builder
	for i, e := range s {
		fmt.Fprintf(&b, "%4d  %s\n", i, e)
	}
	return b.String()
}

// Kinds of events with their weights: mostly trade, now and then trouble.
var kinds = []struct {
	do     string
	weight int
	faults bool // an identity fault: only in every second story
}{
	{do: "visit", weight: 300},   // a customer comes and pays with what she has
	{do: "spend", weight: 160},   // the same, and spends points
	{do: "capture", weight: 420}, // the cashier closes the receipt
	{do: "leave", weight: 25},    // the customer leaves instead
	{do: "again", weight: 30},    // the cash program repeats its last call
	{do: "return", weight: 30},   // goods come back
	{do: "void", weight: 15},     // a receipt is taken back whole
	{do: "cut", weight: 28},      // the line is cut, after N more bytes
	{do: "stall", weight: 14},    // the line swallows everything
	{do: "deaf", weight: 14},     // it swallows what the centre says
	{do: "slow", weight: 8},      // latency of seconds
	{do: "late", weight: 24},     // answers come about when nobody waits any more
	{do: "drop", weight: 20},     // the connection ends, the line is there
	{do: "mend", weight: 90},     // the line is whole again
	{do: "kill", weight: 14},     // the agent dies and starts again
	{do: "off", weight: 6},       // the till is switched off in order
	{do: "on", weight: 30},       // and on
	{do: "clock", weight: 4},     // it starts again with another time
	{do: "centre", weight: 6},    // the centre dies and starts again
	{do: "gift", weight: 10},     // the centre gives a member points
	{do: "block", weight: 6},     // a card is blocked, or free again
	{do: "audit", weight: 12},    // all balances recomputed
	{do: "night", weight: 2},     // everything is off for N hours
	{do: "image", weight: 3, faults: true},
	{do: "restore", weight: 2, faults: true}, // the till starts from its old image
	{do: "clone", weight: 1, faults: true},   // a copy of the till begins to work too
	{do: "revoke", weight: 1, faults: true},  // the till is stolen
}

// Generate writes the story of a seed.
func Generate(seed uint64, steps int) Story {
	r := rand.New(rand.NewPCG(seed, 0x7111))
	faults := seed%2 == 1
	total := 0
	for _, k := range kinds {
		if !k.faults || faults {
			total += k.weight
		}
	}
	story := make(Story, 0, steps)
	for len(story) < steps {
		n := r.IntN(total)
		e := Event{Till: r.IntN(tills), N: r.IntN(1 << 20), Sum: 100 + r.IntN(30_000)}
		for _, k := range kinds {
			if k.faults && !faults {
				continue
			}
			if n -= k.weight; n < 0 {
				e.Do = k.do
				break
			}
		}
		switch r.IntN(20) {
		case 0:
			e.Wait = time.Duration(r.IntN(120_000)) * time.Millisecond
		case 1, 2, 3, 4, 5:
			e.Wait = time.Duration(r.IntN(4_000)) * time.Millisecond
		case 6, 7, 8, 9, 10, 11, 12:
			e.Wait = time.Duration(r.IntN(200)) * time.Millisecond
		}
		// Trouble likes the moment between a question and its answer.
		if n := len(story); n > 0 && r.IntN(6) == 0 && slices.Contains(busy, story[n-1].Do) {
			story[n-1].Wait = time.Duration(r.IntN(160)) * time.Millisecond
			e.Do, e.Till = trouble[r.IntN(len(trouble))], story[n-1].Till
		}
		story = append(story, e)
	}
	return story
}

// What a till asks the centre about, and what may come between.
var (
	busy    = []string{"visit", "spend", "capture", "leave"}
	trouble = []string{"cut", "stall", "deaf", "deaf", "drop", "kill", "off", "centre"}
)

// clocks a dead battery or a careless hand may leave.
var clocks = []time.Duration{0, -time.Hour, time.Hour, 10 * 365 * 24 * time.Hour, -10 * 365 * 24 * time.Hour, -56 * 365 * 24 * time.Hour, 3 * time.Minute}

// play does one event.
func (w *world) play(e Event) {
	m := w.machines[e.Till%len(w.machines)]
	switch e.Do {
	case "visit":
		m.arrive(e.N%len(w.cards), money(e.Sum), "")
	case "spend":
		spend := "max"
		if e.N%3 == 0 {
			spend = fmt.Sprint(1 + e.N%200)
		}
		m.arrive(e.N%len(w.cards), money(e.Sum), spend)
	case "capture":
		m.finish("capture")
	case "leave":
		m.finish("void")
	case "again":
		w.repeat(m, e.N)
	case "return":
		m.bringBack(w.oracle.some(e.N), false)
	case "void":
		m.bringBack(w.oracle.some(e.N), true)
	case "cut":
		m.cable.set(cut, e.N%3000)
	case "stall":
		m.cable.set(stalled, 0)
	case "deaf":
		m.cable.set(deaf, 0)
	case "late":
		m.cable.keep(late)
	case "slow":
		m.cable.keep(slow)
	case "drop":
		m.cable.sever(e.N % 3000)
	case "mend":
		m.cable.keep(brisk)
		m.cable.set(whole, 0)
	case "kill":
		m.kill()
		m.on()
	case "off":
		m.off()
	case "on":
		m.on()
	case "clock":
		m.kill()
		m.skew = clocks[e.N%len(clocks)]
		m.on()
	case "centre":
		w.centre.kill()
		w.centre.on()
	case "gift":
		w.gift(e.N%len(w.cards), money(e.Sum%1000+1))
	case "block":
		w.block(e.N % len(w.cards))
	case "audit":
		w.audit()
	case "night":
		w.night(time.Duration(1+e.N%700) * time.Hour)
	case "image":
		w.takeImage(m)
	case "restore":
		w.restore(m)
	case "clone":
		w.clone(m)
	case "revoke":
		w.revoke(m)
	default:
		w.fail("an event nobody knows: %q", e.Do)
	}
}

// Shrink leaves out events as long as the story still fails, large parts first,
// until no single one can go.
func Shrink(s Story, fails func(Story) bool) Story {
	for size := len(s) / 2; size > 0; {
		shorter := false
		for at := 0; at < len(s); {
			try := slices.Concat(s[:at], s[min(at+size, len(s)):])
			if fails(try) {
				s, shorter = try, true
			} else {
				at += size
			}
		}
		if !shorter || size > len(s) {
			size /= 2
		}
	}
	return s
}
