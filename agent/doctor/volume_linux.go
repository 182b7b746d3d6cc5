package doctor

import (
	"fmt"

	"golang.org/x/sys/unix"
)

// kinds of file systems by their number, as the kernel tells them.
var kinds = map[int64]string{
	unix.EXT4_SUPER_MAGIC: "ext4", unix.XFS_SUPER_MAGIC: "xfs", unix.BTRFS_SUPER_MAGIC: "btrfs", unix.F2FS_SUPER_MAGIC: "f2fs",
	unix.TMPFS_MAGIC: "tmpfs", unix.OVERLAYFS_SUPER_MAGIC: "overlay", unix.NFS_SUPER_MAGIC: "nfs", unix.SMB_SUPER_MAGIC: "smb",
	unix.SMB2_SUPER_MAGIC: "smb2", unix.CIFS_SUPER_MAGIC: "cifs", unix.V9FS_MAGIC: "9p", unix.AFS_SUPER_MAGIC: "afs",
	unix.CEPH_SUPER_MAGIC: "ceph", unix.FUSE_SUPER_MAGIC: "fuse", unix.MSDOS_SUPER_MAGIC: "vfat", unix.EXFAT_SUPER_MAGIC: "exfat",
}

// volume is the free space for this user and the file system of a folder.
func volume(dir string) (free uint64, kind string, err error) {
	var st unix.Statfs_t
	if err := unix.Statfs(dir, &st); err != nil {
		return 0, "", err
	}
	kind = kinds[int64(uint32(st.Type))]
	if kind == "" {
		kind = fmt.Sprintf("file system %#x", uint32(st.Type))
	}
	return st.Bavail * uint64(st.Bsize), kind, nil
}
