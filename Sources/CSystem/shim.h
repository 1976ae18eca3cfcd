// Linux calls that the Glibc module map does not export. No logic.
#pragma once
#include <errno.h>
#include <fcntl.h>
#include <dirent.h>
#include <malloc.h>
#include <pwd.h>
#include <stdlib.h>
#include <stdio.h>
#include <limits.h>
#include <sched.h>
#include <signal.h>
#include <spawn.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

// errno is a macro over a thread-local; read it at once after the call.
static inline int sfs_errno(void) { return errno; }
// WIFEXITED and friends are macros.
static inline int sfs_wifexited(int status) { return WIFEXITED(status); }
static inline int sfs_wexitstatus(int status) { return WEXITSTATUS(status); }
static inline int sfs_wtermsig(int status) { return WTERMSIG(status); }
#include <string.h>

// strerror_r (XSI form): the text of an errno value into the caller's buffer.
static inline int sfs_strerror(int code, char *buffer, size_t size) { return strerror_r(code, buffer, size); }
// fallocate(2) is declared only for GNU sources.
static inline int sfs_fallocate(int descriptor, off_t length) {
    return (int)syscall(SYS_fallocate, descriptor, 0, (off_t)0, length);
}
// prctl(2) is variadic.
static inline int sfs_set_thread_name(const char *name) { return prctl(PR_SET_NAME, name, 0, 0, 0); }
extern char **environ;
static inline char **sfs_environ(void) { return environ; }
// POSIX_SPAWN_SETSID is declared only for GNU sources.
static inline short sfs_spawn_setsid(void) { return 0x80; }
static inline void sfs_small_footprint(void) {
    mallopt(M_ARENA_MAX, 2);
    mallopt(M_MMAP_THRESHOLD, 256 * 1024);
    mallopt(M_TRIM_THRESHOLD, 256 * 1024);
}
// pipe2(2) is declared only for GNU sources.
static inline int sfs_pipe(int *ends) { return (int)syscall(SYS_pipe2, ends, O_CLOEXEC); }
static inline int sfs_madv_dontneed(void) { return MADV_DONTNEED; }
#include <linux/fs.h>
// fallocate(2) of a range; `keep` leaves the file's length.
static inline int sfs_fallocate_range(int descriptor, int keep, off_t offset, off_t length) {
    return (int)syscall(SYS_fallocate, descriptor, keep ? 1 : 0, offset, length);  // FALLOC_FL_KEEP_SIZE
}
// sync_file_range(2) is declared only for GNU sources. 2 is SYNC_FILE_RANGE_WRITE: begins, and waits for nothing.
static inline int sfs_begin_writeback(int descriptor, off_t offset, off_t length) {
    return (int)syscall(SYS_sync_file_range, descriptor, offset, length, 2);
}
// ioctl(2) is variadic: a copy that shares its blocks (FICLONE).
static inline int sfs_clone(int target, int source) { return ioctl(target, FICLONE, source); }
// copy_file_range(2) is declared only for GNU sources. Copies at an offset that is the same in both.
static inline ssize_t sfs_copy_range(int source, int target, off_t offset, size_t length) {
    off_t from = offset, to = offset;
    return syscall(SYS_copy_file_range, source, &from, target, &to, length, 0);
}
