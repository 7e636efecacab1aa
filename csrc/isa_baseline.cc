#define SUNHWAN_ISA_NAME "baseline"
#define SUNHWAN_ISA_NAMESPACE baseline
#define SUNHWAN_LANES 4
#include "generic/isa.h"
