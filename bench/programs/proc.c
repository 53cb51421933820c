// Process work: context switches over two pipes, and fork + exec + wait of a static program.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static double now(void) { struct timespec t; clock_gettime(CLOCK_MONOTONIC, &t); return t.tv_sec + t.tv_nsec * 1e-9; }

int main(int argc, char **argv) {
  if (argc > 1 && !strcmp(argv[1], "child")) return 0;
  int a[2], b[2];
  char c = 0;
  const int switches = 20000, forks = 300;
  if (pipe(a) || pipe(b)) return 1;
  double t = now();
  pid_t pid = fork();
  if (pid == 0) {
    for (int i = 0; i < switches; i++) if (read(a[0], &c, 1) != 1 || write(b[1], &c, 1) != 1) _exit(1);
    _exit(0);
  }
  for (int i = 0; i < switches; i++) if (write(a[1], &c, 1) != 1 || read(b[0], &c, 1) != 1) return 1;
  waitpid(pid, 0, 0);
  printf("BENCH proc_pingpong20k %.4f chk=%d\n", now() - t, c);
  t = now();
  for (int i = 0; i < forks; i++) {
    pid = fork();
    if (pid == 0) { execl(argv[0], argv[0], "child", (char *)0); _exit(127); }
    waitpid(pid, 0, 0);
  }
  printf("BENCH proc_forkexec300 %.4f chk=%d\n", now() - t, forks);
  return 0;
}
