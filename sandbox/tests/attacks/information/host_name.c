// attack: learns the name of the host
// stopped-by: uts_namespace = denied
#include "attack.h"

#include <sys/utsname.h>

int main(void) {
  struct utsname name;
  uname(&name);
  return verdict(strcmp(name.nodename, "sandbox") != 0);
}
