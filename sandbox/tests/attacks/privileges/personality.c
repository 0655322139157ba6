// attack: turns address randomisation off
// stopped-by: seccomp = violation personality
#include "attack.h"

#include <sys/personality.h>

int main(void) { return verdict(personality(ADDR_NO_RANDOMIZE) >= 0); }
