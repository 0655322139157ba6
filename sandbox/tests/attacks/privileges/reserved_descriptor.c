// attack: owns one of the descriptors on which the filter lets the engine's last steps through
// policy: strict
// stopped-by: rlimits = denied
#include "attack.h"

int main(void) { return verdict(dup2(0, 1001) == 1001 || dup2(0, 1002) == 1002); }
