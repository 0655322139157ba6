// attack: segments of its own, a relic with a history of holes
// stopped-by: seccomp = violation modify_ldt
#include "attack.h"

int main(void) {
  char table[64];
  return verdict(syscall(SYS_modify_ldt, 0, table, sizeof table) >= 0);
}
