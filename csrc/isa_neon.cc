#define SUNHWAN_ISA_NAME "neon"
#define SUNHWAN_ISA_NAMESPACE neon
#define SUNHWAN_LANES 4
#include "generic/isa.h"
