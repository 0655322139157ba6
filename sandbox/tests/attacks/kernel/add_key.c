// attack: a key in a key ring
// stopped-by: seccomp = violation add_key
#include "attack.h"

int main(void) {
  enum { SESSION_KEYRING = -3 };
  return verdict(syscall(SYS_add_key, "user", "brig-attack", "x", 1, SESSION_KEYRING) >= 0);
}
