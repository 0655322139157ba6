// attack: keeps a file of the host by a hard link in a writable directory
// without: landlock
// run: --mount {open_dir}:/mnt
// stopped-by: readonly = denied
#include "attack.h"

// The control's link stays within /mnt: across mounts the kernel refuses in any case.
int main(void) {
  int file = open("/mnt/file", O_WRONLY | O_CREAT, 0644);
  return verdict(link("/usr/bin/env", "/box/env") == 0 || (file >= 0 && link("/mnt/file", "/mnt/kept") == 0));
}
