// attack: throws the host's programs out of its memory, so that everybody has to read them again
// stopped-by: seccomp = denied
#include "attack.h"

int main(void) { return verdict(posix_fadvise(open("/usr/bin/env", O_RDONLY), 0, 0, POSIX_FADV_DONTNEED) == 0); }
