// attack: traces the process that started it
// stopped-by: seccomp = violation ptrace
// stopped-by: sandbox = denied
// control: native
#include "attack.h"

#include <sys/ptrace.h>

int main(void) { return verdict(ptrace(PTRACE_SEIZE, getppid(), 0, 0) == 0); }
