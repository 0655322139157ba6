// attack: reads what /proc says about the whole machine
// stopped-by: proc_mask = denied
#include "attack.h"

int main(void) {
  const char *files[] = {"interrupts", "kallsyms", "keys",      "timer_list", "sched_debug", "version", "cmdline", "modules", "kcore",
                         "config.gz",  "vmstat",   "zoneinfo", "partitions", "diskstats",   "swaps",   "net/tcp", "sys/kernel/random/boot_id"};
  int opened = 0;
  for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
    char path[64];
    snprintf(path, sizeof path, "/proc/%s", files[i]);
    opened += open(path, O_RDONLY) >= 0;
  }
  return verdict(opened > 0);
}
