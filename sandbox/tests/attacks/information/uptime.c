// attack: learns how long the host has been up
// args: {uptime_s}
// stopped-by: time_namespace = denied
#include "attack.h"

#include <sys/sysinfo.h>

int main(int argc, char **argv) {
  struct sysinfo info;
  sysinfo(&info);
  return verdict(labs(info.uptime - atol(argv[argc - 1])) < 10);
}
