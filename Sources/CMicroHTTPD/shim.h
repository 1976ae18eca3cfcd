// libmicrohttpd, with typed inlines over its variadic calls and its macros with casts. No logic.
#pragma once
#include <microhttpd.h>

// One internal thread over epoll on a socket that already listens; connections may be suspended.
static inline struct MHD_Daemon *sfs_mhd_start(
    int listener, MHD_AccessHandlerCallback handler, MHD_RequestCompletedCallback completed, void *context,
    size_t connection_memory, unsigned int connection_limit, size_t thread_stack) {
    return MHD_start_daemon(
        MHD_USE_EPOLL_INTERNAL_THREAD | MHD_ALLOW_SUSPEND_RESUME, 0, NULL, NULL, handler, context,
        MHD_OPTION_LISTEN_SOCKET, listener, MHD_OPTION_NOTIFY_COMPLETED, completed, context,
        MHD_OPTION_CONNECTION_MEMORY_LIMIT, connection_memory, MHD_OPTION_CONNECTION_LIMIT, connection_limit,
        MHD_OPTION_THREAD_STACK_SIZE, thread_stack, MHD_OPTION_END);
}
static inline int sfs_mhd_descriptor(struct MHD_Connection *c) {
    const union MHD_ConnectionInfo *i = MHD_get_connection_info(c, MHD_CONNECTION_INFO_CONNECTION_FD);
    return i ? i->connect_fd : -1;
}
static const ssize_t sfs_mhd_end_of_stream = MHD_CONTENT_READER_END_OF_STREAM;
static const ssize_t sfs_mhd_end_with_error = MHD_CONTENT_READER_END_WITH_ERROR;
static const uint64_t sfs_mhd_size_unknown = MHD_SIZE_UNKNOWN;
