// attack: writes into a directory of the host in which everybody may write
// run: --mount {open_dir}:/mnt
// stopped-by: readonly = denied
// stopped-by: landlock = denied
#include "attack.h"

int main(void) { return verdict(open("/mnt/file", O_WRONLY | O_CREAT, 0644) >= 0); }
