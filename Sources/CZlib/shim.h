// zlib. No logic.
#pragma once
#include <zlib.h>
