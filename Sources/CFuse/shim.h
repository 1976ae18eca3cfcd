// libfuse 3 low-level API, with inlines for its macros and variadics. No logic.
#pragma once
#define FUSE_USE_VERSION 314
#include <fuse_lowlevel.h>
#include <sys/ioctl.h>
#include <sys/uio.h>
