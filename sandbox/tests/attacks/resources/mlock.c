// attack: memory that the host cannot page out
// policy: jvm
// stopped-by: rlimits = denied
#include "attack.h"

int main(void) { return verdict(mlock(hog(1 << 20), 1 << 20) == 0); }
