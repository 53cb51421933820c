/*
 * Runs instruction sequences on the host processor: reads cases from standard input, writes what became of each to
 * standard output. Tests only; built by native.ts with the system's C compiler.
 *
 * Each case is entered by returning from a signal handler whose frame holds the case's registers, and left by a trap
 * (HLT behind the code) or by the exception that the code raises. So one signal serves as the end of one case and the
 * beginning of the next, and every register, x87 and XMM included, is exactly what the case asks for.
 *
 * Input:  u32 count, u32 address of the window, then count * struct case_in.   Output: count * struct case_out.
 */
#define _GNU_SOURCE
#include <asm/ldt.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <ucontext.h>
#include <unistd.h>

#define CODE_BASE 0x20000000ul
#define CODE_OFFSET 0x100
#define DATA_BASE 0x30000000ul
#define PAGE 4096
#define WINDOW 1024
#define HLT 0xf4 /* #GP at CPL 3; what follows the code */
#define CODE16 0x07 /* selectors of the local descriptor table */
#define DATA16 0x0f
#define ENDLESS 0x1100 /* instead of a vector: the case does not end */
#define FX_BYTES 416 /* FXSAVE image up to XMM15 */

#pragma pack(push, 1)
struct case_in {
  uint8_t code[64];
  uint32_t length;
  uint32_t mode; /* 0: 64-bit, 1: 32-bit, 2: 16-bit code segment, whose segments begin at CODE_BASE and DATA_BASE */
  uint64_t gpr[16];
  uint64_t rflags;
  uint64_t fs_base; /* 64-bit code only: in 32-bit code FS and GS are null selectors */
  uint64_t gs_base;
  uint8_t fx[FX_BYTES];
  uint8_t window[WINDOW]; /* at the address in the header; the pages it touches are mapped, no others */
};
struct case_out {
  uint32_t vector;
  uint32_t error;
  uint64_t cr2;
  uint64_t rip;
  uint64_t rflags;
  uint64_t gpr[16];
  uint64_t fs_base;
  uint64_t gs_base;
  uint8_t fx[FX_BYTES];
  uint8_t window[WINDOW];
};
#pragma pack(pop)

static struct case_in *input;
static struct case_out *output;
static uint32_t count, at;
static int running;
static uint8_t *window;
static size_t data_bytes;
static int has_bases; /* the kernel lets programs set FS and GS bases by instructions */
static uint64_t own_fs, own_gs;

static uint64_t read_fs(void) { uint64_t v; __asm__ volatile("rdfsbase %0" : "=r"(v)); return v; }
static uint64_t read_gs(void) { uint64_t v; __asm__ volatile("rdgsbase %0" : "=r"(v)); return v; }
static void write_bases(uint64_t fs, uint64_t gs) { __asm__ volatile("wrfsbase %0\n\twrgsbase %1" : : "r"(fs), "r"(gs) : "memory"); }

static const int order[16] = {REG_RAX, REG_RCX, REG_RDX, REG_RBX, REG_RSP, REG_RBP, REG_RSI, REG_RDI,
                              REG_R8,  REG_R9,  REG_R10, REG_R11, REG_R12, REG_R13, REG_R14, REG_R15};

static void read_all(void *to, size_t bytes) {
  char *p = to;
  while (bytes > 0) {
    ssize_t n = read(0, p, bytes);
    if (n <= 0) _exit(2);
    p += n;
    bytes -= (size_t)n;
  }
}

static void write_all(const void *from, size_t bytes) {
  const char *p = from;
  while (bytes > 0) {
    ssize_t n = write(1, p, bytes);
    if (n <= 0) _exit(2);
    p += n;
    bytes -= (size_t)n;
  }
}

static void load(ucontext_t *uc, const struct case_in *in) {
  uint8_t *code = (uint8_t *)CODE_BASE;
  uint8_t *data = (uint8_t *)DATA_BASE;
  uint8_t *fx = (uint8_t *)uc->uc_mcontext.fpregs;
  memset(code + CODE_OFFSET, HLT, 320);
  memcpy(code + CODE_OFFSET, in->code, in->length);
  memset(data, 0, data_bytes);
  memcpy(window, in->window, WINDOW);
  for (int i = 0; i < 16; i++) uc->uc_mcontext.gregs[order[i]] = (greg_t)in->gpr[i];
  uc->uc_mcontext.gregs[REG_EFL] = (greg_t)in->rflags;
  uc->uc_mcontext.gregs[REG_RIP] = (greg_t)((in->mode == 2 ? 0 : CODE_BASE) + CODE_OFFSET);
  uint64_t csgsfs = (uint64_t)uc->uc_mcontext.gregs[REG_CSGSFS];
  uint64_t cs = in->mode == 2 ? CODE16 : in->mode != 0 ? 0x23 : 0x33, ss = in->mode == 2 ? DATA16 : 0x2b;
  csgsfs = (csgsfs & 0x0000fffffffffffful & ~0xfffful) | cs | ss << 48;
  uc->uc_mcontext.gregs[REG_CSGSFS] = (greg_t)csgsfs;
  memcpy(fx, in->fx, FX_BYTES);
  *(uint64_t *)(fx + 512) |= 3; /* XSTATE_BV: x87 and SSE come from this image */
}

/* The case ran to its end when it stopped at a HLT that is not its own: told as vector 3. */
static int ended(const ucontext_t *uc, const struct case_in *in) {
  uint64_t rip = (uint64_t)uc->uc_mcontext.gregs[REG_RIP];
  if (in->mode == 2) rip += CODE_BASE;
  if (uc->uc_mcontext.gregs[REG_TRAPNO] != 13 || rip < CODE_BASE || rip >= CODE_BASE + PAGE) return 0;
  if (rip >= CODE_BASE + CODE_OFFSET && rip < CODE_BASE + CODE_OFFSET + in->length) return 0;
  return *(const uint8_t *)rip == HLT;
}

static void store(ucontext_t *uc, const struct case_in *in, struct case_out *out) {
  out->vector = ended(uc, in) ? 3 : (uint32_t)uc->uc_mcontext.gregs[REG_TRAPNO];
  out->error = (uint32_t)uc->uc_mcontext.gregs[REG_ERR];
  out->cr2 = (uint64_t)uc->uc_mcontext.gregs[REG_CR2];
  out->rip = (uint64_t)uc->uc_mcontext.gregs[REG_RIP];
  out->rflags = (uint64_t)uc->uc_mcontext.gregs[REG_EFL];
  for (int i = 0; i < 16; i++) out->gpr[i] = (uint64_t)uc->uc_mcontext.gregs[order[i]];
  memcpy(out->fx, uc->uc_mcontext.fpregs, FX_BYTES);
  memcpy(out->window, window, WINDOW);
}

static void next(int sig, siginfo_t *info, void *context) {
  ucontext_t *uc = context;
  (void)info;
  __builtin_ia32_writeeflags_u64(0x202); /* the kernel leaves AC set: nothing unaligned before this */
  uint64_t fs = 0, gs = 0;
  if (has_bases) { /* first of all: the C library's own data lies behind FS */
    fs = read_fs();
    gs = read_gs();
    write_bases(own_fs, own_gs);
  }
  if (running) {
    store(uc, &input[at], &output[at]);
    output[at].fs_base = fs;
    output[at].gs_base = gs;
    if (sig == SIGVTALRM) output[at].vector = ENDLESS;
    at++;
  }
  running = 1;
  if (at == count) {
    write_all(output, sizeof(struct case_out) * count);
    _exit(0);
  }
  struct itimerval limit = {.it_value = {.tv_usec = 300000}}; /* of processor time, for this case */
  setitimer(ITIMER_VIRTUAL, &limit, NULL);
  load(uc, &input[at]);
  /* NT and ID are not in the frame: what the handler returns with is what the case gets. */
  __builtin_ia32_writeeflags_u64(0x202 | (input[at].rflags & 0x204000));
  /* Code that is not 64-bit needs usable data segments. Loading them leaves FS and GS alone. */
  __asm__ volatile("mov %0, %%ds\n\tmov %0, %%es" : : "r"(input[at].mode == 2 ? DATA16 : 0x2b));
  if (has_bases) write_bases(input[at].fs_base, input[at].gs_base);
}

int main(void) {
  uint32_t header[2];
  read_all(header, sizeof header);
  count = header[0];
  if (count == 0) return 0;
  input = malloc(sizeof(struct case_in) * count);
  output = calloc(count, sizeof(struct case_out));
  if (input == NULL || output == NULL) return 2;
  read_all(input, sizeof(struct case_in) * count);

  int fixed = MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE;
  if (mmap((void *)CODE_BASE, PAGE, PROT_READ | PROT_WRITE | PROT_EXEC, fixed, -1, 0) != (void *)CODE_BASE) return 2;
  window = (uint8_t *)(uintptr_t)header[1];
  data_bytes = ((uintptr_t)window + WINDOW - DATA_BASE + PAGE - 1) / PAGE * PAGE;
  if (mmap((void *)DATA_BASE, data_bytes, PROT_READ | PROT_WRITE, fixed, -1, 0) != (void *)DATA_BASE) return 2;
  memset((void *)CODE_BASE, HLT, PAGE);

  struct user_desc code = {.entry_number = 0, .base_addr = CODE_BASE, .limit = 0xffff, .contents = MODIFY_LDT_CONTENTS_CODE, .useable = 1};
  struct user_desc data = {.entry_number = 1, .base_addr = DATA_BASE, .limit = 0xffff, .contents = MODIFY_LDT_CONTENTS_DATA, .useable = 1};
  int needed = 0;
  for (uint32_t i = 0; i < count; i++) needed |= input[i].mode == 2;
  if (needed && (syscall(SYS_modify_ldt, 0x11, &code, sizeof code) != 0 || syscall(SYS_modify_ldt, 0x11, &data, sizeof data) != 0)) return 3;

  has_bases = (getauxval(AT_HWCAP2) & 2) != 0;
  if (has_bases) {
    own_fs = read_fs();
    own_gs = read_gs();
  }

  stack_t stack = {.ss_size = 256 * 1024};
  stack.ss_sp = malloc(stack.ss_size);
  sigaltstack(&stack, NULL);
  struct sigaction action = {.sa_sigaction = next, .sa_flags = SA_SIGINFO | SA_ONSTACK | SA_NODEFER};
  int signals[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP, SIGVTALRM};
  for (unsigned i = 0; i < sizeof signals / sizeof signals[0]; i++) sigaction(signals[i], &action, NULL);
  __asm__ volatile("int3");
  return 2;
}
