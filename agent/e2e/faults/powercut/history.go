package powercut

import (
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
)

// History is everything that was done to a disk, in order.
type History struct {
	base map[uint64]*node
	Ops  []Op
}

// Without is the history of a program that never calls fsync: what every
// suite must find wanting.
func (h *History) Without(kinds ...Kind) *History {
	out := &History{base: h.base}
	for _, o := range h.Ops {
		if !slices.Contains(kinds, o.Kind) {
			out.Ops = append(out.Ops, o)
		}
	}
	return out
}

// Count tells how many operations of some kinds there are; without kinds, all
// but marks.
func (h *History) Count(kinds ...Kind) int {
	n := 0
	for _, o := range h.Ops {
		if slices.Contains(kinds, o.Kind) || len(kinds) == 0 && o.Kind != Mark {
			n++
		}
	}
	return n
}

// Replay walks through a history. It is not safe for concurrent use.
type Replay struct {
	h     *History
	at    int
	nodes map[uint64]*stored
	doubt *rand.Rand
}

// stored is what the platters hold of one node, and what may follow.
type stored struct {
	node
	pending []int        // ops on the data since the last fsync
	names   []nameChange // changes of this folder's names since its last fsync
}

// nameChange is what one operation did to one name of a folder. Both halves
// of a rename have the same op and share their fate.
type nameChange struct {
	op   int
	name string
	id   uint64 // 0: removed
}

// Replay begins at the start of the history, where everything is durable. The
// seed decides what failed fsyncs lost.
func (h *History) Replay(seed uint64) *Replay {
	r := &Replay{h: h, nodes: map[uint64]*stored{}, doubt: rand.New(rand.NewPCG(seed, 0xd0b7))}
	for id, n := range h.base {
		r.nodes[id] = &stored{node: *n.clone()}
	}
	return r
}

// At is how many operations were played.
func (r *Replay) At() int { return r.at }

// Next is the operation before which the power would go now; nil at the end.
func (r *Replay) Next() *Op {
	if r.at >= len(r.h.Ops) {
		return nil
	}
	return &r.h.Ops[r.at]
}

// Step plays one operation; false at the end.
func (r *Replay) Step() bool {
	o := r.Next()
	if o == nil {
		return false
	}
	i := r.at
	r.at++
	switch o.Kind {
	case Write, Truncate:
		n := r.nodes[o.Node]
		n.pending = append(n.pending, i)
	case Sync:
		n := r.nodes[o.Node]
		n.data = r.land(n.data, n.pending, always)
		n.pending = nil
	case SyncFailed:
		n := r.nodes[o.Node]
		n.data = r.land(n.data, n.pending, func() bool { return r.doubt.IntN(2) == 0 })
		n.pending = nil
	case SyncDir:
		n := r.nodes[o.Node]
		for _, c := range n.names {
			c.apply(n.kids)
		}
		n.names = nil
	case Create, Mkdir:
		n := &stored{node: node{dir: o.Kind == Mkdir, mode: o.Mode}}
		if n.dir {
			n.kids = map[string]uint64{}
		}
		r.nodes[o.Node] = n
		r.change(o.Dir, nameChange{i, o.Name, o.Node})
	case Link:
		r.change(o.Dir, nameChange{i, o.Name, o.Node})
	case Unlink:
		r.change(o.Dir, nameChange{i, o.Name, 0})
	case Rename:
		r.change(o.Dir, nameChange{i, o.Name, 0})
		r.change(o.NewDir, nameChange{i, o.NewName, o.Node})
	}
	return true
}

func (r *Replay) change(dir uint64, c nameChange) {
	n := r.nodes[dir]
	n.names = append(n.names, c)
}

func (c nameChange) apply(kids map[string]uint64) {
	if c.id == 0 {
		delete(kids, c.name)
	} else {
		kids[c.name] = c.id
	}
}

func always() bool { return true }

const sector = 512

// land brings pending operations onto data, sector by sector as keep says,
// and their sizes likewise.
func (r *Replay) land(data []byte, pending []int, keep func() bool) []byte {
	size := int64(len(data))
	for _, i := range pending {
		o := &r.h.Ops[i]
		if o.Kind == Truncate {
			if keep() {
				if o.Size < int64(len(data)) {
					data = resize(data, o.Size)
				}
				size = o.Size
			}
			continue
		}
		end := o.Off + int64(len(o.Data))
		if end > int64(len(data)) {
			data = resize(data, end)
		}
		for from := o.Off; from < end; {
			to := min(end, (from/sector+1)*sector)
			if keep() {
				copy(data[from:to], o.Data[from-o.Off:to-o.Off])
			}
			from = to
		}
		if end > size && keep() {
			size = end
		}
	}
	return resize(data, size)
}

// Settled tells whether there is nothing that a cut could take away: then all
// seeds give the same image.
func (r *Replay) Settled() bool {
	for _, n := range r.nodes {
		if len(n.pending) > 0 || len(n.names) > 0 {
			return false
		}
	}
	return true
}

// Image is what is found when the power comes back.
type Image struct{ nodes map[uint64]*node }

// Image cuts the power here. It may be called again with other seeds.
func (r *Replay) Image(seed uint64) *Image {
	rnd := rand.New(rand.NewPCG(seed, uint64(r.at)))
	keep := func() bool { return rnd.IntN(2) == 0 }
	switch seed {
	case 0:
		keep = func() bool { return false }
	case 1:
		keep = always
	}
	// In the order of their numbers, so that a seed means the same each time.
	ids := make([]uint64, 0, len(r.nodes))
	for id := range r.nodes {
		ids = append(ids, id)
	}
	slices.Sort(ids)
	img := &Image{nodes: map[uint64]*node{}}
	fate := map[int]bool{} // of each change of names
	cut := r.at            // names are kept up to here, when they go in order
	ordered := seed%2 == 0
	if seed > 1 && ordered {
		first := r.at
		for _, n := range r.nodes {
			if len(n.names) > 0 {
				first = min(first, n.names[0].op)
			}
		}
		cut = first + rnd.IntN(r.at-first+1)
	}
	for _, id := range ids {
		n := r.nodes[id]
		c := &node{dir: n.dir, mode: n.mode}
		img.nodes[id] = c
		if !n.dir {
			if len(n.pending) == 0 {
				c.data = n.data // nobody writes into an image
			} else {
				c.data = r.land(slices.Clone(n.data), n.pending, keep)
			}
			continue
		}
		c.kids = make(map[string]uint64, len(n.kids))
		for k, v := range n.kids {
			c.kids[k] = v
		}
		for _, ch := range n.names {
			kept, known := fate[ch.op]
			if !known {
				switch {
				case seed > 1 && ordered:
					kept = ch.op < cut
				default:
					kept = keep()
				}
				fate[ch.op] = kept
			}
			if kept {
				ch.apply(c.kids)
			}
		}
	}
	return img
}

// WriteTo makes the folder anew with what the image holds.
func (img *Image) WriteTo(dir string) error {
	if err := os.RemoveAll(dir); err != nil {
		return err
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	return put(dir, img.nodes, root)
}

// Scratch makes a folder for images, in memory where the system has a place
// for that: they are written and forgotten by the ten thousand.
func Scratch() (string, error) {
	if st, err := os.Stat("/dev/shm"); err == nil && st.IsDir() {
		if dir, err := os.MkdirTemp("/dev/shm", "powercut"); err == nil {
			return dir, nil
		}
	}
	return os.MkdirTemp("", "powercut")
}

// Files are the paths in the image with their contents, for tests.
func (img *Image) Files() map[string][]byte {
	out := map[string][]byte{}
	var walk func(at uint64, path string)
	walk = func(at uint64, path string) {
		for name, id := range img.nodes[at].kids {
			n := img.nodes[id]
			if n.dir {
				walk(id, filepath.Join(path, name))
			} else {
				out[filepath.Join(path, name)] = n.data
			}
		}
	}
	walk(root, "")
	return out
}
