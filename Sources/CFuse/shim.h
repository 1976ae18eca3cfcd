// libfuse 3 low-level API, with inlines for its macros and variadics, and the parts of the kernel's interface that
// are newer than this libfuse (linux/fuse.h, FUSE protocol 7.40). No logic.
#pragma once
#define FUSE_USE_VERSION 314
#include <fuse_lowlevel.h>
#include <stdint.h>
#include <sys/ioctl.h>
#include <sys/uio.h>

static inline struct fuse_args sfs_fuse_args(int count, char **values) {
    struct fuse_args args = FUSE_ARGS_INIT(count, values);
    return args;
}
// A macro in newer releases of libfuse.
static inline struct fuse_session *sfs_fuse_session_new(
    struct fuse_args *args, const struct fuse_lowlevel_ops *operations, size_t size, void *userdata) {
    return fuse_session_new(args, operations, size, userdata);
}

#define SFS_FUSE_OPCODE_INIT 26u
#define SFS_FUSE_INIT_EXT (1u << 30)
#define SFS_FUSE_HANDLE_KILLPRIV_V2 (1u << 28)
#define SFS_FUSE_PASSTHROUGH_FLAGS2 (1u << 5)
#define SFS_FOPEN_PASSTHROUGH (1u << 7)

struct sfs_fuse_in_header {
    uint32_t length, opcode;
    uint64_t unique, node;
    uint32_t uid, gid, pid, padding;
};
struct sfs_fuse_init_in {
    uint32_t major, minor, max_readahead, flags, flags2, unused[11];
};
struct sfs_fuse_init_out {
    uint32_t major, minor, max_readahead, flags;
    uint16_t max_background, congestion_threshold;
    uint32_t max_write, time_gran;
    uint16_t max_pages, map_alignment;
    uint32_t flags2, max_stack_depth, unused[6];
};
struct sfs_fuse_open_out {
    uint64_t handle;
    uint32_t flags;
    int32_t backing_id;
};
struct sfs_fuse_backing_map {
    int32_t descriptor;
    uint32_t flags;
    uint64_t padding;
};
// FUSE_DEV_IOC_BACKING_OPEN and _CLOSE. Open answers an id above zero.
static inline int sfs_fuse_backing_open(int device, int descriptor) {
    struct sfs_fuse_backing_map map = {.descriptor = descriptor};
    return ioctl(device, _IOW(229, 1, struct sfs_fuse_backing_map), &map);
}
static inline int sfs_fuse_backing_close(int device, uint32_t id) {
    return ioctl(device, _IOW(229, 2, uint32_t), &id);
}
// splice(2) is declared only for GNU sources.
#include <sys/syscall.h>
#include <unistd.h>
static inline ssize_t sfs_splice(
    int source, off_t *source_offset, int target, off_t *target_offset, size_t length, unsigned int flags) {
    return syscall(SYS_splice, source, source_offset, target, target_offset, length, flags);
}
