// attack: makes a read-only bind of the host writable, and writes to it
// without: seccomp landlock capabilities
// run: --mount {open_dir}:/mnt
// stopped-by: readonly = denied
#include "attack.h"

int main(void) {
  mount(NULL, "/mnt", NULL, MS_REMOUNT | MS_BIND, NULL);
  return verdict(open("/mnt/file", O_WRONLY | O_CREAT, 0644) >= 0);
}
