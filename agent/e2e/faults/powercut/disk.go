package powercut

import (
	"bytes"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"syscall"
	"time"
)

// Kind is what was done to the disk.
type Kind uint8

// Kinds of operations.
const (
	Write Kind = iota
	Truncate
	Sync       // fsync or fdatasync of a file
	SyncFailed // one that was refused by a fault
	SyncDir
	Create // a file
	Mkdir
	Link
	Unlink
	Rename
	Mark // a note of the test's, no operation
)

var kindNames = [...]string{"write", "truncate", "fsync", "failed fsync", "fsync of the folder", "create", "mkdir", "link", "unlink", "rename", "mark"}

func (k Kind) String() string { return kindNames[k] }

// Op is one operation as it reached the disk.
type Op struct {
	Kind    Kind
	Node    uint64 // the file; for SyncDir the folder
	Dir     uint64 // folder of Name
	Name    string
	NewDir  uint64 // of a Rename
	NewName string
	Off     int64
	Size    int64 // of a Truncate
	Data    []byte
	Mode    uint32
	Note    any // of a Mark
}

// Call is an operation about to be done, for Disk.Fault.
type Call struct {
	N    int // 1 for the first call since SetFault
	Kind Kind
	Name string // base name of the file as it was created
}

const root = 1

const block = 4096 // space is given in these

// node is a file or folder as the program sees it.
type node struct {
	dir   bool
	name  string // as created, for people
	mode  uint32
	links int
	data  []byte
	given []bool // blocks that have space
	kids  map[string]uint64
	mtime time.Time
}

func (n *node) clone() *node {
	c := *n
	c.data = slices.Clone(n.data)
	c.given = nil
	c.kids = make(map[string]uint64, len(n.kids))
	for k, v := range n.kids {
		c.kids[k] = v
	}
	return &c
}

// Disk is the file system. Make one with NewDisk; it is safe for concurrent
// use.
type Disk struct {
	mu       sync.Mutex
	nodes    map[uint64]*node
	next     uint64
	base     map[uint64]*node
	ops      []Op
	fault    func(Call) syscall.Errno
	calls    int
	capacity int64
	used     int64
}

// NewDisk makes a disk that holds what the folder on the host holds, all of
// it durable. An empty path makes an empty disk.
func NewDisk(dir string) (*Disk, error) {
	d := &Disk{nodes: map[uint64]*node{root: {dir: true, mode: 0o700, links: 2, kids: map[string]uint64{}, mtime: time.Now()}}, next: root + 1, capacity: 64 << 30}
	if dir != "" {
		if err := d.load(dir, root); err != nil {
			return nil, err
		}
	}
	d.base = map[uint64]*node{}
	for id, n := range d.nodes {
		d.base[id] = n.clone()
	}
	return d, nil
}

func (d *Disk) load(dir string, at uint64) error {
	list, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	for _, e := range list {
		path := filepath.Join(dir, e.Name())
		info, err := e.Info()
		if err != nil {
			return err
		}
		n := &node{name: e.Name(), mode: uint32(info.Mode().Perm()), links: 1, mtime: info.ModTime(), dir: e.IsDir()}
		id := d.next
		d.next++
		d.nodes[id] = n
		d.nodes[at].kids[e.Name()] = id
		if n.dir {
			n.links, n.kids = 2, map[string]uint64{}
			if err := d.load(path, id); err != nil {
				return err
			}
			continue
		}
		if n.data, err = os.ReadFile(path); err != nil {
			return err
		}
		d.give(n, 0, int64(len(n.data)))
	}
	return nil
}

// SetFault has f asked before each call; nil ends that. The count of calls
// begins anew.
func (d *Disk) SetFault(f func(Call) syscall.Errno) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.fault, d.calls = f, 0
}

// Calls is how many calls there were since SetFault.
func (d *Disk) Calls() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.calls
}

// SetCapacity bounds the space; what is used already stays.
func (d *Disk) SetCapacity(bytes int64) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.capacity = bytes
}

// Used is the space in use, in bytes.
func (d *Disk) Used() int64 {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.used
}

// Fill makes the disk as full as it is: no more space is given from now on.
func (d *Disk) Fill() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.capacity = d.used
}

// Note puts a mark into the history: what a test wants to remember about this
// instant, such as "the customer was told".
func (d *Disk) Note(v any) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.ops = append(d.ops, Op{Kind: Mark, Note: v})
}

// History is what was done so far.
func (d *Disk) History() *History {
	d.mu.Lock()
	defer d.mu.Unlock()
	return &History{base: d.base, Ops: slices.Clip(d.ops)}
}

// allowed counts a call and asks the fault; d.mu is held.
func (d *Disk) allowed(k Kind, name string) syscall.Errno {
	d.calls++
	if d.fault == nil {
		return 0
	}
	return d.fault(Call{d.calls, k, name})
}

// give takes space for a range; d.mu is held.
func (d *Disk) give(n *node, off, size int64) syscall.Errno {
	if size == 0 {
		return 0
	}
	first, last := off/block, (off+size-1)/block
	want := int64(0)
	for i := first; i <= last; i++ {
		if i >= int64(len(n.given)) || !n.given[i] {
			want += block
		}
	}
	if want > 0 && d.used+want > d.capacity {
		return syscall.ENOSPC
	}
	for int64(len(n.given)) <= last {
		n.given = append(n.given, false)
	}
	for i := first; i <= last; i++ {
		n.given[i] = true
	}
	d.used += want
	return 0
}

func (d *Disk) release(n *node, from int64) {
	for i := (from + block - 1) / block; i < int64(len(n.given)); i++ {
		if n.given[i] {
			n.given[i] = false
			d.used -= block
		}
	}
}

// write is one write(2), or a part of it.
func (d *Disk) write(id uint64, off int64, b []byte) syscall.Errno {
	d.mu.Lock()
	defer d.mu.Unlock()
	n := d.nodes[id]
	if e := d.allowed(Write, n.name); e != 0 {
		return e
	}
	if e := d.give(n, off, int64(len(b))); e != 0 {
		return e
	}
	if end := off + int64(len(b)); end > int64(len(n.data)) {
		n.data = resize(n.data, end)
	}
	copy(n.data[off:], b)
	n.mtime = time.Now()
	d.ops = append(d.ops, Op{Kind: Write, Node: id, Off: off, Data: slices.Clone(b)})
	return 0
}

func (d *Disk) truncate(id uint64, size int64) syscall.Errno {
	d.mu.Lock()
	defer d.mu.Unlock()
	n := d.nodes[id]
	if e := d.allowed(Truncate, n.name); e != 0 {
		return e
	}
	d.release(n, size)
	n.data = resize(n.data, size)
	n.mtime = time.Now()
	d.ops = append(d.ops, Op{Kind: Truncate, Node: id, Size: size})
	return 0
}

// resize cuts or fills up with zeros, and never shows old bytes again.
func resize(b []byte, size int64) []byte {
	if size <= int64(len(b)) {
		clear(b[size:])
		return b[:size]
	}
	if size <= int64(cap(b)) {
		return b[:size]
	}
	return append(b, make([]byte, size-int64(len(b)))...)
}

func (d *Disk) sync(id uint64) syscall.Errno {
	d.mu.Lock()
	defer d.mu.Unlock()
	n := d.nodes[id]
	kind := Sync
	if n.dir {
		kind = SyncDir
	}
	if e := d.allowed(kind, n.name); e != 0 {
		if kind == Sync {
			d.ops = append(d.ops, Op{Kind: SyncFailed, Node: id})
		}
		return e
	}
	d.ops = append(d.ops, Op{Kind: kind, Node: id})
	return 0
}

// make makes a file or folder.
func (d *Disk) make(dir uint64, name string, mode uint32, folder bool) (uint64, syscall.Errno) {
	d.mu.Lock()
	defer d.mu.Unlock()
	kind := Create
	if folder {
		kind = Mkdir
	}
	if e := d.allowed(kind, name); e != 0 {
		return 0, e
	}
	if d.nodes[dir].kids[name] != 0 {
		return 0, syscall.EEXIST
	}
	if d.used >= d.capacity {
		return 0, syscall.ENOSPC
	}
	id := d.next
	d.next++
	n := &node{dir: folder, name: name, mode: mode & 0o7777, links: 1, mtime: time.Now()}
	if folder {
		n.links, n.kids = 2, map[string]uint64{}
	}
	d.nodes[id] = n
	d.nodes[dir].kids[name] = id
	d.ops = append(d.ops, Op{Kind: kind, Node: id, Dir: dir, Name: name, Mode: n.mode})
	return id, 0
}

func (d *Disk) link(id, dir uint64, name string) syscall.Errno {
	d.mu.Lock()
	defer d.mu.Unlock()
	if e := d.allowed(Link, name); e != 0 {
		return e
	}
	if d.nodes[dir].kids[name] != 0 {
		return syscall.EEXIST
	}
	d.nodes[id].links++
	d.nodes[dir].kids[name] = id
	d.ops = append(d.ops, Op{Kind: Link, Node: id, Dir: dir, Name: name})
	return 0
}

func (d *Disk) unlink(dir uint64, name string, folder bool) syscall.Errno {
	d.mu.Lock()
	defer d.mu.Unlock()
	id := d.nodes[dir].kids[name]
	if id == 0 {
		return syscall.ENOENT
	}
	n := d.nodes[id]
	switch {
	case folder && !n.dir:
		return syscall.ENOTDIR
	case !folder && n.dir:
		return syscall.EISDIR
	case folder && len(n.kids) > 0:
		return syscall.ENOTEMPTY
	}
	if e := d.allowed(Unlink, name); e != 0 {
		return e
	}
	delete(d.nodes[dir].kids, name)
	d.drop(n)
	d.ops = append(d.ops, Op{Kind: Unlink, Node: id, Dir: dir, Name: name})
	return 0
}

// drop takes a name off a node. Its data stays for whoever has it open; its
// space is given back at once.
func (d *Disk) drop(n *node) {
	if n.links--; n.links == 0 || n.dir {
		d.release(n, 0)
	}
}

func (d *Disk) rename(dir uint64, name string, to uint64, newName string) syscall.Errno {
	d.mu.Lock()
	defer d.mu.Unlock()
	id := d.nodes[dir].kids[name]
	if id == 0 {
		return syscall.ENOENT
	}
	if e := d.allowed(Rename, name); e != 0 {
		return e
	}
	old := d.nodes[to].kids[newName]
	if old == id {
		return 0
	}
	delete(d.nodes[dir].kids, name)
	d.nodes[to].kids[newName] = id
	d.nodes[id].name = newName
	if old != 0 {
		d.drop(d.nodes[old])
	}
	d.ops = append(d.ops, Op{Kind: Rename, Node: id, Dir: dir, Name: name, NewDir: to, NewName: newName})
	return 0
}

// CopyTo writes the files as the program sees them now into a folder of the
// host.
func (d *Disk) CopyTo(dir string) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	return put(dir, d.nodes, root)
}

// sparse writes a file and leaves out what is nothing but zeros: images of
// whole disks are mostly that.
func sparse(path string, data []byte, mode fs.FileMode) error {
	const piece = 64 << 10
	if len(data) < 16*piece {
		return os.WriteFile(path, data, mode)
	}
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, mode)
	if err != nil {
		return err
	}
	var zeros [piece]byte
	for at := 0; at < len(data) && err == nil; at += piece {
		if b := data[at:min(at+piece, len(data))]; !bytes.Equal(b, zeros[:len(b)]) {
			_, err = f.WriteAt(b, int64(at))
		}
	}
	if err == nil {
		err = f.Truncate(int64(len(data)))
	}
	if e := f.Close(); err == nil {
		err = e
	}
	return err
}

func put(dir string, nodes map[uint64]*node, at uint64) error {
	for name, id := range nodes[at].kids {
		path := filepath.Join(dir, name)
		n := nodes[id]
		var err error
		if n.dir {
			if err = os.Mkdir(path, fs.FileMode(n.mode)|0o700); err == nil {
				err = put(path, nodes, id)
			}
		} else {
			err = sparse(path, n.data, fs.FileMode(n.mode))
		}
		if err != nil {
			return err
		}
	}
	return nil
}
