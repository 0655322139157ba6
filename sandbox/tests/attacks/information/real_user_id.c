// attack: learns which user of the host it is
// stopped-by: sandbox = denied
// control: native
#include "attack.h"

#include <grp.h>

int main(void) {
  gid_t groups[64];
  unsigned inside = 0, outside = 0;
  FILE *map = fopen("/proc/self/uid_map", "r");
  int known = map && fscanf(map, "%u %u", &inside, &outside) == 2 && outside == inside;
  return verdict(getuid() != 1000 || getgid() != 1000 || getgroups(64, groups) > 1 || known);
}
