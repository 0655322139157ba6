// attack: reads key rings
// stopped-by: seccomp = violation keyctl
#include "attack.h"

int main(void) {
  enum { GET_KEYRING_ID = 0, SESSION_KEYRING = -3 };
  return verdict(syscall(SYS_keyctl, GET_KEYRING_ID, SESSION_KEYRING, 1) >= 0);
}
