// attack: gives the host another name; natively it asks for a name that is too long
// stopped-by: seccomp = violation sethostname
// stopped-by: capabilities = denied
// control: native
#include "attack.h"

int main(void) {
  char name[100];
  memset(name, 'x', sizeof name);
  return verdict(sethostname(name, sizeof name) != 0 && errno == EINVAL);
}
