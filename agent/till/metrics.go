package till

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/tillside/tillside/agent/store"
)

// metrics counts what this till does. The Prometheus client would be five of
// a till's fourteen megabytes; its text form is a page of code.
type metrics struct {
	mu       sync.Mutex
	requests map[reqKey]*latency
	receipts map[string]int64 // mode
	slips    map[store.Slip]int64
	scans    int64
	earned   int64 // hundredths of a point
	spent    int64
}

type reqKey struct {
	name   string
	status int
}

type latency struct {
	count   int64
	seconds float64
	buckets [len(bounds)]int64
}

// bounds of the latency histogram in seconds: the budget of a sale (0.8 s)
// and of an offline decision (0.05 s) are among them.
var bounds = [...]float64{0.001, 0.005, 0.02, 0.05, 0.2, 0.8, 2}

func newMetrics() *metrics {
	return &metrics{requests: map[reqKey]*latency{}, receipts: map[string]int64{}, slips: map[store.Slip]int64{}}
}

func (m *metrics) request(name string, status int, d time.Duration) {
	m.mu.Lock()
	defer m.mu.Unlock()
	k := reqKey{name, status}
	l := m.requests[k]
	if l == nil {
		l = &latency{}
		m.requests[k] = l
	}
	l.count++
	s := d.Seconds()
	l.seconds += s
	for i, b := range bounds {
		if s <= b {
			l.buckets[i]++
		}
	}
}

func (m *metrics) captured(p *priced) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.receipts[p.mode()]++
	m.earned += int64(earned(p.result))
	m.spent += int64(p.points())
}

func (m *metrics) slip(s store.Slip) { m.mu.Lock(); m.slips[s]++; m.mu.Unlock() }
func (m *metrics) scan()             { m.mu.Lock(); m.scans++; m.mu.Unlock() }

// write gives the text form of Prometheus.
func (m *metrics) write(w io.Writer, t *Till) {
	var b strings.Builder
	head := func(name, kind, help string) { fmt.Fprintf(&b, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, kind) }
	num := func(name, kind, help string, v float64) {
		head(name, kind, help)
		fmt.Fprintf(&b, "%s %g\n", name, v)
	}
	flag := func(yes bool) float64 {
		if yes {
			return 1
		}
		return 0
	}
	s := t.Status()
	head("tillside_info", "gauge", "Version and rulebook in force.")
	fmt.Fprintf(&b, "tillside_info{version=%q,rulebook=%q} 1\n", s.Version, s.Rulebook.Version)
	num("tillside_link_up", "gauge", "1 while the centre answers.", flag(s.Mode == "online"))
	num("tillside_journal_records", "gauge", "Sequence number of the last record.", float64(s.Journal.Seq))
	num("tillside_journal_unsent", "gauge", "Records the centre does not have.", float64(s.Link.Queued))
	num("tillside_journal_parked", "gauge", "Records the centre could not apply.", float64(s.Link.Parked))
	num("tillside_journal_bytes", "gauge", "Size of the journal file.", float64(s.Journal.Bytes))
	num("tillside_cache_members", "gauge", "Members in the cache.", float64(s.Cache.Members))
	num("tillside_open_receipts", "gauge", "Receipts that hold something.", float64(len(s.Open)))
	num("tillside_start_time_seconds", "gauge", "Start of the agent.", float64(s.Started.UnixMilli())/1000)
	head("tillside_device_ready", "gauge", "1 while a device works.")
	for _, d := range s.Devices {
		fmt.Fprintf(&b, "tillside_device_ready{device=%q,kind=%q} %g\n", d.Name, d.Kind, flag(d.State == "ok"))
	}
	head("tillside_warning", "gauge", "1 for each warning shown.")
	for _, x := range s.Warnings {
		fmt.Fprintf(&b, "tillside_warning{code=%q,severity=%q,subject=%q} 1\n", x.Code, x.Severity, x.Subject)
	}

	m.mu.Lock()
	defer m.mu.Unlock()
	num("tillside_scans_total", "counter", "Readings of all readers.", float64(m.scans))
	num("tillside_points_earned_total", "counter", "Points given by captured receipts.", float64(m.earned)/100)
	num("tillside_points_spent_total", "counter", "Points spent by captured receipts.", float64(m.spent)/100)
	head("tillside_receipts_total", "counter", "Captured receipts.")
	for _, k := range slices.Sorted(maps.Keys(m.receipts)) {
		fmt.Fprintf(&b, "tillside_receipts_total{mode=%q} %d\n", k, m.receipts[k])
	}
	head("tillside_slips_total", "counter", "Slips by what became of them.")
	for _, k := range slices.Sorted(maps.Keys(m.slips)) {
		fmt.Fprintf(&b, "tillside_slips_total{state=%q} %d\n", k, m.slips[k])
	}
	head("tillside_request_seconds", "histogram", "Duration of local calls.")
	keys := slices.SortedFunc(maps.Keys(m.requests), func(a, c reqKey) int {
		if n := strings.Compare(a.name, c.name); n != 0 {
			return n
		}
		return a.status - c.status
	})
	for _, k := range keys {
		l := m.requests[k]
		lab := fmt.Sprintf("call=%q,status=\"%d\"", k.name, k.status)
		for i, bound := range bounds {
			fmt.Fprintf(&b, "tillside_request_seconds_bucket{%s,le=\"%g\"} %d\n", lab, bound, l.buckets[i])
		}
		fmt.Fprintf(&b, "tillside_request_seconds_bucket{%s,le=\"+Inf\"} %d\n", lab, l.count)
		fmt.Fprintf(&b, "tillside_request_seconds_sum{%s} %g\ntillside_request_seconds_count{%s} %d\n", lab, l.seconds, lab, l.count)
	}
	io.WriteString(w, b.String())
}
