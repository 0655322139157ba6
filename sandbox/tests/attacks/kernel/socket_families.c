// attack: a socket of any family but Unix: each is kernel code that is rarely looked at
// stopped-by: seccomp = denied
#include "attack.h"

int main(void) {
  for (int family = 0; family < 64; family++) {
    for (int type = SOCK_STREAM; family != AF_UNIX && type <= SOCK_SEQPACKET; type++) {
      if (socket(family, type, 0) >= 0 || socketpair(family, type, 0, (int[2]){0}) == 0) {
        return SUCCEEDED;
      }
    }
  }
  return DENIED;
}
