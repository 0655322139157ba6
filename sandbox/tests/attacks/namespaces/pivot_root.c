// attack: another root, by pivot_root
// stopped-by: seccomp = violation mount
// stopped-by: capabilities = denied
// stopped-by: landlock = denied
#include "attack.h"

int main(void) {
  mkdir("root", 0755);
  mount("root", "root", NULL, MS_BIND, NULL);
  mkdir("root/old", 0755);
  return verdict(chdir("root") == 0 && syscall(SYS_pivot_root, ".", "old") == 0);
}
