// Expat, for XML answers of stores. No logic.
#pragma once
#include <expat.h>
