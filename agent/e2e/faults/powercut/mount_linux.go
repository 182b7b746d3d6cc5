package powercut

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"syscall"
	"time"

	fusefs "github.com/hanwen/go-fuse/v2/fs"
	"github.com/hanwen/go-fuse/v2/fuse"
)

// ErrNoFUSE is wrapped by Mount where file systems cannot be mounted.
var ErrNoFUSE = errors.New("no FUSE here")

// Mount makes the disk visible under dir. Call the returned function to take
// it away again; a program that still has files open there keeps them.
func (d *Disk) Mount(dir string) (unmount func() error, err error) {
	if _, err := os.Stat("/dev/fuse"); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrNoFUSE, err)
	}
	second := time.Second
	server, err := fusefs.Mount(dir, &inode{d: d, id: root}, &fusefs.Options{
		AttrTimeout: &second, EntryTimeout: &second,
		MountOptions:   fuse.MountOptions{FsName: "powercut", Name: "powercut", DirectMount: os.Geteuid() == 0, DisableXAttrs: true, MaxWrite: 1 << 20},
		RootStableAttr: &fusefs.StableAttr{Ino: root, Mode: fuse.S_IFDIR},
	})
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrNoFUSE, err)
	}
	return func() error {
		err := server.Unmount()
		for range 100 { // a process that was just killed lets go in a moment
			if err == nil {
				break
			}
			time.Sleep(20 * time.Millisecond)
			err = server.Unmount()
		}
		if err != nil {
			return fmt.Errorf("unmount: %w", err)
		}
		server.Wait()
		return nil
	}, nil
}

// inode is a node of the disk as go-fuse wants it.
type inode struct {
	fusefs.Inode
	d  *Disk
	id uint64
}

var (
	_ fusefs.NodeLookuper  = (*inode)(nil)
	_ fusefs.NodeGetattrer = (*inode)(nil)
	_ fusefs.NodeSetattrer = (*inode)(nil)
	_ fusefs.NodeReaddirer = (*inode)(nil)
	_ fusefs.NodeOpener    = (*inode)(nil)
	_ fusefs.NodeCreater   = (*inode)(nil)
	_ fusefs.NodeReader    = (*inode)(nil)
	_ fusefs.NodeWriter    = (*inode)(nil)
	_ fusefs.NodeFsyncer   = (*inode)(nil)
	_ fusefs.NodeMkdirer   = (*inode)(nil)
	_ fusefs.NodeLinker    = (*inode)(nil)
	_ fusefs.NodeUnlinker  = (*inode)(nil)
	_ fusefs.NodeRmdirer   = (*inode)(nil)
	_ fusefs.NodeRenamer   = (*inode)(nil)
	_ fusefs.NodeStatfser  = (*inode)(nil)
)

func (i *inode) attr(out *fuse.Attr) {
	i.d.mu.Lock()
	defer i.d.mu.Unlock()
	i.d.fill(i.id, out)
}

// fill describes a node; d.mu is held.
func (d *Disk) fill(id uint64, out *fuse.Attr) {
	n := d.nodes[id]
	out.Ino, out.Mode, out.Nlink, out.Size, out.Blksize = id, fuse.S_IFREG|n.mode, uint32(n.links), uint64(len(n.data)), block
	if n.dir {
		out.Mode, out.Size = fuse.S_IFDIR|n.mode, block
	}
	for _, g := range n.given {
		if g {
			out.Blocks += block / 512
		}
	}
	out.Uid, out.Gid = uint32(os.Getuid()), uint32(os.Getgid())
	out.SetTimes(&n.mtime, &n.mtime, &n.mtime)
}

// child is the go-fuse node of an id, which go-fuse knows again.
func (i *inode) child(ctx context.Context, id uint64, out *fuse.EntryOut) *fusefs.Inode {
	i.d.mu.Lock()
	defer i.d.mu.Unlock()
	mode := uint32(fuse.S_IFREG)
	if i.d.nodes[id].dir {
		mode = fuse.S_IFDIR
	}
	i.d.fill(id, &out.Attr)
	return i.NewInode(ctx, &inode{d: i.d, id: id}, fusefs.StableAttr{Mode: mode, Ino: id})
}

func (i *inode) Lookup(ctx context.Context, name string, out *fuse.EntryOut) (*fusefs.Inode, syscall.Errno) {
	i.d.mu.Lock()
	id := i.d.nodes[i.id].kids[name]
	i.d.mu.Unlock()
	if id == 0 {
		return nil, syscall.ENOENT
	}
	return i.child(ctx, id, out), 0
}

func (i *inode) Getattr(_ context.Context, _ fusefs.FileHandle, out *fuse.AttrOut) syscall.Errno {
	i.attr(&out.Attr)
	return 0
}

func (i *inode) Setattr(_ context.Context, _ fusefs.FileHandle, in *fuse.SetAttrIn, out *fuse.AttrOut) syscall.Errno {
	if size, ok := in.GetSize(); ok {
		if e := i.d.truncate(i.id, int64(size)); e != 0 {
			return e
		}
	}
	i.d.mu.Lock()
	n := i.d.nodes[i.id]
	if mode, ok := in.GetMode(); ok {
		n.mode = mode & 0o7777 // rights are not what this disk is about: durable at once
	}
	if t, ok := in.GetMTime(); ok {
		n.mtime = t
	}
	i.d.mu.Unlock()
	i.attr(&out.Attr)
	return 0
}

func (i *inode) Readdir(context.Context) (fusefs.DirStream, syscall.Errno) {
	i.d.mu.Lock()
	defer i.d.mu.Unlock()
	var list []fuse.DirEntry
	for name, id := range i.d.nodes[i.id].kids {
		mode := uint32(fuse.S_IFREG)
		if i.d.nodes[id].dir {
			mode = fuse.S_IFDIR
		}
		list = append(list, fuse.DirEntry{Name: name, Ino: id, Mode: mode})
	}
	slices.SortFunc(list, func(a, b fuse.DirEntry) int { return int(a.Ino) - int(b.Ino) })
	return fusefs.NewListDirStream(list), 0
}

func (i *inode) Open(_ context.Context, flags uint32) (fusefs.FileHandle, uint32, syscall.Errno) {
	if flags&syscall.O_TRUNC != 0 {
		if e := i.d.truncate(i.id, 0); e != 0 {
			return nil, 0, e
		}
	}
	return nil, fuse.FOPEN_KEEP_CACHE, 0
}

func (i *inode) Create(ctx context.Context, name string, _ uint32, mode uint32, out *fuse.EntryOut) (*fusefs.Inode, fusefs.FileHandle, uint32, syscall.Errno) {
	id, e := i.d.make(i.id, name, mode, false)
	if e != 0 {
		return nil, nil, 0, e
	}
	return i.child(ctx, id, out), nil, fuse.FOPEN_KEEP_CACHE, 0
}

func (i *inode) Read(_ context.Context, _ fusefs.FileHandle, dest []byte, off int64) (fuse.ReadResult, syscall.Errno) {
	i.d.mu.Lock()
	defer i.d.mu.Unlock()
	data := i.d.nodes[i.id].data
	if off >= int64(len(data)) {
		return fuse.ReadResultData(nil), 0
	}
	return fuse.ReadResultData(dest[:copy(dest, data[off:])]), 0
}

func (i *inode) Write(_ context.Context, _ fusefs.FileHandle, b []byte, off int64) (uint32, syscall.Errno) {
	if e := i.d.write(i.id, off, b); e != 0 {
		return 0, e
	}
	return uint32(len(b)), 0
}

func (i *inode) Fsync(context.Context, fusefs.FileHandle, uint32) syscall.Errno {
	return i.d.sync(i.id)
}

func (i *inode) Mkdir(ctx context.Context, name string, mode uint32, out *fuse.EntryOut) (*fusefs.Inode, syscall.Errno) {
	id, e := i.d.make(i.id, name, mode, true)
	if e != 0 {
		return nil, e
	}
	return i.child(ctx, id, out), 0
}

func (i *inode) Link(ctx context.Context, target fusefs.InodeEmbedder, name string, out *fuse.EntryOut) (*fusefs.Inode, syscall.Errno) {
	id := target.(*inode).id
	if e := i.d.link(id, i.id, name); e != 0 {
		return nil, e
	}
	return i.child(ctx, id, out), 0
}

func (i *inode) Unlink(_ context.Context, name string) syscall.Errno {
	return i.d.unlink(i.id, name, false)
}

func (i *inode) Rmdir(_ context.Context, name string) syscall.Errno {
	return i.d.unlink(i.id, name, true)
}

func (i *inode) Rename(_ context.Context, name string, to fusefs.InodeEmbedder, newName string, flags uint32) syscall.Errno {
	if flags != 0 {
		return syscall.EINVAL
	}
	return i.d.rename(i.id, name, to.(*inode).id, newName)
}

func (i *inode) Statfs(_ context.Context, out *fuse.StatfsOut) syscall.Errno {
	i.d.mu.Lock()
	defer i.d.mu.Unlock()
	free := uint64(max(i.d.capacity-i.d.used, 0)) / block
	out.Bsize, out.Frsize, out.NameLen = block, block, 255
	out.Blocks, out.Bfree, out.Bavail = uint64(i.d.capacity)/block, free, free
	out.Files, out.Ffree = 1<<20, 1<<20
	return 0
}
