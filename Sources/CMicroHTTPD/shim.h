// libmicrohttpd. No logic.
#pragma once
#include <microhttpd.h>
