package loyalty

import "slices"

// setMaker picks the units of a set: each part gets its number of units out
// of its own lines, and no unit serves two parts. Parts may overlap (any food,
// and this bread); when the units a part needs have gone to another one that
// can do with others, they are exchanged.
type setMaker struct {
	free  []int64 // units of each line that no part has
	parts []setPart
	seen  []bool
	queue []setStep
}

type setPart struct {
	lines []int32 // in the order in which they are liked
	taken map[int32]int64
}

// setStep is a part in the search for units, and the line it would give up.
type setStep struct {
	part int
	from int   // step that would take the line over; -1: the part that needs units
	line int32 // given up
}

// add gives one more part its units, or tells that there are none for it and
// leaves the others as they are.
func (m *setMaker) add(lines []int32, want int64) bool {
	k := len(m.parts)
	m.parts = append(m.parts, setPart{lines: lines, taken: map[int32]int64{}})
	// Mostly there is enough, as it lies there.
	for _, i := range lines {
		if n := min(want, m.free[i]); n > 0 {
			m.move(k, i, n)
			want -= n
		}
		if want == 0 {
			return true
		}
	}
	var before []map[int32]int64
	for _, p := range m.parts {
		before = append(before, cloneTaken(p.taken))
	}
	free := slices.Clone(m.free)
	for want > 0 {
		n := m.exchange(k, want)
		if n == 0 {
			m.free = free
			for i, n := range before[k] {
				m.free[i] += n
			}
			m.parts = m.parts[:k]
			for j := range m.parts {
				m.parts[j].taken = before[j]
			}
			return false
		}
		want -= n
	}
	return true
}

func cloneTaken(m map[int32]int64) map[int32]int64 {
	n := make(map[int32]int64, len(m))
	for k, v := range m {
		n[k] = v
	}
	return n
}

func (m *setMaker) move(part int, line int32, n int64) {
	m.free[line] -= n
	m.parts[part].taken[line] += n
}

// exchange finds up to want units for part k by letting other parts take
// other lines, in as few steps as will do.
func (m *setMaker) exchange(k int, want int64) int64 {
	m.seen = slices.Grow(m.seen[:0], len(m.free))[:len(m.free)]
	clear(m.seen)
	asked := make([]bool, len(m.parts))
	asked[k] = true
	m.queue = append(m.queue[:0], setStep{part: k, from: -1})
	for at := 0; at < len(m.queue); at++ {
		q := m.queue[at].part
		for _, i := range m.parts[q].lines {
			if m.seen[i] {
				continue
			}
			m.seen[i] = true
			if m.free[i] > 0 {
				return m.along(at, i, want)
			}
			for j := range m.parts {
				if !asked[j] && m.parts[j].taken[i] > 0 {
					asked[j] = true
					m.queue = append(m.queue, setStep{part: j, from: at, line: i})
				}
			}
		}
	}
	return 0
}

// along moves as many units as the way found allows: the last part takes free
// ones of a line, each before it what the next one gives up.
func (m *setMaker) along(at int, line int32, want int64) int64 {
	n := min(want, m.free[line])
	for s := at; m.queue[s].from >= 0; s = m.queue[s].from {
		n = min(n, m.parts[m.queue[s].part].taken[m.queue[s].line])
	}
	m.free[line] -= n
	for s := at; s >= 0; s = m.queue[s].from {
		q := m.queue[s]
		m.parts[q.part].taken[line] += n
		if q.from >= 0 {
			m.parts[q.part].taken[q.line] -= n
			line = q.line
		}
	}
	return n
}

// items are the units that the parts have, line by line.
func (m *setMaker) items() []item {
	var set []item
	for _, p := range m.parts {
		for i, n := range p.taken {
			if n > 0 {
				set = append(set, item{line: i, taken: n})
			}
		}
	}
	return mergeItems(set)
}
